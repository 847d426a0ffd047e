"""The data plane's processes, one folder each: gateway, market_data, strategy, model, jobs.

Folders do not import each other; what they say to each other is in :mod:`tradeplane_workers.messages`, and
:mod:`tradeplane_workers.translate` is the one place where a manifest's spec becomes engine settings.
"""
