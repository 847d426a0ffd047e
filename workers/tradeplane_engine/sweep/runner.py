Progress=Sweep=Results=None
