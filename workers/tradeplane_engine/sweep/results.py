Results=None
