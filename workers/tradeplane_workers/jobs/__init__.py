"""The jobs process: trains a Model's artifact, or runs a backtest, on history, and leaves result and artifact.

A run is a function of its configuration and of the bars: the same ones give the same bytes, so that a repeated
submission changes nothing. Serving and trading at a broker stay out of here.
"""
