"""Orders as a strategy asks for them: checked by name before anything else sees them.

These are the rules of the order types themselves. What a broker refuses besides is the venue's to say.
"""

import contextlib
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.order import Order
from tradeplane_engine.domain import numbers

_NANO = 10**9
_MOST = 9_223_372_036_854_775_807
_BPS = 10_000

_AUCTIONS = ("opg", "cls")
_SIMPLE = frozenset({"market", "limit"})


def scaled(value: Any, field: str) -> int:
    """Return shares or USD in steps of 1e-9; raises ValueRefused for a float or a finer number."""
    if isinstance(value, bool | float) or not isinstance(value, int | Decimal | np.integer):
        raise errors.ValueRefused(field, "an int or a Decimal", value)
    if isinstance(value, Decimal) and not value.is_finite():
        raise errors.ValueRefused(field, "a finite number", str(value))
    found = Fraction(value if isinstance(value, Decimal) else int(value)) * _NANO  # exact, whatever the decimal context
    if found.denominator != 1:
        raise errors.ValueRefused(field, "a decimal with at most 9 digits after the point", str(value))
    if abs(found) > _MOST:
        raise errors.Overflow(field, "within 64 bits of its unit", str(value))
    return found.numerator


def weight(value: Any) -> Fraction:
    """Return a weight as it came, a float of numpy's too; raises ValueRefused for what is no finite number."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, int | float | Fraction | Decimal) and not isinstance(plain, bool):
        with contextlib.suppress(ValueError, OverflowError):  # of no number, and of an infinite one
            return Fraction(plain)
    raise errors.ValueRefused("weight", "a finite number", value)


def units(value: Any, field: str) -> int:
    """Return a price, or a distance between prices, as it came; raises ValueRefused for what is no int."""
    return numbers.whole(value, "an int in the symbol's price units", field=field)


def _rate(value: Any, field: str) -> int:
    return numbers.whole(value, "an int in basis points", field=field)


def single(
    strategy: int,
    symbol: int,
    side: str,
    shares: int | Decimal | None,
    kind: str,
    time_in_force: str,
    *,
    limit: int,
    stop: int,
    trail: int,
    trail_bps: int,
    sessions: bool,
    auctions: bool = True,
    extended: bool | None = None,
    notional: tuple[int, int] | None = None,
) -> Order:
    """Return one order; raises ValueRefused naming the field that its kind or time in force forbids or lacks.

    ``extended`` is None for an order of the session alone, else whether the run has extended hours. ``notional`` is
    the money that it is for in the place of ``shares``, and the quantity that this is now. ``auctions`` says whether
    the venue has any.
    """
    if side not in {"buy", "sell"}:
        raise errors.ValueRefused("side", "buy or sell", side)
    if kind not in orders.KINDS:
        raise errors.ValueRefused("kind", f"one of {orders.KINDS}", kind)
    if time_in_force not in orders.TIMES_IN_FORCE:
        raise errors.ValueRefused("time_in_force", f"one of {orders.TIMES_IN_FORCE}", time_in_force)
    if kind not in _SIMPLE and time_in_force not in {"day", "gtc"}:
        raise errors.ValueRefused("time_in_force", f"day or gtc for a {kind} order", time_in_force)
    if time_in_force in _AUCTIONS and not sessions:
        raise errors.ValueRefused("time_in_force", "day, gtc, ioc or fok where the run has no sessions", time_in_force)
    if time_in_force in _AUCTIONS and not auctions:
        raise errors.ValueRefused("time_in_force", "day, gtc, ioc or fok where orders fill at quotes", time_in_force)
    limit = _price("limit", limit, wanted=kind in {"limit", "stop_limit"}, kind=kind)
    stop = _price("stop", stop, wanted=kind in {"stop", "stop_limit"}, kind=kind)
    trail, trail_bps = units(trail, "trail"), _rate(trail_bps, "trail_bps")
    _trail(kind, trail, trail_bps)
    found = Order(
        strategy,
        symbol,
        1 if side == "buy" else -1,
        _quantity(shares, notional, kind, time_in_force),
        orders.KINDS.index(kind),
        orders.TIMES_IN_FORCE.index(time_in_force),
        limit,
        stop,
    )
    found.trail_by(trail, trail_bps)
    if notional is not None:
        found.be_worth(notional[0])
    if extended is not None:
        _extended(kind, time_in_force, hours=extended)
        found.extend()
    return found


def _trail(kind: str, trail: int, trail_bps: int) -> None:
    if kind == "trailing_stop":
        if (trail > 0) == (trail_bps > 0) or trail < 0 or not 0 <= trail_bps < _BPS:
            raise errors.ValueRefused("trail", "one of trail and trail_bps, above 0", (trail, trail_bps))
    elif trail or trail_bps:
        raise errors.ValueRefused("trail", f"0 for a {kind} order", trail or trail_bps)


def _quantity(shares: int | Decimal | None, notional: tuple[int, int] | None, kind: str, time_in_force: str) -> int:
    if notional is None and shares is not None:
        return scaled(shares, "shares")
    if notional is None or shares is not None:
        raise errors.ValueRefused("order", "for either shares or notional", (shares, notional))
    if (kind, time_in_force) != ("market", "day"):
        raise errors.ValueRefused("notional", "of a market order for the day", f"{kind} {time_in_force}")
    return notional[1]


def _extended(kind: str, time_in_force: str, *, hours: bool) -> None:
    """Refuse what does not work outside of the session."""
    if kind != "limit":
        raise errors.ValueRefused("extended_hours", "of a limit order", kind)
    if time_in_force not in {"day", "gtc"}:
        raise errors.ValueRefused("extended_hours", "of a day or gtc order", time_in_force)
    if not hours:
        raise errors.ValueRefused("extended_hours", "asked for where the run's sessions have such hours", hours)


def exits(opened: int, *, take_profit: int, stop_loss: int, stop_limit: int, both: bool) -> tuple[int, int, int]:
    """Return the prices of exits; refuse those of a position (``opened`` 1 long, -1 short) that contradict each other.

    They are those of ``take_profit``, ``stop_loss`` and ``stop_limit``.
    """
    take_profit, stop_loss = units(take_profit, "take_profit"), units(stop_loss, "stop_loss")
    stop_limit = units(stop_limit, "stop_limit")
    for name, price in (("take_profit", take_profit), ("stop_loss", stop_loss), ("stop_limit", stop_limit)):
        if price < 0:
            raise errors.ValueRefused(name, "a price above 0", price)
    if not take_profit and not stop_loss:
        raise errors.ValueRefused("take_profit", "given where stop_loss is not", 0)
    if both and not (take_profit and stop_loss):
        raise errors.ValueRefused("stop_loss" if take_profit else "take_profit", "a price above 0", 0)
    if stop_limit and not stop_loss:
        raise errors.ValueRefused("stop_limit", "0 without a stop_loss", stop_limit)
    if take_profit and stop_loss and (take_profit - stop_loss) * opened <= 0:
        limit = f"{'above' if opened > 0 else 'below'} stop_loss {stop_loss}"
        raise errors.ValueRefused("take_profit", limit, take_profit)
    return take_profit, stop_loss, stop_limit


def replacement(old: Order, *, limit: int, stop: int, trail: int, trail_bps: int) -> Order:
    """Return the order that shall take another's place, with other prices; 0 leaves one as it is."""
    kind = orders.KINDS[old.kind]
    limit, stop, trail = units(limit, "limit"), units(stop, "stop"), units(trail, "trail")
    trail_bps = _rate(trail_bps, "trail_bps")
    for name, value, fits in (
        ("limit", limit, old.kind in {orders.LIMIT, orders.STOP_LIMIT}),
        ("stop", stop, old.kind in {orders.STOP, orders.STOP_LIMIT}),
        ("trail", trail, old.kind == orders.TRAILING_STOP and not trail_bps),
        ("trail_bps", trail_bps, old.kind == orders.TRAILING_STOP),
    ):
        if value and (value < 0 or not fits):
            raise errors.ValueRefused(name, f"a price above 0 that a {kind} order has", value)
    if not (limit or stop or trail or trail_bps):
        raise errors.ValueRefused("replace", "a price that changes; a quantity needs cancel and a new order", "none")
    found = Order(
        old.strategy,
        old.symbol,
        old.side,
        old.quantity,
        old.kind,
        old.time_in_force,
        limit or old.limit,
        0 if old.kind == orders.TRAILING_STOP else stop or old.stop,
    )
    if old.extended_hours:
        found.extend()
    if trail or trail_bps:
        found.trail_by(trail, trail_bps)
    else:
        found.trail_by(old.trail, old.trail_bps)
    return found


def _price(name: str, value: int, *, wanted: bool, kind: str) -> int:
    value = units(value, name)
    if wanted and value <= 0:
        raise errors.ValueRefused(name, f"a price above 0 for a {kind} order", value)
    if value and not wanted:
        raise errors.ValueRefused(name, f"0 for a {kind} order", value)
    return value
