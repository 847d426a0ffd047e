import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_data
from tradeplane_engine import errors, portfolio
from tradeplane_engine.core import context
from tradeplane_engine.domain import numbers, orders

CLOSES = dict.fromkeys(engine_data.SYMBOLS, numbers.price("100"))
TWO_AND_ONE = portfolio.TopBottomN(top=2, bottom=1, capital=numbers.money("300000"))


def scored(**scores: float) -> tuple[orders.Signal, ...]:
    """Signals without features."""
    return tuple(orders.Signal(symbol, score, ()) for symbol, score in scores.items())


def test_the_best_are_bought_and_the_worst_sold_short() -> None:
    """Each name gets capital / (top + bottom); the middle gets zero."""
    found = portfolio.targets(scored(AAA=1, BBB=5, CCC=3, DDD=4, EEE=2), construct=TWO_AND_ONE, closes=CLOSES)
    assert found == engine_data.quantities({"AAA": -1000, "BBB": 1000, "CCC": 0, "DDD": 1000, "EEE": 0})


def test_equal_scores_are_ordered_by_symbol() -> None:
    """Ties never depend on the order in which signals came."""
    found = portfolio.targets(scored(EEE=1, DDD=1, CCC=1, BBB=1, AAA=1), construct=TWO_AND_ONE, closes=CLOSES)
    assert found == engine_data.quantities({"AAA": 1000, "BBB": 1000, "CCC": 0, "DDD": 0, "EEE": -1000})


def test_fewer_scores_than_needed_give_no_targets() -> None:
    """Two scores are no ranking for two longs and a short."""
    assert portfolio.targets(scored(AAA=1, BBB=2), construct=TWO_AND_ONE, closes=CLOSES) == {}


def test_targets_are_whole_shares() -> None:
    """What the capital does not buy whole is left in cash."""
    closes = dict.fromkeys(engine_data.SYMBOLS, numbers.price("333.33"))
    found = portfolio.targets(scored(AAA=1, BBB=2, CCC=3), construct=TWO_AND_ONE, closes=closes)
    assert found["CCC"] == engine_data.shares(300)


@pytest.mark.parametrize("top,bottom", [(0, 0), (-1, 2)])
def test_a_portfolio_of_nothing_is_refused(top: int, bottom: int) -> None:
    """At least one name on one side."""
    with pytest.raises(errors.ValueRefused, match=r"portfolio\.top"):
        portfolio.TopBottomN(top=top, bottom=bottom, capital=numbers.money("1"))


def test_more_names_than_symbols_are_refused() -> None:
    """The settings name the field and the universe."""
    with pytest.raises(errors.ValueRefused, match="at most the 5 symbols"):
        engine_data.strategy(top=4, bottom=2)


def intents(target: int, holding: tuple[int, int, int]) -> int:
    """Return the signed shares that are ordered for one symbol."""
    return context.missing(*(engine_data.shares(each) for each in (target, *holding))) // numbers.ONE_SHARE


@pytest.mark.parametrize(
    "target,holding,expected",
    [
        (100, (0, 0, 0), 100),
        (-100, (0, 0, 0), -100),
        (100, (40, 0, 0), 60),
        (100, (40, 60, 0), 0),
        (0, (40, 0, 0), -40),
        (0, (40, 0, 40), 0),
        (-100, (40, 0, 0), -40),
        (100, (-40, 0, 0), 40),
        (-100, (40, 0, 40), 0),
        (30, (100, 50, 0), -100),
        (-50, (0, 50, 0), 0),
        (50, (0, 0, 50), 0),
        (80, (0, 50, 0), 30),
        (0, (0, 0, 0), 0),
    ],
)
def test_an_order_is_what_is_missing(target: int, holding: tuple[int, int, int], expected: int) -> None:
    """Target less position and working orders, closing before opening the other side."""
    assert intents(target, holding) == expected


SHARES = st.integers(min_value=0, max_value=200)


@given(st.integers(min_value=-200, max_value=200), st.integers(min_value=-200, max_value=200), SHARES, SHARES)
def test_no_order_crosses_zero(target: int, position: int, buying: int, selling: int) -> None:
    """Whatever part of the opposite working orders fills, a position never changes its sign by our order."""
    ordered = intents(target, (position, buying, selling))
    if position > 0 and ordered < 0 and selling <= position:
        assert position - selling + ordered >= 0
    if position < 0 and ordered > 0 and buying <= -position:
        assert position + buying + ordered <= 0


@given(st.integers(min_value=-200, max_value=200), st.integers(min_value=-200, max_value=200))
def test_two_bars_reach_every_target(target: int, position: int) -> None:
    """Without working orders the second decision, after the first one's fill, arrives."""
    position += intents(target, (position, 0, 0))
    position += intents(target, (position, 0, 0))
    assert position == target


@given(st.integers(min_value=-200, max_value=200), st.integers(min_value=-200, max_value=200), SHARES, SHARES)
def test_long_and_short_are_mirror_images(target: int, position: int, buying: int, selling: int) -> None:
    """Mirroring everything mirrors the order."""
    assert intents(target, (position, buying, selling)) == -intents(-target, (-position, selling, buying))
