"""The model process: a Ray Serve application that answers feature rows with scores of one artifact.

:mod:`core` loads artifacts and answers requests and knows nothing of Ray; :mod:`application` is its Serve shell. A
change of ``user_config`` is live without a restart, and every answer names the digest that computed it.
"""
