"""The audit trail as its readers see it: the chain, where it is read from, and the heads that were published of it.

The ledger's own triggers write it (``stores/migrations``); nothing here needs to trust a gateway.
"""
