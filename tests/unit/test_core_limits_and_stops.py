from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from support import engine_orders as given
from tradeplane_engine import errors

QUIET = (100, 100, 100, 100)


def want(side: str, kind: str, shares: int = 10, **rest: Any) -> given.Plan:
    """Want one order at the first bar."""
    return {0: lambda ctx: ctx.order("S", side, shares, kind, "gtc", **rest)}


@pytest.mark.parametrize(
    "side,limit,bar,rule,price",
    [
        # Resting, reached inside the bar: at the limit, if the price goes through it.
        ("buy", 95, (100, 100, 94, 100), "through", 95),
        ("buy", 95, (100, 100, 95, 100), "through", None),
        ("buy", 95, (100, 100, 95, 100), "touch", 95),
        ("buy", 95, (100, 100, 96, 100), "touch", None),
        ("sell", 105, (100, 106, 100, 100), "through", 105),
        ("sell", 105, (100, 105, 100, 100), "through", None),
        ("sell", 105, (100, 105, 100, 100), "touch", 105),
        # A gap beyond the limit: at the open.
        ("buy", 95, (90, 92, 88, 91), "through", 90),
        ("sell", 105, (110, 112, 108, 110), "through", 110),
        # Marketable at once.
        ("buy", 105, QUIET, "through", 100),
        ("sell", 95, QUIET, "through", 100),
        ("buy", 100, QUIET, "through", None),
        ("buy", 100, QUIET, "touch", 100),
    ],
)
def test_a_limit_fills_through_by_touch_or_at_a_gap(
    side: str, limit: int, bar: tuple[int, int, int, int], rule: str, price: int | None
) -> None:
    """At its price inside a bar and at the open beyond it; going through is one unit more than a touch."""
    _, script = given.run(given.bars(QUIET, bar), want(side, "limit", limit=limit), limit_rule=rule)
    assert [fill[3] for fill in script.fills] == ([] if price is None else [price])


def test_a_limit_never_pays_beyond_itself_for_spread_and_slippage() -> None:
    """As a taker at the open it pays them up to its limit; resting it pays none."""
    data = given.bars((10_000,) * 4, (10_000, 10_000, 9_000, 9_500))
    plan = {
        0: lambda ctx: [
            ctx.order("S", "buy", 1, "limit", "gtc", limit=10_005),
            ctx.order("S", "buy", 1, "limit", "gtc", limit=10_050),
            ctx.order("S", "buy", 1, "limit", "gtc", limit=9_500),
        ]
    }
    _, script = given.run(data, plan, spread=Fraction(10), slippage_bps=Fraction(10))
    assert [fill[3] for fill in script.fills] == [10_005, 10_020, 9_500]


@pytest.mark.parametrize(
    "side,stop,bar,price",
    [
        ("sell", 95, (100, 100, 95, 99), 95),
        ("sell", 95, (100, 100, 96, 99), None),
        ("sell", 95, (90, 92, 88, 91), 90),
        ("sell", 95, (95, 99, 95, 99), 95),
        ("buy", 105, (100, 105, 100, 101), 105),
        ("buy", 105, (100, 104, 100, 101), None),
        ("buy", 105, (110, 112, 108, 110), 110),
    ],
)
def test_a_stop_fills_at_its_price_or_at_a_worse_open(
    side: str, stop: int, bar: tuple[int, int, int, int], price: int | None
) -> None:
    """Through a gap a sell stop fills at the lower of stop and open, a buy stop at the higher."""
    _, script = given.run(given.bars(QUIET, bar), want(side, "stop", stop=stop))
    assert [fill[3] for fill in script.fills] == ([] if price is None else [price])


