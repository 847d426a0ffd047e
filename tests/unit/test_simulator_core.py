"""The venue's pure core: what orders, sessions and splits do to a desk, without a server."""

import datetime as dt
from fractions import Fraction

import hypothesis
from hypothesis import strategies as st

from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import account, book, commands, desk, errors, exchange, sessions

REALISTIC = profile.named("realistic")
OPEN = times.instant("2012-03-05T14:30:00Z")
CLOSE = times.instant("2012-03-05T21:00:00Z")
BEFORE = times.instant("2012-03-05T13:00:00Z")
SESSION = sessions.Session(dt.date(2012, 3, 5), OPEN, CLOSE)
PRICES = {"AAPL": numbers.price("500"), "IBM": numbers.price("200.25"), "MSFT": numbers.price("0.5")}


def market(at: times.Nanos = BEFORE, *, prices: dict[str, numbers.Price] | None = None) -> desk.Market:
    """Everything known at an instant; all symbols trade at their last price."""
    known = PRICES if prices is None else prices
    is_open = OPEN <= at < CLOSE
    return desk.Market(
        at=at, session=SESSION, is_open=is_open, prices=known, opens=known if is_open else {}, profile=REALISTIC
    )


def flat(cash: str = "100000") -> desk.Desk:
    """A desk that holds nothing."""
    money = numbers.money(cash)
    return desk.Desk(account.Account("demo", "id", BEFORE, money, money, times.Nanos(0)))


def request(symbol: str, side: str, quantity: str, *, name: str = "") -> book.Request:
    """An order as a client words it."""
    return book.Request(symbol, orders.Side(side), numbers.quantity(quantity), name)


def taken(before: desk.Desk, wanted: book.Request, seen: desk.Market | None = None) -> desk.Step:
    """Submit an order that must be accepted."""
    step = commands.submit(before, wanted, seen or market())
    assert isinstance(step, desk.Step), step
    return step


def refused(before: desk.Desk, wanted: book.Request, seen: desk.Market | None = None) -> errors.Refusal:
    """Submit an order that must be refused."""
    refusal = commands.submit(before, wanted, seen or market())
    assert isinstance(refusal, errors.Refusal), refusal
    return refusal


def holding(symbol: str, side: str, quantity: str) -> desk.Desk:
    """A desk after one filled order."""
    return taken(flat(), request(symbol, side, quantity), market(OPEN)).desk


def test_an_order_waits_while_the_market_is_closed() -> None:
    """A queued order is accepted, has no fill, and leaves the cash alone."""
    step = taken(flat(), request("AAPL", "buy", "10"))
    assert [update.event for update in step.updates] == ["accepted"]
    assert numbers.money("100000") == step.desk.account.cash


def test_an_order_in_the_session_passes_every_state() -> None:
    """While the market is open the events are pending_new, new and fill, in this order."""
    step = taken(flat(), request("AAPL", "buy", "10"), market(OPEN))
    assert [update.event for update in step.updates] == ["pending_new", "new", "fill"]


def test_a_fill_costs_the_spread_to_the_digit() -> None:
    """Ten shares at 500 plus half a spread of one basis point cost 5000.50."""
    step = taken(flat(), request("AAPL", "buy", "10"), market(OPEN))
    assert numbers.money("94999.5") == step.desk.account.cash


def test_waiting_orders_fill_in_the_order_of_their_acceptance() -> None:
    """The open serves the first accepted order first, whatever its symbol."""
    waiting = flat()
    for symbol in ("MSFT", "AAPL", "IBM"):
        waiting = taken(waiting, request(symbol, "buy", "10")).desk
    step = exchange.open_session(waiting, (), market(OPEN))
    fills = [update.order.symbol for update in step.updates if update.event == "fill"]
    assert fills == ["MSFT", "AAPL", "IBM"]


def test_an_order_without_a_bar_expires_at_the_close() -> None:
    """A symbol that does not trade in the session keeps its order new until the close ends it."""
    waiting = taken(flat(), request("AAPL", "buy", "1")).desk
    seen = desk.Market(OPEN, SESSION, True, PRICES, {}, REALISTIC)  # noqa: FBT003 - is_open
    working = exchange.open_session(waiting, (), seen)
    ended = exchange.close_session(working.desk, market(CLOSE))
    assert [update.event for step in (working, ended) for update in step.updates] == ["new", "expired"]
    assert not ended.desk.open_orders


