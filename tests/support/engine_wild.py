"""Runs of a strategy that does anything at any time, from a seed."""

import random
from fractions import Fraction
from typing import Any

from support import engine_orders as given
from tradeplane_engine import errors
from tradeplane_engine.core import kernel, order, sessions
from tradeplane_engine.data import resampling, series

_STEPS = 12
_SYMBOLS = ("A", "B")


def wild(seed: int, *, splits: bool = True, steps: int = _STEPS) -> tuple[kernel.Kernel, given.Script]:
    """Run two symbols under settings, bars and requests that are drawn."""
    rng = random.Random(seed)  # noqa: S311 - must repeat
    settings = _settings(rng)
    data = [_bars(rng, symbol, steps) for symbol in _SYMBOLS]
    if rng.random() < 0.3:
        data += [resampling.resampled(one, 3 * given.MINUTE) for one in data]
    plan: given.Plan = {
        (symbol, step): lambda ctx: [_act(rng, ctx) for _ in range(rng.randint(0, 3))]
        for symbol in _SYMBOLS
        for step in range(steps)
    }
    left = [20]

    def hook(ctx: Any, update: kernel.Update) -> None:  # noqa: ARG001 - a hook
        if left[0] and rng.random() < 0.15:
            left[0] -= 1
            _act(rng, ctx)

    def split(script: given.Script) -> None:
        if splits and rng.random() < 0.05:
            new, old = rng.choice([(2, 1), (3, 2), (1, 3)])
            script.kernel.split(rng.choice(_SYMBOLS), new, old)  # type: ignore[union-attr]

    return given.run(data, plan, hook=hook, after=split, spread=Fraction(rng.randint(0, 3)), **settings)


def _settings(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": rng.choice(["worst", "best", "ohlc", "olhc", "adaptive"]),
        "limit_rule": rng.choice(["through", "touch"]),
        "participation": rng.choice([None, Fraction(1, 50), Fraction(1, 7)]),
        "whole_shares": rng.random() < 0.5,
        "fill_at": rng.choice(["next_open", "next_open", "next_close", "same_close"]),
        "slippage_bps": Fraction(rng.randint(0, 20)),
        "volume_share": rng.choice([None, Fraction(1, 3)]),
    }
    if found["fill_at"] == "same_close":
        found["allow_same_close"] = True
    else:
        found["latency"] = rng.choice([0, 0, 1, 30, 60, 150]) * 10**9
    if rng.random() < 0.5:
        found["sessions"] = given.trading((0, 4), (5, 9), (12, 40))
        if rng.random() < 0.5:
            regular, wide = found["sessions"], given.trading((-2, 4), (4, 11), (11, 50))
            found["sessions"] = sessions.Sessions(regular.opens, regular.closes, wide.opens, wide.closes)
    if rng.random() < 0.3:
        start = rng.randint(0, 10)
        found["halts"] = {"A": [(given.instant(start + 0.5), given.instant(start + rng.randint(1, 3)))]}
    return found


def _bars(rng: random.Random, symbol: str, steps: int) -> series.Series:
    rows, minutes, minute = [], [], 0
    for _ in range(steps):
        open_, close = rng.randint(80, 120), rng.randint(80, 120)
        rows.append(
            (
                open_,
                max(open_, close) + rng.randint(0, 10),
                min(open_, close) - rng.randint(0, 10),
                close,
                rng.choice([0, 10, 100, 1000]),
            )
        )
        minutes.append(minute)
        minute += rng.choice([1, 1, 1, 2])
    return given.bars(*rows, symbol=symbol, minutes=minutes, late=rng.choice([0, 0, 2]))


def _act(rng: random.Random, ctx: Any) -> None:
    """Do one thing; what does not fit is refused by name, and that is all right."""
    alive = ctx.open_orders()
    try:
        draw = rng.random()
        if alive and draw < 0.2:
            ctx.cancel(rng.choice(alive))
        elif alive and draw < 0.4:
            price = rng.randint(80, 120)
            one = rng.choice(alive)
            field = {order.LIMIT: "limit", order.STOP_LIMIT: "limit", order.STOP: "stop"}.get(one.kind, "trail")
            ctx.replace(one, **{field: price if field != "trail" else rng.randint(1, 20)})
        else:
            _want(rng, ctx)
    except errors.ValueRefused:
        pass


def _want(rng: random.Random, ctx: Any) -> None:
    symbol, side, shares = rng.choice(_SYMBOLS), rng.choice(["buy", "sell"]), rng.randint(1, 30)
    sign = 1 if side == "buy" else -1
    price, away = rng.randint(80, 120), rng.randint(1, 15)
    tif = rng.choice(["day", "gtc"])
    kind = rng.choice([*order.KINDS, "market", "bracket", "oco", "target"])
    if kind == "bracket":
        exits = {"take_profit": price + sign * away, "stop_loss": price - sign * away}
        if rng.random() < 0.3:
            exits.pop(rng.choice(sorted(exits)))
        ctx.bracket(symbol, side, shares, limit=rng.choice([0, price]), time_in_force=tif, **exits)
    elif kind == "oco":
        ctx.oco(symbol, side, shares, take_profit=price - sign * away, stop_loss=price + sign * away, time_in_force=tif)
    elif kind == "target":
        ctx.target(symbol, shares=sign * shares)
    else:
        if kind in {"market", "limit"}:
            tif = rng.choice(order.TIMES_IN_FORCE)
        prices: dict[str, dict[str, int]] = {
            "limit": {"limit": price},
            "stop": {"stop": price},
            "stop_limit": {"stop": price, "limit": price + sign * away},
            "trailing_stop": {"trail": away},
        }
        extended = kind == "limit" and rng.random() < 0.3
        ctx.order(symbol, side, shares, kind, tif, extended_hours=extended, **prices.get(kind, {}))
