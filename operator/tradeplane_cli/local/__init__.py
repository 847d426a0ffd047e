"""The embedded environment: what a laptop or a VM runs instead of a cluster and its services.

Each server is a small class that prepares its files and says how to start it (a ``processes.Spec``); the supervisor
starts, watches and ends them; ``environment`` composes them. Tests start the same classes. Nothing here is imported
by a process of Tradeplane itself.
"""
