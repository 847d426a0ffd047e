"""The strategy process: the engine's host, live. One process per attempt; it posts decisions, never orders.

:mod:`runner` follows the stream of bars and says which bars are triggers; :mod:`gateway_client` is the host's venue,
:mod:`model_client` a Model's predictor, :mod:`bar_stream` the source of slices. No Ray, no broker, no database in here.
"""
