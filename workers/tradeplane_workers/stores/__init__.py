"""The ledger in PostgreSQL: schema, connections and queries; the only writer is the gateway.

Amounts are scaled 64-bit integers (:mod:`tradeplane_engine.domain.numbers`), instants nanoseconds. Modules follow the
tables: ``epochs``, ``journal`` (the one sequence), ``decisions``, ``orders``, ``audit``; ``listing`` and ``story`` only
read. Nothing here decides.
"""
