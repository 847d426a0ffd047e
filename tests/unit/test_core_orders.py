"""An order's life under any interleaving, held to a model of plain numbers; and what each of its methods promises."""

from array import array
from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import stateful

from support import engine_orders
from tradeplane_engine import errors
from tradeplane_engine.core import order, sessions
from tradeplane_engine.core.ledger import Ledger

UNIT = 100
SHARE = 10**9
CASH = 10**15
_ENDS = {order.FILLED, order.CANCELED, order.EXPIRED, order.REPLACED, order.REJECTED}
_ASKED = {order.PENDING_CANCEL, order.PENDING_REPLACE}


class Life(stateful.RuleBasedStateMachine):
    """One order after another, each the replacement of the one before, with the ledger that its fills reach.

    The model keeps what is wanted and filled of the order that is alive, the statuses in which it may be, and the
    position as exact fractions of what the fills and splits make of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(CASH, array("q", [UNIT]))
        self.price = 5_000
        self.spent = 0
        self.position = 0
        self.place(side=1, quantity=100 * SHARE)

    def place(self, *, side: int, quantity: int) -> None:
        """Let a new order work."""
        self.order = order.Order(0, 0, side, quantity, order.LIMIT, order.GTC, self.price)
        self.order.move(order.NEW)
        self.wanted, self.filled, self.value, self.asked = quantity, 0, 0, False

    @stateful.precondition(lambda self: not self.order.ended)
    @stateful.rule(part=st.integers(1, 120 * SHARE), price=st.integers(1, 9_999), fee=st.integers(0, 10**9))
    def fill(self, part: int, price: int, fee: int) -> None:
        """A part or all of it trades; more than is open is refused and changes nothing."""
        value = round(Fraction(price * part, UNIT))
        before = self.order.status
        if part > self.wanted - self.filled:
            with pytest.raises(errors.LedgerBroken):
                self.order.fill(part, value)
            assert self.order.status == before
            return
        complete = self.order.fill(part, value)
        self.ledger.fill(0, self.order.side * part, price, fee)
        self.filled += part
        self.value += value
        self.position += self.order.side * part
        self.spent += round(Fraction(price * self.order.side * part, UNIT)) + fee
        assert complete == (self.filled == self.wanted) == (self.order.status == order.FILLED)
        if not complete:  # a request that is on its way stays on its way
            assert self.order.status == (before if self.asked else order.PARTIALLY_FILLED)

    @stateful.precondition(lambda self: not self.order.ended and not self.asked)
    @stateful.rule(what=st.sampled_from(sorted(_ASKED)))
    def ask(self, what: int) -> None:
        """A cancel or a replacement is on its way."""
        self.order.move(what)
        self.asked = True

    @stateful.precondition(lambda self: not self.order.ended and self.asked)
    @stateful.rule()
    def refuse(self) -> None:
        """The venue refuses the request: the order works on as before."""
        self.order.move(order.PARTIALLY_FILLED if self.filled else order.NEW)
        self.asked = False

    @stateful.precondition(lambda self: not self.order.ended)
    @stateful.rule(how=st.sampled_from([order.CANCELED, order.EXPIRED]))
    def end(self, how: int) -> None:
        """It is cancelled or expires."""
        self.order.move(how)

    @stateful.precondition(lambda self: not self.order.ended)
    @stateful.rule()
    def replace(self) -> None:
        """Another takes its place with what is open of it."""
        rest = self.wanted - self.filled
        if self.order.status == order.PENDING_CANCEL:
            with pytest.raises(errors.LedgerBroken):
                self.order.move(order.REPLACED)
            return
        side = self.order.side
        self.order.move(order.REPLACED)
        self.place(side=side, quantity=rest)

    @stateful.precondition(lambda self: not self.order.ended)
    @stateful.rule(part=st.integers(1, 120 * SHARE))
    def shrink(self, part: int) -> None:
        """The other exit of a pair has filled a part."""
        if part > self.wanted - self.filled:
            with pytest.raises(errors.LedgerBroken):
                self.order.shrink(part)
        elif part < self.wanted - self.filled:
            self.order.shrink(part)
            self.wanted -= part

    @stateful.rule(ratio=st.sampled_from([(2, 1), (3, 2), (7, 3), (20, 1)]))
    def split(self, ratio: tuple[int, int]) -> None:
        """Forward: shares multiply, limit and mark shrink, cost and cash stay."""
        new, old = ratio
        if abs(self.position) * new // old > 10**15 or self.wanted * new // old > 10**15:
            return
        cash, limit = self.ledger.cash, self.order.limit
        sign = 1 if self.position >= 0 else -1
        self.position = sign * (abs(self.position) * new // old)
        self.ledger.split(0, self.position, self.price)
        assert self.ledger.cash == cash
        if self.order.ended:
            return
        if not self.order.restate(new, old):
            self.order.move(order.CANCELED)
            return
        rest, self.filled = (self.wanted - self.filled) * new // old, self.filled * new // old
        self.wanted = self.filled + rest
        rounded = -(-limit * old // new) if self.order.side > 0 else limit * old // new
        assert self.order.limit == rounded

    @stateful.precondition(lambda self: self.order.ended)
    @stateful.rule(side=st.sampled_from([1, -1]), quantity=st.integers(1, 200 * SHARE))
    def again(self, side: int, quantity: int) -> None:
        """A terminal order absorbs what comes late; then another one begins."""
        for status in range(len(order.STATUSES)):
            with pytest.raises(errors.LedgerBroken):
                self.order.move(status)
        assert (self.order.open, self.order.counted) == (0, 0)
        self.place(side=side, quantity=quantity)

    @stateful.invariant()
    def filled_and_open_are_the_quantity(self) -> None:
        """At every step, and every fill is in the sum of values."""
        one = self.order
        assert one.ended == (one.status in _ENDS)
        assert (one.quantity, one.filled, one.value) == (self.wanted, self.filled, self.value)
        assert one.open == one.counted == (0 if one.ended else one.quantity - one.filled)

    @stateful.invariant()
    def the_ledger_has_what_the_fills_made(self) -> None:
        """Position, cash and its own sum."""
        assert self.ledger.quantities[0] == self.position
        assert self.ledger.cash == CASH - self.spent
        self.ledger.check()


TestLife = Life.TestCase
TestLife.settings = hypothesis.settings(max_examples=40, stateful_step_count=25, deadline=None)


_ANY_END = "canceled expired rejected"
_MACHINE = {
    "accepted": f"new partially_filled filled pending_cancel pending_replace {_ANY_END}",
    "new": f"partially_filled filled replaced pending_cancel pending_replace {_ANY_END}",
    "held": "new canceled",
    "partially_filled": "partially_filled filled replaced canceled expired pending_cancel pending_replace",
    "pending_cancel": f"new partially_filled filled {_ANY_END}",
    "pending_replace": f"new partially_filled filled replaced {_ANY_END}",
}


def test_the_state_machine_is_the_one_that_is_drawn() -> None:
    """Every step of ``docs/explanation/orders.md`` and no other; the last five statuses end an order."""
    steps = {
        order.STATUSES[before]: {order.STATUSES[after] for after in allowed}
        for before, allowed in order.ALLOWED.items()
    }
    assert {before: after for before, after in steps.items() if after} == {
        before: set(after.split()) for before, after in _MACHINE.items()
    }
    assert [one for one in order.STATUSES if not steps[one]] == list(order.STATUSES[order.TERMINAL :])


def made(side: int = 1, kind: int = order.LIMIT, limit: int = 0, stop: int = 0, quantity: int = 10) -> order.Order:
    """An order that works."""
    found = order.Order(0, 0, side, quantity, kind, order.GTC, limit, stop)
    found.move(order.NEW)
    return found


def test_a_new_order_has_nothing_yet() -> None:
    """Every field that later steps change begins as the books expect it."""
    one = order.Order(3, 4, -1, 10)
    assert (one.strategy, one.symbol, one.side, one.quantity) == (3, 4, -1, 10)
    assert (one.kind, one.time_in_force, one.status, one.role) == (order.MARKET, order.DAY, order.ACCEPTED, "order")
    assert (one.id, one.number, one.session, one.expires) == (0, 0, -1, order.NEVER)
    assert (one.filled, one.value, one.limit, one.stop, one.trail, one.trail_bps, one.high_water) == (0,) * 7
    assert (one.created, one.live_from) == (0, 0)
    assert (one.paired, one.triggered, one.resting) == (False, False, False)
    assert (one.parent, one.legs, one.replaces, one.reason) == (None, (), None, "")


@pytest.mark.parametrize("quantity, good", [(1, True), (10, True), (0, False), (-1, False), (11, False)])
def test_only_an_order_that_nobody_has_is_cut(quantity: int, good: bool) -> None:
    """To something, and never to more."""
    one = order.Order(0, 0, 1, 10)
    if good:
        one.cut(quantity)
        assert one.quantity == quantity
    else:
        with pytest.raises(errors.LedgerBroken, match="cannot be cut"):
            one.cut(quantity)


@pytest.mark.parametrize("quantity, notional", [(10, 1000), (3, 300), (7, 700), (1, 100)])
def test_an_order_for_an_amount_is_cut_to_its_part(quantity: int, notional: int) -> None:
    """Never to more of it than of the shares."""
    for more in range(2):
        one = order.Order(0, 0, 1, 10)
        one.be_worth(1000 + 9 * more)
        one.cut(quantity)
        assert one.notional == notional + 9 * more * quantity // 10
    one = order.Order(0, 0, 1, 10)
    one.cut(quantity)
    assert one.notional == 0


def test_a_copy_is_in_the_same_place() -> None:
    """Whatever became of the order: every field that a path looks at is copied."""
    names = ("id", "strategy", "symbol", "side", "quantity", "filled", "status", "kind", "time_in_force", "limit")
    names += ("stop", "trail", "trail_bps", "high_water", "live_from", "session", "extended_hours", "notional")
    names += ("paired", "triggered", "resting", "role")
    plan = {
        0: lambda ctx: (
            ctx.order("S", "buy", 100),
            ctx.order("S", "buy", 2, "limit", "gtc", limit=90),
            ctx.order("S", "buy", 3, "stop_limit", "gtc", stop=101, limit=95),
            ctx.order("S", "sell", 4, "trailing_stop", "gtc", trail=30),
            ctx.order("S", "sell", 4, "trailing_stop", "gtc", trail_bps=9000),
            ctx.order("S", "buy", 5, "market", "cls"),
            ctx.order("S", "buy", 6, "limit", "gtc", limit=80, extended_hours=True),
            ctx.order("S", "buy", notional=1000),
        ),
        1: lambda ctx: ctx.oco("S", "sell", 20, take_profit=130, stop_loss=70),
    }
    opens, closes, begins, ends = (np.array([engine_orders.instant(at)], dtype=np.int64) for at in (0, 20, -1, 21))
    hours = sessions.Sessions(opens, closes, begins, ends)
    bars = engine_orders.bars(*engine_orders.flat(100, 3, 50), (100, 103, 99, 100, 50))
    found, _ = engine_orders.run(bars, plan, sessions=hours, latency=1, participation=Fraction(1, 2))
    for name in names:
        values = [getattr(one, name) for one in found.orders]
        assert [getattr(one.copy(), name) for one in found.orders] == values, name
        if name not in {"strategy", "symbol"}:  # else a copy that begins anew would have it
            assert len(set(values)) > 1, name


def test_a_fill_of_all_that_is_open_completes_whatever_is_asked() -> None:
    """Of a pending cancel too; a part of it leaves the request on its way."""
    one = made()
    one.move(order.PENDING_CANCEL)
    assert not one.fill(4, 40)
    assert (one.status, one.open, one.counted) == (order.PENDING_CANCEL, 6, 6)
    assert one.fill(6, 60)
    assert (one.status, one.open, one.counted, one.value) == (order.FILLED, 0, 0, 100)


def test_what_counts_as_working() -> None:
    """None of a held leg's, one of a pair of exits, none of what has ended."""
    entry = order.Order(0, 0, 1, 10)
    order.bracket(entry, order.exits(entry, 120, 80, 0))
    profit, loss = entry.legs
    assert (entry.counted, profit.counted, loss.counted) == (10, 0, 0)
    assert (profit.open, loss.open) == (10, 10)
    for leg in entry.legs:
        leg.move(order.NEW)
    assert (profit.counted, loss.counted) == (10, 0)


