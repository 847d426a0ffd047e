"""A run that is led from outside, and what may be changed between two steps."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_runs
from tradeplane_engine import errors, strategy
from tradeplane_engine.core import context, control, costs, kernel, limits, log, risk, table
from tradeplane_engine.domain import orders

MINUTE = engine_runs.MINUTE
DATA = [engine_runs.walk("A", 300, seed=1, gaps=True), engine_runs.walk("B", 200, seed=2, gaps=True)]
FIRST, LAST = engine_runs.START, int(max(one.end[-1] for one in DATA))


def made(shown: strategy.Strategy | None = None) -> kernel.Kernel:
    """A kernel with one strategy, not yet run."""
    policy = risk.Policy("loose", engine_runs.LOOSE)
    found = kernel.Kernel(table.Table(DATA), costs.Costs(commission_bps=Fraction(1)), engine_runs.CASH, policy)
    found.add("one", shown or engine_runs.Cross(), engine_runs.CASH, policy)
    return found


WHOLE = made()
WHOLE.run()


@given(st.lists(st.integers(min_value=FIRST - MINUTE, max_value=LAST + MINUTE), max_size=8))
def test_steps_change_nothing(cuts: list[int]) -> None:
    """However a run is cut, and whatever the order of the cuts, it is the same run."""
    found = made()
    found.start()
    for cut in cuts:
        found.advance(cut)
    found.advance(LAST)
    found.stop()
    assert found.log.rows()[:-1].tolist() == WHOLE.log.rows()[:-1].tolist()
    assert found.equity[: found.instants].tolist() == WHOLE.equity[: WHOLE.instants].tolist()


def test_a_step_to_every_instant_changes_nothing() -> None:
    """At every start and end, where what happens before and after the step lies closest."""
    found = made()
    found.start()
    for instant in sorted({int(at) for one in DATA for column in (one.start, one.end) for at in column}):
        found.advance(instant)
    assert found.log.rows().tolist() == WHOLE.log.rows()[:-1].tolist()


def fills(found: kernel.Kernel) -> list[tuple[int, int]]:
    """Instant and signed quantity of every fill."""
    return [(int(row[1]), int(row[5])) for row in found.log.rows() if row[0] == log.FILL]


class Quiet(strategy.Strategy):
    """Does nothing by itself."""


def buy(ctx: Any) -> None:
    """Want ten shares."""
    ctx.target("A", shares=10)


def test_a_turn_finds_the_market_before_the_opens_of_its_instant() -> None:
    """Its orders meet those opens without latency, and the next ones if the venue has them later."""
    data = engine_runs.walk("A", 10, seed=1)
    policy = risk.Policy("loose", engine_runs.LOOSE)
    for late, row in ((0, 5), (1, 6)):
        found = kernel.Kernel(table.Table([data]), costs.Costs(), engine_runs.CASH, policy)
        found.add("one", Quiet(), engine_runs.CASH, policy)
        found.start()
        instant = int(data.end[4])
        found.advance(instant)
        found.turn(found.slots[0], buy, instant + late)
        found.advance(int(data.end[-1]))
        assert fills(found) == [(int(data.start[row]), 10 * 10**9)]


def test_a_turn_that_fails_names_its_strategy() -> None:
    """As a hook does."""
    found = made(Quiet())
    found.start()

    def fail(ctx: Any) -> None:
        raise KeyError(ctx.name)

    with pytest.raises(errors.StrategyFailed, match="'one' at instant 0"):
        found.turn(found.slots[0], fail, 0)


def test_a_policy_judges_from_the_next_decision_on() -> None:
    """Of the strategy, or of the account."""
    for name in ("one", None):
        found = made(Quiet())
        found.start()
        found.advance(int(DATA[0].end[10]))
        control.PolicyChange(risk.Policy("tight", limits.Limits(max_quantity=1)), name).act(found)
        found.turn(found.slots[0], buy, 0)
        assert [int(row[0]) for row in found.log.rows()] == [log.REFUSED]
        control.PolicyChange(risk.Policy("loose", engine_runs.LOOSE), name).act(found)
        found.turn(found.slots[0], buy, 0)
        assert len(found.open_orders) == 1


def test_capital_moves_a_strategys_equity_and_not_the_accounts() -> None:
    """It is an entry of its own, so that the ledger still adds up; a stranger is refused."""
    found = made(Quiet())
    found.start()
    own, whole = found.slots[0].scope.book.ledger, found.account.book.ledger
    control.CapitalChange(-5, "one").act(found)
    assert (own.equity(), whole.equity()) == (engine_runs.CASH - 5, engine_runs.CASH)
    own.check()
    with pytest.raises(errors.ValueRefused, match="strategy"):
        control.CapitalChange(1, "two").act(found)


def test_a_quote_is_the_price_that_positions_are_worth() -> None:
    """And that orders are judged by, with the end of its bar."""
    found = made(Quiet())
    found.start()
    found.advance(int(DATA[0].end[10]))
    found.turn(found.slots[0], buy, 0)
    found.advance(int(DATA[0].end[20]))
    found.quote(0, 12_345, found.now)
    assert found.slots[0].scope.book.ledger.worth_total == 10 * 12_345 * 10**5
    assert found.account.book.ledger.worth_total == 10 * 12_345 * 10**5


# What a strategy says about its decision.


class Speaker(strategy.Strategy):
    """Says something at some bars."""

    def on_bars(self, ctx: Any, bars: Any) -> None:
        """Say it."""
        self.ctx = ctx
        if bars[0].end == int(DATA[0].end[10]):
            ctx.signal("A", 0.5, direction=1, confidence=0.6, horizon=MINUTE, model="m", features=[1.0])
            ctx.signal("B", -0.5)
        if bars[0].end == int(DATA[0].end[12]):
            ctx.outcome("no-signal", "nothing")


def test_what_is_said_is_kept_by_the_instant_of_the_decision() -> None:
    """Only for decisions about which something was said."""
    speaker = Speaker()
    made(speaker).run()
    first, second = speaker.ctx.explanations
    assert first == orders.Explanation(
        int(DATA[0].end[10]),
        signals=[
            orders.Signal("A", 0.5, (1.0,), 1, 0.6, MINUTE, "m"),
            orders.Signal("B", -0.5),
        ],
    )
    assert second == orders.Explanation(int(DATA[0].end[12]), orders.Outcome.NO_SIGNAL, "nothing")


def test_what_is_said_moves_nothing() -> None:
    """Neither orders nor the hash."""
    quiet, loud = made(Quiet()), made(Speaker())
    quiet.run()
    loud.run()
    assert loud.log.digest({}) == quiet.log.digest({})


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "C"},
        {"strength": float("nan")},
        {"direction": 2},
        {"confidence": 1.1},
        {"horizon": 0},
    ],
    ids=str,
)
def test_a_signal_that_is_none_is_refused_by_name(change: dict[str, Any]) -> None:
    """The field is named."""
    found = made(Quiet())
    found.start()
    with pytest.raises(errors.ValueRefused, match=next(iter(change))):
        found.slots[0].context.signal(**{"symbol": "A", "strength": 1.0, **change})


# What a target orders.

SHARES = st.integers(min_value=0, max_value=200)
SIGNED = st.integers(min_value=-200, max_value=200)


@given(SIGNED, SIGNED, SHARES, SHARES)
def test_no_order_crosses_zero(target: int, held: int, buying: int, selling: int) -> None:
    """Whatever part of the working orders fills, a position never changes its sign by this order."""
    ordered = context.missing(target, held, buying, selling)
    if held > 0 and ordered < 0:
        assert held - selling + ordered >= 0
    if held == 0 and ordered < 0:
        assert buying == 0
    if held == 0 and ordered > 0:
        assert selling == 0


@given(SIGNED, SIGNED, SHARES, SHARES)
def test_long_and_short_are_mirror_images(target: int, held: int, buying: int, selling: int) -> None:
    """Mirroring everything mirrors the order."""
    assert context.missing(target, held, buying, selling) == -context.missing(-target, -held, selling, buying)


def test_a_target_beside_a_working_order_on_the_other_side_waits() -> None:
    """A resting buy and a target below zero: selling now could cross zero when the buy fills."""
    found = made(Quiet())
    found.start()
    found.advance(int(DATA[0].end[10]))
    slot = found.slots[0]
    found.turn(slot, lambda ctx: ctx.order("A", "buy", 10, "limit", "gtc", limit=1), 0)
    found.turn(slot, lambda ctx: ctx.target("A", shares=-5), 0)
    assert [order.side for order in found.open_orders] == [1]
