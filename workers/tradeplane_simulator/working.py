"""Orders that wait for a price or a time: each is an order of the engine, in a kernel of its own over its bars.

When it fills and at what price, when it expires, what a split does to it: that is the engine's, as in a backtest. The
venue tells the account. A market order for the day needs none of this, and fills at the next open.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from tradeplane_engine import strategy
from tradeplane_engine.core import agenda, context, costs, kernel, limits, order, risk, table, venue_settings
from tradeplane_engine.core import sessions as core_sessions
from tradeplane_engine.data import series
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import book, sessions

_CASH = 9_000_000_000 * 10**9  # of a kernel that judges nothing
_FREE = limits.Limits(allow_short=True)


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of an order at an instant: ``fill`` (of all of it), ``canceled``, ``expired`` or ``restated``."""

    event: str
    at: times.Nanos
    quantity: numbers.Quantity
    price: numbers.Price
    limit_price: numbers.Price
    stop_price: numbers.Price


class Heard(strategy.Strategy):
    """Keeps what is said of the order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Happened] = []

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:  # noqa: ARG002 - a hook
        """Keep what the account must know."""
        if update.event in {"fill", "canceled", "expired", "restated"}:
            found = update.order
            prices = (numbers.Price(price) for price in (update.price, found.limit, found.stop))
            self.told.append(Happened(update.event, times.Nanos(update.at), numbers.Quantity(found.quantity), *prices))


class Working:
    """One order that waits.

    Parameters
    ----------
    wanted : as it was accepted
    known : its symbol's bars, oldest first, the last one before it among them where there is one
    splits : of its symbol
    hours : the venue's sessions
    costs_of : the venue's profile
    """

    def __init__(
        self,
        wanted: book.Order,
        known: Sequence[bars.Bar],
        splits: Iterable[bars.CorporateAction],
        hours: core_sessions.Sessions,
        costs_of: profile.VenueProfile,
    ) -> None:
        self._heard = Heard()
        one = series.of(wanted.symbol, known)
        free = risk.Policy("venue", _FREE)
        self._kernel = kernel.Kernel(
            table.Table([dataclasses.replace(one, available_at=one.end)]),
            costs.Costs(half_spread_bps=costs_of.half_spread_bps),
            _CASH,
            free,
            venue_settings.Venue(sessions=hours),
        )
        self._kernel.add("order", self._heard, _CASH, free)
        for action in splits:
            if action.ex_start > wanted.submitted_at:
                self._kernel.agenda.add(action.ex_start, agenda.ACTION, _Split(action))
        self._kernel.start()
        self._kernel.advance(wanted.submitted_at)
        self._kernel.turn(self._kernel.slots[0], lambda ctx: _send(ctx, wanted), wanted.submitted_at)

    def advance(self, until: times.Nanos) -> list[Happened]:
        """Return what happened up to an instant, its opens included."""
        self._kernel.advance(until + 1)
        told, self._heard.told = self._heard.told, []
        return told


def _send(ctx: context.Context, wanted: book.Order) -> order.Order:
    prices: dict[str, Any] = {
        "limit": wanted.limit_price,
        "stop": wanted.stop_price,
        "trail": wanted.trail_price,
        "trail_bps": wanted.trail_bps,
    }
    return ctx.order(
        wanted.symbol,
        wanted.side.value,
        Decimal(wanted.quantity) / numbers.ONE_SHARE,
        wanted.kind,
        wanted.time_in_force,
        extended_hours=wanted.extended_hours,
        **prices,
    )


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