def test_fees_of_a_day_are_rounded_up_once_per_kind() -> None:
    """Many small sales together pay the ceiling of their exact sum, not the sum of their ceilings."""
    state = holding("AAPL", "buy", "100")
    for _ in range(7):
        state = taken(state, request("AAPL", "sell", "3"), market(OPEN)).desk
    price = numbers.price("499.95")
    exact = Fraction("20.60") * 7 * 3 * Fraction("499.95") / 1_000_000
    step = exchange.close_session(state, market(CLOSE))
    booked = {dict(row.fields)["activity_sub_type"]: dict(row.fields)["net_amount"] for row in step.activities}
    assert price == state.account.unsettled[-1].price
    assert booked == {"REG": "-0.22", "TAF": "-0.01", "CAT": "-0.01"}
    assert Fraction("0.21") < exact < Fraction("0.22")


def test_fees_are_taken_once() -> None:
    """A second close without trades books nothing."""
    settled = exchange.close_session(holding("AAPL", "buy", "100"), market(CLOSE)).desk
    again = exchange.close_session(settled, market(CLOSE))
    assert ((), settled.account.cash) == (again.activities, again.desk.account.cash)


def test_selling_more_than_held_is_refused() -> None:
    """A long cannot be flipped to a short in one order."""
    refusal = refused(holding("AAPL", "buy", "10"), request("AAPL", "sell", "11"), market(OPEN))
    assert (refusal.status, refusal.code, refusal.extra["available"]) == (403, 40310000, "10")


def test_covering_more_than_shorted_is_refused() -> None:
    """A short cannot be flipped to a long in one order."""
    refusal = refused(holding("AAPL", "sell", "10"), request("AAPL", "buy", "11"), market(OPEN))
    assert refusal.message == "insufficient qty available for order (requested: 11, available: 10)"


def test_shares_held_by_an_open_order_are_not_available() -> None:
    """Two sales may not promise the same shares."""
    state = taken(holding("AAPL", "buy", "10"), request("AAPL", "sell", "6")).desk
    refusal = refused(state, request("AAPL", "sell", "5"))
    assert (refusal.extra["available"], refusal.extra["held_for_orders"]) == ("4", "6")


def test_an_opposite_open_order_is_refused_as_a_wash_trade() -> None:
    """The refusal names the order in the way."""
    state = taken(flat(), request("AAPL", "buy", "1")).desk
    refusal = refused(state, request("AAPL", "sell", "1"))
    assert list(state.open_orders) == [refusal.extra["existing_order_id"]]


def test_open_orders_reserve_buying_power_together() -> None:
    """Two orders that fit alone but not together: the second is refused, and accepted after a cancel."""
    state = taken(flat("10000"), request("AAPL", "buy", "30")).desk
    refusal = refused(state, request("IBM", "buy", "30"))
    assert (refusal.message, refusal.extra["buying_power"]) == ("insufficient buying power", "4998.5")
    (order,) = state.open_orders.values()
    taken(commands.cancel(state, order, at=BEFORE).desk, request("IBM", "buy", "30"))


def test_a_short_reserves_three_per_cent_more_than_the_ask() -> None:
    """With the margin on top of 500, 38 shares short are within twice 10,000, 39 are not."""
    taken(flat("10000"), request("AAPL", "sell", "38"))
    assert refused(flat("10000"), request("AAPL", "sell", "39")).extra["cost_basis"] == "20087.0085"


def test_a_fraction_cannot_be_sold_short() -> None:
    """Shorts are whole shares."""
    assert refused(flat(), request("AAPL", "sell", "0.5")).status == 422


def test_a_small_account_cannot_short() -> None:
    """Below an equity of 2,000 only purchases are possible."""
    assert refused(flat("1999"), request("MSFT", "sell", "10")).message == "account is not allowed to short"


def test_closing_needs_no_buying_power() -> None:
    """A long whose value fell below the debit can still be sold."""
    state = holding("AAPL", "buy", "390")
    crashed = market(OPEN, prices={**PRICES, "AAPL": numbers.price("1")})
    assert state.buying_power(crashed) == 0
    assert taken(state, request("AAPL", "sell", "390"), crashed).updates[-1].event == "fill"


def test_a_stated_intent_must_be_true() -> None:
    """An order that says it closes but would open a short is refused."""
    wanted = book.Request("AAPL", orders.Side.SELL, numbers.quantity("1"), "", intent="sell_to_close")
    assert refused(flat(), wanted).status == 422


