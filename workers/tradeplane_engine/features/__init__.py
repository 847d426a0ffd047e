"""Features: numbers computed from a fixed window of past bars, the same in training, backtest and live.

A row is a function of its window alone, in float64 and in a fixed order of operations, so that computing history in
one go and the newest row alone gives the same bits.
"""
