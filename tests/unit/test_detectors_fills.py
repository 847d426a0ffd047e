from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from support import engine_runs, examined_runs, honest_strategies
from tradeplane_engine import detectors, errors, strategy
from tradeplane_engine.core import context, costs, log, table
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, fills

DATA = engine_runs.walk("S", 50, seed=4)
SHARE = 10**9


def _run(fill: dict[str, int] | None, *, created: int, latency: int = 0, held: int = 0) -> SimpleNamespace:
    """A run that says it did something: an order and its fill, each as it claims."""
    side = -1 if fill is not None and fill.get("quantity", SHARE) < 0 else 1
    spread = costs.Costs(half_spread_bps=Fraction(5))
    written = log.Log()
    written.write(log.ORDER, created, 0, 0, 1, SHARE, 0, 0)
    if fill is not None:
        written.write(log.FILL, fill["at"], 0, 0, 1, fill.get("quantity", SHARE), fill["price"], 0)
    return SimpleNamespace(
        log=written,
        orders=[SimpleNamespace(created=created, live_from=created + latency + held)],
        slots=[SimpleNamespace(name="liar")],
        market=SimpleNamespace(quoted=False, price=lambda _, reference, *__: spread.price(side, reference)),
        flow=SimpleNamespace(latency=latency),
        table=table.Table([DATA]),
    )


def _sentences(run: SimpleNamespace, *, same_close: bool = False) -> list[str]:
    return [one.sentence for one in fills.examine(run, [DATA], same_close=same_close)]


CREATED = int(DATA.available_at[10])
OPEN = int(DATA.start[11])  # of the next bar; these bars follow each other without a gap


@pytest.mark.parametrize(
    "fill, latency, same_close, word",
    [
        ({"at": OPEN, "price": int(DATA.open[11])}, 0, False, ""),
        ({"at": int(DATA.end[11]), "price": int(DATA.low[11])}, 0, False, ""),
        ({"at": OPEN, "price": int(DATA.high[11]) + 1}, 0, False, ""),
        ({"at": OPEN, "price": int(DATA.high[11]) + 1_000}, 0, False, "outside"),
        ({"at": OPEN, "price": int(DATA.low[11]) - 1}, 0, False, "outside"),
        ({"at": OPEN, "price": int(DATA.high[11]) + 1, "quantity": -SHARE}, 0, False, "outside"),
        ({"at": OPEN, "price": int(DATA.low[11]) - 1, "quantity": -SHARE}, 0, False, ""),
        ({"at": OPEN, "price": int(DATA.open[11])}, 1, False, "latency"),
        ({"at": OPEN + 7, "price": int(DATA.close[10])}, 0, False, "ended"),
        ({"at": int(DATA.start[10]), "price": int(DATA.open[10])}, 0, False, "latency"),
    ],
)
def test_a_fill_is_judged_by_its_bar(fill: dict[str, int], latency: int, same_close: bool, word: str) -> None:
    """A fill is at an open or within a bar that ended later, after the latency, and off its range by costs alone."""
    found = _sentences(_run(fill, created=CREATED, latency=latency), same_close=same_close)
    assert [word in one for one in found] == ([True] if word else [])


def test_a_fill_before_the_venue_has_the_order_is_early() -> None:
    """An order that was held back, such as a leg of another, is not filled before it is live."""
    fill = {"at": OPEN, "price": int(DATA.open[11])}
    for latency, held in ((0, 1), (1, -1)):
        found = _sentences(_run(fill, created=CREATED, latency=latency, held=held))
        assert ["latency" in one for one in found] == [True]


def test_a_fill_at_the_deciding_close_is_stale_unless_it_is_allowed() -> None:
    """The close that a decision saw fills it only under the flag for the same close."""
    # A bar after a gap: at the close nothing opens.
    gap = engine_runs.walk("S", 50, seed=4, gaps=True)
    row = int(np.flatnonzero(gap.start[1:] > gap.end[:-1])[0])
    run = _run({"at": int(gap.end[row]), "price": int(gap.close[row])}, created=int(gap.available_at[row]))
    assert "ended" in fills.examine(run, [gap], same_close=False)[0].sentence
    assert fills.examine(run, [gap], same_close=True) == []


def test_an_order_without_data_is_found() -> None:
    """An order before the first bar of its symbol is known, or in one without bars, has no price to stand on."""
    early = fills.examine(_run(None, created=int(DATA.start[0])), [DATA], same_close=False)
    assert [(one.strategy, one.index) for one in early] == [("liar", -1)]
    empty = cuts.part(DATA, 0, 0)
    assert len(fills.examine(_run(None, created=CREATED), [empty], same_close=False)) == 1


def test_every_fill_of_a_real_run_stands() -> None:
    """No fill of the engine's own market is accused."""
    data = [engine_runs.walk("S", 1_000, seed=1, gaps=True)]
    run = examined_runs.factory(lambda _: {"r": honest_strategies.Reverts()}, half_spread_bps=3, latency=7)(data)
    run.run()
    assert run.account.book.ledger.fills > 100
    assert fills.examine(run, data, same_close=False) == []


class _First(strategy.Strategy):
    """Buys the first symbol that it is shown, and no other."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.symbol = ""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.symbol = self.symbol or bar.symbol
        if bar.symbol == self.symbol:
            ctx.target(bar.symbol, shares=bar.volume % 3)


@pytest.mark.parametrize("ordered", [False, True])
def test_a_result_that_depends_on_the_order_of_symbols_is_found(ordered: bool) -> None:
    """Where symbols are taken as they are given, who trades the first one is named; where they are sorted, nobody."""
    data: list[series.Series] = [engine_runs.walk(name, 400, seed=at) for at, name in enumerate("AB")]
    found = examined_runs.examine(examined_runs.factory(lambda _: {"first": _First()}, ordered=ordered), data)
    assert [(one.detector, one.strategy) for one in found.found if one.detector == "symbol-order"] == (
        [] if ordered else [("symbol-order", "first")]
    )
    assert found.honest is ordered


def test_other_data_than_that_of_the_run_is_refused() -> None:
    """An examination needs the run's own bars in the order of its ids."""
    made = examined_runs.factory(lambda _: {"holds": honest_strategies.Holds()})
    run = made([DATA])
    run.run()
    with pytest.raises(errors.ValueRefused, match="data"):
        detectors.examine(made, [engine_runs.walk("S", 49, seed=4)], run, seed=1)
