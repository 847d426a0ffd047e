from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors, indicators

INT64_MAX = 2**63 - 1
ANY = st.integers(-INT64_MAX, INT64_MAX)
SERIES = st.lists(st.one_of(st.integers(1, 10**7), ANY), min_size=1, max_size=40)


def columns(values: list[int]) -> indicators.Columns:
    """The same series in every field."""
    return indicators.Columns(4, *[np.array(values, dtype=np.int64)] * 5)


@given(values=SERIES, window=st.integers(1, 12))
def test_sums_equal_python_s_or_say_overflow(values: list[int], window: int) -> None:
    """Every sum is the integer that Python finds; where one does not fit 64 bits there is a typed error."""
    expected = [sum(values[at - window + 1 : at + 1]) for at in range(window - 1, len(values))]
    spec = indicators.named("sum")(window=window)
    if all(-INT64_MAX - 1 <= one <= INT64_MAX for one in expected):
        assert expected == indicators.batch(spec, columns(values))["value"].values[window - 1 :].tolist()
    else:
        with pytest.raises(errors.Overflow, match="sum: must be within 64 bits"):
            indicators.batch(spec, columns(values))


@given(values=SERIES, window=st.integers(1, 12))
def test_changes_equal_python_s_or_say_overflow(values: list[int], window: int) -> None:
    """As for sums."""
    expected = [values[at] - values[at - window] for at in range(window, len(values))]
    spec = indicators.named("change")(window=window)
    if all(-INT64_MAX - 1 <= one <= INT64_MAX for one in expected):
        assert expected == indicators.batch(spec, columns(values))["value"].values[window:].tolist()
    else:
        with pytest.raises(errors.Overflow, match="change: must be within 64 bits"):
            indicators.batch(spec, columns(values))


@given(values=SERIES, window=st.integers(1, 12))
def test_extremes_equal_python_s(values: list[int], window: int) -> None:
    """Two names each: highest and max, lowest and min."""
    for names, pick in ((("highest", "max"), max), (("lowest", "min"), min)):
        expected = [pick(values[at - window + 1 : at + 1]) for at in range(window - 1, len(values))]
        for name in names:
            found = indicators.batch(indicators.named(name)(window=window), columns(values))["value"]
            assert expected == found.values[window - 1 :].tolist()


def test_the_overflow_names_the_sum_that_does_not_fit() -> None:
    """In history and live alike, and only where the window's own sum is too large."""
    large = 2**62
    spec = indicators.named("sum")(window=2)
    assert [0, 0, 0, large - 1] == indicators.batch(spec, columns([large, -large, large, -1]))["value"].values.tolist()
    with pytest.raises(errors.Overflow, match=str(2**63)):
        indicators.batch(spec, columns([1, large, large]))
    live = indicators.Incremental(spec)
    live.push(large, large, large, large, 1)
    with pytest.raises(errors.Overflow, match=str(2**63)):
        live.push(large, large, large, large, 1)


def test_a_price_beyond_64_bits_is_refused_live() -> None:
    """It never reaches an array."""
    live = indicators.Incremental(indicators.named("sum")(window=1))
    with pytest.raises(errors.Overflow, match="bar: must be within 64 bits"):
        live.push(1, 1, 1, 2**63, 1)


def test_a_simple_average_is_its_sum_over_its_window() -> None:
    """Numerator and denominator, in history and live."""
    spec = indicators.named("sma")(window=3)
    output = indicators.batch(spec, columns([1, 2, 4, 8]))["value"]
    assert (output.values[output.first :].tolist(), output.denominator, output.first) == ([7, 14], 3, 2)
    live = indicators.Incremental(spec)
    seen = []
    for price in (1, 2, 4, 8):
        live.push(0, 0, 0, price, 0)
        seen.append(live.value)
    assert seen == [None, None, 7, 14]
    assert type(seen[-1]) is int


FAR = st.tuples(ANY, ANY, st.none())
NEAR = st.tuples(st.integers(-1, 1), st.integers(-1, 1), st.integers(-(10**14), 10**14))


@given(
    rows=st.lists(st.one_of(FAR, NEAR), min_size=1, max_size=8),
    left=st.integers(1, 10_000),
    right=st.integers(1, 10_000),
)
def test_averages_compare_as_fractions_do(rows: list[tuple[int, int, int | None]], left: int, right: int) -> None:
    """No rounding, and no wrap where cross products leave 64 bits; a near pair is one unit off a common value."""
    pairs = [(one, two) if at is None else (at * left + one, at * right + two) for one, two, at in rows]
    fractions = [(Fraction(one, left), Fraction(two, right)) for one, two in pairs]
    one, two = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    assert indicators.compare(one, left, two, right).tolist() == [(a > b) - (a < b) for a, b in fractions]


def test_a_cross_product_just_beyond_64_bits_does_not_wrap() -> None:
    """2^62 over 1 is more than 1 over 2, although 2^62 times 2 is 2^63."""
    one, two = np.array([2**62], dtype=np.int64), np.array([1], dtype=np.int64)
    assert indicators.compare(one, 1, two, 2).tolist() == [1]
    assert indicators.compare(two, 2, one, 1).tolist() == [-1]


def test_a_tie_of_two_averages_is_a_tie() -> None:
    """Ten and five rows of one price are equal to the last digit, which floats do not promise."""
    history = columns([1_000_003] * 12)
    one = indicators.batch(indicators.named("sma")(window=10), history)["value"]
    two = indicators.batch(indicators.named("sma")(window=3), history)["value"]
    assert indicators.compare(one.values, one.denominator, two.values, two.denominator)[9:].tolist() == [0] * 3
