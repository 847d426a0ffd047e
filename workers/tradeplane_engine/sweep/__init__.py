"""Sweeps: many parameter sets of one family of rules over one data set, each with the event engine's exact result.

A configuration that the kernel can express runs as passes over columns; any other runs in the event engine, and the
result says which and why. Results are kept by content, so that the same code, data and parameters never run twice.
"""

from tradeplane_engine.sweep.evaluator import Configuration, Evaluator, Outcome, evaluate, log_of
from tradeplane_engine.sweep.results import Results, results
from tradeplane_engine.sweep.runner import Family, Progress, Runner, Sweep, configuration
from tradeplane_engine.sweep.settings import Settings
from tradeplane_engine.sweep.space import Parameters, grid, sample
from tradeplane_engine.sweep.workers import Pool, Start, Work, started

__all__ = [
    "Configuration",
    "Evaluator",
    "Family",
    "Outcome",
    "Parameters",
    "Pool",
    "Progress",
    "Results",
    "Runner",
    "Settings",
    "Start",
    "Sweep",
    "Work",
    "configuration",
    "evaluate",
    "grid",
    "log_of",
    "results",
    "sample",
    "started",
]
