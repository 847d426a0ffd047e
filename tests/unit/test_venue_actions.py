"""Corporate actions: what each does to a position, an open order and the cash."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.venue import actions

ONE = numbers.ONE_SHARE
EX, PAY = times.instant("2020-08-31T13:30:00Z"), times.instant("2020-09-15T13:30:00Z")
BUY, SELL = orders.Side.BUY, orders.Side.SELL
FOUR_FOR_ONE = actions.Split("AAPL", EX, 4, 1)
ONE_FOR_TEN = actions.Split("AAPL", EX, 1, 10)
DIVIDEND = actions.Dividend("AAPL", EX, numbers.money("0.205"))
RENAME = actions.Rename("AAPL", EX, "APPL")
GONE = actions.Delisting("AAPL", EX, numbers.money("3.50"))


def held(shares: str, cost: str) -> actions.Holding:
    """A position."""
    return actions.Holding("AAPL", numbers.quantity(shares), numbers.money(cost))


def test_a_split_turns_shares_at_unchanged_cost() -> None:
    """Ten shares that cost 5,000 become forty that cost 5,000; no cash moves."""
    assert actions.apply(FOUR_FOR_ONE, held("10", "5000")) == actions.Effect(held("40", "5000"))


def test_a_reverse_split_keeps_fractions() -> None:
    """Fifteen shares one for ten are one and a half; a short is restated alike."""
    assert actions.apply(ONE_FOR_TEN, held("15", "100")).position == held("1.5", "100")
    assert actions.apply(ONE_FOR_TEN, held("-15", "-100")).position == held("-1.5", "-100")


def test_what_falls_below_a_billionth_of_a_share_is_cut() -> None:
    """A third of a unit is lost and reported; nothing is paid for it."""
    found = actions.apply(actions.Split("AAPL", EX, 1, 3), held("0.000000004", "1"))
    assert (found.position, found.lost, found.cash) == (held("0.000000001", "1"), 1, 0)


def test_a_position_that_is_cut_to_nothing_is_realised_at_its_cost() -> None:
    """The cost becomes a loss, so that the books still add up."""
    found = actions.apply(ONE_FOR_TEN, held("0.000000009", "1"))
    assert (found.position, found.realised, found.lost) == (None, -numbers.money("1"), 9)


def test_a_long_is_paid_a_dividend_on_the_ex_date_or_the_pay_date() -> None:
    """One hundred shares at 0.205 are 20.50."""
    assert actions.apply(DIVIDEND, held("100", "1")) == actions.Effect(held("100", "1"), numbers.money("20.5"), EX)
    later = actions.Dividend("AAPL", EX, numbers.money("0.205"), PAY)
    assert actions.apply(later, held("100", "1")).at == PAY


def test_a_short_pays_the_dividend() -> None:
    """The same amount with the other sign."""
    assert actions.apply(DIVIDEND, held("-100", "-1")).cash == numbers.money("-20.5")


def test_a_dividend_is_rounded_against_the_holder() -> None:
    """0.205 USD on 0.000000001 shares is below a unit: a long gets nothing, a short pays one."""
    assert actions.apply(DIVIDEND, held("0.000000001", "1")).cash == 0
    assert actions.apply(DIVIDEND, held("-0.000000001", "-1")).cash == -1


def test_a_rename_keeps_the_position() -> None:
    """Same shares, same cost, another symbol, no cash."""
    found = actions.apply(RENAME, held("10", "5000"))
    assert found == actions.Effect(actions.Holding("APPL", 10 * ONE, numbers.money("5000")))


def test_a_delisting_ends_the_position_at_its_proceeds() -> None:
    """Ten shares that cost 100 bring 35: a loss of 65. A short of ten that brought 100 costs 35: a profit of 65."""
    found = actions.apply(GONE, held("10", "100"))
    assert found == actions.Effect(None, numbers.money("35"), EX, numbers.money("-65"))
    assert actions.apply(GONE, held("-10", "-100")).realised == numbers.money("65")


def test_a_worthless_removal_brings_nothing() -> None:
    """The whole cost is lost."""
    worthless = actions.Delisting("AAPL", EX, numbers.Money(0))
    assert actions.apply(worthless, held("10", "100")) == actions.Effect(None, 0, EX, numbers.money("-100"))


def test_an_action_of_another_symbol_is_refused() -> None:
    """A mistaken call never changes a position."""
    with pytest.raises(errors.ValueRefused, match="AAPL"):
        actions.apply(FOUR_FOR_ONE, actions.Holding("MSFT", ONE, 1))


@pytest.mark.parametrize("kind", actions.REFUSED)
def test_what_is_not_modelled_is_refused_by_name(kind: str) -> None:
    """A spin-off and its like stop the run with a reason that is counted."""
    with pytest.raises(errors.DataRefused, match="GE") as refused:
        actions.known(kind, "GE")
    assert refused.value.reason == kind.replace("_", "-")


@pytest.mark.parametrize("kind", actions.SUPPORTED)
def test_what_is_modelled_passes(kind: str) -> None:
    """Splits, cash dividends, renames and removals."""
    actions.known(kind, "GE")


@pytest.mark.parametrize("ratio", [(0, 1), (1, 0), (-2, 1)])
def test_a_ratio_is_positive(ratio: tuple[int, int]) -> None:
    """A split into nothing is no split."""
    with pytest.raises(errors.ValueRefused, match="split of AAPL"):
        actions.Split("AAPL", EX, *ratio)


def test_a_dividend_is_positive_and_paid_after_its_ex_date() -> None:
    """Neither nothing nor money from before."""
    with pytest.raises(errors.ValueRefused, match="more than 0"):
        actions.Dividend("AAPL", EX, numbers.Money(0))
    with pytest.raises(errors.ValueRefused, match="ex-date"):
        actions.Dividend("AAPL", PAY, numbers.money("1"), EX)


def test_a_row_of_a_dataset_is_a_split_and_then_a_dividend() -> None:
    """The dividend is on the share basis after the split."""
    row = bars.CorporateAction("AAPL", EX, (4, 1), numbers.money("0.205"))
    assert actions.of(row) == (FOUR_FOR_ONE, DIVIDEND)
    assert actions.of(bars.CorporateAction("AAPL", EX, (1, 1), numbers.Money(0))) == ()


def waiting(side: orders.Side, kind: str, **prices: str) -> actions.Waiting:
    """An open order for ten shares."""
    found = {name: numbers.price(text) for name, text in prices.items()}
    return actions.Waiting("AAPL", side, kind, 10 * ONE, **found)


@pytest.mark.parametrize(
    "order,after",
    [
        (waiting(BUY, "limit", limit="400"), (40, "100", "")),
        (waiting(SELL, "stop", stop="380"), (40, "", "95")),
        (waiting(SELL, "stop_limit", stop="380", limit="376"), (40, "94", "95")),
        (waiting(SELL, "market"), (40, "", "")),
    ],
)
def test_a_forward_split_restates_buy_limits_and_sell_stops(
    order: actions.Waiting, after: tuple[int, str, str]
) -> None:
    """Four times the shares at a quarter of the price."""
    found = actions.order_after(FOUR_FOR_ONE, order)
    shares, limit, stop = after
    assert found is not None
    assert (found.quantity, found.limit, found.stop) == (
        shares * ONE,
        numbers.price(limit) if limit else 0,
        numbers.price(stop) if stop else 0,
    )


@pytest.mark.parametrize(
    "order",
    [
        waiting(SELL, "limit", limit="600"),
        waiting(BUY, "stop", stop="600"),
        waiting(BUY, "stop_limit", stop="600", limit="610"),
        waiting(SELL, "trailing_stop"),
    ],
)
def test_a_forward_split_cancels_other_priced_orders(order: actions.Waiting) -> None:
    """They would stand at prices of the old share."""
    assert actions.order_after(FOUR_FOR_ONE, order) is None


def test_a_reverse_split_cancels_priced_orders_and_restates_market_orders() -> None:
    """A queued sale of fifteen shares becomes one of one and a half; of a unit nothing is left."""
    assert actions.order_after(ONE_FOR_TEN, waiting(BUY, "limit", limit="40")) is None
    found = actions.order_after(ONE_FOR_TEN, actions.Waiting("AAPL", SELL, "market", 15 * ONE))
    assert found == actions.Waiting("AAPL", SELL, "market", numbers.quantity("1.5"))
    assert actions.order_after(ONE_FOR_TEN, actions.Waiting("AAPL", SELL, "market", 9)) is None


def test_a_priced_order_in_whole_shares_stays_in_whole_shares() -> None:
    """Five shares three for two are seven, not seven and a half; what has filled is restated too."""
    order = actions.Waiting("AAPL", BUY, "limit", 5 * ONE, 2 * ONE, numbers.price("30"))
    found = actions.order_after(actions.Split("AAPL", EX, 3, 2), order)
    assert found == actions.Waiting("AAPL", BUY, "limit", 7 * ONE, 3 * ONE, numbers.price("20"))


@pytest.mark.parametrize("action", [RENAME, GONE])
def test_a_symbol_that_goes_loses_its_orders(action: actions.Action) -> None:
    """Every order is cancelled with the reason CORPORATE_ACTION."""
    assert actions.order_after(action, waiting(BUY, "market")) is None
    assert actions.CANCEL_REASON == "CORPORATE_ACTION"


def test_a_dividend_leaves_orders_alone() -> None:
    """Limits are not lowered on the ex-date."""
    order = waiting(BUY, "limit", limit="400")
    assert actions.order_after(DIVIDEND, order) is order


RATIOS = st.tuples(st.integers(1, 1000), st.integers(1, 1000))


@given(st.integers(-(10**13), 10**13).filter(bool), st.integers(1, 10**8), RATIOS)
def test_equity_is_continuous_across_a_split(quantity: int, price: int, ratio: tuple[int, int]) -> None:
    """At the exactly restated price a position keeps its worth but for less than a unit of 1e-9 share."""
    split = actions.Split("AAPL", EX, *ratio)
    found = actions.apply(split, actions.Holding("AAPL", quantity, 5))
    after = found.position.quantity if found.position else 0
    restated = Fraction(price * split.old, split.new)
    lost = abs(quantity * price) - abs(after) * restated
    assert 0 <= lost < restated
    assert found.lost * Fraction(price, split.new) == lost
    assert (found.position.cost if found.position else -found.realised) == 5


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**11))
def test_dividends_are_never_rounded_in_the_holders_favour(quantity: int, per_share: int) -> None:
    """A long gets at most the exact amount, a short pays at least it."""
    paid = actions.apply(
        actions.Dividend("AAPL", EX, numbers.Money(per_share)), actions.Holding("AAPL", quantity, 0)
    ).cash
    assert 0 <= Fraction(quantity * per_share, ONE) - paid < 1


@pytest.mark.parametrize(
    "price,new,old,expected", [(400, 4, 1, 100), (5, 2, 1, 2), (7, 2, 1, 4), (1, 9, 1, 1), (3, 1, 10, 30)]
)
def test_a_mark_is_restated(price: int, new: int, old: int, expected: int) -> None:
    """A quarter of the price for four times the shares; halves go to the even unit."""
    assert actions.price_after(actions.Split("AAPL", EX, new, old), price) == expected


def test_a_split_of_one_for_one_is_not_forward() -> None:
    """It restates nothing but market orders."""
    even = actions.Split("AAPL", EX, 1, 1)
    assert actions.order_after(even, waiting(BUY, "limit", limit="400")) is None


def test_a_dividend_may_be_paid_on_its_ex_date() -> None:
    """The pay date may be the ex-date itself."""
    same = actions.Dividend("AAPL", EX, numbers.money("1"), EX)
    assert actions.apply(same, held("1", "1")).at == EX


@given(st.integers(1, 10**8), RATIOS)
def test_a_restated_mark_is_within_half_a_unit(price: int, ratio: tuple[int, int]) -> None:
    """Half to even, and never zero."""
    split = actions.Split("AAPL", EX, *ratio)
    found = actions.price_after(split, price)
    assert found == 1 or abs(found - Fraction(price * split.old, split.new)) <= Fraction(1, 2)
    assert found >= 1
