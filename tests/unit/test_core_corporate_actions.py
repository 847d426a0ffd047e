"""Corporate actions in a run: what each does to positions, orders, cash, marks and to the result's frames."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import engine_orders, engine_runs
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.core import kernel, log
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
    seen = 0

    def on_bar(self, ctx: Any, bar: Any) -> None:
        """Want them until they are there: on the first two bars."""
        self.seen += 1
        if self.seen <= 2:
            ctx.target(bar.symbol, shares=self.parameters.shares)


DATA = engine_runs.walk("S", 20, seed=4)


def at(row: int) -> times.Nanos:
    """Start of a row's bar."""
    return times.Nanos(int(DATA.start[row]))


def run(*given: actions.Action, shares: int = 100, data: series.Series = DATA, examine: bool = True) -> result.Result:
    """Run with actions."""
    limits = simulation.risk_limits.Limits(allow_short=True)
    return simulation.Backtest(
        [data],
        [simulation.Allocation(Hold, capital=10**6, parameters={"shares": shares}, limits=limits)],
        limits=limits,
        actions=given,
        examine=examine,
    ).run()


def entries(found: result.Result) -> list[tuple[int, int]]:
    """Instant and amount of every entry of the log."""
    return [(int(row[1]), int(row[5])) for row in found.log if row[0] == log.ENTRY]


def test_a_dividend_is_owed_on_the_ex_date_and_paid_on_the_pay_date() -> None:
    """A dollar a share on 100 shares, later."""
    found = run(actions.Dividend("S", at(5), numbers.Money(USD), at(9)))
    assert (entries(found), found.flagged.rows()) == ([(at(9), 100 * USD)], [])


def test_a_dividend_that_is_paid_after_the_last_bar_is_flagged() -> None:
    """Equity lacks what is owed; where nobody is owed anything there is nothing to say."""
    later = times.Nanos(int(DATA.end[-1]) + times.DAY)
    found = run(actions.Dividend("S", at(5), numbers.Money(USD), later))
    assert (entries(found), found.flagged["reason"].to_list()) == ([], ["dividend-unpaid"])
    assert run(actions.Dividend("S", at(5), numbers.Money(USD), later), shares=0).flagged.rows() == []


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


@pytest.mark.parametrize("late", [0, 1])
def test_a_symbol_that_was_delisted_as_its_last_bar_ended_has_no_price(late: int) -> None:
    """It cannot be ordered any more, though that bar becomes known at the same instant or later."""
    first = engine_orders.bars(*engine_orders.flat(1_000_000, 2), late=late)
    other = engine_orders.bars(*engine_orders.flat(1_000_000, 5), symbol="T")
    wanted = type("Wanted", (Hold,), {"on_bar": lambda _, ctx, bar: bar.symbol == "T" and ctx.target("S", shares=1)})
    delisted = actions.Delisting("S", times.Nanos(int(first.end[1])), numbers.Money(USD))
    found = simulation.Backtest([first, other], wanted, actions=[delisted], examine=False).run()
    after = [one for one in found.orders.iter_rows(named=True) if one["at"].timestamp() * 10**9 >= delisted.at]
    assert after == []
    assert found.refused["reason"].to_list()[-1] == "no-price"


def test_a_delisting_is_a_trades_end() -> None:
    """It is in the fills without an order, ends the round trip, and both curves end in cash."""
    found = run(actions.Delisting("S", at(5), numbers.Money(2 * USD)))
    assert found.fills["order"].to_list() == [1, -1]
    assert found.trades["exit_price"].to_list() == [2.0]
    assert found.equity["equity"].to_list() == found.strategies["equity"].to_list()


def test_a_stranger_is_refused_by_name() -> None:
    """Nothing of the data is changed in silence."""
    with pytest.raises(errors.ValueRefused, match=r"action\.symbol"):
        run(actions.Delisting("T", at(5), numbers.Money(0)))
    with pytest.raises(errors.ValueRefused, match=r"action\.symbol"):
        run(actions.Rename("T", at(5), "U"))


