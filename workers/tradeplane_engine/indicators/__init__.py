"""Indicators: numbers from the bars of one symbol, computed over history or bar by bar with the same bits.

``named("sma")(window=20)`` and ``function(f, window=20)`` say what to compute; ``batch`` computes it for a history,
``Incremental`` for one new bar at a time. Sums, extremes and changes of prices are exact integers; everything else is
float64 in a fixed order of operations. No I/O, no clock, nothing of the engine but numbers and errors.
"""

from tradeplane_engine.indicators.columns import FIELDS, Columns
from tradeplane_engine.indicators.evaluate import Incremental, batch
from tradeplane_engine.indicators.exact import compare
from tradeplane_engine.indicators.registry import description, function, named, names, parameters
from tradeplane_engine.indicators.spec import Output, Spec

__all__ = [
    "FIELDS",
    "Columns",
    "Incremental",
    "Output",
    "Spec",
    "batch",
    "compare",
    "description",
    "function",
    "named",
    "names",
    "parameters",
]
