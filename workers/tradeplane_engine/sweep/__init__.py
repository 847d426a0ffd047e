"""Sweeps: many parameter sets of one family of rules over one data set, each with the event engine's exact result.

A configuration that the kernel can express runs as passes over columns; any other runs in the event engine, and the
result says which and why. Results are kept by content, so that the same code, data and parameters never run twice.
"""

from tradeplane_engine.sweep.evaluator import Evaluator, Outcome, evaluate, log_of
from tradeplane_engine.sweep.results import Results
from tradeplane_engine.sweep.runner import Progress, Sweep
from tradeplane_engine.sweep.settings import Settings
from tradeplane_engine.sweep.space import grid, sample

__all__ = ["Evaluator", "Outcome", "Progress", "Results", "Settings", "Sweep", "evaluate", "grid", "log_of", "sample"]
