"""The market of a backtest: day market orders that wait for the next open of their symbol.

An order fills whole at the open of the first bar that starts at or after its decision, at the venue profile's price, in
the order of submission. Where a bar is one session, an order without a bar in the next session expires at that
session's close. Where bars are shorter, an order is sent when its bar is known: it waits for a bar that starts no
earlier and within the trading hours that were on then, or come next, and expires when those end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times
from tradeplane_engine.venue import profile


@dataclass(frozen=True, slots=True)
class Traded:
    """What one session did to the open orders."""

    fills: tuple[orders.Fill, ...]
    expired: tuple[orders.Order, ...]


NOTHING = Traded((), ())


class Market:
    """Open orders of one account, by client order id.

    Parameters
    ----------
    costs : the venue's profile
    days : regular trading hours in order, for bars that are shorter than a day
    """

    def __init__(self, costs: profile.VenueProfile, *, days: Sequence[timeframes.Hours] = ()) -> None:
        self._costs = costs
        self._days = days
        self._sent: dict[str, times.Nanos] = {}
        self._open: dict[str, orders.Order] = {}
        self._seen: set[str] = set()

    @property
    def open_orders(self) -> tuple[orders.Order, ...]:
        """Orders that wait, in the order of submission."""
        return tuple(self._open.values())

    def submit(self, order: orders.Order, *, at: times.Nanos | None = None) -> None:
        """Queue an order that is sent ``at`` an instant, the end of its bar by default.

        Raises ValueRefused for an id that was used before or an order that is not understood.
        """
        if order.client_order_id in self._seen:
            raise errors.ValueRefused("client_order_id", "used once", order.client_order_id)
        violation = refusal(order)
        if violation is not None:
            raise violation
        self._seen.add(order.client_order_id)
        self._sent[order.client_order_id] = order.bar_end if at is None else at
        self._open[order.client_order_id] = order

    def cancel(self, client_order_id: str) -> orders.Order | None:
        """Take an open order out; None when it is not open."""
        return self._open.pop(client_order_id, None)

    def split(self, symbol: str, ratio: tuple[int, int]) -> None:
        """Restate the waiting orders of a symbol on the new share basis; what becomes nothing is taken out."""
        new, old = ratio
        for order in self.open_orders:
            if order.symbol == symbol:
                quantity = numbers.Quantity(order.quantity * new // old)
                if quantity:
                    self._open[order.client_order_id] = replace(order, quantity=quantity)
                else:
                    del self._open[order.client_order_id]

    def trade(self, one: bars.BarSlice) -> Traded:
        """Run one slice: fill at its open what has a bar, expire at the session's close what has none."""
        if not self._open:
            return NOTHING
        fills, expired = [], []
        for order in self.open_orders:
            bar = one.bars.get(order.symbol)
            if bar is not None and self._may_fill(order, bar):
                fills.append(self._fill(order, bar))
            elif self._ends(order, one):
                expired.append(order)
            else:
                continue
            del self._open[order.client_order_id]
        return Traded(tuple(fills), tuple(expired))

    def _may_fill(self, order: orders.Order, bar: bars.Bar) -> bool:
        if not self._days:
            return bar.start >= order.bar_end
        day = self._day(order)
        return day is not None and bar.start >= self._sent[order.client_order_id] and day.holds(bar.start)

    def _ends(self, order: orders.Order, one: bars.BarSlice) -> bool:
        if not self._days:
            return order.symbol not in one.bars and one.end > order.bar_end
        day = self._day(order)
        return day is not None and one.end >= day.end

    def _day(self, order: orders.Order) -> timeframes.Hours | None:
        """Return the hours in which a day order works: those that were on when it was sent, or the next ones."""
        return timeframes.ending_after(self._days, self._sent[order.client_order_id])

    def _fill(self, order: orders.Order, bar: bars.Bar) -> orders.Fill:
        return orders.Fill(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=self._costs.fill_price(order.side, bar.open),
            at=bar.start,
            session=times.utc_day(bar.start),
        )


def refusal(order: orders.Order) -> errors.ValueRefused | None:
    """Say why the venue does not take an order, or None."""
    if order.quantity <= 0:
        return errors.ValueRefused("quantity", "more than 0", numbers.quantity_text(order.quantity))
    if order.type != "market":
        return errors.ValueRefused("type", "market", order.type)
    if order.time_in_force != "day":
        return errors.ValueRefused("time_in_force", "day", order.time_in_force)
    return None
