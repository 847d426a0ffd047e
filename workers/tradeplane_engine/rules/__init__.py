"""Declarative rules: what to hold, as a small immutable expression over exact indicators and columns of bars.

```python
rule = rules.when(50 * rules.sum("close", 20) > 20 * rules.sum("close", 50)).hold(shares=100)
```

A rule is evaluated bar by bar in the event engine, and over whole columns for the compiled mode and for sweeps, in
integers and therefore with the same answer. A user's own function over columns stands in the same place. Nothing here
fills an order or keeps a ledger.
"""

from tradeplane_engine.rules.expressions import Condition, Number, change, column, highest, lowest, sum_
from tradeplane_engine.rules.function import Bars, Function
from tradeplane_engine.rules.rule import Rule, When, when
from tradeplane_engine.rules.strategies import ColumnStrategy, RuleStrategy

sum = sum_  # noqa: A001 - the word that users know; inside the package it keeps its underscore

__all__ = [
    "Bars",
    "ColumnStrategy",
    "Condition",
    "Function",
    "Number",
    "Rule",
    "RuleStrategy",
    "When",
    "change",
    "column",
    "highest",
    "lowest",
    "sum",
    "when",
]
