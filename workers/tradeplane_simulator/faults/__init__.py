"""Faults on command: where they are decided (:mod:`.plan`), and where requests meet them (:mod:`.requests`).

Frames of the streams meet them in :mod:`tradeplane_simulator.connection`.
"""
