"""Golden scenarios: small named backtests through the public interface, and what happens in each, in words.

A scenario is a function without arguments that returns a :class:`making.Case`; its name is the scenario's, its
docstring says what it shows. ``tests/golden/scenarios`` holds what came of each.
"""

from support.scenarios import (
    accounts,
    actions,
    book,
    data,
    detectors,
    groups,
    limits,
    making,
    orders,
    requests,
    signals,
    venue,
)

__all__ = ["ALL"]

ALL = making.collected(orders, book, groups, requests, venue, actions, limits, accounts, signals, data, detectors)
