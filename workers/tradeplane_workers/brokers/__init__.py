"""Trading brokers behind one port: what the gateway asks of a broker, and the adapters that answer.

Only the gateway imports this package ("one door"). An adapter translates; it decides nothing, keeps no ledger and never
sends an order twice.
"""
