from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.core.ledger import Ledger

USD = 10**9
SHARE = 10**9
UNIT = 10**4
CASH = 1_000_000 * USD

fills = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(-(10**12), 10**12).filter(bool),
        st.integers(1, 10**8),
        st.integers(0, 10**9),
    ),
    max_size=30,
)


def ledger() -> Ledger:
    """A ledger of two symbols."""
    return Ledger(CASH, array("q", (UNIT, UNIT)))


@given(fills)
def test_cash_and_positions_are_the_sums_of_the_fills(entries: list[tuple[int, int, int, int]]) -> None:
    """Every fill moves its rounded value and its fee, and nothing else does."""
    one, cash, held = ledger(), CASH, [0, 0]
    for symbol, signed, price, fee in entries:
        one.fill(symbol, signed, price, fee)
        cash -= round(Fraction(price * signed, UNIT)) + fee
        held[symbol] += signed
        assert (one.cash, list(one.quantities)) == (cash, held)
        one.check()


@given(fills, st.integers(1, 10**8))
def test_equity_is_what_selling_everything_at_the_marks_would_leave(
    entries: list[tuple[int, int, int, int]], price: int
) -> None:
    """Cash, realised and unrealised P&L tell one story: after closing at the marks nothing is left open."""
    one = ledger()
    for symbol, signed, at, fee in entries:
        one.fill(symbol, signed, at, fee)
    for symbol in (0, 1):
        one.mark(symbol, price)
    before = one.equity()
    for symbol, quantity in enumerate(list(one.quantities)):
        if quantity:
            one.fill(symbol, -quantity, price, 0)
            one.mark(symbol, price)
    assert (one.equity(), one.cash) == (before, before)
    assert list(one.costs) == [0, 0]
    assert one.cash == CASH + one.realised - one.fees


def test_a_partial_close_realises_its_share_of_the_cost() -> None:
    """Sell 4 of 10 that cost 100 each, at 110."""
    one = ledger()
    assert one.fill(0, 10 * SHARE, 100 * UNIT, USD) == 0
    assert one.fill(0, -4 * SHARE, 110 * UNIT, USD) == 40 * USD
    assert (one.costs[0], one.fees) == (600 * USD, 2 * USD)


def test_crossing_zero_realises_all_and_opens_the_rest() -> None:
    """Sell 15 of 10: ten are realised, five are short at the new price."""
    one = ledger()
    one.fill(0, 10 * SHARE, 10 * UNIT, 0)
    assert one.fill(0, -15 * SHARE, 12 * UNIT, 0) == 20 * USD
    assert (one.quantities[0], one.costs[0]) == (-5 * SHARE, -60 * USD)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "first, second, cost, realised",
    [
        ((3, 100), (2, 150), 100, 100),
        ((3, 100), (3, 150), 0, 150),
        ((1, 100), (2, 150), -150, 50),
        ((2, 9), (3, 4), -4, -10),
    ],
)
def test_the_smallest_rests_keep_their_cost(
    sign: int, first: tuple[int, int], second: tuple[int, int], cost: int, realised: int
) -> None:
    """Long and short, down to a position of 1e-9 share on either side of nothing."""
    one = Ledger(CASH, array("q", (1,)))
    one.fill(0, sign * first[0], first[1], 0)
    assert one.fill(0, -sign * second[0], second[1], 0) == sign * realised
    assert one.costs[0] == sign * cost


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.sampled_from((1, -1)))
def test_a_split_changes_no_cash_and_no_cost(quantity: int, after: int, sign: int) -> None:
    """Only a position cut to nothing is realised."""
    one = ledger()
    one.fill(0, sign * quantity, 50 * UNIT, 0)
    cash, cost = one.cash, one.costs[0]
    one.split(0, sign * after, 50 * UNIT)
    assert one.quantities[0] == sign * after
    assert one.cash == cash
    assert (one.costs[0], one.realised) == ((cost, 0) if after else (0, -cost))


def test_a_dividend_is_an_entry_of_its_own() -> None:
    """It is neither realised P&L nor a negative fee."""
    one = ledger()
    one.book(3 * USD, "dividend")
    one.book(-2 * USD, "fees")
    assert (one.cash - CASH, one.other, one.fees, one.realised) == (USD, 3 * USD, 2 * USD, 0)


def test_an_overflow_is_refused_by_name_and_books_nothing_half() -> None:
    """A value beyond 64 bits of 1e-9 USD raises before the position changes."""
    one = ledger()
    with pytest.raises(errors.Overflow, match="notional"):
        one.fill(0, 9 * 10**18, 10**9, 0)
    assert (one.cash, one.quantities[0], one.fills) == (CASH, 0, 0)
    one.check()


def test_an_overflow_of_the_cash_books_nothing_half() -> None:
    """The value fits, the cash after it does not."""
    one = ledger()
    one.fill(0, SHARE, UNIT, 9 * 10**18)
    before = (one.cash, one.realised, one.cost_total, one.fees, one.quantities[0])
    with pytest.raises(errors.Overflow, match="cash"):
        one.fill(0, SHARE, UNIT, 9 * 10**18)
    assert (one.cash, one.realised, one.cost_total, one.fees, one.quantities[0]) == before
    one.check()


