"""Fills of a column of targets where every order is a market order that fills at its symbol's next open.

The order state machine, the chain and the ledger have nothing to decide then: a target that differs from the position
is an order, and the next row's open is its fill. What the caller must have made sure of is in ``sweep/plain.py``.
"""

from typing import Any

from tradeplane_engine.core import exact
from tradeplane_engine.core.costs import Costs
from tradeplane_engine.core.table import Table


class Fills:
    """Columns that a run of the kernel writes, memoryviews of int64.

    Parameters
    ----------
    rows, shares, flows, fees : per fill: row of the table, signed whole shares, change of cash with the fee, the fee
    held, waiting : per symbol: position at the end, and the signed shares of an order that no row is left for
    """

    __slots__ = ("fees", "flows", "held", "rows", "shares", "waiting")

    def __init__(self, rows: Any, shares: Any, flows: Any, fees: Any, held: Any, waiting: Any) -> None:
        self.rows = rows
        self.shares = shares
        self.flows = flows
        self.fees = fees
        self.held = held
        self.waiting = waiting


def trade(
    table: Table, costs: Costs, points: Any, targets: Any, opens: Any, first: Any, opening: Any, found: Fills
) -> int:
    """Write the fills of one column of targets, by symbol and row; return their number.

    Parameters
    ----------
    table, costs : the bars, and what a fill costs
    points, targets : rows at which the target may change, ascending, and the target from there on
    opens : open of the row after each point; taken all at once, because one by one each waits for memory
    first, opening : per symbol: first row at which a target is wanted, and the target there
    found : room for two fills per point and symbol

    Raises
    ------
    errors.Overflow where a fill leaves 64 bits.
    """
    count = 0
    place = 0
    known = len(points)
    for symbol in range(len(table.symbols)):
        row = first[symbol]
        stop = table.first[symbol + 1]
        unit = table.unit[symbol]
        wish = opening[symbol]
        position = 0
        found.waiting[symbol] = 0
        while place < known and points[place] <= row:
            place += 1
        while row < stop:
            target = wish
            if (position > 0 and wish < 0) or (position < 0 and wish > 0):
                target = 0  # as the loop does: close first, open at the next turn
            change = target - position
            if change != 0:
                if row + 1 == stop:
                    found.waiting[symbol] = change
                    break
                side = 1 if change > 0 else -1
                quantity = side * change * 1_000_000_000
                reference = opens[place - 1] if place > 0 and points[place - 1] == row else table.open[row + 1]
                price = costs.price(side, reference)
                fee = costs.fee(price, quantity, unit)
                found.rows[count] = row + 1
                found.shares[count] = change
                found.flows[count] = exact.add(-side * exact.notional(price, quantity, unit), -fee, "cash")
                found.fees[count] = fee
                count += 1
                position = target
            if position != wish:
                row += 1
            elif place < known:
                row = points[place]
            else:
                row = stop
            if row < stop and place < known and points[place] == row:
                wish = targets[place]
                place += 1
        found.held[symbol] = position
    return count
