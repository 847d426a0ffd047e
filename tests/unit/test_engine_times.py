import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.domain import times

INSTANTS = st.integers(min_value=0, max_value=4_000_000_000 * times.SECOND)


@given(INSTANTS)
def test_text_parses_back(at: int) -> None:
    """The RFC 3339 text of an instant gives the same nanoseconds again."""
    assert at == times.instant(times.text(times.Nanos(at)))


@given(INSTANTS)
def test_compact_form_parses_back(at: int) -> None:
    """The form inside client order ids gives the same second again."""
    second = times.Nanos(at // times.SECOND * times.SECOND)
    assert second == times.from_compact(times.compact(second))


@pytest.mark.parametrize("text", ["2012-03-02T21:00:00", "2012-03-02", "yesterday", "2012-03-02T21:00:00.0000000001Z"])
def test_a_time_without_offset_or_past_nanoseconds_is_refused(text: str) -> None:
    """A naive or too fine time names what is wanted."""
    with pytest.raises(errors.ValueRefused, match="RFC 3339"):
        times.instant(text)


def test_an_offset_is_taken_into_account() -> None:
    """The same instant in two zones is one number."""
    assert times.instant("2012-03-02T16:00:00-05:00") == times.instant("2012-03-02T21:00:00Z")


@pytest.mark.parametrize(
    "text,expected",
    [
        ("500ms", times.SECOND // 2),
        ("5s", 5 * times.SECOND),
        ("15m", 15 * times.MINUTE),
        ("1h", times.HOUR),
        ("2d", 2 * times.DAY),
    ],
)
def test_durations_are_read(text: str, expected: int) -> None:
    """A number with one unit is a span."""
    assert expected == times.duration(text)
    assert text == times.duration_text(expected)


@pytest.mark.parametrize("text", ["0s", "-1s", "1", "1 h", "1h30m", "1.5h", "h", "", "1w", None, 5])
def test_bad_durations_are_refused_by_field(text: str) -> None:
    """Anything else names the field and the form."""
    with pytest.raises(errors.ValueRefused, match=r"data\.maxBarAge: must be a positive duration"):
        times.duration(text, field="data.maxBarAge")


def test_the_utc_day_of_a_session_is_its_new_york_day() -> None:
    """Open and close of a US session fall on one UTC date, in summer and winter."""
    assert times.utc_day(times.instant("2012-07-02T13:30:00Z")) == "2012-07-02"
    assert times.utc_day(times.instant("2012-01-03T21:00:00Z")) == "2012-01-03"
