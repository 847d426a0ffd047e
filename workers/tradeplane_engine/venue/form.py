"""Refusals that need only the order itself: what it is made of, and the increments of its prices.

What depends on words alone (kind, time in force, class, which prices are there) is decided once per combination and
remembered, because an order path meets few of them and meets them often.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import refusals, ticket

CLIENT_ORDER_ID_MAX = 128

_AUCTION_OR_NOW = frozenset({"opg", "cls", "ioc", "fok"})
_LASTING = frozenset({"day", "gtc"})
_LIMITED = frozenset({"limit", "stop_limit"})
_STOPPED = frozenset({"stop", "stop_limit"})
# Prices of a dollar and more have two decimals, below they have four.
_DECIMALS, _DECIMALS_BELOW_ONE = 2, 4


class Shape(NamedTuple):
    """An order without its numbers: words, and which numbers it has."""

    kind: str
    time_in_force: str
    order_class: str
    intent: str
    extended: bool
    extended_gtc: bool
    fractional: bool
    quantity: bool
    notional: bool
    limit: bool
    stop: bool
    trail: bool
    trail_bps: bool
    take_profit: bool
    stop_loss: bool
    stop_loss_limit: bool


Check = Callable[[Shape], refusals.Refusal | None]


def refusal(request: ticket.Request, asset: ticket.Asset, *, extended_gtc: bool = False) -> refusals.Refusal | None:
    """Return the first refusal that the order alone deserves, or None."""
    if plain(request):
        return None
    return (
        _of_shape(shape(request, extended_gtc=extended_gtc))
        or _number_is_negative(request)
        or _client_order_id_is_too_long(request)
        or increments(request, asset.digits)
    )


def plain(request: ticket.Request) -> bool:
    """Whether it is a market day order in whole shares and nothing else, which no form rule refuses."""
    return (
        request.kind == "market"
        and request.time_in_force == "day"
        and request.order_class == "simple"
        and request.quantity > 0
        and request.quantity % numbers.ONE_SHARE == 0
        and not (request.notional or request.limit or request.stop or request.trail or request.trail_bps)
        and not (request.take_profit or request.stop_loss or request.stop_loss_limit)
        and not (request.extended or request.intent)
        and len(request.client_order_id) <= CLIENT_ORDER_ID_MAX
    )


def shape(request: ticket.Request, *, extended_gtc: bool = False) -> Shape:
    """Return an order without its numbers."""
    return Shape(
        request.kind,
        request.time_in_force,
        request.order_class,
        request.intent,
        request.extended,
        extended_gtc,
        request.fractional,
        request.quantity > 0,
        request.notional > 0,
        request.limit != 0,
        request.stop != 0,
        request.trail != 0,
        request.trail_bps != 0,
        request.take_profit != 0,
        request.stop_loss != 0,
        request.stop_loss_limit != 0,
    )


def increments(request: ticket.Request, digits: int) -> refusals.Refusal | None:
    """Refuse a price with more decimals than its size allows; a trail is a distance and follows the same rule."""
    for name, price in (
        ("limit_price", request.limit),
        ("stop_price", request.stop),
        ("trail_price", request.trail),
        ("take_profit.limit_price", request.take_profit),
        ("stop_loss.stop_price", request.stop_loss),
        ("stop_loss.limit_price", request.stop_loss_limit),
    ):
        if price:
            found = increment(name, price, digits)
            if found is not None:
                return found
    return None


def increment(name: str, price: int, digits: int) -> refusals.Refusal | None:
    """Refuse one price with more decimals than its size allows."""
    decimals = _DECIMALS if price >= 10**digits else _DECIMALS_BELOW_ONE
    if price % 10 ** max(digits - decimals, 0) == 0:
        return None
    return refusals.unprocessable(
        f"invalid {name} {numbers.scaled_text(price, digits)}. "
        "sub-penny increment does not fulfill minimum pricing criteria"
    )


@functools.lru_cache(maxsize=4096)
def _of_shape(found: Shape) -> refusals.Refusal | None:
    for check in _CHAIN:
        violation = check(found)
        if violation is not None:
            return violation
    return None


def _class_is_multi_leg(found: Shape) -> refusals.Refusal | None:
    if found.order_class != "mleg":
        return None
    return refusals.unprocessable("order class mleg is not offered: US equities only")


def _word_is_unknown(found: Shape) -> refusals.Refusal | None:
    for name, word, words in (
        ("type", found.kind, ticket.KINDS),
        ("time_in_force", found.time_in_force, ticket.TIMES_IN_FORCE),
        ("order_class", found.order_class, ticket.CLASSES),
        ("position_intent", found.intent, ("", *ticket.INTENTS)),
    ):
        if word not in words:
            return refusals.malformed(f"{name} must be one of {[one for one in words if one]}, got {word!r}")
    return None


def _size_is_missing_or_double(found: Shape) -> refusals.Refusal | None:
    if found.quantity is not found.notional:
        return None
    if found.quantity:
        return refusals.malformed("only one of qty or notional is accepted")
    return refusals.malformed("qty or notional is required")


def _price_is_missing(found: Shape) -> refusals.Refusal | None:
    if found.kind in _LIMITED and not found.limit and found.order_class != "oco":
        return refusals.malformed(f"{found.kind} orders require limit_price")
    if found.kind in _STOPPED and not found.stop:
        return refusals.malformed(f"{found.kind} orders require stop_price")
    if found.kind == "trailing_stop" and found.trail is found.trail_bps:
        return refusals.malformed("trailing_stop orders require one of trail_price and trail_percent")
    return None


def _price_has_no_meaning(found: Shape) -> refusals.Refusal | None:
    for name, given, means in (
        ("limit_price", found.limit, found.kind in _LIMITED),
        ("stop_price", found.stop, found.kind in _STOPPED),
        ("trail_price", found.trail, found.kind == "trailing_stop"),
        ("trail_percent", found.trail_bps, found.kind == "trailing_stop"),
    ):
        if given and not means:
            return refusals.malformed(f"{found.kind} orders must not have {name}")
    if found.order_class == "simple" and (found.take_profit or found.stop_loss or found.stop_loss_limit):
        return refusals.malformed("simple orders must not have take_profit or stop_loss")
    return None


def _notional_is_not_market(found: Shape) -> refusals.Refusal | None:
    if not found.notional or found.kind == "market":
        return None
    return refusals.unprocessable("notional orders must be market orders")


def _fraction_is_not_day(found: Shape) -> refusals.Refusal | None:
    if not found.fractional or found.time_in_force == "day":
        return None
    return refusals.unprocessable("fractional orders must be DAY orders")


def _fraction_is_not_simple(found: Shape) -> refusals.Refusal | None:
    if not found.fractional or found.order_class == "simple":
        return None
    return refusals.unprocessable("fractional orders must be simple orders")


def _fraction_is_trailing(found: Shape) -> refusals.Refusal | None:
    if not found.fractional or found.kind != "trailing_stop":
        return None
    return refusals.unprocessable("fractional orders must be market, limit, stop, or stop_limit orders")


def _auction_or_now_is_not_market_or_limit(found: Shape) -> refusals.Refusal | None:
    if found.time_in_force not in _AUCTION_OR_NOW or found.kind in {"market", "limit"}:
        return None
    return refusals.unprocessable(f"{found.time_in_force} orders must be market or limit orders")


def _trailing_stop_is_not_simple(found: Shape) -> refusals.Refusal | None:
    if found.kind != "trailing_stop" or found.order_class == "simple":
        return None
    return refusals.unprocessable("trailing_stop orders must be simple orders")


def _extended_is_not_day_limit(found: Shape) -> refusals.Refusal | None:
    if not found.extended:
        return None
    lasts = found.time_in_force == "day" or (found.extended_gtc and found.time_in_force == "gtc")
    if found.kind == "limit" and lasts and found.order_class == "simple":
        return None
    return refusals.unprocessable("extended hours order must be DAY limit orders")


def _class_does_not_last(found: Shape) -> refusals.Refusal | None:
    if found.order_class == "simple" or found.time_in_force in _LASTING:
        return None
    return refusals.unprocessable(f"{found.order_class} orders must be DAY or GTC orders")


def _exit_is_missing(found: Shape) -> refusals.Refusal | None:
    if found.order_class in {"bracket", "oco"}:
        if not found.take_profit:
            return refusals.unprocessable(f"{found.order_class} orders require take_profit.limit_price")
        if not found.stop_loss:
            return refusals.unprocessable(f"{found.order_class} orders require stop_loss.stop_price")
    if found.order_class == "oto" and found.take_profit is found.stop_loss:
        return refusals.unprocessable("oto orders require one of take_profit.limit_price and stop_loss.stop_price")
    if found.stop_loss_limit and not found.stop_loss:
        return refusals.unprocessable("stop_loss.limit_price requires stop_loss.stop_price")
    return None


def _oco_is_not_limit(found: Shape) -> refusals.Refusal | None:
    if found.order_class != "oco" or found.kind == "limit":
        return None
    return refusals.unprocessable("oco orders must be limit orders")


def _number_is_negative(request: ticket.Request) -> refusals.Refusal | None:
    for name, value in (
        ("qty", request.quantity),
        ("notional", request.notional),
        ("limit_price", request.limit),
        ("stop_price", request.stop),
        ("trail_price", request.trail),
        ("trail_percent", request.trail_bps),
        ("take_profit.limit_price", request.take_profit),
        ("stop_loss.stop_price", request.stop_loss),
        ("stop_loss.limit_price", request.stop_loss_limit),
    ):
        if value < 0:
            return refusals.malformed(f"{name} must be positive")
    return None


def _client_order_id_is_too_long(request: ticket.Request) -> refusals.Refusal | None:
    if len(request.client_order_id) <= CLIENT_ORDER_ID_MAX:
        return None
    return refusals.malformed(f"client_order_id must be a text of at most {CLIENT_ORDER_ID_MAX} characters")


_CHAIN: tuple[Check, ...] = (
    _class_is_multi_leg,
    _word_is_unknown,
    _size_is_missing_or_double,
    _notional_is_not_market,
    _fraction_is_not_day,
    _fraction_is_not_simple,
    _fraction_is_trailing,
    _auction_or_now_is_not_market_or_limit,
    _trailing_stop_is_not_simple,
    _extended_is_not_day_limit,
    _class_does_not_last,
    _exit_is_missing,
    _oco_is_not_limit,
    _price_is_missing,
    _price_has_no_meaning,
)
