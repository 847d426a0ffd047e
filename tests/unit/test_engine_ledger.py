import json
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_data
from tradeplane_engine import errors, ledger
from tradeplane_engine.domain import numbers, orders

START = numbers.money("100000")
PRICES = {"AAA": engine_data.bar("AAA", price="110"), "BBB": engine_data.bar("BBB", price="50")}


def booked(*fills: orders.Fill) -> ledger.Ledger:
    """Ledger after some fills."""
    found = ledger.Ledger(START, engine_data.REALISTIC)
    for fill in fills:
        found.apply(fill)
    return found


def test_a_round_trip_realises_its_profit() -> None:
    """100 shares bought at 100 and sold at 110 gain 1000."""
    found = booked(engine_data.fill("buy", 100, "100"), engine_data.fill("sell", 100, "110"))
    assert (found.realised, found.cash_before_fees, found.positions) == (
        numbers.money("1000"),
        numbers.money("101000"),
        {},
    )


def test_a_partial_sale_realises_at_average_cost() -> None:
    """Half of 100 at 100 and 100 at 120 was bought at 110."""
    found = booked(
        engine_data.fill("buy", 100, "100"), engine_data.fill("buy", 100, "120"), engine_data.fill("sell", 100, "115")
    )
    assert found.realised == numbers.money("500")
    assert found.positions["AAA"] == ledger.Position(engine_data.shares(100), numbers.money("11000"))


def test_a_short_gains_when_the_price_falls() -> None:
    """Sold at 100, bought back at 90."""
    assert booked(engine_data.fill("sell", 10, "100"), engine_data.fill("buy", 10, "90")).realised == numbers.money(
        "100"
    )


def test_a_fill_that_crosses_zero_opens_at_its_price() -> None:
    """Long 10 at 100, sell 15 at 110: 100 realised, short 5 at 110."""
    found = booked(engine_data.fill("buy", 10, "100"), engine_data.fill("sell", 15, "110"))
    assert found.realised == numbers.money("100")
    assert found.positions["AAA"] == ledger.Position(engine_data.shares(-5), numbers.money("-550"))


def test_fees_are_booked_by_day_and_kind_rounded_up() -> None:
    """Two days of tiny fees are a cent per kind and day."""
    found = booked(
        engine_data.fill("sell", 1, "1", session="2020-01-02"),
        engine_data.fill("sell", 1, "1", session="2020-01-02"),
        engine_data.fill("sell", 1, "1", session="2020-01-03"),
    )
    cent = numbers.ONE_CENT
    assert found.day_fees("2020-01-02") == {"CAT": cent, "SEC": cent, "TAF": cent}
    assert found.fees_booked == 6 * cent
    assert found.cash == found.cash_before_fees - 6 * cent


def test_equity_of_an_account_uses_fees_as_booked() -> None:
    """Cash plus the position at its last close, less booked fees."""
    found = booked(engine_data.fill("buy", 100, "100"))
    assert found.equity(PRICES) == numbers.money("101000") - numbers.ONE_CENT


def test_equity_of_a_strategy_uses_exact_fees() -> None:
    """The sub-ledger carries 0.0003 USD, not a cent."""
    found = booked(engine_data.fill("buy", 100, "100"))
    assert found.fees_exact == Fraction("0.0003") * 10**9
    assert found.equity_exact_fees(PRICES) == numbers.money("100999.9997")


def test_a_new_capital_moves_a_strategys_equity() -> None:
    """An edit of the capital keeps the P&L."""
    found = booked(engine_data.fill("buy", 100, "100"))
    assert found.equity_exact_fees(PRICES, capital=numbers.money("5000")) == numbers.money("5999.9997")


def test_equity_is_unknown_while_a_held_symbol_has_no_price() -> None:
    """Nothing is guessed."""
    found = booked(engine_data.fill("buy", 1, "100", symbol="ZZZ"))
    assert found.equity(PRICES) is None
    assert found.equity_exact_fees(PRICES) is None


def test_a_split_changes_shares_and_not_value() -> None:
    """2:1 doubles the shares at the same cost; equity is continuous at half the price."""
    found = booked(engine_data.fill("buy", 100, "220"))
    before = found.equity({"AAA": engine_data.bar("AAA", price="220")})
    found.split("AAA", (2, 1))
    assert found.quantity("AAA") == engine_data.shares(200)
    assert found.equity({"AAA": engine_data.bar("AAA", price="110")}) == before
    found.check_conservation()


def test_what_was_sold_is_worth_nothing() -> None:
    """Equity after the last share went is cash, whatever the position was worth when it was last valued."""
    found = booked(engine_data.fill("buy", 100, "100"))
    prices = {"AAA": engine_data.bar("AAA", price="110")}
    assert found.equity(prices) == found.cash + numbers.money("11000")
    found.apply(engine_data.fill("sell", 100, "110"))
    assert found.equity(prices) == found.equity({}) == found.cash


