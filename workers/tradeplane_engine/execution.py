"""Execution: from targets to intents. Market orders for the difference, in the order of the symbols.

What is missing is the core's rule, :func:`tradeplane_engine.core.context.missing`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tradeplane_engine.core import context
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
        held = holdings.get(symbol, NOTHING)
        change = context.missing(targets[symbol], held.position, held.working_buy, held.working_sell)
        if change:
            side = orders.Side.BUY if change > 0 else orders.Side.SELL
            intents.append(orders.Intent(symbol=symbol, side=side, quantity=numbers.Quantity(abs(change))))
    return tuple(intents)
