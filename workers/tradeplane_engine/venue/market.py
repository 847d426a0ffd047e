"""The market of a backtest: day market orders that wait for the next open of their symbol.

A bar is one session. An order fills whole at the open of the first bar that starts at or after its decision, at the
venue profile's price, in the order of submission; without a bar in the next session it expires at that session's close.
"""

from dataclasses import dataclass, replace

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.venue import profile


@dataclass(frozen=True, slots=True)
class Traded:
    """What one session did to the open orders."""

    fills: tuple[orders.Fill, ...]
    expired: tuple[orders.Order, ...]


NOTHING = Traded((), ())


class Market:
    """Open orders of one account, by client order id."""

    def __init__(self, costs: profile.VenueProfile) -> None:
        self._costs = costs
        self._open: dict[str, orders.Order] = {}
        self._seen: set[str] = set()

    @property
    def open_orders(self) -> tuple[orders.Order, ...]:
        """Orders that wait, in the order of submission."""
        return tuple(self._open.values())

    def submit(self, order: orders.Order) -> None:
        """Queue an order; raises ValueRefused for an id that was used before or an order that is not understood."""
        if order.client_order_id in self._seen:
            raise errors.ValueRefused("client_order_id", "used once", order.client_order_id)
        violation = refusal(order)
        if violation is not None:
            raise violation
        self._seen.add(order.client_order_id)
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
        """Run one session: fill at its open what has a bar, expire at its close what has none."""
        if not self._open:
            return NOTHING
        fills, expired = [], []
        for order in self.open_orders:
            bar = one.bars.get(order.symbol)
            if bar is None and one.end > order.bar_end:
                expired.append(order)
            elif bar is not None and bar.start >= order.bar_end:
                fills.append(self._fill(order, bar))
            else:
                continue
            del self._open[order.client_order_id]
        return Traded(tuple(fills), tuple(expired))

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
