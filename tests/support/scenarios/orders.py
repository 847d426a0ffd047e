"""Each kind of order, time in force and fill rule, alone."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from support.scenarios.making import Case, bars, trade, trading, usd

# A day that rises, falls and gaps: enough for every order to be reached or passed over.
_DAY = bars(
    "100 101 99 100", "100 102 99.5 101.5", "103 104 102 103.5", "103.5 103.6 98 98.5", "96 97 95 96.5", "97 99 96.8 98"
)
_TWO_DAYS = trading((0, 3), (10, 13))


def _two_days(*rows: str) -> Any:
    return bars(*rows, minutes=[0, 1, 2, 10, 11, 12])


def _order(*words: Any, **prices: Any) -> Callable[[Any], Any]:
    return lambda ctx: ctx.order("S", *words, **prices)


def market_next_open() -> Case:
    """A market order that the first close decides fills at the second open."""
    return trade(_DAY, {0: _order("buy", 100)})


def market_next_close() -> Case:
    """With ``next_close`` it fills at the close of the bar after the decision."""
    return trade(_DAY, {0: _order("buy", 100)}, venue={"fill_at": "next_close"})


def market_same_close() -> Case:
    """With ``same_close``, which must be allowed, it fills at the close that the decision saw."""
    return trade(_DAY, {0: _order("buy", 100)}, venue={"fill_at": "same_close", "allow_same_close": True})


def market_short_and_back() -> Case:
    """A sale of what is not held, bought back lower."""
    return trade(_DAY, {0: _order("sell", 100), 3: _order("buy", 100)})


def market_on_the_last_bar() -> Case:
    """An order that no bar is left for stays open and is reported."""
    return trade(_DAY, {5: _order("buy", 100)})


def market_for_an_amount() -> Case:
    """An amount of money is as many shares as the next open sells for it; a sale of more than is held sells all."""
    return trade(_DAY, {0: _order("buy", notional=1000), 3: _order("sell", notional=5000)})


def limit_needs_a_price_through() -> Case:
    """A touch of a resting limit fills nothing; one unit beyond fills at the limit."""
    return trade(_DAY, {0: _order("buy", 100, "limit", limit=usd("99.5")), 1: _order("buy", 7, "limit", limit=usd(98))})


def limit_filled_by_touch() -> Case:
    """With the touch rule the same orders fill at their prices."""
    steps = {0: _order("buy", 100, "limit", limit=usd("99.5")), 1: _order("buy", 7, "limit", limit=usd(98))}
    return trade(_DAY, steps, venue={"limit_rule": "touch"})


def limit_better_at_a_gap() -> Case:
    """A bar that opens beyond the limit fills at its open, not at the limit."""
    return trade(_DAY, {2: _order("buy", 100, "limit", limit=usd(97)), 0: _order("sell", 50, "limit", limit=usd(102))})


def limit_day_expires_at_the_close() -> Case:
    """A day order ends with its session, a gtc order waits for the next one."""
    data = _two_days("100", "100", "100", "95", "95", "95")
    steps = {0: lambda ctx: [ctx.order("S", "buy", 10, "limit", tif, limit=usd(98)) for tif in ("day", "gtc")]}
    return trade(data, steps, venue={"sessions": _TWO_DAYS})


def limit_ioc_and_fok_that_miss() -> Case:
    """What must trade at once and does not is cancelled at the next open."""
    steps = {0: lambda ctx: [ctx.order("S", "buy", 10, "limit", tif, limit=usd(90)) for tif in ("ioc", "fok")]}
    return trade(_DAY, steps)


def ioc_takes_a_part_and_fok_all_or_nothing() -> Case:
    """Of a bar that lets 100 shares trade an ioc order takes them; a fok order for more takes none."""
    steps = {0: _order("buy", 150, "market", "ioc"), 1: _order("buy", 150, "market", "fok"), 2: _order("buy", 100)}
    steps[3] = _order("sell", 100, "market", "fok")
    return trade(_DAY, steps, venue={"participation": Fraction(1, 10)})


def market_opg() -> Case:
    """An order for the opening auction fills at the next session's first open, not at this session's next bar."""
    data = _two_days("100", "101", "102", "105", "106", "107")
    return trade(data, {0: _order("buy", 10, "market", "opg")}, venue={"sessions": _TWO_DAYS})


def limit_opg_that_misses_expires() -> Case:
    """A limit for the opening auction that the open does not reach ends there."""
    data = _two_days("100", "101", "102", "105", "90", "107")
    return trade(data, {0: _order("buy", 10, "limit", "opg", limit=usd(100))}, venue={"sessions": _TWO_DAYS})


def market_and_limit_cls() -> Case:
    """Orders for the closing auction meet the session's last close: one fills, one expires."""
    data = _two_days("100", "101", "102", "105", "106", "107")
    steps = {0: lambda ctx: [ctx.order("S", "buy", 10, "market", "cls"), _cls_limit(ctx)]}
    return trade(data, steps, venue={"sessions": _TWO_DAYS})


