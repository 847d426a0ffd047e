"""Types of the custom resources, and what the API server is told about them.

Only pydantic below: nothing here talks to a cluster, and nothing here knows the engine or the processes.
"""
