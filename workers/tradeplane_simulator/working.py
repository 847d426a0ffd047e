"""Orders that wait for a price or a time: a group of them is one of the engine, in a kernel of its own over its bars.

When one fills and at what price, when it expires, what a split does to it, which exit ends which: that is the
engine's, as in a backtest. The venue tells the account. What was sent is kept with each order, so that the same kernel
can be made again after a restart or a replacement. A market order for the day needs none of this, and fills at the next
open.
"""

import dataclasses
import functools
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import strategy
from tradeplane_engine.core import agenda, context, costs, kernel, limits, order, risk, table, venue_settings
from tradeplane_engine.core import sessions as core_sessions
from tradeplane_engine.data import series
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.venue import margin, profile
from tradeplane_simulator import book, sessions

_CASH = 9_000_000_000 * 10**9  # of a kernel that judges nothing
_PLENTY = 1_000_000_000  # shares, more than anybody orders
_FREE = limits.Limits(allow_short=True)
_EVENTS = frozenset({"new", "partial_fill", "fill", "canceled", "expired", "rejected", "refused", "restated"})


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of an order at an instant.

    event : ``partial_fill``, ``fill``, ``canceled``, ``expired``, ``rejected``, ``refused`` or ``restated``; ``new`` of
        an exit that works now, ``triggered`` of a stop that became a limit, ``moved`` of a trailing stop
    quantity, limit_price, stop_price, high_water : of the order, after it
    executed, price : of an execution
    """

    order: str
    event: str
    at: times.Nanos
    quantity: numbers.Quantity
    limit_price: numbers.Price
    stop_price: numbers.Price
    high_water: numbers.Price
    executed: numbers.Quantity = numbers.Quantity(0)  # noqa: RUF009 - an int
    price: numbers.Price = numbers.Price(0)  # noqa: RUF009 - an int


@dataclass(frozen=True, slots=True)
class Partials:
    """How often a bar fills a random part of an order alone, as Alpaca's paper venue does.

    share : of the bars, from 0 to 1
    seed : of the draws; what is drawn depends on it and on the order alone
    """

    share: Fraction
    seed: int = 0

    def volumes(self, root: str, shares: int, bars: int) -> npt.NDArray[np.int64]:
        """Return how many shares each of so many bars may fill of a group's orders."""
        generator = np.random.default_rng([self.seed, *uuid.UUID(root).bytes])
        drawn, size = generator.random((bars, 2)).T  # row by row, so that more bars change nothing for the first ones
        parts = 1 + (size * max(shares - 1, 1)).astype(np.int64)
        return np.where((drawn < float(self.share)) & (shares > 1), parts, _PLENTY)