def test_a_split_changes_shares_and_open_orders_but_no_money() -> None:
    """Two for one: twice the shares at the same cost, and an order for twice as many."""
    state = taken(holding("AAPL", "buy", "10"), request("AAPL", "sell", "4")).desk
    action = bars.CorporateAction("AAPL", OPEN, (2, 1), numbers.Money(0))
    nothing_trades = desk.Market(OPEN, SESSION, True, PRICES, {}, REALISTIC)  # noqa: FBT003 - is_open
    step = exchange.open_session(state, (action,), nothing_trades)
    position = step.desk.account.positions["AAPL"]
    (order,) = step.desk.open_orders.values()
    assert (numbers.quantity("20"), state.account.positions["AAPL"].cost) == (position.quantity, position.cost)
    assert (numbers.quantity("8"), state.account.cash) == (order.quantity, step.desk.account.cash)
    assert [update.event for update in step.updates] == ["restated", "new"]


def test_event_ids_sort_as_the_events_happened() -> None:
    """ULIDs grow with venue time, and within an instant with the sequence."""
    ids = [book.event_id(times.Nanos(at), number) for number, at in enumerate([5, 5, 10**18, 10**18, 2 * 10**18])]
    assert sorted(ids) == ids
    assert {26} == {len(found) for found in ids}


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("order"),
            st.sampled_from(sorted(PRICES)),
            st.sampled_from(["buy", "sell"]),
            st.integers(1, 400 * 10**9).map(lambda amount: numbers.quantity_text(numbers.Quantity(amount))),
        ),
        st.tuples(
            st.just("order"),
            st.sampled_from(sorted(PRICES)),
            st.sampled_from(["buy", "sell"]),
            st.integers(1, 300).map(str),
        ),
        st.tuples(st.just("price"), st.sampled_from(sorted(PRICES)), st.integers(1, 10**7), st.none()),
        st.tuples(st.just("open"), st.none(), st.none(), st.none()),
        st.tuples(st.just("close"), st.none(), st.none(), st.none()),
        st.tuples(st.just("cancel"), st.none(), st.integers(0, 5), st.none()),
    ),
    max_size=40,
)


@hypothesis.given(ACTIONS)
@hypothesis.settings(deadline=None, max_examples=150)
def test_cash_and_positions_are_conserved(actions: list[tuple[str, str, object, object]]) -> None:
    """Whatever is ordered, cash is the start less all fills and fees, and positions are the sum of the fills."""
    prices, at, state = dict(PRICES), BEFORE, flat("100000")
    updates: list[book.Update] = []
    activities: list[book.Activity] = []
    for kind, symbol, first, second in actions:
        seen = market(at, prices=prices)
        step: desk.Step | errors.Refusal = desk.Step(state)
        if kind == "order":
            step = commands.submit(state, request(symbol, str(first), str(second)), seen)
        elif kind == "price":
            prices[symbol] = numbers.Price(int(str(first)))
        elif kind == "open":
            at = OPEN
            step = exchange.open_session(state, (), market(at, prices=prices))
        elif kind == "close":
            at = CLOSE
            step = exchange.close_session(state, market(at, prices=prices))
        elif state.open_orders:
            order = list(state.open_orders.values())[int(str(first)) % len(state.open_orders)]
            step = commands.cancel(state, order, at=at)
        if isinstance(step, desk.Step):
            state = step.desk
            updates += step.updates
            activities += step.activities
    executions = [update.execution for update in updates if update.execution is not None]
    paid = sum(
        numbers.notional(found.price, numbers.Quantity(found.side.sign * found.quantity)) for found in executions
    )
    fees = sum(numbers.money(dict(row.fields)["net_amount"]) for row in activities if row.type == "FEE")
    assert numbers.money("100000") - paid + fees == state.account.cash
    for symbol in PRICES:
        moved = sum(found.side.sign * found.quantity for found in executions if found.symbol == symbol)
        assert moved == state.account.held(symbol)
    worth = account.value(state.account, prices)
    assert worth.cash + worth.long_value + worth.short_value == worth.equity
    assert all(
        row.type != "FEE" or numbers.money(dict(row.fields)["net_amount"]) % numbers.ONE_CENT == 0 for row in activities
    )
    ids = [update.event_id for update in updates]
    assert len(set(ids)) == len(ids)