@pytest.mark.parametrize(
    "bar,price",
    [((9_600, 9_600, 9_000, 9_500), 9_481), ((9_000, 9_000, 8_000, 8_500), 8_982)],
)
def test_a_stop_pays_spread_and_slippage_as_a_market_order(bar: tuple[int, int, int, int], price: int) -> None:
    """20 basis points below the stop, or below the open of a gap."""
    _, script = given.run(
        given.bars((10_000,) * 4, bar), want("sell", "stop", stop=9_500), spread=Fraction(15), slippage_bps=Fraction(5)
    )
    assert script.fills[0][3] == price


def test_the_rest_of_a_stop_that_the_volume_cut_fills_at_the_next_open() -> None:
    """A stop that was reached is a market order, wherever the price goes then."""
    data = given.bars(QUIET, (100, 100, 90, 99, 100), (120, 120, 120, 120, 100))
    _, script = given.run(data, want("sell", "stop", stop=95), participation=Fraction(1, 20))
    assert script.fills == [(1, 2, 5, 95), (1, 2, 5, 120)]


@pytest.mark.parametrize(
    "stop,limit,bars,fills",
    [
        # Reached inside the bar; the limit leaves room at the stop.
        (95, 94, [(100, 100, 90, 91)], [(2, 95)]),
        # A gap beyond the limit: nothing, until the price comes back through it.
        (95, 94, [(90, 92, 89, 91), (91, 96, 91, 95)], [(3, 94)]),
        # A gap between stop and limit: at the open.
        (95, 90, [(93, 93, 92, 92)], [(1, 93)]),
        # Stop and limit at one price: the limit must be gone through upwards.
        (95, 95, [(100, 100, 90, 92)], []),
        (95, 95, [(100, 100, 90, 97)], [(2, 95)]),
        # Never reached.
        (95, 94, [(100, 110, 96, 100)], []),
    ],
)
def test_a_stop_limit_becomes_a_limit_when_its_stop_is_reached(
    stop: int, limit: int, bars: list[tuple[int, int, int, int]], fills: list[tuple[int, int]]
) -> None:
    """A sell stop-limit in bars whose low comes last but for the close."""
    _, script = given.run(given.bars(QUIET, *bars), want("sell", "stop_limit", stop=stop, limit=limit), path="ohlc")
    assert [(minute, price) for _, minute, _, price in script.fills] == fills


def test_a_trailing_stop_follows_the_best_price_and_never_goes_back() -> None:
    """The high of each bar raises the stop; the first price at or below it sells."""
    data = given.bars(QUIET, (104, 108, 104, 107), (107, 107, 104, 105), (105, 105, 102, 104))
    found, script = given.run(data, want("sell", "trailing_stop", trail=5), path="ohlc")
    assert script.fills == [(1, 4, 10, 103)]
    assert (found.orders[0].high_water, found.orders[0].stop) == (108, 103)


def test_a_trailing_stop_gaps_like_a_stop() -> None:
    """An open below it fills at the open."""
    data = given.bars(QUIET, (106, 110, 106, 110), (90, 90, 90, 90))
    _, script = given.run(data, want("sell", "trailing_stop", trail=5), path="ohlc")
    assert script.fills == [(1, 2, 10, 90)]


def test_a_buys_trailing_stop_follows_the_low() -> None:
    """Mirror image."""
    data = given.bars(QUIET, (100, 100, 90, 92), (92, 95, 92, 95))
    _, script = given.run(data, want("buy", "trailing_stop", trail=4), path="ohlc")
    assert script.fills == [(1, 3, 10, 94)]


@pytest.mark.parametrize("side,best,stop", [("sell", 10_001, 9_975), ("buy", 9_999, 10_024)])
def test_a_trailing_rate_is_rounded_against_the_trader(side: str, best: int, stop: int) -> None:
    """25 basis points of 10,001 are 25.0025 units: the distance is 26, and 25 of 9,999."""
    data = given.bars((best,) * 4, (best,) * 4)
    found, _ = given.run(data, want(side, "trailing_stop", trail_bps=25))
    assert found.orders[0].stop == stop