def test_an_action_that_is_given_twice_is_refused() -> None:
    """It would act twice; two that differ, such as a special dividend beside the quarter's, do."""
    split = actions.Split("S", at(5), 2, 1)
    with pytest.raises(errors.ValueRefused, match=r"^actions: must be each given once, got Split\(symbol='S'"):
        run(split, actions.Dividend("S", at(5), numbers.Money(USD)), dataclasses.replace(split))
    paid = run(*(actions.Dividend("S", at(5), numbers.Money(amount * USD)) for amount in (1, 2)))
    assert sum(amount for _, amount in entries(paid)) == 300 * USD


def test_a_price_that_no_share_can_have_is_refused_before_the_run() -> None:
    """Half a unit of price."""
    with pytest.raises(errors.ValueRefused, match="delisting of S"):
        run(actions.Delisting("S", at(5), numbers.Money(USD // 20_000)))


def test_actions_are_part_of_a_runs_identity() -> None:
    """Whatever their order, and only once."""
    one, two = actions.Dividend("S", at(5), numbers.Money(USD)), actions.Split("S", at(7), 2, 1)
    assert run(one, two).hash == run(two, one).hash
    assert run(one).hash != run(one, two).hash


def part(first: int, stop: int, name: str = "S", data: series.Series = DATA) -> series.Series:
    """Some rows of the bars under a name."""
    columns = {one.name: getattr(data, one.name) for one in dataclasses.fields(data) if one.name != "symbol"}
    rows = {key: value[first:stop] if isinstance(value, np.ndarray) else value for key, value in columns.items()}
    return series.Series(name, **rows)


class Each(Hold):
    """Holds 100 shares of every symbol from its first bar on."""

    def on_bar(self, ctx: Any, bar: Any) -> None:
        """Want them."""
        ctx.target(bar.symbol, shares=100)


def renamed(*data: series.Series, strategies: type[strategy.Strategy] = Each) -> result.Result:
    """Run with a rename of S to T."""
    rename = actions.Rename("S", at(8), "T")
    before = actions.Dividend("S", at(5), numbers.Money(USD))
    return simulation.Backtest(list(data), strategies, actions=[rename, before]).run()


def test_a_rename_goes_on_under_the_new_name() -> None:
    """Position, history and the dividend of before are those of one series."""
    found = renamed(part(0, 8), part(8, 20, "T"))
    whole = simulation.Backtest(
        [part(0, 20, "T")], Each, actions=[actions.Dividend("T", at(5), numbers.Money(USD))]
    ).run()
    assert found.fills.equals(whole.fills)
    assert found.equity.equals(whole.equity)
    assert entries(found) == [(at(5), 100 * USD)]
    assert found.flagged.rows() == [(found.flagged["at"][0], "T", "renamed")]


def test_bars_of_the_old_name_from_the_rename_on_are_somebody_elses() -> None:
    """The ticker was used again: its new owner is a symbol of his own, whose history begins there."""
    found = renamed(part(0, 20), part(8, 20, "T"))
    assert found.fills["symbol"].to_list() == ["T", "S"]
    assert [len(one) for one in found.data.series] == [12, 20]


def test_a_run_that_was_given_one_series_stays_as_it_is() -> None:
    """Joining twice changes nothing, so that a replay may be given the joined bars."""
    assert renamed(part(0, 20, "T")).hash == renamed(part(0, 8), part(8, 20, "T")).hash


def test_a_rename_that_the_data_do_not_reach_does_nothing() -> None:
    """The name stays."""
    assert set(renamed(part(0, 8)).fills["symbol"]) == {"S"}


@pytest.mark.parametrize(
    "data,reason",
    [
        ((part(0, 20),), "which has no bars"),
        ((part(0, 8), part(2, 20, "T")), "two symbols of one name"),
    ],
)
def test_a_rename_that_does_not_fit_the_bars_is_refused(data: tuple[series.Series, ...], reason: str) -> None:
    """Nobody guesses whose bars they are."""
    with pytest.raises(errors.DataRefused, match=reason):
        renamed(*data)


@pytest.mark.parametrize("kind", actions.REFUSED)
def test_what_is_not_modelled_ends_a_run_that_has_a_part_in_it(kind: str) -> None:
    """A position that went through a spin-off would be wrong from then on."""
    with pytest.raises(errors.DataRefused, match=r"S at 2020-01-01T00:06:00Z: held or ordered") as refused:
        run(actions.Other("S", at(5), kind))
    assert refused.value.reason == kind.replace("_", "-")


def test_what_is_not_modelled_is_flagged_where_nobody_holds_it() -> None:
    """The run goes on, and its reader is told."""
    found = run(actions.Other("S", at(5), "spin_off"), shares=0)
    assert found.flagged["reason"].to_list() == ["spin-off"]


def test_a_modelled_action_is_no_other() -> None:
    """Each has its class."""
    with pytest.raises(errors.ValueRefused, match="action of S"):
        actions.Other("S", at(5), "forward_split")


def split_bars(new: int, old: int, row: int, *, late: int = 0) -> tuple[series.Series, series.Series]:
    """Twenty bars without a split, and the same with one before a row; every price has both forms."""
    rng = np.random.default_rng(new * 100 + old)
    close = rng.integers(50, 150, 20) * new * old * 1000
    rows = [(int(one),) * 4 for one in close]
    restated = [(price * old // new,) * 4 if number >= row else (price,) * 4 for number, (price, *_) in enumerate(rows)]
    return engine_orders.bars(*rows, late=late), engine_orders.bars(*restated, late=late)


RATIOS = st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(lambda one: one[0] != one[1])


@settings(max_examples=15, deadline=None)
@given(RATIOS, st.integers(5, 18), st.sampled_from([362_880, -362_880]), st.integers(0, 2))
def test_equity_is_continuous_across_a_split(ratio: tuple[int, int], row: int, shares: int, late: int) -> None:
    """The curve of account and strategy is the one of bars that never split, at the split's own instant too."""
    plain, split = split_bars(*ratio, row, late=late)
    when = times.Nanos(int(split.start[row]))
    found = run(actions.Split("S", when, *ratio), data=split, shares=shares, examine=False)
    expected = run(data=plain, shares=shares, examine=False)
    assert found.equity["equity"].to_list() == expected.equity["equity"].to_list()
    assert found.strategies["equity"].to_list() == expected.equity["equity"].to_list()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 9 * 10**4), st.integers(3, 17), st.sampled_from([100, -100]), st.integers(0, 2))
def test_equity_is_continuous_across_a_dividend_once_it_is_paid(units: int, row: int, shares: int, later: int) -> None:
    """Prices without the dividend, and its cash, are worth what the prices with it were."""
    plain = engine_orders.bars(*[(10**6 + 100 * number,) * 4 for number in range(20)])
    prices = [price - units if number >= row else price for number, price in enumerate(plain.close.tolist())]
    data = engine_orders.bars(*[(price,) * 4 for price in prices])
    pay = times.Nanos(int(data.start[row + later]))
    dividend = actions.Dividend("S", times.Nanos(int(data.start[row])), numbers.Money(units * 10**5), pay)
    found = run(dividend, data=data, shares=shares, examine=False)
    expected = run(data=plain, shares=shares, examine=False)
    paid = expected.equity["equity"].to_list()
    assert found.equity["equity"].to_list()[row + later :] == paid[row + later :]
    assert found.equity["equity"].to_list()[: row - 1] == paid[: row - 1]


def test_a_split_day_begins_when_the_bar_before_has_acted() -> None:
    """A bar that ends when the split happens meets the orders as they were: a sale at 110 is not one at 27.50."""
    data = engine_orders.bars((100,) * 4, (100,) * 4, (105, 109, 104, 105), (26,) * 4, (27, 28, 26, 27))

    def plan(ctx: Any) -> None:
        ctx.order("S", "buy", 10)
        ctx.order("S", "sell", 10, "limit", limit=108)

    found, script = engine_orders.run(
        data, {0: plan, 1: lambda ctx: ctx.order("S", "sell", 10, "limit", limit=110)}, path="ohlc"
    )
    assert [price for *_, price in script.fills] == [100, 108]
    table = found.table
    again = kernel.Kernel(table, found.flow.costs, engine_orders.CASH, found.account.policy)
    told = engine_orders.Script({0: plan, 1: lambda ctx: ctx.order("S", "sell", 10, "limit", limit=110)})
    told.kernel = again
    again.add("script", told, engine_orders.CASH, found.account.policy)
    simulation.events.schedule(again, [actions.Split("S", times.Nanos(int(table.columns["start"][3])), 4, 1)])
    again.run()
    assert [(number, price) for number, _, _, price in told.fills] == [(1, 100), (2, 108), (3, 27)]


def test_a_market_order_is_restated_at_a_reverse_split() -> None:
    """It has no price; what waits for 20 shares sells 5."""
    data = engine_orders.bars(*engine_orders.flat(100, 3), *engine_orders.flat(400, 2))
    plan = {0: lambda ctx: ctx.order("S", "buy", 20), 2: lambda ctx: ctx.order("S", "sell", 20)}

    def split(script: engine_orders.Script) -> None:
        if script.seen["S"] == 2 and script.kernel is not None and script.kernel.flow.decisions < 2:
            script.kernel.agenda.add(script.kernel.now + 1, 2, simulation.events.Restated("S", 1, 4))

    late = engine_orders.bars(*engine_orders.flat(100, 3), *engine_orders.flat(400, 2), minutes=[0, 1, 2, 4, 5])
    del data
    found, script = engine_orders.run(late, plan, after=split)
    assert [(shares, price) for _, _, shares, price in script.fills] == [(20, 100), (5, 400)]
    assert found.account.book.ledger.quantities[0] == 0


class Third(Hold):
    """Holds a part of a share."""

    def on_bar(self, ctx: Any, bar: Any) -> None:
        """Buy two shares once."""
        self.seen += 1
        if self.seen == 1:
            ctx.target(bar.symbol, shares=2)


def test_the_account_holds_what_its_strategies_hold_after_a_split() -> None:
    """Each of two is cut below 1e-9 share on its own."""
    both = [simulation.Allocation(Third, capital=10**6, name=name) for name in ("a", "b")]
    found = simulation.Backtest([DATA], both, actions=[actions.Split("S", at(5), 1, 3)]).run()
    assert found.frame("positions", numbers="text")["quantity"].to_list() == ["0.666666666"] * 2


def test_a_weight_after_a_split_is_of_the_new_share() -> None:
    """The last close is of the old share; half the equity at it is four times as many, which the split has given."""
    data = engine_orders.bars(*engine_orders.flat(400, 3), *engine_orders.flat(100, 3))
    turns: list[int] = []  # the last one is at the instant of the split

    class Weight(strategy.Strategy):
        def on_bar(self, ctx: Any, bar: Any) -> None:
            turns.append(bar.end)
            if len(turns) <= 3:
                ctx.target("S", weight=0.5)

    when = times.Nanos(int(data.start[3]))
    split = actions.Split("S", when, 4, 1)
    found = simulation.Backtest([data], Weight, cash=1000, actions=[split], examine=False).run()
    assert found.orders["quantity"].to_list() == [12_500]
    assert found.frame("positions", numbers="text")["quantity"].to_list() == ["50000"]


def test_dividends_are_on_the_share_basis_after_a_split_of_their_instant() -> None:
    """In whatever order they were given."""
    given_ = (actions.Dividend("S", at(5), numbers.Money(USD)), actions.Split("S", at(5), 2, 1))
    assert entries(run(*given_)) == [(at(5), 200 * USD)]
