import pytest

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, orders
from tradeplane_engine.venue import market


def order(
    side: str = "buy", count: int = 10, *, symbol: str = "AAA", number: int = 0, session: int = 0
) -> orders.Order:
    """A day market order decided at the close of a session."""
    return orders.Order(
        client_order_id=f"{symbol}-{session}-{number}",
        bar_end=engine_data.ending(session),
        symbol=symbol,
        side=orders.Side(side),
        quantity=engine_data.shares(count),
    )


def session_of(number: int, *found: bars.Bar) -> bars.BarSlice:
    """One session's slice, which may lack the ordered symbol."""
    return bars.BarSlice("1d", engine_data.ending(number), {one.symbol: one for one in found})


def queued(*waiting: orders.Order) -> market.Market:
    """Market with orders in it."""
    found = market.Market(engine_data.REALISTIC)
    for one in waiting:
        found.submit(one)
    return found


def test_an_order_fills_at_the_next_open_less_the_spread() -> None:
    """A buy pays one basis point more than the open, at the open's instant, on that session's day."""
    found = queued(order())
    traded = found.trade(session_of(1, engine_data.bar(session=1, price="100", close="120")))
    assert traded.fills == (
        orders.Fill(
            client_order_id="AAA-0-0",
            symbol="AAA",
            side=orders.Side.BUY,
            quantity=engine_data.shares(10),
            price=numbers.price("100.01"),
            at=engine_data.opening(1),
            session="2020-01-03",
        ),
    )
    assert found.open_orders == ()


def test_a_sale_receives_the_spread_less() -> None:
    """One basis point against the seller."""
    traded = queued(order("sell")).trade(session_of(1, engine_data.bar(session=1, price="100")))
    assert traded.fills[0].price == numbers.price("99.99")


def test_no_order_fills_on_the_bar_that_decided_it() -> None:
    """Running the decision's own session again does nothing: no fill before the decision."""
    found = queued(order())
    assert found.trade(session_of(0, engine_data.bar(session=0))) == market.NOTHING
    assert len(found.open_orders) == 1


def test_an_order_without_a_bar_expires_at_the_close() -> None:
    """A day order lives one session; it never fills at a stale price."""
    found = queued(order())
    traded = found.trade(session_of(1, engine_data.bar("BBB", 1)))
    assert (list(traded.fills), [one.client_order_id for one in traded.expired]) == ([], ["AAA-0-0"])
    assert found.open_orders == ()


def test_a_cancelled_order_does_not_fill() -> None:
    """What was taken out is gone."""
    found = queued(order())
    assert found.cancel("AAA-0-0") == order()
    assert found.trade(session_of(1, engine_data.bar(session=1))).fills == ()


def test_cancelling_twice_finds_nothing() -> None:
    """Only an open order can be cancelled."""
    found = queued(order())
    found.cancel("AAA-0-0")
    assert found.cancel("AAA-0-0") is None


def test_fills_come_in_the_order_of_submission() -> None:
    """The order of fills is the order of arrival, not of symbols."""
    found = queued(order(symbol="BBB"), order(symbol="AAA"))
    one = session_of(1, engine_data.bar("AAA", 1), engine_data.bar("BBB", 1))
    assert [fill.symbol for fill in found.trade(one).fills] == ["BBB", "AAA"]


def test_an_id_is_used_once() -> None:
    """Even after its order is done."""
    found = queued(order())
    found.trade(session_of(1, engine_data.bar(session=1)))
    with pytest.raises(errors.ValueRefused, match="client_order_id"):
        found.submit(order())


@pytest.mark.parametrize("change", [{"quantity": 0}, {"type": "limit"}, {"time_in_force": "gtc"}])
def test_what_is_not_understood_is_refused(change: dict[str, object]) -> None:
    """Only day market orders for something."""
    wanted = {"quantity": 1, "type": "market", "time_in_force": "day", **change}
    bad = orders.Order("id", engine_data.ending(0), "AAA", orders.Side.BUY, **wanted)  # type: ignore[arg-type]  # above
    with pytest.raises(errors.ValueRefused):
        queued(bad)


def test_a_split_restates_what_waits() -> None:
    """10 shares become 20 on the new basis."""
    found = queued(order())
    found.split("AAA", (2, 1))
    traded = found.trade(session_of(1, engine_data.bar(session=1)))
    assert traded.fills[0].quantity == engine_data.shares(20)