def test_the_path_decides_where_a_trailing_stop_is_when_it_is_hit() -> None:
    """High first raises it before the fall."""
    data = given.bars(QUIET, (100, 110, 90, 100))
    prices = {}
    for path in ("ohlc", "olhc", "worst", "best"):
        _, script = given.run(data, want("sell", "trailing_stop", trail=5), path=path)
        prices[path] = script.fills[0][3]
    assert prices == {"ohlc": 105, "olhc": 95, "worst": 95, "best": 105}


@pytest.mark.parametrize(
    "fields,field",
    [
        ({"kind": "limit"}, "limit"),
        ({"kind": "limit", "limit": -1}, "limit"),
        ({"kind": "limit", "limit": 1, "stop": 1}, "stop"),
        ({"kind": "stop"}, "stop"),
        ({"kind": "stop_limit", "stop": 1}, "limit"),
        ({"kind": "market", "limit": 1}, "limit"),
        ({"kind": "market", "trail": 1}, "trail"),
        ({"kind": "trailing_stop"}, "trail"),
        ({"kind": "trailing_stop", "trail": 1, "trail_bps": 1}, "trail"),
        ({"kind": "trailing_stop", "trail": -1}, "trail"),
        ({"kind": "trailing_stop", "trail_bps": 10_000}, "trail"),
        ({"kind": "trailing_stop", "trail": 1, "time_in_force": "ioc"}, "time_in_force"),
        ({"kind": "stop", "stop": 1, "time_in_force": "fok"}, "time_in_force"),
        ({"kind": "market", "time_in_force": "opg"}, "time_in_force"),
        ({"kind": "market", "time_in_force": "gtd"}, "time_in_force"),
        ({"kind": "pegged"}, "kind"),
        ({"kind": "limit", "limit": 100.5}, "limit"),
        ({"kind": "limit", "limit": 100.0}, "limit"),
        ({"kind": "limit", "limit": True}, "limit"),
        ({"kind": "limit", "limit": "100"}, "limit"),
        ({"kind": "limit", "limit": 2**63}, "limit"),
        ({"kind": "stop", "stop": 0.5}, "stop"),
        ({"kind": "trailing_stop", "trail": 1.5}, "trail"),
        ({"kind": "trailing_stop", "trail_bps": 12.5}, "trail_bps"),
    ],
)
def test_an_order_that_does_not_fit_itself_is_refused_by_field(fields: dict[str, Any], field: str) -> None:
    """Nothing of it reaches the market."""

    def plan(ctx: Any) -> None:
        with pytest.raises(errors.ValueRefused) as caught:
            ctx.order("S", "buy", 1, **fields)
        assert caught.value.field == field

    found, _ = given.run(given.bars(QUIET), {0: plan})
    assert found.orders == []


def test_a_price_that_is_no_int_is_named_with_what_it_must_be() -> None:
    """A float is never cut; an integer of numpy's is one."""

    def plan(ctx: Any) -> None:
        with pytest.raises(errors.ValueRefused, match=r"limit: must be an int in the symbol.s price units, got 100.5$"):
            ctx.order("S", "buy", 1, "limit", limit=100.5)
        ctx.order("S", "buy", 1, "limit", limit=np.int64(105))

    _, script = given.run(given.bars(QUIET, QUIET), {0: plan})
    assert [fill[3] for fill in script.fills] == [100]


@pytest.mark.parametrize(
    "shares",
    [1.5, True, "1", Decimal("0.0000000001"), Decimal("1.00000000000000000000000000001"), Decimal("NaN"), 10**10],
)
def test_a_quantity_that_is_no_exact_number_of_shares_is_refused(shares: Any) -> None:
    """A float, a finer decimal (whatever the decimal context), no number, or more than 64 bits hold."""

    def plan(ctx: Any) -> None:
        with pytest.raises(errors.ValueRefused, match="shares"):
            ctx.order("S", "buy", shares)

    given.run(given.bars(QUIET), {0: plan})