@pytest.mark.parametrize(
    "side, prices, stops", [(-1, (100, 90, 110, 105), (95, 95, 105, 105)), (1, (100, 110, 90, 95), (105, 105, 95, 95))]
)
def test_a_trailing_stop_moves_with_better_prices_only(
    side: int, prices: tuple[int, ...], stops: tuple[int, ...]
) -> None:
    """The best price so far, less the distance; an equal or worse price changes nothing."""
    one = made(side, order.TRAILING_STOP)
    one.trail_by(5, 0)
    for price, stop in zip(prices, stops, strict=True):
        one.trail_from(price)
        assert one.stop == stop


def test_a_trailing_stop_never_falls_below_one_unit() -> None:
    """However wide the distance."""
    one = made(-1, order.TRAILING_STOP)
    one.trail_by(500, 0)
    one.trail_from(100)
    assert one.stop == 1


@pytest.mark.parametrize(
    "side, limit, stop, expected",
    [(1, 101, 0, (34, 0)), (-1, 101, 0, (33, 0)), (1, 0, 100, (0, 34)), (-1, 0, 100, (0, 33))],
)
def test_a_split_rounds_prices_against_the_trader(side: int, limit: int, stop: int, expected: tuple[int, int]) -> None:
    """Three for one: a buyer pays up, a seller gets less; the distance and the best price are restated too."""
    kind = order.LIMIT if limit else order.STOP
    one = made(side, kind, limit, stop)
    one.fill(4, 7)
    one.trail_by(10, 0)
    assert one.restate(3, 1)
    assert (one.limit, one.stop) == expected
    assert (one.quantity, one.filled, one.value, one.trail) == (30, 12, 7, 4)


