"""The gateway: the one door to the broker, and the only writer of the ledger.

Pure modules decide (``reducer``, ``switch``, ``state``, ``books``), the others act. Addresses and bodies are in
docs/reference/interfaces.md.
"""
