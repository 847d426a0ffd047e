"""The ``tradeplane`` command. It starts and looks at environments; what they do is decided by the other packages."""
