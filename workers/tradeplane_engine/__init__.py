"""Pure trading library: the one loop that backtest, paper and live run.

Belongs here: values (prices, bars, orders), features, models, portfolio construction, risk, the venue's market model,
the exact ledger and the loop. Must stay out: cluster, Ray, network, databases and the wall clock; time is a parameter.
Imports point down: ``backtest -> venue | loop -> stages -> data -> domain -> clock | errors``.
"""