class Heard(strategy.Strategy):
    """Keeps what is said of the orders."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[int, str] = {}
        self.told: list[Happened] = []

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:  # noqa: ARG002 - a hook
        """Keep what the account must know."""
        if update.event in _EVENTS:
            self.note(update.event, update.order, update.at, update.quantity, update.price)

    def note(self, event: str, found: order.Order, at: int, executed: int = 0, price: int = 0) -> None:
        """Keep an event with the order as it stands."""
        name = self.ids.get(id(found))
        if name is None:
            return
        self.told.append(
            Happened(
                order=name,
                event=event,
                at=times.Nanos(at),
                quantity=numbers.Quantity(found.quantity),
                limit_price=numbers.Price(found.limit),
                stop_price=numbers.Price(found.stop),
                high_water=numbers.Price(found.high_water),
                executed=numbers.Quantity(executed),
                price=numbers.Price(price),
            )
        )


class Working:
    """A group of orders that wait.

    Parameters
    ----------
    group : all orders of it that there ever were, in the sequence of their acceptance
    known : its symbol's bars, oldest first, the last one before it among them where there is one
    splits : of its symbol
    hours : the venue's sessions
    costs_of : the venue's profile
    partials : how often a bar fills a part alone; None for never
    """

    def __init__(
        self,
        group: Sequence[book.Order],
        known: Sequence[bars.Bar],
        splits: Iterable[bars.CorporateAction],
        hours: core_sessions.Sessions,
        costs_of: profile.VenueProfile,
        partials: Partials | None = None,
    ) -> None:
        self._heard = Heard()
        first = group[0]
        one = series.of(first.symbol, known)
        participation = costs_of.participation
        if partials is not None and participation is None:
            shares = first.sent_quantity // numbers.ONE_SHARE
            one = dataclasses.replace(one, volume=partials.volumes(first.root, shares, len(known)))
            participation = Fraction(1)
        free = risk.Policy("venue", _FREE)
        self._kernel = kernel.Kernel(
            table.Table([dataclasses.replace(one, available_at=one.end)]),
            costs.Costs(half_spread_bps=costs_of.half_spread_bps),
            _CASH,
            free,
            venue_settings.Venue(sessions=hours, participation=participation, whole_shares=partials is None),
        )
        self._kernel.add("order", self._heard, _CASH, free)
        for action in splits:
            if action.ex_start > first.sent_at:
                self._kernel.agenda.add(action.ex_start, agenda.ACTION, _Split(action))
        self._orders: dict[str, order.Order] = {}
        self._seen: dict[str, tuple[int, ...]] = {}
        self._kernel.start()
        self._kernel.advance(first.sent_at)
        if known[0].end > first.sent_at:  # its first price ever is that of its first open
            self._kernel.quote(0, known[0].open, first.sent_at)
        self._turn(lambda ctx: self._send(ctx, [one for one in group if not one.replaces]), first.sent_at)
        for new in group:
            if new.replaces:
                self.advance(new.sent_at)
                self._turn(functools.partial(self._replace, new=new), new.sent_at)

    def advance(self, until: times.Nanos) -> list[Happened]:
        """Return what happened up to an instant, its opens included."""
        self._kernel.advance(until + 1)
        for name, found in self._orders.items():
            state = _state(found)
            before, self._seen[name] = self._seen[name], state
            if found.ended or state == before:
                continue
            if found.quantity != before[0] and not any(one.order == name for one in self._heard.told):
                self._heard.note("restated", found, until)
            if found.triggered and not before[1]:
                self._heard.note("triggered", found, until)
            if found.stop != before[2] and found.kind == order.TRAILING_STOP:
                self._heard.note("moved", found, until)
        told, self._heard.told = self._heard.told, []
        return told

    def _turn(self, act: Callable[[context.Context], None], at: times.Nanos) -> None:
        self._kernel.turn(self._kernel.slots[0], act, at)

    def _send(self, ctx: context.Context, group: Sequence[book.Order]) -> None:
        """Want the group's orders, the entry or the limit of an OCO first."""
        first, legs = group[0], group[1:]
        if first.order_class == "simple":
            self._know(first, self._single(ctx, first))
            return
        stop = next((leg for leg in legs if leg.kind != "limit"), None)
        exits: dict[str, Any] = {"stop_loss": stop.sent_stop, "stop_limit": _limit(stop)} if stop else {}
        shares, tif = _shares(first.sent_quantity), first.time_in_force
        if first.order_class == "oco":
            exits["take_profit"] = first.sent_limit
            head = ctx.oco(first.symbol, first.side.value, shares, time_in_force=tif, **exits)
        else:
            exits["take_profit"] = next((leg.sent_limit for leg in legs if leg.kind == "limit"), 0)
            exits |= {"limit": _limit(first), "stop": first.sent_stop}
            head = ctx.bracket(first.symbol, first.side.value, shares, time_in_force=tif, **exits)
        self._know(first, head)
        for leg in legs:
            self._know(leg, next(one for one in head.legs if (one.kind == order.LIMIT) == (leg.kind == "limit")))

    def _replace(self, ctx: context.Context, new: book.Order) -> None:
        """Put an order in another's place: with other prices as the engine does, else as a new one."""
        old = self._orders[new.replaces]
        same = new.sent_quantity == old.quantity - old.filled
        if same and new.time_in_force == order.TIMES_IN_FORCE[old.time_in_force]:
            prices: dict[str, Any] = {
                "limit": _limit(new),
                "stop": 0 if new.kind == "trailing_stop" else new.sent_stop,
                "trail": new.trail_price,
                "trail_bps": new.trail_bps,
            }
            self._know(new, ctx.replace(old, **prices))
            return
        ctx.cancel(old)
        found = self._single(ctx, new)
        if old.kind == order.TRAILING_STOP:
            found.trail_from(old.high_water)
        self._know(new, found)

    def _single(self, ctx: context.Context, wanted: book.Order) -> order.Order:
        prices: dict[str, Any] = {
            "limit": _limit(wanted),
            "stop": 0 if wanted.kind == "trailing_stop" else wanted.sent_stop,
            "trail": wanted.trail_price,
            "trail_bps": wanted.trail_bps,
        }
        size: dict[str, Any] = (
            {"notional": Decimal(wanted.notional) / 10**numbers.MONEY_DIGITS}
            if wanted.notional
            else {"shares": _shares(wanted.sent_quantity)}
        )
        return ctx.order(
            wanted.symbol,
            wanted.side.value,
            kind="stop_limit" if prices["limit"] and prices["stop"] else wanted.kind,
            time_in_force=wanted.time_in_force,
            extended_hours=wanted.extended_hours,
            **size,
            **prices,
        )

    def _know(self, wanted: book.Order, found: order.Order) -> None:
        self._orders[wanted.id] = found
        self._seen[wanted.id] = _state(found)
        self._heard.ids[id(found)] = wanted.id


def _state(found: order.Order) -> tuple[int, ...]:
    return found.quantity, int(found.triggered), found.stop, found.high_water


def _limit(wanted: book.Order) -> int:
    """Return an order's limit; a stop to buy has one too, by which Alpaca caps what a gap may cost."""
    if wanted.kind == "stop" and wanted.side is orders.Side.BUY:
        return margin.stop_limit(wanted.sent_stop, numbers.PRICE_DIGITS)
    return wanted.sent_limit


def _shares(quantity: numbers.Quantity) -> Decimal:
    return Decimal(quantity) / numbers.ONE_SHARE


@dataclass(frozen=True, slots=True)
class _Split:
    action: bars.CorporateAction

    def act(self, run: kernel.Kernel) -> None:
        """Let the split act on the order."""
        run.split(self.action.symbol, *self.action.split)


def hours(days: Iterable[sessions.Session]) -> core_sessions.Sessions:
    """Return the venue's sessions, with their extended hours, as the engine has them."""
    regular = list(days)
    wide = [sessions.extended(day) for day in regular]
    opens, closes = (np.array([getattr(day, name) for day in regular], dtype=np.int64) for name in ("open", "close"))
    begins, ends = (np.array([getattr(one, name) for one in wide], dtype=np.int64) for name in ("start", "end"))
    return core_sessions.Sessions(opens, closes, begins, ends)