def _cls_limit(ctx: Any) -> Any:
    return ctx.order("S", "buy", 10, "limit", "cls", limit=usd(101))


def stop_at_its_price() -> Case:
    """A stop to buy above the market fills at its price when the path reaches it."""
    return trade(_DAY, {0: _order("buy", 100, "stop", stop=usd("101.25"))})


def stop_through_a_gap() -> Case:
    """A stop to sell that the open has passed fills at the open, which is worse."""
    return trade(_DAY, {0: _order("buy", 100), 3: _order("sell", 100, "stop", stop=usd(97))})


def stop_limit_fills() -> Case:
    """Reached on the way up, it rests as a limit and fills when the price comes through it."""
    return trade(_DAY, {0: _order("buy", 100, "stop_limit", stop=usd("102.5"), limit=usd("102.2"))})


def stop_limit_passed_over() -> Case:
    """A gap triggers it beyond its limit, and it stays open."""
    return trade(_DAY, {3: _order("sell", 100, "stop_limit", stop=usd(97), limit=usd("99.5"))})


def trailing_stop_in_units() -> Case:
    """It follows the high by two dollars and never goes back."""
    return trade(_DAY, {0: lambda ctx: [ctx.order("S", "buy", 100), _trail(ctx, trail=usd(2))]})


def trailing_stop_in_basis_points() -> Case:
    """A buy's follows the low by one per cent, rounded against the trader."""
    return trade(_DAY, {2: _order("buy", 100, "trailing_stop", trail_bps=100)})


def _trail(ctx: Any, **distance: int) -> Any:
    return ctx.order("S", "sell", 100, "trailing_stop", **distance)


def fractional_shares() -> Case:
    """Quantities go down to 1e-9 share, and so do position and money."""
    steps = {0: _order("buy", Decimal("0.333333333")), 1: _order("buy", Decimal("0.000000001"))}
    return trade(_DAY, steps | {3: _order("sell", Decimal("0.111111111"))})


def target_by_shares_weight_and_value() -> Case:
    """Three ways to say a size; weight and value give whole shares at the last close, toward zero."""
    steps = {
        0: lambda ctx: ctx.target("S", shares=10),
        1: lambda ctx: ctx.target("S", weight=0.5),
        2: lambda ctx: ctx.target("S", notional=Decimal("20000.01")),
        3: lambda ctx: ctx.target("S", shares=Decimal("0.5")),
        4: lambda ctx: ctx.target("S", weight=0.0),
    }
    return trade(_DAY, steps)


def target_across_zero_closes_first() -> Case:
    """A target on the other side of zero closes; wanting it again opens."""
    again = {number: (lambda ctx: ctx.target("S", shares=-50)) for number in (1, 2, 3)}
    return trade(_DAY, {0: lambda ctx: ctx.target("S", shares=100), **again})


def target_counts_what_is_working() -> Case:
    """Wanting the same again orders nothing, though nothing has filled yet."""
    data = bars(*["100"] * 6, minutes=[0, 1, 2, 3, 4, 5])
    steps = {number: (lambda ctx: ctx.target("S", shares=100)) for number in range(4)}
    return trade(data, steps, venue={"latency": 150_000_000_000})
