"""Measures: what a run was worth, how sure that is, and what it cost.

Belongs here: plain values that describe a finished run (:mod:`.inputs`), one formula per function on numpy columns, the
registry that names them, tables per strategy, symbol and period, and the statistics that say how much of a result is
luck. Must stay out: the loop, the ledger, risk and venue (they hand over columns), files, pictures and the clock.

``docs/reference/measures.md`` has the conventions: simple returns per period, ddof 1, losses of VaR and ES positive,
drawdowns at most 0, intraday results sampled at session closes first. What cannot be computed is None, never 0 or inf.
"""
