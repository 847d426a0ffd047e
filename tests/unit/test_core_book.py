"""A risk book through any sequence of orders, fills and prices, held to sums in plain integers."""

from array import array

import hypothesis.strategies as st
from hypothesis import stateful

from tradeplane_engine.core import exact, risk
from tradeplane_engine.core.ledger import Ledger

SYMBOLS = 4
UNIT = 10_000
SHARE = 10**9
CASH = 10**15

SIDES = st.sampled_from([1, -1])
NUMBERS = st.integers(0, SYMBOLS - 1)
QUANTITIES = st.one_of(st.integers(1, 500).map(lambda n: n * SHARE), st.integers(1, 3 * SHARE))
PRICES = st.integers(1, 3_000_000)


class Books(stateful.RuleBasedStateMachine):
    """One book, measured again and again: at one instant, after each change, and later at other prices."""

    def __init__(self) -> None:
        super().__init__()
        self.book = risk.Book(Ledger(CASH, array("q", [UNIT]) * SYMBOLS), [f"S{n}" for n in range(SYMBOLS)])
        self.prices = array("q", [0] * SYMBOLS)
        self.instant = 0
        self.held = [0] * SYMBOLS
        self.open: list[tuple[int, int, int]] = []

    def working(self, symbol: int, side: int) -> int:
        """Quantity that works on a side."""
        return sum(quantity for number, each, quantity in self.open if (number, each) == (symbol, side))

    @stateful.rule(symbol=NUMBERS, price=PRICES)
    def a_bar_becomes_known(self, symbol: int, price: int) -> None:
        """Another instant, another price."""
        self.instant += 1
        self.prices[symbol] = price
        self.book.ledger.mark(symbol, price)
        self.book.observe()

    @stateful.rule(symbol=NUMBERS, side=SIDES, quantity=QUANTITIES)
    def an_order_is_accepted(self, symbol: int, side: int, quantity: int) -> None:
        """It works, and is one of the open ones."""
        self.open.append((symbol, side, quantity))
        self.book.adopt(symbol, side, quantity, self.prices[symbol])

    @stateful.precondition(lambda self: self.open)
    @stateful.rule(data=st.data(), part=st.integers(1, 4))
    def an_order_fills(self, data: st.DataObject, part: int) -> None:
        """A part of it, or all."""
        place = data.draw(st.integers(0, len(self.open) - 1))
        symbol, side, quantity = self.open.pop(place)
        filled = quantity if part == 1 else max(quantity // part, 1)
        if filled < quantity:
            self.open.insert(place, (symbol, side, quantity - filled))
        else:
            self.book.released()
        self.held[symbol] += side * filled
        self.book.ledger.fill(symbol, side * filled, self.prices[symbol] or 1, 0)
        self.book.ledger.mark(symbol, self.prices[symbol])
        self.book.working(symbol, side, -filled)

    @stateful.precondition(lambda self: self.open)
    @stateful.rule(data=st.data())
    def an_order_is_cancelled(self, data: st.DataObject) -> None:
        """What is left of it works no more."""
        symbol, side, quantity = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.book.working(symbol, side, -quantity)
        self.book.released()

    @stateful.rule()
    def it_is_measured(self) -> None:
        """Again and again at one instant."""
        self.book.measure(self.instant, self.prices)

    @stateful.invariant()
    def sums_are_those_of_plain_integers(self) -> None:
        """Once measured; an order that is accepted afterwards is in the sums at once."""
        book = self.book
        assert book.open_orders == len(self.open)
        for symbol in range(SYMBOLS):
            assert book.highest(symbol) == self.held[symbol] + self.working(symbol, 1)
            assert book.lowest(symbol) == self.held[symbol] - self.working(symbol, -1)
        if book.measured != self.instant:
            return
        gross = highest = lowest = positions = 0
        squares = [0] * SYMBOLS
        unpriced = []
        for symbol, price in enumerate(self.prices):
            high, low = book.highest(symbol), book.lowest(symbol)
            worst = max(abs(high), abs(low))
            exposure = -(-worst * price // UNIT)
            assert book.exposure(symbol) == exposure
            squares[symbol] = exposure**2
            gross += exposure
            highest += exact.notional(price, high, UNIT)
            lowest += exact.notional(price, low, UNIT)
            if worst and not price:
                unpriced.append(symbol)
        positions = sum(bool(book.highest(n) or book.lowest(n)) for n in range(SYMBOLS) if self.prices[n])
        assert (book.gross, book.highest_total, book.lowest_total) == (gross, highest, lowest)
        assert (book.unpriced in unpriced) if unpriced else book.unpriced == -1
        if not unpriced:  # else nothing is asked of them
            assert book.positions == positions
            assert book.exact_squares(0, 7) == sum(squares[1:]) + 49


TestBooks = Books.TestCase
