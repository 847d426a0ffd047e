from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import pytest

from support import engine_orders as given
from tradeplane_engine.core import kernel

QUIET = (100, 100, 100, 100)
BOTH = (100, 112, 91, 104)  # the low is nearer to the open than the high


def _exits(path: str, bar: tuple[int, int, int, int] = BOTH, side: str = "sell") -> list[tuple[int, int]]:
    """Enter at 100, then meet a bar with a stop 5 and a target 10 away; return (order id, price) of the exit."""
    stop, target = (95, 110) if side == "sell" else (105, 90)
    entry = "buy" if side == "sell" else "sell"
    plan = {
        0: lambda ctx: ctx.order("S", entry, 10),
        1: lambda ctx: ctx.oco("S", side, 10, take_profit=target, stop_loss=stop, time_in_force="gtc"),
    }
    _, script = given.run(given.bars(QUIET, QUIET, bar, (104,) * 4), plan, path=path)
    return [(number, price) for number, _, _, price in script.fills[1:]]


@pytest.mark.parametrize(
    "path,expected",
    [("worst", (3, 95)), ("best", (2, 110)), ("ohlc", (2, 110)), ("olhc", (3, 95)), ("adaptive", (3, 95))],
)
def test_stop_and_target_in_one_bar_are_decided_by_the_path_policy(path: str, expected: tuple[int, int]) -> None:
    """One of them fills, the other is cancelled."""
    assert _exits(path) == [expected]


@pytest.mark.parametrize(
    "path,expected", [("worst", (3, 105)), ("best", (2, 90)), ("ohlc", (3, 105)), ("olhc", (2, 90))]
)
def test_a_shorts_worst_path_is_the_high_first(path: str, expected: tuple[int, int]) -> None:
    """The policy looks at what the account is worth, not at a fixed side."""
    assert _exits(path, (100, 112, 88, 104), "buy") == [expected]


@pytest.mark.parametrize(
    "bar,expected", [((100, 111, 88, 100), (2, 110)), ((100, 112, 89, 100), (3, 95)), ((100, 112, 88, 100), (3, 95))]
)
def test_adaptive_goes_to_the_nearer_extreme_first(bar: tuple[int, int, int, int], expected: tuple[int, int]) -> None:
    """And to the low where both are as near."""
    assert _exits("adaptive", bar) == [expected]


def test_only_the_rest_of_the_way_acts_on_what_a_fill_changed() -> None:
    """An entry that the low fills meets its target on the way up from there, not on the way that was before."""
    plan = {
        0: lambda ctx: ctx.bracket("S", "buy", 10, limit=95, take_profit=108, stop_loss=80, time_in_force="gtc"),
    }
    for path, fills in (("olhc", [95, 108]), ("ohlc", [95])):
        _, script = given.run(given.bars(QUIET, (100, 110, 90, 100)), plan, path=path)
        assert [price for *_, price in script.fills] == fills


def test_a_resting_limit_fills_at_its_price_though_another_order_brought_the_market_lower() -> None:
    """A buy at 96 is not given 95 because a stop was reached there."""
    plan = {
        0: lambda ctx: [
            ctx.order("S", "sell", 10, "stop", "gtc", stop=95),
            ctx.order("S", "buy", 10, "limit", "gtc", limit=96),
        ]
    }
    _, script = given.run(given.bars(QUIET, (100, 100, 90, 99)), plan)
    assert script.fills == [(1, 2, 10, 95), (2, 2, 10, 96)]


def _worth(found: kernel.Kernel) -> int:
    return found.account.book.ledger.equity()


_PRICE = st.integers(80, 120)


@st.composite
def _bar(draw: st.DrawFn) -> tuple[int, int, int, int]:
    open_, close = draw(_PRICE), draw(_PRICE)
    high = max(open_, close) + draw(st.integers(0, 15))
    return open_, high, min(open_, close) - draw(st.integers(0, 15)), close


_ORDER = st.tuples(
    st.sampled_from(["limit", "stop", "stop_limit", "trailing_stop", "bracket", "oco"]),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 50),
    _PRICE,
    st.integers(1, 20),
)


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(
    bar=_bar(),
    wanted=st.lists(_ORDER, min_size=1, max_size=5),
    cap=st.sampled_from([None, Fraction(1, 20)]),
    rule=st.sampled_from(["through", "touch"]),
)
def test_every_path_lies_between_worst_and_best(
    bar: tuple[int, int, int, int],
    wanted: list[tuple[str, str, int, int, int]],
    cap: Fraction | None,
    rule: str,
) -> None:
    """Whatever waits, a bar leaves an account with no less than the worst path and no more than the best one does."""
    worth = {}
    for path in ("worst", "best", "ohlc", "olhc", "adaptive"):
        plan = {0: lambda ctx: [_order(ctx, *one) for one in wanted]}
        found, _ = given.run(
            given.bars(QUIET, bar), plan, path=path, participation=cap, limit_rule=rule, slippage_bps=Fraction(100)
        )
        worth[path] = _worth(found)
    assert worth["worst"] == min(worth.values())
    assert worth["best"] == max(worth.values())


def _order(ctx: object, kind: str, side: str, shares: int, price: int, away: int) -> None:
    sign = 1 if side == "buy" else -1
    prices: dict[str, dict[str, int]] = {
        "limit": {"limit": price},
        "stop": {"stop": price},
        "stop_limit": {"stop": price, "limit": price + sign * away},
        "trailing_stop": {"trail": away},
    }
    if kind in prices:
        ctx.order("S", side, shares, kind, "gtc", **prices[kind])  # type: ignore[attr-defined]
    elif kind == "bracket":
        exits = {"take_profit": price + sign * away, "stop_loss": price - sign * away}
        ctx.bracket("S", side, shares, limit=price, time_in_force="gtc", **exits)  # type: ignore[attr-defined]
    else:
        exits = {"take_profit": price - sign * away, "stop_loss": price + sign * away}
        ctx.oco("S", side, shares, time_in_force="gtc", **exits)  # type: ignore[attr-defined]
