"""The only code of this project that talks to a Kubernetes API server.

Objects are plain dictionaries as the server sends them; what a kind means is the business of tradeplane_api and of the
callers. No caching: a caller that wants freshness gets it.
"""
