"""Honesty detectors: a run is examined for knowledge that it could not have had.

``examine`` recomputes indicators on cut history, replays strategies on early cuts and on bars that never happened, and
checks fills against bars. It changes nothing of the run. What it accuses, it proves: each finding names the strategy
and the first bar. What it cannot see is in ``docs/explanation/honesty.md``.
"""

from tradeplane_engine.detectors.examination import Options, examine
from tradeplane_engine.detectors.findings import Finding, Findings
from tradeplane_engine.detectors.recomputed import Computed
from tradeplane_engine.detectors.replays import Factory

__all__ = ["Computed", "Factory", "Finding", "Findings", "Options", "examine"]
