"""The gateway: the one door to the broker, and the only writer of the ledger.

Pure modules decide (``reducer``, ``switch``, ``state``, ``books``, ``sweep``'s proof), the others act. What must hold
is in docs/explanation/halting.md; addresses and bodies are in docs/reference/interfaces.md.
"""
