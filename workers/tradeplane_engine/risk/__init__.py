"""Risk: what may leave. Limits, the chain of checks, and the gate that backtest and gateway share.

Pure functions over frozen books; nothing here knows a broker, a clock or a database.
"""