@pytest.mark.parametrize(
    "one, new, old",
    [
        (made(-1, order.LIMIT, 2), 3, 1),
        (made(-1, order.STOP, 0, 2), 3, 1),
        (made(1, order.LIMIT, 2, quantity=2), 1, 3),
    ],
)
def test_what_a_split_leaves_nothing_of_is_said(one: order.Order, new: int, old: int) -> None:
    """A price or a quantity that becomes nothing: the order is as it was, and its caller ends it."""
    before = (one.quantity, one.filled, one.limit, one.stop)
    assert not one.restate(new, old)
    assert (one.quantity, one.filled, one.limit, one.stop) == before


def test_a_split_restates_the_best_price_of_a_trailing_stop() -> None:
    """So that the stop follows from where it was."""
    one = made(-1, order.TRAILING_STOP)
    one.trail_by(6, 0)
    one.trail_from(100)
    assert one.restate(2, 1)
    assert (one.high_water, one.stop, one.trail) == (50, 47, 3)
    one.trail_from(49)
    assert one.stop == 47


def test_a_copy_is_like_its_order_and_alone() -> None:
    """Whatever a rehearsal does with it does not reach the order."""
    one = made(-1, order.TRAILING_STOP)
    one.trail_by(6, 25)
    one.trail_from(100)
    one.fill(3, 30)
    one.trigger()
    copied = one.copy()
    names = [
        *("strategy", "symbol", "side", "quantity", "kind", "time_in_force", "limit", "stop", "id", "filled", "status"),
        *("trail", "trail_bps", "high_water", "live_from", "session", "paired", "triggered", "resting", "role"),
    ]
    assert [getattr(copied, name) for name in names] == [getattr(one, name) for name in names]
    assert (copied.value, copied.parent, copied.legs) == (0, None, ())
    copied.fill(7, 70)
    assert (one.filled, one.status) == (3, order.PARTIALLY_FILLED)


