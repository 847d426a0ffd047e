"""Orders that fill at quotes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from support.scenarios.making import Case, bars, minute, trade, trading, usd

_DAY = bars("100 101 99 100", "100 102 99.5 101.5", "103 104 102 103.5", "103.5 103.6 98 98.5", "96 97 95 96.5")


def _quotes(*rows: Sequence[float]) -> dict[str, Any]:
    """Quotes of S: (minute, bid, ask, shares on both sides)."""
    at, bid, ask, size = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    instants = np.array([minute(each) for each in at.tolist()], dtype=np.int64)
    return {"quotes": {"S": {"ts": instants, "bid": bid, "ask": ask, "bid_size": size, "ask_size": size}}}


_BOOK = _quotes((0.5, 99.9, 100.1, 60), (1.5, 101, 101.2, 500), (2.5, 103, 103.4, 500), (3.5, 98, 99, 500))


def _case(steps: Any, **venue: Any) -> Case:
    return trade(_DAY, steps, venue={"fill_at": "book", **venue}, **_BOOK)


def book_takes_what_a_quote_gives() -> Case:
    """A market order takes the size of the ask that stands, and the rest of the next."""
    return _case({0: lambda ctx: ctx.order("S", "buy", 100), 2: lambda ctx: ctx.order("S", "sell", 100)})


def book_limits_rest_and_cross() -> Case:
    """A limit that crosses trades at the ask, one that rests at its own price when the ask has gone through it."""
    return _case(
        {
            0: lambda ctx: ctx.order("S", "buy", 10, "limit", "gtc", limit=usd("100.1")),
            1: lambda ctx: ctx.order("S", "buy", 20, "limit", "gtc", limit=usd("99.5")),
        }
    )


def book_brackets_and_latency() -> Case:
    """An entry meets the quote that stands when it arrives, and a stop the bid that reaches it."""
    exits = {"take_profit": usd(110), "stop_loss": usd("98.5")}
    return _case({0: lambda ctx: ctx.bracket("S", "buy", 50, **exits)}, latency=int(0.75 * 60e9))


def book_at_once_or_never() -> Case:
    """Part of an ioc, and none of a fok that is larger than the quote."""
    return _case(
        {
            0: lambda ctx: (
                ctx.order("S", "buy", 100, "market", "ioc"),
                ctx.order("S", "sell", 100, "market", "fok"),
            )
        }
    )


def book_waits_for_the_session() -> Case:
    """What is ordered before the open meets the first quote after it; a day order expires at the close itself."""
    return _case(
        {
            0: lambda ctx: ctx.order("S", "buy", 10),
            2: lambda ctx: ctx.order("S", "buy", 10, "limit", limit=usd(90)),
        },
        sessions=trading((2, 4)),
    )
