from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from support import engine_runs
from tradeplane_engine import core, errors, strategy
from tradeplane_engine.core import context, table

_HIDDEN = (
    *("table", "kernel", "row", "last_row", "values", "context", "exact_values", "float_values"),
    *("targets", "wanted"),  # by symbol ids and in types that nothing would check
)


class _Keeper(strategy.Strategy):
    """Keeps what it is shown."""

    def on_start(self, ctx: context.Context) -> None:
        self.ctx, self.exact, self.rough = ctx, ctx.indicator("sma", 3), ctx.indicator("ema", 3)
        self.bars: list[table.Bar] = []
        self.histories: list[np.ndarray] = []

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.bars.append(bar)
        self.histories.append(ctx.history(bar.symbol, 5))


@pytest.fixture(scope="module")
def shown() -> _Keeper:
    """A strategy after a run over 60 bars."""
    found = _Keeper()
    engine_runs.run([engine_runs.walk("S", 60, seed=1)], found)
    return found


@pytest.mark.parametrize("what", ["ctx", "exact", "rough", "bar"])
def test_nothing_that_a_strategy_is_given_leads_to_the_table(shown: _Keeper, what: str) -> None:
    """Context, indicators and bars have no public attribute that holds later rows, or that sets the row."""
    given = shown.bars[0] if what == "bar" else getattr(shown, what)
    assert not [name for name in _HIDDEN if hasattr(given, name)]
    for name in (one for one in dir(given) if not one.startswith("_")):
        if (what, name) == ("rough", "numerator"):
            continue  # refused: a float has none
        value = getattr(given, name)
        assert not isinstance(value, table.Table | np.ndarray | memoryview), name


@pytest.mark.skipif(not core.compiled(), reason="interpreted, an underscore is all that hides it")
def test_what_is_wanted_is_out_of_a_strategys_reach(shown: _Keeper) -> None:
    """The compiled core indexes memory with a target's symbol id: nothing but ``ctx.target`` sets one."""
    assert not [name for name in ("_targets", "_wanted") if hasattr(shown.ctx, name)]


@pytest.mark.parametrize(
    "ask,field",
    [
        (lambda ctx: ctx.history("S", -5), "rows"),
        (lambda ctx: ctx.history("S", 2.5), "rows"),
        (lambda ctx: ctx.history("S", 5, "foo"), "field"),
        (lambda ctx: ctx.timer(ctx.now + 1, 5), "timer"),
        (lambda ctx: ctx.timer(ctx.now + 1.5), "timer"),
        (lambda ctx: ctx.timer(2**63), "timer"),
        (lambda ctx: ctx.target("S", weight=float("nan")), "weight"),
        (lambda ctx: ctx.target("S", weight=np.float32("inf")), "weight"),
        (lambda ctx: ctx.target("S", weight=True), "weight"),
        (lambda ctx: ctx.target("S", weight="half"), "weight"),
        (lambda ctx: ctx.target("S", weight=1e30), "weight"),
    ],
)
def test_what_a_strategy_asks_for_wrongly_is_refused_by_field(shown: _Keeper, ask: Any, field: str) -> None:
    """Neither an error of Python's nor a wrong answer."""
    with pytest.raises(errors.ValueRefused) as caught:
        ask(shown.ctx)
    assert caught.value.field == field


def test_a_weight_may_be_a_number_of_numpys() -> None:
    """It is the number that it says."""

    class Half(strategy.Strategy):
        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
            ctx.target(bar.symbol, weight=type(self).weight)

    digests = set()
    for weight in (0.5, np.float32(0.5), np.float64(0.5), Fraction(1, 2), Decimal("0.5")):
        Half.weight = weight
        digests.add(engine_runs.run([engine_runs.walk("S", 20, seed=1)], Half()).log.digest({}))
    assert len(digests) == 1


def test_history_ends_with_the_newest_bar_and_has_no_base(shown: _Keeper) -> None:
    """The rows of a history are those up to the bar, read-only, in memory of their own."""
    closes = [bar.close for bar in shown.bars]
    for at, history in enumerate(shown.histories[5:], start=5):
        assert closes[at - 4 : at + 1] == history.tolist()
        assert history.base is None
        assert not history.flags.writeable
