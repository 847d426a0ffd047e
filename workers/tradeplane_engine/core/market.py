"""The market of a backtest: open orders by symbol, which bar may fill which of them, and at what price.

A bar acts up to three times: at its open, on its path to the close, and at its close. The market answers questions
(who takes part, is an order reached, what does it pay, how much volume is left) and changes nothing but its lists and
the volume that was taken; :mod:`~tradeplane_engine.core.flow` books what comes of it.
"""

from array import array
from collections.abc import Sequence
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.core import exact, tradable, venue_settings
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.costs import Costs
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.table import Table
from tradeplane_engine.core.venue_settings import Venue
from tradeplane_engine.data.quotes import Quotes

_SHARE = 1_000_000_000


class Market:
    """Open orders of one account.

    Parameters
    ----------
    table : the bars
    costs : spread and commission
    venue : how it fills
    quotes : that orders fill at, with ``fill_at`` book

    Attributes
    ----------
    books : open orders per symbol, in the sequence of their ids; a held leg is in none
    waiting : number of orders per symbol; ``total`` of all
    reached : where on the path the order was reached that :meth:`next` returned
    quoted : whether orders fill at quotes, and bars fill none
    """

    __slots__ = (
        *(
            "_budget",
            "_budget_row",
            "_extended",
            "_flags",
            "_session",
            "books",
            "costs",
            "fill_at",
            "impact",
            "limited",
            "marked",
        ),
        *("participation", "path", "plain", "reached", "session", "table", "taker", "total", "touch", "volume_share"),
        *("_ask", "_ask_left", "_ask_size", "_bid", "_bid_left", "_bid_size", "_halts", "_standing"),
        *("quoted", "waiting", "whole_shares"),
    )

    def __init__(self, table: Table, costs: Costs, venue: Venue, quotes: Quotes | None = None) -> None:
        self.table = table
        self.costs = costs
        self.quoted = quotes is not None
        if self.quoted != (venue.fill_at == "book"):
            raise errors.ValueRefused("quotes", "given with fill_at book, and only then", venue.fill_at)
        try:
            self.taker = Costs(venue.slippage_bps if self.quoted else costs.half_spread_bps + venue.slippage_bps)
        except errors.ValueRefused as error:
            raise errors.ValueRefused("slippage_bps", f"with half_spread_bps {error.limit}", error.value) from error
        self.fill_at = venue_settings.FILL_AT.index(venue.fill_at)
        self.path = venue_settings.PATHS.index(venue.path)
        self.touch = venue.limit_rule == "touch"
        self.participation = venue.participation
        self.limited = venue.participation is not None
        self.whole_shares = venue.whole_shares
        self.volume_share = venue.volume_share
        self.impact = venue.impact
        self.plain = venue.volume_share is None and venue.impact is None
        symbols = len(table.symbols)
        self.books: list[list[Order]] = [[] for _ in range(symbols)]
        self.waiting = array("i", bytes(4 * symbols))
        self.total = 0
        self.reached = 0
        self._extended = False  # whether the path that is being walked is one of extended hours
        self._budget = array("q", bytes(8 * symbols))
        self._budget_row = array("q", [-1] * symbols)
        self._standing = array("q", [-1] * symbols)  # the quote that stands, per symbol
        self._bid_left = array("q", bytes(8 * symbols))  # of its sizes
        self._ask_left = array("q", bytes(8 * symbols))
        self._halts: list[Sequence[tuple[int, int]]] = []
        if quotes is not None:
            self._bid, self._ask = quotes.bid.data, quotes.ask.data
            self._bid_size, self._ask_size = quotes.bid_size.data, quotes.ask_size.data
            self._halts = tradable.closed(table, venue.halts)
        self.marked = not self.quoted and (venue.sessions is not None or bool(venue.halts))
        if self.marked:
            flags, session = tradable.marks(table, venue.sessions, venue.halts)
            self._flags = flags.data
            self._session = session.data

    def add(self, order: Order) -> None:
        """Let an order wait; orders of a symbol keep the sequence of their ids."""
        self.books[order.symbol].append(order)
        self.waiting[order.symbol] += 1
        self.total += 1

    def remove(self, order: Order) -> None:
        """Take an order out; raises LedgerBroken for one that does not wait."""
        book = self.books[order.symbol]
        for place in range(len(book)):
            if book[place] is order:
                del book[place]
                self.waiting[order.symbol] -= 1
                self.total -= 1
                return
        raise errors.LedgerBroken(f"order {order.id}: ends, and does not wait")

    def flags(self, row: int) -> int:
        """Say what a bar cannot fill, as flags of :mod:`~tradeplane_engine.core.tradable`."""
        return self._flags[row] if self.marked else 0

    # Who takes part.

    def at_open(self, symbol: int, row: int, found: list[Order]) -> None:
        """Add the orders that meet the open of a bar; a halt leaves those that must trade at once or never."""
        start = self.table.start[row]
        flags = self.flags(row)
        if flags & tradable.OUTSIDE:
            return
        for order in self.books[symbol]:
            if order.live_from > start or (flags & tradable.EXTENDED and not order.extended_hours):
                continue
            tif = order.time_in_force
            if tif == orders.OPG:
                takes_part = self._session[row] == order.session
            elif tif == orders.CLS:
                takes_part = False
            elif tif >= orders.IOC:
                takes_part = self.fill_at == venue_settings.NEXT_OPEN
            else:
                takes_part = order.kind != orders.MARKET or self.fill_at == venue_settings.NEXT_OPEN
            if takes_part and (not flags & tradable.NO_OPEN or tif >= orders.IOC):
                order.row = row
                found.append(order)

    def at_reopening(self, symbol: int, row: int, found: list[Order]) -> None:
        """Add the orders that meet the open of a bar that began in a halt and ended after it."""
        start = self.table.start[row]
        flags = self.flags(row)
        for order in self.books[symbol]:
            if order.live_from > start or (flags & tradable.EXTENDED and not order.extended_hours):
                continue
            tif = order.time_in_force
            if tif == orders.OPG:
                takes_part = self._session[row] == order.session
            else:
                takes_part = tif <= orders.GTC and (
                    order.kind != orders.MARKET or self.fill_at == venue_settings.NEXT_OPEN
                )
            if takes_part:
                order.row = row
                found.append(order)

    def at_close(self, symbol: int, row: int, found: list[Order]) -> None:
        """Add the orders that meet the close of a bar: what came before it and wants a close."""
        end = self.table.end[row]
        flags = self.flags(row)
        if flags & (tradable.NO_CLOSE | tradable.EXTENDED):  # what wants a close wants a session's
            return
        for order in self.books[symbol]:
            tif = order.time_in_force
            if order.live_from >= end or tif == orders.OPG:
                continue
            if tif == orders.CLS:
                takes_part = flags & tradable.CLOSING != 0 and self._session[row] == order.session
            else:
                takes_part = self.fill_at != venue_settings.NEXT_OPEN and (
                    order.kind == orders.MARKET or tif >= orders.IOC
                )
            if takes_part:
                order.row = row
                found.append(order)

    def _on_path(self, order: Order, start: int) -> bool:
        if order.live_from > start or order.kind == orders.MARKET or order.time_in_force > orders.GTC:
            return False
        if self._extended and not order.extended_hours:
            return False
        return not (order.triggered and order.kind != orders.STOP_LIMIT)  # what remains of it waits for an open

    # Quotes.

    def show(self, symbol: int, quote: int) -> None:
        """Let a quote stand in the place of the one before."""
        self._standing[symbol] = quote
        self._bid_left[symbol] = self._bid_size[quote]
        self._ask_left[symbol] = self._ask_size[quote]

    def offer(self, order: Order, now: int) -> int:
        """Price that an order meets now: of the standing quote's other side, 0 where nobody quotes or trades."""
        quote = self._standing[order.symbol]
        if quote < 0 or self.size(order) == 0:
            return 0
        for begin, stop in self._halts[order.symbol]:
            if begin <= now < stop:
                return 0
        return self._ask[quote] if order.side > 0 else self._bid[quote]

    def size(self, order: Order) -> int:
        """What is left of the standing quote's size for an order, 1e-9 shares."""
        return self._ask_left[order.symbol] if order.side > 0 else self._bid_left[order.symbol]

    def use(self, order: Order, quantity: int) -> None:
        """Take so much of the standing quote's size."""
        if order.side > 0:
            self._ask_left[order.symbol] -= quantity
        else:
            self._bid_left[order.symbol] -= quantity

    # Whether it trades.

    def meets(self, order: Order, price: int) -> bool:
        """Say whether an order trades where the market is at a price; a stop that is reached is triggered."""
        if order.kind == orders.MARKET:
            return True
        if order.kind != orders.LIMIT and not order.triggered:
            if order.kind == orders.TRAILING_STOP:
                order.trail_from(price)
            if price < order.stop if order.side > 0 else price > order.stop:
                return False
            order.trigger()
        if order.kind == orders.LIMIT or order.kind == orders.STOP_LIMIT:  # noqa: PLR1714 - two C comparisons
            edge = self._edge(order)
            return price <= edge if order.side > 0 else price >= edge
        return True

    def _edge(self, order: Order) -> int:
        """Price that the market must reach: an untriggered stop itself, one unit beyond a limit or the limit."""
        if order.kind == orders.LIMIT or order.triggered:
            # At a quote that stands when it comes a limit trades at once; one that rests waits as with bars.
            at_once = self.touch or (self.quoted and not order.resting)
            return order.limit if at_once else order.limit - order.side
        return order.stop

    def stirs(self, symbol: int, row: int) -> int:
        """Say what a bar's path does to waiting orders: 0 nothing, 1 the same in any order, 2 it depends on the path.

        An order that the bar does not reach is noted as resting.
        """
        start, high, low = self.table.start[row], self.table.high[row], self.table.low[row]
        self._extended = self.flags(row) & tradable.EXTENDED != 0
        found = 0
        for order in self.books[symbol]:
            if not self._on_path(order, start):
                continue
            if order.kind == orders.TRAILING_STOP:
                return 2
            edge = self._edge(order)
            reached = low <= edge if self._falls_to(order) else high >= edge
            if not reached:
                order.resting = True
            elif order.legs or order.kind == orders.STOP_LIMIT:
                return 2
            else:
                found += 1
        return min(found, 2)

    def _falls_to(self, order: Order) -> bool:
        """Say whether a falling market reaches the order: a limit to buy, a stop to sell."""
        if order.kind == orders.LIMIT or order.triggered:
            return order.side > 0
        return order.side < 0

    def next(self, book: list[Order], row: int, position: int, target: int) -> Order | None:
        """Return the first order that the market reaches between two prices of the path, and set ``reached``.

        Of several at one price the one with the smallest id comes first. One that the venue has not tested yet and
        that does not trade where the market is, rests from now on.
        """
        start = self.table.start[row]
        best = None
        nearest = orders.NEVER
        exhausted = self.left(row) == 0
        for order in book:
            if not self._on_path(order, start):
                continue
            if exhausted and (order.kind == orders.LIMIT or order.triggered):
                continue
            edge = self._edge(order)
            if self._falls_to(order):
                at_once, reached = position <= edge, target <= edge
            else:
                at_once, reached = position >= edge, target >= edge
            if at_once:
                distance = 0
            else:
                order.resting = True
                if not reached:
                    continue
                distance = abs(edge - position)
            if distance < nearest:
                nearest = distance
                best = order
                self.reached = position if at_once else edge
        return best

    def drift(self, book: list[Order], row: int, price: int) -> None:
        """Let trailing stops see where the path has come to."""
        start = self.table.start[row]
        for order in book:
            if order.kind == orders.TRAILING_STOP and self._on_path(order, start):
                order.trail_from(price)

    # How much, and at what price.

    def left(self, row: int) -> int:
        """Quantity that the account may still trade of a bar's volume."""
        if not self.limited:
            return orders.NEVER
        symbol = self.table.symbol_of[row]
        if self._budget_row[symbol] != row:
            self._budget_row[symbol] = row
            self._budget[symbol] = self._share_of(self.table.volume[row])
        return self._budget[symbol]

    def take(self, row: int, quantity: int) -> None:
        """Use volume of a bar; a negative quantity gives it back."""
        if self.limited:
            self._budget[self.table.symbol_of[row]] -= quantity

    def _share_of(self, volume: int) -> int:
        part = volume * (self.participation or 0)
        shares = int(part) * _SHARE if self.whole_shares else int(part * _SHARE)
        return min(shares, orders.NEVER)

    def price(self, order: Order, reference: int, quantity: int, row: int) -> int:
        """Price of a fill that takes liquidity at ``reference``, never beyond the order's limit."""
        found = self.taker.price(order.side, reference)
        if not self.plain:
            found = self._moved(order.side, found, quantity, self.table.volume[row])
        if order.limit and (found > order.limit if order.side > 0 else found < order.limit):
            return order.limit
        return found

    def _moved(self, side: int, price: int, quantity: int, volume: int) -> int:
        """Move a price by what the trade itself does to it, rounded against the trader."""
        moved = price
        if self.volume_share is not None:
            share = min(Fraction(quantity, volume * _SHARE), Fraction(1)) if volume else Fraction(1)
            distance = moved * self.volume_share * share * share
            moved += side * -(-distance.numerator // distance.denominator)
            moved = max(moved, 1)
        if self.impact is not None:
            units = self.impact(side, quantity, volume, moved)
            if isinstance(units, bool) or not isinstance(units, int) or units < 0:
                raise errors.ValueRefused("impact", "an int of 0 or more price units", units)
            moved += side * units
        return exact.fit(max(moved, 1), "price")
