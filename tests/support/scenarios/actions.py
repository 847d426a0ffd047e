"""Splits, dividends and delistings, on positions and on open orders."""

from decimal import Decimal
from typing import Any

from support.scenarios.making import USD, Case, bars, minute, trade, usd
from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import actions

_HALVED = bars("100", "100", "101", "50.5", "50", "52")


def _buy(ctx: Any, shares: Any = 100) -> Any:
    return ctx.order("S", "buy", shares)


def _dividend(at: float, amount: str, pay: float = 0) -> actions.Dividend:
    money = numbers.Money(int(Decimal(amount) * USD))
    return actions.Dividend("S", minute(at), money, minute(pay) if pay else actions.UNDATED)


def split_of_a_position() -> Case:
    """Two for one: shares double at unchanged cost, and equity does not move."""
    return trade(_HALVED, {0: _buy}, actions=[actions.Split("S", minute(3), 2, 1)])


def split_restates_open_orders() -> Case:
    """A resting limit and a stop become twice the shares at half the price."""
    steps = {
        0: _buy,
        1: lambda ctx: [
            ctx.order("S", "buy", 11, "limit", "gtc", limit=usd("99.0001")),
            ctx.order("S", "sell", 100, "stop", "gtc", stop=usd(90)),
        ],
    }
    return trade(_HALVED, steps, actions=[actions.Split("S", minute(3), 2, 1)])


def split_of_a_bracket() -> Case:
    """Working exits follow the position's new size."""
    steps = {0: lambda ctx: ctx.bracket("S", "buy", 10, take_profit=usd(104), stop_loss=usd(90), time_in_force="gtc")}
    return trade(_HALVED, steps, actions=[actions.Split("S", minute(3), 2, 1)])


def split_three_for_two_of_an_odd_lot() -> Case:
    """What falls below 1e-9 share is cut toward zero."""
    data = bars("99", "99", "99", "66", "66")
    steps = {0: lambda ctx: _buy(ctx, Decimal("0.333333333"))}
    return trade(data, steps, actions=[actions.Split("S", minute(3), 3, 2)])


def reverse_split_cancels_orders() -> Case:
    """One for ten: the position shrinks, and every open order is cancelled."""
    data = bars("10", "10", "10", "100", "101")
    steps = {0: lambda ctx: _buy(ctx, 105), 1: lambda ctx: ctx.order("S", "buy", 50, "limit", "gtc", limit=usd(9))}
    return trade(data, steps, actions=[actions.Split("S", minute(3), 1, 10)])


def dividend_is_paid_on_its_pay_date() -> Case:
    """Who holds when the ex-date begins is owed it, though it is sold before it is paid."""
    steps = {0: _buy, 3: lambda ctx: ctx.order("S", "sell", 100)}
    return trade(bars(*["100"] * 7), steps, actions=[_dividend(3, "0.123456789", pay=5)])


def dividend_is_owed_by_a_short() -> Case:
    """A short pays, rounded up."""
    steps = {0: lambda ctx: ctx.order("S", "sell", Decimal("33.333333333"))}
    return trade(bars(*["100"] * 5), steps, actions=[_dividend(3, "0.1")])


def dividend_missed_by_a_buyer_at_its_open() -> Case:
    """Who buys at the open of the ex-date has no part in it."""
    return trade(bars(*["100"] * 5), {2: _buy}, actions=[_dividend(3, "1")])


def dividend_on_the_day_of_a_split() -> Case:
    """The dividend is per share after the split of that day."""
    given = [actions.Split("S", minute(3), 2, 1), _dividend(3, "0.5")]
    return trade(_HALVED, {0: _buy}, actions=given)


def delisting_at_a_price() -> Case:
    """The position ends at the price, the open order is cancelled, and a later order is refused."""
    steps = {
        0: _buy,
        1: lambda ctx: ctx.order("S", "sell", 100, "limit", "gtc", limit=usd(120)),
        ("T", 4): lambda ctx: _buy(ctx, 5),
    }
    data = [bars("100", "100", "101"), bars(*["10"] * 6, symbol="T")]
    return trade(data, steps, actions=[actions.Delisting("S", minute(3), numbers.Money(int(Decimal("87.5") * USD)))])


def delisting_without_value() -> Case:
    """A worthless removal costs a holder everything and gives a short everything."""
    data = [bars("1", "1", "0.5"), bars(*["10"] * 6, symbol="T")]
    steps = {0: lambda ctx: ctx.order("S", "sell", 1000)}
    return trade(data, steps, actions=[actions.Delisting("S", minute(3), numbers.Money(0))])
