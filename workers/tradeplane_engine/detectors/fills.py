"""Fills and orders of a log against the bars: prices that a market could not have given at that instant.

- *early*: before the decision plus latency.
- *stale*: at a price of a bar that had ended when the order was decided.
- *outside*: beyond the lowest and highest price of its bar by more than the costs.
- *no data*: an order in a symbol of which no bar was known.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tradeplane_engine.core import kernel, log
from tradeplane_engine.data import series
from tradeplane_engine.detectors import findings, replays

DETECTOR = "fills"
EARLY = "is filled before its decision plus latency"
STALE = "is filled at a price of a bar that had ended when it was decided"
OUTSIDE = "is filled outside the prices of its bar"


def examine(run: kernel.Kernel, data: Sequence[series.Series], *, same_close: bool) -> list[findings.Finding]:
    """Return fills and orders that no market could have given; ``same_close`` allows fills at the deciding close."""
    found = replays.rows(run)
    kinds = found[:, 0]
    fills = _by_symbol(found, (kinds == log.FILL) & (found[:, 4] > 0), len(data))  # a delisting's is of no order
    orders = _by_symbol(found, kinds == log.ORDER, len(data))
    every = run.orders
    created = np.array([order.created for order in every], dtype=np.int64)
    live_from = np.array([order.live_from for order in every], dtype=np.int64)
    earliest = np.maximum(live_from, created + run.flow.latency)
    proofs: list[findings.Finding] = []
    for one, ordered, filled in zip(data, orders, fills, strict=True):
        proofs += _without_data(run, one, ordered)
        if len(filled) and len(one):
            ids = filled[:, 4] - 1
            # Bars do not bound what fills at quotes.
            quoted = run.market.quoted
            broken = {} if quoted else _impossible(run, one, filled, created[ids], same_close=same_close)
            broken[EARLY] = filled[:, 1] < earliest[ids]
            proofs += _proofs(run, one, filled, broken)
    return proofs


def _by_symbol(found: replays.Rows, wanted: npt.NDArray[np.bool_], symbols: int) -> list[replays.Rows]:
    """Return the wanted rows of each symbol, in their sequence."""
    places = np.flatnonzero(wanted)
    own = found[places, 3]
    order = np.argsort(own, kind="stable")
    bounds = np.searchsorted(own[order], np.arange(symbols + 1))
    return [found[places[order[first:last]]] for first, last in itertools.pairwise(bounds)]


def _without_data(run: kernel.Kernel, one: series.Series, orders: replays.Rows) -> Iterator[findings.Finding]:
    if len(orders) and (len(one) == 0 or orders[0, 1] < one.available_at[0]):
        name = run.slots[int(orders[0, 2])].name
        yield findings.at_bar(DETECTOR, name, one, -1, f"order {orders[0, 4]} in a symbol without data")


def _impossible(
    run: kernel.Kernel, one: series.Series, fills: replays.Rows, created: replays.Rows, *, same_close: bool
) -> dict[str, npt.NDArray[np.bool_]]:
    """Say of each fill of a symbol what is wrong with its bar; ``created`` is when its order was decided."""
    at = fills[:, 1]
    opened = np.searchsorted(one.start, at, side="right") - 1  # the bar whose open is now
    if ((opened >= 0) & (one.start[opened] == at) & (one.open[opened] == fills[:, 6])).all():
        nothing = np.zeros(len(fills), dtype=np.bool_)  # every fill is an open itself, as most are
        return {STALE: nothing, OUTSIDE: nothing}
    # The bar that ends now; the venue fills at its end, whenever it is known.
    closed = np.searchsorted(one.end, at, side="right") - 1
    opens = (opened >= 0) & (one.start[opened] == at)
    closes = (closed >= 0) & (one.end[closed] == at) & (one.end[closed] > created)
    if same_close:  # the close that decided is of the bar that became known now
        known = np.searchsorted(one.available_at, at, side="right") - 1
        decided = (known >= 0) & (one.available_at[known] == at) & (created == at)
        closed, closes = np.where(closes, closed, known), closes | decided
    inside_open, inside_close = (_inside(run, one, bars, fills) for bars in (opened, closed))
    stale = ~(opens | closes)
    return {STALE: stale, OUTSIDE: ~stale & ~((opens & inside_open) | (closes & inside_close))}


def _proofs(
    run: kernel.Kernel, one: series.Series, fills: replays.Rows, broken: dict[str, npt.NDArray[np.bool_]]
) -> Iterator[findings.Finding]:
    for text, those in broken.items():
        if those.any():
            row = fills[int(those.argmax())]
            at, name = int(row[1]), run.slots[int(row[2])].name
            bar = int(np.searchsorted(one.start, at, side="right")) - 1
            sentence = f"order {row[4]} {text}: {row[6]} at {findings.instant_text(at)}"
            yield findings.at_bar(DETECTOR, name, one, bar, sentence)


def _inside(
    run: kernel.Kernel, one: series.Series, bars: npt.NDArray[np.intp], fills: replays.Rows
) -> npt.NDArray[np.bool_]:
    """Say which fills lie within their bars, costs allowed against the trader only."""
    # Vendors' highs and lows may be wrong; then the open or close that a fill took is still a price of the bar.
    high = np.maximum(np.maximum(one.high[bars], one.open[bars]), one.close[bars])
    low = np.minimum(np.minimum(one.low[bars], one.open[bars]), one.close[bars])
    price, buys = fills[:, 6], fills[:, 5] > 0
    found: npt.NDArray[np.bool_] = (low <= price) & (price <= high)
    first = int(run.table.starts[run.table.ids[one.symbol]])
    for place in np.flatnonzero(~found).tolist():
        order, quantity = run.orders[int(fills[place, 4]) - 1], abs(int(fills[place, 5]))
        reference = int(high[place] if buys[place] else low[place])
        worst = run.market.price(order, reference, quantity, first + int(bars[place]))
        found[place] = high[place] < price[place] <= worst if buys[place] else worst <= price[place] < low[place]
    return found
