"""Random strategies under conventions that our engine and its peers share, run in each and compared fill by fill.

Prices are whole dollars, so that a peer's floats are exact and a difference is one of behaviour. What the peers do
otherwise than we by default, and how a case asks for the same:

- We fill a resting limit when the price has gone through it, backtrader at a touch: ``limit_rule="touch"``.
- A target across zero closes first and opens a turn later with us: the peers' scripts do the same by hand.
- backtrader counts an order that it cannot pay as refused: cash is ample.
- backtrader lets each resting order meet a bar on its own, in the sequence of their ids; with us the path through the
  bar decides: an order of a case is alone in its symbol's book.
- vectorbt has no resting orders: it runs the rules only.
"""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tradeplane_engine import strategy
from tradeplane_engine.core import context, costs, kernel, limits, log, risk, table, venue_settings
from tradeplane_engine.data import series

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "peers"
PACKAGES = ("vectorbt[rust]==1.2.0", "backtrader==1.9.78.123")
ENVIRONMENT = ROOT / ".tradeplane" / "peers"
CASH = 100_000_000  # USD
_START = 1_577_923_200_000_000_000
_MINUTE = 60_000_000_000
_LENGTH = 59_000_000_000  # of a bar, so that a fill at its end and one at the next open have different minutes
_TOLERANCE = 1e-6  # USD; the peers' floats of a hundred million
_INSTALL_S = 240

