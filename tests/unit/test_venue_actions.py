"""Corporate actions as dated events: what each refuses, and a dataset's row."""

from collections.abc import Callable
from typing import Any

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


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: actions.Split("AAPL", EX, 1.5, 1), "split of AAPL: must be a ratio of positive integers, got 1.5"),
        (
            lambda: actions.Split("AAPL", EX, new=4, old=True),
            "split of AAPL: must be a ratio of positive integers, got True",
        ),
        (lambda: actions.Split("AAPL", "2020-08-31", 4, 1), "split of AAPL: must be dated by an int, ns UTC, got '2"),
        (lambda: actions.Split(5, EX, 4, 1), "split.symbol: must be the name of a symbol, got 5"),
        (lambda: actions.Dividend("AAPL", EX, 1.5), "dividend of AAPL: must be an int of 1e-9 USD per share"),
        (lambda: actions.Dividend("AAPL", EX, "1.5"), "dividend of AAPL: must be an int of 1e-9 USD per share"),
        (lambda: actions.Dividend("AAPL", EX, 1, 1.6e18), "dividend of AAPL: must be dated by an int"),
        (lambda: actions.Delisting("AAPL", EX, 1.5), "delisting of AAPL: must be an int of 1e-9 USD per share"),
        (lambda: actions.Delisting("AAPL", EX, -1), "delisting of AAPL: must be 0 or more"),
        (lambda: actions.Rename("AAPL", EX, None), "rename of AAPL: must be the name of a symbol"),
        (lambda: actions.Other("AAPL", 1.5, "spin_off"), "action of AAPL: must be dated by an int"),
    ],
)
def test_what_is_no_whole_number_is_refused_with_its_unit(make: Callable[[], Any], message: str) -> None:
    """A float was cut to an integer, of shares or of 1e-9 USD, in a compiled run."""
    with pytest.raises(errors.ValueRefused) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_a_row_of_a_dataset_is_a_split_and_then_a_dividend() -> None:
    """The dividend is on the share basis after the split."""
    row = bars.CorporateAction("AAPL", EX, (4, 1), numbers.money("0.205"))
    assert actions.of(row) == (
        actions.Split("AAPL", EX, 4, 1),
        actions.Dividend("AAPL", EX, numbers.money("0.205")),
    )
    assert actions.of(bars.CorporateAction("AAPL", EX, (1, 1), numbers.Money(0))) == ()
