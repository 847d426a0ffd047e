"""Models: the predict port, and the frameworks behind it, each imported only where it is used."""