Case = dict[str, Any]
Fill = tuple[str, int, int, float, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """Final equity in USD, and fills as (symbol, row, signed shares, price, fee), per symbol in their order."""

    equity: float
    fills: list[Fill]

    def __post_init__(self) -> None:
        """Forget in which order symbols filled at one instant: engines differ there, and it changes nothing."""
        self.fills.sort(key=lambda fill: fill[0])


def rule_case(seed: int) -> Case:
    """A rule with random windows, sizes and fee over one to four symbols."""
    rng = random.Random(seed)  # noqa: S311 - must repeat
    fast = rng.randint(1, 12)
    kind = rng.choice(["cross", "channel"])
    rule = {"kind": kind, "fast": fast, "slow": rng.randint(fast + 1, 40)}
    rule |= {"long": rng.randint(1, 90), "short": rng.choice([0, -rng.randint(1, 90)])}
    return {**_case(rng, rng.randint(1, 4)), "rule": rule, "orders": []}


def order_case(seed: int) -> Case:
    """Market, limit and stop orders at random rows and prices, one at a time in a symbol, some of them cancelled."""
    rng = random.Random(seed)  # noqa: S311 - must repeat
    found = {**_case(rng, rng.randint(1, 3)), "rule": None}
    orders = []
    for symbol, columns in found["data"].items():
        row = rng.randint(0, 5)
        while row < len(columns["close"]) - 12:
            kind, side = rng.choice(["market", "limit", "stop"]), rng.choice(["buy", "sell"])
            away = rng.randint(0, 80) * (1 if (kind == "stop") == (side == "buy") else -1)
            price = 0 if kind == "market" else columns["close"][row] + away
            wait = rng.randint(2, 10)
            one = {"symbol": symbol, "row": row, "side": side, "shares": rng.randint(1, 50), "kind": kind}
            orders.append({**one, "price": price, "cancel": row + wait})
            row += wait + rng.randint(0, 3)
    return {**found, "orders": orders}


def _case(rng: random.Random, symbols: int) -> Case:
    rows = rng.randint(120, 300)
    data = {f"S{number}": _walk(rng, rows) for number in range(symbols)}
    return {"cash": CASH, "fee": rng.randint(0, 30) / 10_000, "data": data}


def _walk(rng: random.Random, rows: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {name: [] for name in ("open", "high", "low", "close", "volume")}
    close = 10_000
    for _ in range(rows):
        opened = close + rng.choice([0, 0, rng.randint(-60, 60)])  # most bars open where the last one closed
        close = opened + rng.randint(-50, 50)
        for name, value in zip(
            found,
            (opened, max(opened, close) + rng.randint(0, 30), min(opened, close) - rng.randint(0, 30), close, 1000),
            strict=True,
        ):
            found[name].append(value)
    return found


# Ours.


class Ruled(strategy.Strategy):
    """Follows a case's rule by engine indicators."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.rule = case["rule"]
        self.before: dict[str, tuple[int, int]] = {}

    def on_start(self, ctx: context.Context) -> None:
        """Declare what the rule reads."""
        if self.rule["kind"] == "cross":
            self.first = ctx.indicator("sma", self.rule["fast"])
            self.second = ctx.indicator("sma", self.rule["slow"])
        else:
            self.first = ctx.indicator("highest", self.rule["slow"], field="high")
            self.second = ctx.indicator("lowest", self.rule["slow"], field="low")

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Want what it says."""
        if self.rule["kind"] == "cross":
            ctx.target(bar.symbol, shares=self.rule["long"] if self.first > self.second else self.rule["short"])
            return
        before = self.before.get(bar.symbol)
        self.before[bar.symbol] = (self.first.numerator, self.second.numerator)
        if before is not None and bar.close > before[0]:
            ctx.target(bar.symbol, shares=self.rule["long"])
        elif before is not None and bar.close < before[1]:
            ctx.target(bar.symbol, shares=self.rule["short"])


class Ordered(strategy.Strategy):
    """Places and cancels a case's orders."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.plan: dict[tuple[str, int], list[tuple[int, Case]]] = {}
        self.ends: dict[tuple[str, int], list[int]] = {}
        for number, one in enumerate(case["orders"]):
            self.plan.setdefault((one["symbol"], one["row"]), []).append((number, one))
            self.ends.setdefault((one["symbol"], one["cancel"]), []).append(number)
        self.rows: dict[str, int] = {}
        self.placed: dict[int, Any] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Follow the plan."""
        row = self.rows[bar.symbol] = self.rows.get(bar.symbol, -1) + 1
        for number, one in self.plan.get((bar.symbol, row), ()):
            price = {one["kind"]: one["price"]} if one["price"] else {}
            self.placed[number] = ctx.order(bar.symbol, one["side"], one["shares"], one["kind"], "gtc", **price)
        for number in self.ends.get((bar.symbol, row), ()):
            ctx.cancel(self.placed[number])


def ours(case: Case, **venue: Any) -> Answer:
    """Run a case in our engine; ``venue`` changes its settings."""
    data = [_series(name, columns) for name, columns in case["data"].items()]
    policy = risk.Policy("free", limits.Limits(allow_short=True))
    charged = costs.Costs(commission_bps=Fraction(round(case["fee"] * 10_000)))
    settings = venue_settings.Venue(**{"limit_rule": "touch", **venue})
    run = kernel.Kernel(table.Table(data), charged, CASH * 10**9, policy, settings)
    run.add("case", Ruled(case) if case["rule"] else Ordered(case), CASH * 10**9, policy)
    run.run()
    fills = []
    for kind, at, _, symbol, _, signed, price, fee in run.log.rows().tolist():
        if kind == log.FILL:
            name = run.table.symbols[symbol]
            fills.append((name, (at - _START) // _MINUTE, signed // 10**9, float(price), fee / 1e9))
    return Answer(run.account.book.ledger.equity() / 1e9, fills)


def _series(name: str, columns: dict[str, list[int]]) -> series.Series:
    cells = np.array([columns[key] for key in ("open", "high", "low", "close", "volume")], dtype=np.int64)
    start = _START + np.arange(cells.shape[1], dtype=np.int64) * _MINUTE
    return series.Series(name, start, start + _LENGTH, start + _LENGTH, *cells, digits=0)


# Theirs.


def installed(folder: Path) -> tuple[Path | None, str]:
    """Return an interpreter that has the peers, installed from their wheels at the first call, or why there is none."""
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python, ""
    installer = Path(sys.executable).parent / "uv"
    if not installer.exists():
        found = shutil.which("uv")
        if found is None:
            return None, "uv is not installed"
        installer = Path(found)
    steps = ([installer, "venv", "--clear", "-q", "-p", sys.executable, folder],)
    steps += ([installer, "pip", "install", "-q", "--only-binary", ":all:", "-p", python, *PACKAGES],)
    for step in steps:
        try:
            done = subprocess.run(
                [str(word) for word in step], capture_output=True, text=True, timeout=_INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired:
            return None, f"{' '.join(PACKAGES)} did not install in {_INSTALL_S} s"
        if done.returncode:
            return None, done.stderr.strip()[-500:]
    (folder / "ready").touch()
    return python, ""


def theirs(python: Path, peer: str, cases: Sequence[Case]) -> list[Answer]:
    """Run cases in a peer."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    script = SCRIPTS / f"with_{peer}.py"
    done = subprocess.run([str(python), str(script)], input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer}: {done.stderr[-2000:]}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [Answer(one["equity"], [tuple(fill) for fill in one["fills"]]) for one in found]


def difference(mine: Answer, other: Answer) -> str:
    """Say the first thing in which two answers differ; empty where they agree."""
    for number, (left, right) in enumerate(zip(mine.fills, other.fills, strict=False)):
        if left[:4] != right[:4] or abs(left[4] - right[4]) > _TOLERANCE:
            return f"fill {number}: ours {left}, theirs {right}"
    if len(mine.fills) != len(other.fills):
        return f"ours has {len(mine.fills)} fills, theirs {len(other.fills)}"
    if abs(mine.equity - other.equity) > _TOLERANCE * max(1.0, abs(mine.equity) / CASH):
        return f"equity: ours {mine.equity}, theirs {other.equity}"
    return ""


def differences(mine: Sequence[Answer], others: Sequence[Answer]) -> list[str]:
    """Say where answers to the same cases differ, by the number of the case."""
    found = [difference(left, right) for left, right in zip(mine, others, strict=True)]
    return [f"case {number}: {one}" for number, one in enumerate(found) if one]
