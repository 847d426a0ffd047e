"""Execution: from targets to intents. Market orders for the difference, in the order of the symbols.

An order never crosses zero: a target on the other side of a position closes first, and the next bar opens. Working
orders count as if they will fill where that asks for less, and as if they will not where that could cross zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tradeplane_engine.domain import numbers, orders

_ZERO = numbers.Quantity(0)


@dataclass(frozen=True, slots=True)
class Holding:
    """Position and unfilled part of open orders of one symbol; working ones are unsigned."""

    position: numbers.Quantity = _ZERO
    working_buy: numbers.Quantity = _ZERO
    working_sell: numbers.Quantity = _ZERO


NOTHING = Holding()


def market_orders(
    targets: Mapping[str, numbers.Quantity], holdings: Mapping[str, Holding]
) -> tuple[orders.Intent, ...]:
    """Return the intents that bring each holding to its target, sorted by symbol."""
    intents = []
    wanted = [symbol for symbol, target in targets.items() if target or symbol in holdings]
    for symbol in sorted(wanted):
        change = _change(targets[symbol], holdings.get(symbol, NOTHING))
        if change:
            side = orders.Side.BUY if change > 0 else orders.Side.SELL
            intents.append(orders.Intent(symbol=symbol, side=side, quantity=numbers.Quantity(abs(change))))
    return tuple(intents)


def _change(target: int, holding: Holding) -> int:
    position, buying, selling = holding.position, holding.working_buy, holding.working_sell
    if position < 0:
        mirrored = Holding(numbers.Quantity(-position), selling, buying)
        return -_change(-target, mirrored)
    if position == 0:
        # Flat with something working on one side: the other side could cross zero if it does not fill.
        if (buying and target < 0) or (selling and target > 0) or (buying and selling):
            return 0
        change = target - buying + selling
        return change if (change > 0 and not selling) or (change < 0 and not buying) else 0
    change = max(target, 0) - (position + buying - selling)
    return max(change, -(position - selling)) if change < 0 else change
