"""The strategy process: the engine's loop, live. One process per attempt; it posts decisions, never orders.

:mod:`runner` follows the stream of bars and says which bars are triggers; :mod:`gateway_client` is the loop's venue,
:mod:`model_client` its predictor, :mod:`bar_stream` its source of slices. No Ray, no broker, no database in here.
"""
