"""A study: a search over a strategy's parameters, and how much of what it found can be believed.

1. :mod:`.search` says which parameters are tried: all of a grid, a seeded choice, or what Optuna suggests.
2. :mod:`.study` runs them through the sweep, the same code on one process, several, or many machines.
3. :mod:`.scores` measures each curve; :mod:`.evidence` says how lucky the best one may be.
4. :mod:`.walk_forward` chooses on one stretch and trades the next, and runs the stitched choices as one backtest.
5. :mod:`.found` keeps it all, as JSON and as one HTML page.

Belongs here: searching, scoring and telling. Must stay out: how a configuration runs (that is the sweep).
"""

from tradeplane_engine.study.found import Found
from tradeplane_engine.study.search import Grid, Optuna, Random, Search
from tradeplane_engine.study.study import Study
from tradeplane_engine.study.walk_forward import WalkForward

__all__ = ["Found", "Grid", "Optuna", "Random", "Search", "Study", "WalkForward"]
