"""The demo's dataset, against what is known of its source."""

from decimal import Decimal
from pathlib import Path

import pytest

from tradeplane_cli.local import demo_data, processes
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, times

HOLDOUT = times.instant("2012-03-02T00:00:00Z")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the dataset once."""
    target = tmp_path_factory.mktemp("dataset")
    demo_data.write(target)
    return target


@pytest.fixture(scope="module")
def written(folder: Path) -> dataset.Dataset:
    """Read the dataset as the backtest does."""
    return dataset.read(folder)


def test_every_bar_is_accepted(written: dataset.Dataset) -> None:
    """The validator refuses nothing of the demo's bars."""
    assert written.report.accepted == 12_154
    assert not written.report.counts


def test_symbols_begin_when_they_were_listed(written: dataset.Dataset) -> None:
    """FB begins in 2012 and GOOG in 2004, the others with the file."""
    first = {symbol: times.utc_day(series[0].end) for symbol, series in written.history.items()}
    assert first == {
        "AAPL": "2000-03-01",
        "FB": "2012-05-18",
        "GOOG": "2004-08-19",
        "IBM": "2000-03-01",
        "MSFT": "2000-03-01",
    }


def test_holdout_has_250_sessions(written: dataset.Dataset) -> None:
    """The demo trades 250 sessions from 2012-03-02 on."""
    assert len({bar.end for bar in written.history["IBM"] if bar.end > HOLDOUT}) == 250


def test_prices_are_the_files_text(written: dataset.Dataset) -> None:
    """A price keeps its digits: no float came between."""
    facebook = {times.utc_day(bar.end): bar for bar in written.history["FB"]}
    assert numbers.price_text(facebook["2012-11-23"].close) == "23.998"


def test_early_close_is_known(written: dataset.Dataset) -> None:
    """The day after Thanksgiving closes at 13:00 in New York."""
    bar = next(bar for bar in written.history["IBM"] if times.utc_day(bar.end) == "2012-11-23")
    assert (times.text(bar.start), times.text(bar.end)) == ("2012-11-23T14:30:00Z", "2012-11-23T18:00:00Z")


def test_bar_is_known_a_second_after_its_end(written: dataset.Dataset) -> None:
    """No bar is available at its own close."""
    delays = {bar.available_at - bar.end for series in written.history.values() for bar in series}
    assert delays == {times.SECOND}


def test_splits_are_the_three_known_ones(written: dataset.Dataset) -> None:
    """AAPL split 2:1 in 2000 and 2005, MSFT in 2003, and nothing else split."""
    splits = [(a.symbol, times.utc_day(a.ex_start), a.split) for a in written.actions if a.split != (1, 1)]
    assert splits == [
        ("AAPL", "2000-06-21", (2, 1)),
        ("MSFT", "2003-02-18", (2, 1)),
        ("AAPL", "2005-02-28", (2, 1)),
    ]


def test_holdouts_dividends_are_the_eleven_known_ones(written: dataset.Dataset) -> None:
    """The last 250 sessions hold 3 dividends of AAPL, 4 of IBM and 4 of MSFT, exact to the cent."""
    found: dict[str, list[str]] = {}
    for action in written.actions:
        if action.ex_start > HOLDOUT:
            found.setdefault(action.symbol, []).append(numbers.money_text(action.dividend))
    assert found == {
        "AAPL": ["2.65"] * 3,
        "IBM": ["0.85"] * 4,
        "MSFT": ["0.2", "0.2", "0.23", "0.23"],
    }


def test_bytes_are_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    """Writing twice gives the same bytes, digest included."""
    demo_data.write(tmp_path)
    for name in ("bars.csv", "actions.csv", "dataset.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def _row(date: str, *, close: str, adjusted: Decimal) -> demo_data.Row:
    return demo_data.Row(
        symbol="X",
        date=date,
        open=close,
        high=close,
        low=close,
        close=close,
        volume="1",
        adjusted_close=str(adjusted),
    )


SESSIONS = {"a": (times.Nanos(1), times.Nanos(2)), "b": (times.Nanos(3), times.Nanos(4))}


def _derived(*, close: str, ratio: Decimal) -> tuple[bars.CorporateAction, ...]:
    rows = [
        _row("a", close="10", adjusted=Decimal(10)),
        _row("b", close=close, adjusted=Decimal(close) * ratio),
    ]
    return demo_data.actions(rows, sessions=SESSIONS)


def test_no_action_without_a_change_of_ratio() -> None:
    """A price that moves by itself is no corporate action."""
    assert _derived(close="5", ratio=Decimal(1)) == ()


def test_dividend_takes_effect_at_its_own_open() -> None:
    """The dividend's day is the first whose close is without it."""
    (action,) = _derived(close="20", ratio=1 + Decimal("0.5") / 20)
    assert (action.ex_start, numbers.money_text(action.dividend)) == (3, "0.5")


@pytest.mark.parametrize("ratio", ["1.00017", "3", "0.99"])
def test_unexplained_change_is_refused(ratio: str) -> None:
    """A change that is neither a 2:1 split nor whole cents, or that takes money away, is refused by name."""
    with pytest.raises(processes.LocalError, match="X b"):
        _derived(close="10.01", ratio=Decimal(ratio))
