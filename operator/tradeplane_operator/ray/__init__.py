"""Ray behind one port: Serve configurations and jobs, by REST."""
