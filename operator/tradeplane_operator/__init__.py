"""The control plane: watch, enqueue, observe, decide, apply.

``reconcile/<kind>`` decides in pure functions; ``ray``, ``gateway``, ``artifacts`` and tradeplane_kube are the edges.
Nothing here imports the engine or a worker: a worker's configuration leaves as JSON.
"""
