"""The market data process: the one connection to the provider of bars.

Its parts, from the outside in: :mod:`stream` and :mod:`provider` speak the provider's WebSocket and REST protocols,
:mod:`wire` turns their rows into exact bars or refuses them by name, :mod:`history` reads whole sessions,
:mod:`assembly` collects the bars that end together, :mod:`publisher` writes slices to Redis, :mod:`service` keeps all
that true through outages, :mod:`api` answers history over HTTP.
Trading brokers stay out of here; the provider's key may only read data.
"""
