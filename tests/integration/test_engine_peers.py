"""Random strategies run in our engine, vectorbt and backtrader give the same fills and the same equity.

The peers come from their published wheels into an environment of their own (``.tradeplane/peers``); they are no
dependency. Where they cannot be had, these tests are skipped with the reason. ``support/differential.py`` lists in what
the engines differ by default. ``make campaign-engine`` runs more seeds.
"""

from pathlib import Path

import pytest

from support import differential

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(600)]  # one environment, installed once


@pytest.fixture(scope="module")
def python() -> Path:
    """Interpreter that has the peers."""
    found, reason = differential.installed(differential.ENVIRONMENT)
    if found is None:
        pytest.skip(f"NO DIFFERENTIAL TEST RAN: {reason}")
    return found


@pytest.mark.parametrize("peer, seeds", [("backtrader", range(20)), ("vectorbt", range(10))])
def test_random_rules_fill_alike(python: Path, peer: str, seeds: range) -> None:
    """Crossings and channels, long and short, over several symbols on one account, with a fee."""
    cases = [differential.rule_case(seed) for seed in seeds]
    answers = differential.theirs(python, peer, cases)
    assert differential.differences([differential.ours(case) for case in cases], answers) == []
    assert min(len(one.fills) for one in answers) > 0


def test_random_orders_fill_alike(python: Path) -> None:
    """Market, limit and stop orders, with gaps and cancels, bar by bar."""
    cases = [differential.order_case(seed) for seed in range(20)]
    answers = differential.theirs(python, "backtrader", cases)
    assert differential.differences([differential.ours(case) for case in cases], answers) == []
    kinds = {one["kind"] for case in cases for one in case["orders"]}
    assert kinds == {"market", "limit", "stop"}
    filled, placed = sum(len(one.fills) for one in answers), sum(len(case["orders"]) for case in cases)
    assert 0 < filled < placed


def test_by_default_we_fill_fewer_limits_than_backtrader(python: Path) -> None:
    """The one convention of ours that a case must switch off: every fill that only they have is a touch."""
    cases = [differential.order_case(seed) for seed in range(8)]
    only_theirs = 0
    for case, answer in zip(cases, differential.theirs(python, "backtrader", cases), strict=True):
        mine = {fill[:4] for fill in differential.ours(case, limit_rule="through").fills}
        others = {fill[:4] for fill in answer.fills}
        for symbol, row, signed, _ in mine - others:  # a touch came first with them
            assert any((symbol, signed) == (two[0], two[2]) and two[1] < row for two in others - mine)
        for symbol, row, signed, price in others - mine:
            assert price == case["data"][symbol]["low" if signed > 0 else "high"][row]
            only_theirs += 1
    assert only_theirs > 0
