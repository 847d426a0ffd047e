"""Reference prices: which bars a decision is judged by."""

import asyncio
from typing import Any, cast

import pytest

from support import minute_data
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_workers.gateway import prices


def of_minutes(end: str, **closes: str) -> bars.BarSlice:
    """Slice that ends at an instant, with a minute's bar per symbol."""
    start = times.Nanos(minute_data.at(end) - times.MINUTE)
    found = {symbol: minute_data.minute(symbol, start, close) for symbol, close in closes.items()}
    return bars.BarSlice("1m", minute_data.at(end), found)


@pytest.fixture(name="known")
def _known() -> prices.Prices:
    """A day's bars, minutes, and an extended session's, as if they had been read."""
    found = prices.Prices(cast("Any", None), clock=cast("Any", None))
    found.add(of_minutes("14:30", AAA="10", BBB="20", CCC="30"), read_s=1.0, channel="1d")
    found.add(of_minutes("14:35", AAA="11", BBB="21"), read_s=2.0, channel="1m")
    found.add(of_minutes("14:36", AAA="12"), read_s=3.0, channel="1m")
    found.add(of_minutes("14:36", BBB="22", DDD="40"), read_s=4.0, channel="1m:extended")
    return found


def closes(known: prices.Prices, trigger: str, channel: str) -> dict[str, int]:
    """Last closes in whole USD."""
    found = known.at(minute_data.at(trigger), channel=channel)
    return {symbol: bar.close // 10**numbers.PRICE_DIGITS for symbol, bar in sorted(found.items())}


def test_a_decision_is_judged_by_its_own_channels_bars(known: prices.Prices) -> None:
    """Whatever other channels say later of the same symbol; what it does not trade is worth what any channel says."""
    assert closes(known, "14:36", "1m") == {"AAA": 12, "BBB": 21, "CCC": 30, "DDD": 40}
    assert closes(known, "14:36", "1d") == {"AAA": 10, "BBB": 20, "CCC": 30, "DDD": 40}
    assert closes(known, "14:36", "1m:extended") == {"AAA": 12, "BBB": 22, "CCC": 30, "DDD": 40}


def test_no_bar_from_after_the_trigger_counts(known: prices.Prices) -> None:
    """A replay of the same decision sees the same bars."""
    assert closes(known, "14:35", "1m") == {"AAA": 11, "BBB": 21, "CCC": 30}


def test_the_time_of_reading_is_the_channels_own(known: prices.Prices) -> None:
    """An order is late by when its own slice was read."""
    assert known.read_at(minute_data.at("14:36"), channel="1m") == 3.0
    assert known.read_at(minute_data.at("14:36"), channel="1m:extended") == 4.0
    assert known.read_at(minute_data.at("14:36"), channel="5m") == float("-inf")


async def test_a_decision_waits_for_its_own_channel(known: prices.Prices) -> None:
    """Another channel's slice of the same end is not the one that was decided on."""
    trigger = minute_data.at("14:40")
    waiting = asyncio.ensure_future(known.wait_for(trigger, timeout_s=60, channel="5m"))
    await asyncio.sleep(0)
    known.add(of_minutes("14:40", AAA="13"), read_s=5.0, channel="1m")
    await asyncio.sleep(0)
    assert not waiting.done()
    known.add(of_minutes("14:40", AAA="13"), read_s=5.0, channel="5m")
    assert await waiting
