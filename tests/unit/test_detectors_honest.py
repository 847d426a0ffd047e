import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from support import engine_runs, examined_runs, honest_strategies
from tradeplane_engine import detectors, errors, indicators
from tradeplane_engine.core import limits, venue_settings
from tradeplane_engine.data import series
from tradeplane_engine.detectors import outside, recomputed

TIGHT = limits.Limits(max_position_notional=1_500 * 10**9, max_open_orders=2, allow_short=False)


def _walks(*, gaps: bool = True) -> list[series.Series]:
    return [engine_runs.walk(name, 500 + 150 * at, seed=20 + at, gaps=gaps) for at, name in enumerate("ABC")]


def _shaped(name: str) -> series.Series:
    """A series whose closes have a shape that a rhythm may meet."""
    rows = np.arange(2_500)
    shape = {
        "zigzag": 1_000_000 + 400 * (rows % 2),
        "sine": 1_000_000 + np.rint(20_000 * np.sin(rows / 9.5)).astype(np.int64),
        "ramp": 500_000 + 300 * rows,
        "flat": np.full(len(rows), 1_000_000),
        "coarse": 50 + (rows * rows // 7) % 5,
    }[name]
    close = shape.astype(np.int64)
    open_ = np.concatenate((close[:1], close[:-1]))
    start = engine_runs.START + rows * engine_runs.MINUTE
    end = start + engine_runs.MINUTE
    high, low = np.maximum(open_, close) + 1, np.minimum(open_, close) - 1
    return series.Series("A", start, end, end, open_, high, low, close, rows * 37 % 1_000)


@pytest.mark.parametrize("name", list(honest_strategies.MAKERS))
def test_an_honest_strategy_is_not_accused(name: str) -> None:
    """No detector, the audit included, accuses a strategy that knows only what it is shown."""
    made = examined_runs.factory(lambda _: {name: honest_strategies.MAKERS[name]()})
    assert examined_runs.examine(made, _walks(), audit=True).found == ()


@pytest.mark.parametrize("shape", ["zigzag", "sine", "ramp", "flat", "coarse"])
@pytest.mark.parametrize("name", ["Alternates", "Saves", "Rising", "Reverts", "Clock", "Timed", "Breaks"])
def test_a_rhythm_of_prices_that_meets_that_of_a_strategy_is_no_foreknowledge(name: str, shape: str) -> None:
    """Prices that repeat themselves, only rise or never move make no cheat of a strategy."""
    made = examined_runs.factory(lambda _: {name: honest_strategies.MAKERS[name]()})
    assert examined_runs.examine(made, [_shaped(shape)]).found == ()


@pytest.mark.parametrize(
    "chosen, spread, latency",
    [
        (TIGHT, 0, 0),
        (engine_runs.LOOSE, 3, 0),
        (engine_runs.LOOSE, 0, 90 * 10**9),
        (dataclasses.replace(engine_runs.LOOSE, max_daily_loss=None, max_drawdown=Fraction(1, 10_000)), 2, 1),
    ],
)
def test_risk_costs_and_latency_accuse_nobody(chosen: limits.Limits, spread: int, latency: int) -> None:
    """Refusals, a spread beyond the bar and a late venue are part of an honest run; so are neighbours on an account."""
    names = ("Random", "Rising", "Stops")
    made = examined_runs.factory(
        lambda _: {name: honest_strategies.MAKERS[name]() for name in names},
        chosen=chosen,
        half_spread_bps=spread,
        latency=latency,
    )
    assert examined_runs.examine(made, _walks(gaps=False), audit=True).found == ()


@pytest.mark.parametrize(
    "venue",
    [
        venue_settings.Venue(slippage_bps=Fraction(4), volume_share=Fraction(1, 10)),
        venue_settings.Venue(fill_at="next_close", participation=Fraction(1, 500), path="adaptive"),
        venue_settings.Venue(fill_at="same_close", allow_same_close=True, path="ohlc"),
        venue_settings.Venue(limit_rule="touch", impact=lambda *_: 3),
    ],
    ids=["slippage", "next close", "same close", "impact"],
)
def test_a_venue_that_fills_otherwise_accuses_nobody(venue: venue_settings.Venue) -> None:
    """Slippage, a cap on volume, fills at closes and an impact are costs of an honest run."""
    names = ("Brackets", "Random", "Rests", "Rising")
    options = detectors.Options(same_close=venue.allow_same_close)
    made = examined_runs.factory(lambda _: {one: honest_strategies.MAKERS[one]() for one in names}, venue=venue)
    found = examined_runs.examine(made, _walks(gaps=False), audit=True, options=options)
    assert found.found == ()


@pytest.mark.parametrize("late", [1, 45 * 10**9, 200 * 10**9])
def test_bars_that_become_known_late_accuse_nobody(late: int) -> None:
    """Where a bar opens before the one before it is known, fills at its open are left out of the comparison."""
    data = [
        dataclasses.replace(one, available_at=one.end + late + (at * 7 * 10**9 if late > 1 else 0))
        for at, one in enumerate(_walks())
    ]
    for name in ("Rising", "Ranks", "Answers", "AtOnce"):
        made = examined_runs.factory(lambda _, name=name: {name: honest_strategies.MAKERS[name]()})
        assert examined_runs.examine(made, data, audit=True).found == ()


def test_long_bars_beside_short_ones_accuse_nobody() -> None:
    """A bar of an hour opens long before it is known, and what filled at its open is no proof."""
    minutes = engine_runs.walk("A", 1_200, seed=1)
    start = minutes.start[:1] + np.arange(20) * 60 * engine_runs.MINUTE
    hours = dataclasses.replace(
        engine_runs.walk("B", 20, seed=2),
        start=start,
        end=start + 60 * engine_runs.MINUTE,
        available_at=start + 60 * engine_runs.MINUTE,
    )
    for name in ("Rising", "Saves", "Random", "Answers"):
        made = examined_runs.factory(lambda _, name=name: {name: honest_strategies.MAKERS[name]()})
        assert examined_runs.examine(made, [minutes, hours], audit=True).found == ()


@pytest.mark.parametrize("name", indicators.names())
def test_no_indicator_of_the_library_is_accused(name: str) -> None:
    """Every indicator has the same bits on cut history, and depends on no more rows than it says."""
    outputs = indicators.named(name)().outputs

    class Reads(honest_strategies.Rising):
        def on_start(self, ctx: object) -> None:
            super().on_start(ctx)
            self.read = ctx.indicator(name)

    data = [engine_runs.walk("A", 700, seed=3)]
    run = examined_runs.factory(lambda _: {"reads": Reads()})(data)
    run.run()
    assert [list(values) for _, values, _ in run.slots[0].declared] == [list(outputs)]
    subjects = recomputed.declared(run)
    assert recomputed.examine(subjects[0], data, np.random.default_rng(1), audit=True) == []


def test_a_window_that_grows_at_the_start_is_not_accused() -> None:
    """A feature whose first rows see fewer bars than its span is compared where windows are whole."""

    def feature(one: series.Series) -> dict[str, np.ndarray]:
        totals = np.cumsum(one.close)
        return {"value": totals - np.concatenate((np.zeros(50, dtype=np.int64), totals))[: len(totals)]}

    data = [engine_runs.walk("A", 3_000, seed=3)]
    subject = recomputed.Computed("honest", "sum of 50", feature, {"A": feature(data[0])}, span=50)
    assert recomputed.examine(subject, data, np.random.default_rng(1), audit=True) == []
    too_short = dataclasses.replace(subject, span=49)
    assert recomputed.examine(too_short, data, np.random.default_rng(1), audit=False)


def test_orders_of_one_side_foretell_nothing() -> None:
    """Who only buys scores nothing, however the market rises."""
    orders = np.zeros((100, 8), dtype=np.int64)
    rising = _shaped("ramp")
    orders[:, 1], orders[:, 5] = rising.available_at[10:2010:20], 1
    assert outside._size(outside._Bets(rising, orders).won(0)) == 0.0


def test_what_cannot_be_replayed_is_noted() -> None:
    """A factory that refuses few bars is no proof; the findings say what was not examined."""
    made = examined_runs.factory(lambda _: {"holds": honest_strategies.Holds()})
    data = _walks()
    whole = sum(len(one) for one in data)

    def picky(given: list[series.Series]) -> object:
        if sum(len(one) for one in given) < whole:
            raise errors.ValueRefused("bars", f"{whole}", len(given))
        return made(given)

    found = examined_runs.examine(picky, data, audit=True)
    assert found.honest
    assert len(found.notes) >= 4