def test_a_group_is_everybody_but_oneself() -> None:
    """The entry and its exits; the exits are each other's partners, the entry has none."""
    entry = order.Order(0, 0, 1, 10)
    order.bracket(entry, order.exits(entry, 120, 80, 70))
    profit, loss = entry.legs
    assert (order.group(entry), order.group(profit), order.group(loss)) == (
        [profit, loss],
        [entry, loss],
        [entry, profit],
    )
    assert (order.partner(entry), order.partner(profit), order.partner(loss)) == (None, loss, profit)
    assert (order.group(order.Order(0, 0, 1, 1)), order.partner(order.Order(0, 0, 1, 1))) == ([], None)
    assert (entry.role, profit.role, loss.role) == ("entry", "take_profit", "stop_loss")
    assert (profit.side, loss.side, profit.kind, loss.kind) == (-1, -1, order.LIMIT, order.STOP_LIMIT)
    assert (profit.limit, loss.stop, loss.limit, profit.paired, loss.paired) == (120, 80, 70, False, True)
    assert (profit.quantity, loss.quantity, profit.time_in_force) == (10, 10, order.DAY)


@pytest.mark.parametrize("profit, loss, roles", [(120, 0, ["take_profit"]), (0, 80, ["stop_loss"]), (0, 0, [])])
def test_exits_are_those_that_are_wanted(profit: int, loss: int, roles: list[str]) -> None:
    """One alone is nobody's pair."""
    entry = order.Order(0, 0, 1, 10)
    legs = order.exits(entry, profit, loss, 0)
    assert [leg.role for leg in legs] == roles
    assert not any(leg.paired for leg in legs)
    assert all(leg.kind == (order.LIMIT if profit else order.STOP) for leg in legs)


def test_a_pair_is_a_limit_and_its_stop() -> None:
    """Both on the same side, the stop the limit's leg and the second of the pair."""
    limit = order.Order(0, 0, -1, 10, order.LIMIT, order.GTC, 120)
    found = order.pair(limit, 80, 0)
    (stop,) = found.legs
    assert found is limit
    assert (limit.role, stop.role, stop.parent, stop.paired, limit.paired) == (
        "take_profit",
        "stop_loss",
        limit,
        True,
        False,
    )
    assert (stop.side, stop.quantity, stop.stop, stop.limit, stop.kind) == (-1, 10, 80, 0, order.STOP)
    assert (order.partner(limit), order.partner(stop)) == (stop, limit)


def test_a_stop_that_was_reached_is_tested_anew() -> None:
    """It is triggered, and rests no more."""
    one = made(1, order.STOP_LIMIT, 100, 90)
    one.trigger()
    assert (one.triggered, one.resting) == (True, False)


def test_a_replacement_takes_what_is_open() -> None:
    """Its quantity is set, not added."""
    one = made(quantity=3)
    one.resize(7)
    assert (one.quantity, one.open) == (7, 7)