def test_what_a_reverse_split_drops_is_realised() -> None:
    """A position that becomes nothing leaves its cost in the realised P&L."""
    found = booked(engine_data.fill("buy", "0.000000001", "100"))
    found.split("AAA", (1, 10))
    assert found.positions == {}
    found.check_conservation()


def test_a_broken_ledger_is_noticed() -> None:
    """A cost that no fill led to fails the conservation check, and so does money that none moved."""
    found = booked(engine_data.fill("buy", 100, "100"))
    found._books.costs[0] += 1
    with pytest.raises(errors.LedgerBroken, match="costs"):
        found.check_conservation()


def test_symbols_come_as_they_are_traded() -> None:
    """However many: each has its own position, and the books still add up."""
    names = [f"S{number}" for number in range(100)]
    found = booked(*(engine_data.fill("buy", n + 1, "100", symbol=name) for n, name in enumerate(names)))
    assert found.quantities == {name: engine_data.shares(n + 1) for n, name in enumerate(names)}
    found.check_conservation()
    prices = {name: engine_data.bar(name, price="100") for name in names}
    assert found.equity(prices) == found.cash + numbers.money("505000")


def test_a_lost_fee_is_noticed() -> None:
    """Running sums are compared with their parts."""
    found = booked(engine_data.fill("sell", 100, "100"))
    found._fees._days["2020-01-02"].pop("SEC")
    with pytest.raises(errors.LedgerBroken, match="fees"):
        found.check_conservation()


FILLS = st.builds(
    engine_data.fill,
    st.sampled_from(["buy", "sell"]),
    st.decimals("0.000000001", "5000", places=9).filter(bool).map(str),
    st.decimals("0.0001", "900", places=4).filter(bool).map(str),
    symbol=st.sampled_from(["AAA", "BBB"]),
    session=st.sampled_from(["2020-01-02", "2020-01-03"]),
)
SPLITS = st.tuples(st.sampled_from(["AAA", "BBB"]), st.sampled_from([(2, 1), (1, 10), (7, 1), (3, 2)]))


@given(st.lists(FILLS | SPLITS, max_size=30))
def test_money_is_conserved(events: list[orders.Fill | tuple[str, tuple[int, int]]]) -> None:
    """After any fills and splits, with fractional shares: cash, realised P&L and cost add up to the last unit."""
    found = ledger.Ledger(START, engine_data.REALISTIC)
    for event in events:
        if isinstance(event, orders.Fill):
            found.apply(event)
        else:
            found.split(*event)
        found.check_conservation()


@given(st.lists(FILLS, max_size=20))
def test_sub_ledgers_sum_to_the_account(fills: list[orders.Fill]) -> None:
    """However fills are spread over strategies, shares and cash before fees add up to the account's."""
    whole = ledger.Ledger(START, engine_data.REALISTIC)
    parts = [ledger.Ledger(numbers.Money(0), engine_data.REALISTIC) for _ in range(3)]
    for number, fill in enumerate(fills):
        whole.apply(fill)
        parts[number % 3].apply(fill)
    for symbol in ("AAA", "BBB"):
        assert sum(part.quantity(symbol) for part in parts) == whole.quantity(symbol)
    assert START + sum(part.cash_before_fees for part in parts) == whole.cash_before_fees
    assert sum(part.fees_exact for part in parts) == whole.fees_exact


@given(st.lists(FILLS, max_size=12), st.randoms())
def test_the_order_of_fills_changes_neither_cash_nor_shares(fills: list[orders.Fill], source: random.Random) -> None:
    """Equity, cash and positions are sums."""
    shuffled = list(fills)
    source.shuffle(shuffled)
    one, two = booked(*fills), booked(*shuffled)
    assert (one.cash, one.quantities, one.equity(PRICES)) == (two.cash, two.quantities, two.equity(PRICES))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["AAA", "BBB"]), st.sampled_from(["buy", "sell"]), st.integers(1, 500), st.integers(1, 900)
        ),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_a_ledger_goes_on_from_its_state(traded: list[tuple[str, str, int, int]], place: int) -> None:
    """Interrupted anywhere, through JSON, it ends where one that was not interrupted does."""
    fills = [
        engine_data.fill(side, quantity, str(price), symbol=symbol, session=f"2020-01-{1 + number // 5:02}")
        for number, (symbol, side, quantity, price) in enumerate(traded)
    ]
    whole, before = booked(*fills), booked(*fills[:place])
    before.equity(PRICES)
    after = ledger.Ledger.resumed(START, engine_data.REALISTIC, json.loads(json.dumps(before.state)))
    for fill in fills[place:]:
        after.apply(fill)
    after.check_conservation()
    assert after.state == whole.state
    assert (after.equity(PRICES), after.equity_exact_fees(PRICES)) == (
        whole.equity(PRICES),
        whole.equity_exact_fees(PRICES),
    )
