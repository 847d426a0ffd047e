"""Corporate actions as dated events: what each refuses, and a dataset's row."""

import pytest

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.venue import actions

EX, PAY = times.instant("2020-08-31T13:30:00Z"), times.instant("2020-09-15T13:30:00Z")


@pytest.mark.parametrize("ratio", [(0, 1), (1, 0), (-2, 1)])
def test_a_ratio_is_positive(ratio: tuple[int, int]) -> None:
    """A split into nothing is no split."""
    with pytest.raises(errors.ValueRefused, match="split of AAPL"):
        actions.Split("AAPL", EX, *ratio)


def test_a_dividend_is_positive_and_paid_after_its_ex_date() -> None:
    """Neither nothing nor money from before; the ex-date itself will do."""
    with pytest.raises(errors.ValueRefused, match="more than 0"):
        actions.Dividend("AAPL", EX, numbers.Money(0))
    with pytest.raises(errors.ValueRefused, match="ex-date"):
        actions.Dividend("AAPL", PAY, numbers.money("1"), EX)
    assert actions.Dividend("AAPL", EX, numbers.money("1"), EX).pay_at == EX


def test_a_row_of_a_dataset_is_a_split_and_then_a_dividend() -> None:
    """The dividend is on the share basis after the split."""
    row = bars.CorporateAction("AAPL", EX, (4, 1), numbers.money("0.205"))
    assert actions.of(row) == (
        actions.Split("AAPL", EX, 4, 1),
        actions.Dividend("AAPL", EX, numbers.money("0.205")),
    )
    assert actions.of(bars.CorporateAction("AAPL", EX, (1, 1), numbers.Money(0))) == ()
