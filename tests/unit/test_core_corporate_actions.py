from typing import Any

import pytest

from support import engine_runs
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.core import log
from tradeplane_engine.data import series
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.results import result
from tradeplane_engine.venue import actions

USD = 10**9


class Hold(strategy.Strategy):
    """Holds 100 shares, or is short of them."""

    class Parameters(strategy.Strategy.Parameters):
        """How many."""

        shares: int = 100

    parameters: Parameters

    def on_bar(self, ctx: Any, bar: Any) -> None:
        """Want them until they are there."""
        if ctx.now <= bar.table.columns["end"][1]:
            ctx.target(bar.symbol, shares=self.parameters.shares)


DATA = engine_runs.walk("S", 20, seed=4)


def at(row: int) -> times.Nanos:
    """Start of a row's bar."""
    return times.Nanos(int(DATA.start[row]))


def run(*given: actions.Action, shares: int = 100, data: series.Series = DATA) -> result.Result:
    """Run with actions."""
    limits = simulation.risk_limits.Limits(allow_short=True)
    return simulation.Backtest(
        [data],
        [simulation.Allocation(Hold, capital=10**6, parameters={"shares": shares}, limits=limits)],
        limits=limits,
        actions=given,
    ).run()


def entries(found: result.Result) -> list[tuple[int, int]]:
    """Instant and amount of every entry of the log."""
    return [(int(row[1]), int(row[5])) for row in found.log if row[0] == log.ENTRY]


def test_a_dividend_is_owed_on_the_ex_date_and_paid_on_the_pay_date() -> None:
    """A dollar a share on 100 shares, later."""
    found = run(actions.Dividend("S", at(5), numbers.Money(USD), at(9)))
    assert entries(found) == [(at(9), 100 * USD)]


def test_a_short_pays_the_dividend() -> None:
    """What the holder gets, the one who is short owes."""
    found = run(actions.Dividend("S", at(5), numbers.Money(USD)), shares=-100)
    assert entries(found) == [(at(5), -100 * USD)]


def test_who_buys_at_the_open_of_the_ex_date_gets_nothing() -> None:
    """The action comes before the open of its instant."""
    assert entries(run(actions.Dividend("S", at(1), numbers.Money(USD)))) == []


def test_a_delisting_ends_the_position_at_its_price() -> None:
    """Every share becomes two dollars, and the symbol cannot be ordered any more."""
    found = run(actions.Delisting("S", at(5), numbers.Money(2 * USD)))
    assert found.final_equity == found.cash
    assert found.cash.scaleb(9) == 10**6 * USD - int(DATA.open[1]) * 100 * 100_000 + 200 * USD


def test_a_rename_and_a_stranger_are_refused_by_name() -> None:
    """Nothing of the data is changed in silence."""
    with pytest.raises(errors.DataRefused, match="rename"):
        run(actions.Rename("S", at(5), "T"))
    with pytest.raises(errors.ValueRefused, match=r"action\.symbol"):
        run(actions.Delisting("T", at(5), numbers.Money(0)))


def test_actions_are_part_of_a_runs_identity() -> None:
    """Whatever their order, and only once."""
    one, two = actions.Dividend("S", at(5), numbers.Money(USD)), actions.Split("S", at(7), 2, 1)
    assert run(one, two).hash == run(two, one).hash
    assert run(one).hash != run(one, two).hash
