"""The jobs process: trains a Model's artifact from history, once, and leaves result and artifact in the store.

A run is a function of its configuration and of the bars: the same ones give the same bytes, so that a repeated
submission changes nothing. Serving and trading stay out of here.
"""
