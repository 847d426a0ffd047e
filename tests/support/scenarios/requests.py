"""Cancel and replace, at once and with latency, and the fills that they race with."""

from fractions import Fraction
from typing import Any

from support.scenarios.making import Case, bars, trade, usd

_LATE = 90_000_000_000  # a minute and a half
_FALLING = bars("100", "100", "99", "98", "97", "96", "95")


def _limit(price: float, shares: int = 100) -> Any:
    return lambda ctx: ctx.order("S", "buy", shares, "limit", limit=usd(price))


def _first(ctx: Any) -> Any:
    return ctx.open_orders()[0]


def cancel_at_once() -> Case:
    """Without latency a cancel acts in the turn that asks for it."""
    return trade(_FALLING, {0: _limit(97), 2: lambda ctx: ctx.cancel(_first(ctx))})


def cancel_that_a_fill_overtakes() -> Case:
    """With latency the order works on until the venue has the request."""
    steps = {0: _limit(98.5), 2: lambda ctx: ctx.cancel(_first(ctx))}
    return trade(_FALLING, steps, venue={"latency": _LATE})


def cancel_of_the_rest() -> Case:
    """A part has filled; the rest is cancelled."""
    data = bars("100", "99 500", "98 500", "97 500", "96")
    steps = {0: _limit(99.5, 120), 2: lambda ctx: ctx.cancel(_first(ctx))}
    return trade(data, steps, venue={"participation": Fraction(1, 10)})


def cancel_before_it_leaves() -> Case:
    """An order that its own turn cancels never reaches the venue."""
    return trade(_FALLING, {0: lambda ctx: ctx.cancel(ctx.order("S", "buy", 100))})


def replace_a_limit() -> Case:
    """A new order takes the old one's place at another price."""
    return trade(_FALLING, {0: _limit(90), 2: lambda ctx: ctx.replace(_first(ctx), limit=usd(97.5))})


def replace_what_is_left() -> Case:
    """A partly filled order is replaced by what is open of it."""
    data = bars("100", "99 500", "98.9 500", "97 500", "96 900")
    steps = {0: _limit(99.5, 120), 1: lambda ctx: ctx.replace(_first(ctx), limit=usd(98))}
    return trade(data, steps, venue={"participation": Fraction(1, 10)})


def replace_that_comes_too_late() -> Case:
    """The old order filled first: the new one is rejected."""
    steps = {0: _limit(98.5), 2: lambda ctx: ctx.replace(_first(ctx), limit=usd(90))}
    return trade(_FALLING, steps, venue={"latency": _LATE})


def replace_an_exit_of_a_bracket() -> Case:
    """A replaced stop stays the exit of its pair."""
    steps = {
        0: lambda ctx: ctx.bracket("S", "buy", 100, take_profit=usd(105), stop_loss=usd(95)),
        2: lambda ctx: ctx.replace(ctx.open_orders()[1], stop=usd(97.5)),
    }
    return trade(_FALLING, steps)


def replace_a_trailing_stop() -> Case:
    """It keeps the best price that it has seen."""
    data = bars("100", "100", "104", "103", "101.5", "100")
    steps = {
        0: lambda ctx: ctx.order("S", "buy", 100),
        1: lambda ctx: ctx.order("S", "sell", 100, "trailing_stop", trail=usd(5)),
        3: lambda ctx: ctx.replace(_first(ctx), trail=usd(2)),
    }
    return trade(data, steps)


def an_answer_to_a_fill() -> Case:
    """What a strategy orders when it hears of a fill is judged at once and finds that open past."""
    sell = {("fill", 1): lambda ctx: ctx.order("S", "sell", 40)}
    return trade(_FALLING, {0: lambda ctx: ctx.order("S", "buy", 100)}, on=sell)