def test_further_symbols_change_nothing_of_those_there_are() -> None:
    """Positions, costs, marks and what a price moves stay; the new symbols have room for all of it."""
    one = ledger()
    one.fill(0, 10 * SHARE, 100 * UNIT, 0)
    one.fill(1, SHARE // 2, 7 * UNIT, 0)
    one.mark(0, 110 * UNIT)
    one.mark(1, 7 * UNIT)
    worth = one.worth_total
    one.widen(array("q", (UNIT, UNIT, 10**2, UNIT)))
    assert list(one.quantities) == [10 * SHARE, SHARE // 2, 0, 0]
    assert list(one.costs) == [1000 * USD, 7 * USD // 2, 0, 0]
    one.fill(2, -3 * SHARE, 500, 0)
    one.mark(2, 600)
    assert one.worth_total == worth - 18 * USD
    one.mark(0, 120 * UNIT)
    one.mark(1, 8 * UNIT)
    assert one.worth_total == 1200 * USD + 4 * USD - 18 * USD
    assert one.fill(0, -10 * SHARE, 120 * UNIT, 0) == 200 * USD
    assert one.fills == 4


MOST = 2**63 - 1


def at_the_edge(starting: int, *fills: tuple[int, int, int, int]) -> Ledger:
    """A ledger after some fills (symbol, signed quantity, price, fee); a share of 1e-9 is worth its price."""
    one = Ledger(starting, array("q", (1, 1)))
    for fill in fills:
        one.fill(*fill)
    return one


@pytest.mark.parametrize(
    "field, starting, fills, last, beyond",
    [
        ("position", 0, [(0, MOST - 1, 0, 0)], (0, 1, 0, 0), (0, 2, 0, 0)),
        ("position", 0, [(0, 1 - MOST, 0, 0)], (0, -1, 0, 0), (0, -2, 0, 0)),
        ("cost", MOST, [(0, 1, MOST - 1, 0)], (0, 1, 1, 0), (0, 1, 2, 0)),
        ("cost", -MOST, [(0, -1, MOST - 1, 0)], (0, -1, 1, 0), (0, -1, 2, 0)),
        ("cost", MOST, [(0, 1, MOST - 1, 0)], (1, 1, 1, 0), (1, 1, 2, 0)),
        ("cost", -MOST, [(0, -1, MOST - 1, 0)], (1, -1, 1, 0), (1, -1, 2, 0)),
        ("cash", MOST - 1, [], (0, -1, 1, 0), (0, -1, 2, 0)),
        ("cash", 1 - MOST, [], (0, 1, 1, 0), (0, 1, 2, 0)),
        ("fees", MOST, [(0, 1, 0, MOST - 1)], (0, 1, 0, 1), (0, 1, 0, 2)),
        ("fees", -MOST, [(0, 1, 0, 1 - MOST)], (0, 1, 0, -1), (0, 1, 0, -2)),
        ("realised", -MOST, [(0, 1, 0, 0), (0, -1, MOST - 1, 0), (0, 1, 0, 0)], (0, -1, 1, 0), (0, -1, 2, 0)),
        ("realised", MOST, [(0, 1, MOST - 1, 0), (0, -1, 0, 0), (0, 1, 2, 0)], (0, -1, 1, 0), (0, -1, 0, 0)),
    ],
)
def test_the_last_that_fits_is_booked_and_the_next_is_refused(
    field: str,
    starting: int,
    fills: list[tuple[int, int, int, int]],
    last: tuple[int, int, int, int],
    beyond: tuple[int, int, int, int],
) -> None:
    """Every sum of a fill has 64 bits; what leaves them is named, and nothing of the fill is booked."""
    at_the_edge(starting, *fills, last).check()
    one = at_the_edge(starting, *fills)
    before = (one.cash, one.realised, one.cost_total, one.fees, one.fills, *one.quantities, *one.costs)
    with pytest.raises(errors.Overflow, match=field):
        one.fill(*beyond)
    assert before == (one.cash, one.realised, one.cost_total, one.fees, one.fills, *one.quantities, *one.costs)
    one.check()


@pytest.mark.parametrize("sign", [1, -1])
def test_what_positions_are_worth_has_64_bits_too(sign: int) -> None:
    """One position, all of them together, and the equity, to the last unit."""
    one = at_the_edge(0, (0, sign * 2, 0, 0), (1, sign, 0, 0))
    one.mark(0, (MOST - 1) // 2)
    one.mark(1, 1)
    assert one.worth_total == one.equity() == sign * MOST
    with pytest.raises(errors.Overflow, match="worth"):
        one.mark(1, 2)
    assert one.worth_total == sign * MOST
    one.book(sign, "dividend")
    with pytest.raises(errors.Overflow, match="equity"):
        one.equity()
    one.book(-sign, "dividend")
    with pytest.raises(errors.Overflow, match="notional"):
        one.mark(0, MOST // 2 + 1)
    assert one.equity() == sign * MOST


def test_a_split_marks_what_it_leaves() -> None:
    """At the price that it names, and a position of nothing stays nothing."""
    one = ledger()
    one.split(0, 0, 50 * UNIT)
    assert (one.worth_total, one.costs[0]) == (0, 0)
    one.fill(0, 10 * SHARE, 50 * UNIT, 0)
    one.split(0, 20 * SHARE, 26 * UNIT)
    assert (one.worth_total, one.equity()) == (520 * USD, CASH + 20 * USD)
    one.split(1, 3 * SHARE, 2 * UNIT)
    assert (one.quantities[1], one.worth_total) == (3 * SHARE, 526 * USD)
