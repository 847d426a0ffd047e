"""Brackets, OCO and OTO."""

from fractions import Fraction
from typing import Any

from support.scenarios.making import Case, bars, trade, trading, usd

_WIDE = "100 106 94 101"  # a bar that reaches both exits; its low is as near to the open as its high


def _bracket(ctx: Any, side: str = "buy", shares: int = 100, **prices: Any) -> Any:
    found: dict[str, Any] = {"take_profit": usd(105), "stop_loss": usd(95)}
    if side == "sell":
        found = {"take_profit": usd(95), "stop_loss": usd(105)}
    return ctx.bracket("S", side, shares, **{**found, **prices})


def _both_exits_in_one_bar(path: str, bar: str = _WIDE) -> Case:
    return trade(bars("100", "100", bar, "101"), {0: _bracket}, venue={"path": path})


def bracket_path_worst() -> Case:
    """Stop and target in one bar: the worst path takes the stop."""
    return _both_exits_in_one_bar("worst")


def bracket_path_best() -> Case:
    """The best path takes the target."""
    return _both_exits_in_one_bar("best")


def bracket_path_ohlc() -> Case:
    """The high comes first, and with it a long's target."""
    return _both_exits_in_one_bar("ohlc")


def bracket_path_olhc() -> Case:
    """The low comes first, and with it a long's stop."""
    return _both_exits_in_one_bar("olhc")


def bracket_path_adaptive() -> Case:
    """The nearer extreme comes first: here the high."""
    return _both_exits_in_one_bar("adaptive", "100 105.5 94 101")


def bracket_takes_its_profit() -> Case:
    """The exits are held until the entry is complete; the target's fill cancels the stop."""
    return trade(bars("100", "100", "102", "106", "107"), {0: _bracket})


def bracket_short_is_stopped_at_a_gap() -> Case:
    """A short's stop lies above; an open beyond it fills there."""
    return trade(bars("100", "100", "108", "107"), {0: lambda ctx: _bracket(ctx, "sell")})


def bracket_partial_profit_shrinks_the_stop() -> Case:
    """What one exit fills part by part the other gives up."""
    data = bars("100 1000", "100 1000", "106 300", "104 300", "94 900", "94 900")
    return trade(data, {0: _bracket}, venue={"participation": Fraction(1, 10)})


def bracket_entry_by_limit_in_parts() -> Case:
    """A partly filled entry keeps its exits held until it is complete."""
    data = bars("100", "99 300", "98 300", "97 500", "105 1000", "106 1000")
    steps = {0: lambda ctx: _bracket(ctx, limit=usd("99.5"))}
    return trade(data, steps, venue={"participation": Fraction(1, 10)})


def bracket_entry_expires_incomplete() -> Case:
    """An entry that ends at the close takes its exits with it."""
    data = bars("100", "99 300", "100", "105", "106", minutes=[0, 1, 2, 10, 11])
    steps = {0: lambda ctx: _bracket(ctx, limit=usd("99.5"))}
    return trade(data, steps, venue={"participation": Fraction(1, 10), "sessions": trading((0, 3), (10, 12))})


def bracket_cancelled_before_its_entry() -> Case:
    """Cancelling a held leg ends the whole group."""
    steps = {0: lambda ctx: _bracket(ctx, limit=usd(98)), 1: lambda ctx: ctx.cancel(ctx.open_orders()[1])}
    return trade(bars("100", "100", "97", "97"), steps)


def bracket_with_a_stop_limit() -> Case:
    """A stop loss with a limit is passed over by a gap and fills when the price is back."""
    return trade(bars("100", "100", "92", "91", "96"), {0: lambda ctx: _bracket(ctx, stop_limit=usd(94))})


def oto_with_a_stop_only() -> Case:
    """An entry with one exit."""
    return trade(bars("100", "100", "96", "94"), {0: lambda ctx: _bracket(ctx, take_profit=0)})


def oto_with_a_profit_only() -> Case:
    """The other one; it works on after the session as gtc."""
    data = bars("100", "100", "101", "106", minutes=[0, 1, 10, 11])
    steps = {0: lambda ctx: _bracket(ctx, stop_loss=0, time_in_force="gtc")}
    return trade(data, steps, venue={"sessions": trading((0, 2), (10, 12))})


def oco_fills_one() -> Case:
    """Two exits of a position work at once; the stop's fill cancels the limit."""
    steps = {
        0: lambda ctx: ctx.order("S", "buy", 100),
        1: lambda ctx: ctx.oco("S", "sell", 100, take_profit=usd(105), stop_loss=usd(95)),
    }
    return trade(bars("100", "100", "101 104 96 97", "96 97 94 95", "105"), steps)


def oco_expires_together() -> Case:
    """At the close both exits of a day pair end."""
    steps = {
        0: lambda ctx: ctx.order("S", "buy", 100),
        1: lambda ctx: ctx.oco("S", "sell", 100, take_profit=usd(105), stop_loss=usd(95)),
    }
    data = bars("100", "100", "101", "90", minutes=[0, 1, 2, 10])
    return trade(data, steps, venue={"sessions": trading((0, 3), (10, 11))})
