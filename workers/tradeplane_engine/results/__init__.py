"""What a backtest led to, as frames, measures and a report.

Belongs here: reading a finished run's event log, orders and ledgers into columns, and finding the round trips in them.
Must stay out: anything that changes a run, and formulas (they are measures).
"""
