"""Seeded random rules and tables, and the plain-Python answer to a rule."""

import random
from typing import Any

import numpy as np

from support import engine_runs
from tradeplane_engine import rules
from tradeplane_engine.data import series
from tradeplane_engine.rules import expressions

FIELDS = ("open", "high", "low", "close", "volume")


def data(seed: int) -> list[series.Series]:
    """Symbols of unequal lengths and gaps, with flat stretches (ties), one too short for any window, one empty."""
    found = [engine_runs.walk(f"S{n}", 120 + 60 * n, seed=100 * seed + n, gaps=n % 2 == 1) for n in range(3)]
    flat = engine_runs.walk("TIES", 150, seed=seed)
    steps = flat.close // 2000 * 2000
    high, low = np.maximum(steps, flat.open), np.minimum(steps, flat.open)
    columns = {"open": flat.open, "high": high, "low": low, "close": steps, "volume": flat.volume % 3}
    times = {"start": flat.start, "end": flat.end, "available_at": flat.available_at}
    tied = series.Series(symbol="TIES", digits=2, **times, **columns)
    return [*found, tied, engine_runs.walk("TINY", 3, seed=seed), engine_runs.walk("NONE", 0, seed=seed)]


def number(rng: random.Random, depth: int) -> rules.Number:
    """A random number."""
    kind = rng.randrange(8 if depth else 3)
    field = rng.choice(FIELDS)
    if kind == 0:
        return rules.column(field)
    if kind in {1, 2, 3}:
        return rng.choice((rules.sum, rules.highest, rules.lowest, rules.change))(field, rng.randint(1, 30))
    if kind == 4:
        return number(rng, depth - 1) + number(rng, depth - 1)
    if kind == 5:
        return number(rng, depth - 1) - rng.choice((number(rng, depth - 1), rng.randint(-9, 10**6)))
    return rng.randint(-50, 50) * number(rng, depth - 1)


def condition(rng: random.Random, depth: int) -> rules.Condition:
    """A random condition."""
    kind = rng.randrange(7)
    if depth and kind == 0:
        return condition(rng, depth - 1) & condition(rng, depth - 1)
    if depth and kind == 1:
        return condition(rng, depth - 1) | condition(rng, depth - 1)
    if depth and kind == 2:
        return ~condition(rng, depth - 1)
    window, field = rng.randint(2, 30), rng.choice(FIELDS)
    mean = window * rules.column(field) + number(rng, 0) - number(rng, 0)
    left, right = (number(rng, 2), number(rng, 2)) if kind % 2 else (mean, rules.sum(field, window))
    name = rng.choice(("__lt__", "__le__", "__gt__", "__ge__", "equals", "crossed_above", "crossed_below"))
    found: rules.Condition = getattr(left, name)(right)
    return found


def rule(seed: int, *, shorts: bool = True) -> rules.Rule:
    """A random rule of one to three branches."""
    rng = random.Random(seed)  # noqa: S311 - seeded on purpose
    low = -200 if shorts else 0
    found: int | rules.Rule = rng.choice((0, rng.randint(low, 200)))
    for _ in range(rng.randint(1, 3)):
        found = rules.when(condition(rng, 2)).hold(shares=rng.choice((100, rng.randint(low, 200))), otherwise=found)
    assert isinstance(found, rules.Rule)
    return found


def answer(one: rules.Rule, bars: series.Series) -> list[int]:
    """Target per bar of one symbol from the first defined bar on, by nothing but lists and integers."""
    columns = {name: getattr(bars, name).tolist() for name in FIELDS}
    first = max([window.spec().warmup for window in one.windows()], default=0)
    found = []
    for at in range(first, len(bars)):
        holds = [shares for when, shares in one.branches() if _at(when, columns, at, first)]
        found.append(holds[0] if holds else one.rest())
    return found


def _at(node: Any, columns: dict[str, list[int]], at: int, first: int) -> Any:  # noqa: C901, PLR0911 - one case per node
    match node:
        case expressions.Constant():
            return node.value
        case expressions.Column():
            return columns[node.field][at]
        case expressions.Window():
            part = columns[node.field][max(at - node.window + 1, 0) : at + 1]
            values = {"sum": sum(part), "highest": max(part), "lowest": min(part)}
            return values.get(node.name, columns[node.field][at] - columns[node.field][at - node.window])
        case expressions.Times():
            return node.factor * _at(node.right, columns, at, first)
        case expressions.Not():
            return not _at(node.right, columns, at, first)
        case expressions.Crossed():
            sign = expressions.Compare(node.sign, node.left, node.right)
            return at > first and _at(sign, columns, at, first) and not _at(sign, columns, at - 1, first)
    left, right = _at(node.left, columns, at, first), _at(node.right, columns, at, first)
    match node:
        case expressions.Plus():
            return left + right
        case expressions.Minus():
            return left - right
        case expressions.Both():
            return left and right
        case expressions.Either():
            return left or right
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "==": left == right}[
        node.sign
    ]
