"""Fees by date in a run: accrued by the account per day and kind, kept exactly by each strategy."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import engine_runs
from tradeplane_engine import simulation, strategy
from tradeplane_engine.core import costs, log, sessions, venue_settings
from tradeplane_engine.data import series
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.venue import days, fees, rates, schedules

USD = 10**9
CENT = USD // 100
PLAIN = fees.Rates(Fraction("20.60"), fees.Taf(Fraction("0.000195"), Fraction("9.79")), Fraction("0.000003"))
BROKER = fees.Commission(per_share=Fraction("0.005"), minimum=Fraction(1))
SHORT = simulation.risk_limits.Limits(allow_short=True)


class Swing(strategy.Strategy):
    """Long and flat by turns."""

    class Parameters(strategy.Strategy.Parameters):
        """How many shares, and how often."""

        shares: int = 7
        every: int = 3

    parameters: Parameters
    seen = 0

    def on_bar(self, ctx: Any, bar: Any) -> None:
        """Turn round."""
        self.seen += 1
        ctx.target(bar.symbol, shares=self.parameters.shares * (self.seen // self.parameters.every % 2))


def daily(rows: int, seed: int = 1) -> series.Series:
    """Bars of a day each."""
    found = engine_runs.walk("S", rows, seed=seed)
    start = engine_runs.START + np.arange(rows, dtype=np.int64) * times.DAY
    columns = (found.open, found.high, found.low, found.close, found.volume)
    return series.Series("S", start, start + times.DAY, start + times.DAY, *columns)


def run(
    schedule: Any, data: series.Series, *sizes: tuple[int, int], venue: venue_settings.Venue | None = None
) -> tuple[simulation.Prepared, Any]:
    """Run one strategy per size."""
    several = [
        simulation.Allocation(
            Swing, capital=10**6, name=f"s{number}", parameters={"shares": shares, "every": every}, limits=SHORT
        )
        for number, (shares, every) in enumerate(sizes)
    ]
    prepared = simulation.Backtest(
        [data],
        several,
        costs=costs.Costs(schedule=schedule),
        limits=SHORT,
        venue=venue or venue_settings.Venue(),
        examine=False,
    ).prepare()
    return prepared, prepared.run()


def expected(found: Any, schedule: schedules.Schedule) -> tuple[int, Fraction]:
    """What the account pays, and the exact sum of charges, from the frame of fills."""
    by_day: dict[str, list[fees.Charge]] = {}
    rows = found.frame("fills", numbers="text").iter_rows(named=True)
    for row in rows:
        day = row["at"].strftime("%Y-%m-%d")
        side = orders.Side.BUY if row["side"] == "buy" else orders.Side.SELL
        charges = schedule.on(day).charges(side, numbers.price(row["price"]), numbers.quantity(row["quantity"]))
        by_day.setdefault(day, []).extend(charges)
    whole = sum(sum(fees.day_fees(charges).values()) for charges in by_day.values())
    return whole, fees.exact_fraction(sum(one.amount for day in by_day.values() for one in day))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 4)), min_size=1, max_size=3), st.booleans())
def test_the_account_pays_the_days_sums_and_each_strategy_its_own_exactly(
    sizes: list[tuple[int, int]], minutes: bool
) -> None:
    """Rounded up to the cent per day and kind, and rounded up to 1e-9 USD once."""
    schedule = schedules.constant("plain", PLAIN)
    data = engine_runs.walk("S", 30, seed=2) if minutes else daily(30)
    prepared, found = run(schedule, data, *sizes)
    whole, exact = expected(found, schedule)
    ledger = prepared.kernel.account.book.ledger
    assert ledger.fees == whole
    own = [slot.scope.book.ledger.fees for slot in prepared.kernel.slots]
    assert 0 <= sum(own) - exact < len(sizes)
    days_with_fills = 1 if minutes else 30
    assert 0 <= whole - exact < 3 * CENT * days_with_fills
    entries = [row[5] for row in found.log.tolist() if row[0] == log.ENTRY]
    assert whole - sum(own) == -sum(entries)
    ledger.check()


@pytest.mark.parametrize("first,rate", [("2026-04-01", 0.0), ("2026-04-02", 20.6e-6)])
def test_a_fills_fee_is_that_of_its_day(first: str, rate: float) -> None:
    """The SEC's rate was 0 until 2026-04-03 and is 20.60 USD per million since: the sale is on the third day."""
    one = daily(4)
    shift = times.instant(f"{first}T00:00:00Z") - int(one.start[0])
    moved = dataclasses.replace(
        one, start=one.start + shift, end=one.end + shift, available_at=one.available_at + shift
    )
    _, found = run(rates.UNITED_STATES, moved, (1000, 1))
    (sale,) = [row for row in found.frame("fills").iter_rows(named=True) if row["side"] == "sell"]
    assert sale["fee"] == pytest.approx(1000 * (0.000195 + 0.000003 + rate * sale["price"]), abs=1e-8)


def test_a_commission_is_of_its_order_and_the_same_for_both() -> None:
    """One USD at least for an order, however many fills it takes."""
    schedule = schedules.constant(
        "broker", fees.Rates(Fraction(0), fees.Taf(Fraction(0), Fraction(0)), Fraction(0), BROKER)
    )
    venue = venue_settings.Venue(participation=Fraction(1, 100), whole_shares=True)
    data = engine_runs.walk("S", 30, seed=3)
    prepared, found = run(schedule, data, (150, 15), venue=venue)
    fills = found.frame("fills").filter(found.frame("fills")["order"] == 1)
    assert len(fills) > 1
    traded = fills["quantity"].sum()
    assert fills["fee"].sum() == max(1.0, 0.005 * traded)
    assert prepared.kernel.flow.accrual.residue == 0
    assert prepared.kernel.account.book.ledger.fees == prepared.kernel.slots[0].scope.book.ledger.fees


def test_a_run_without_a_schedule_pays_only_its_commission() -> None:
    """The plain commission is added to nothing, and nothing accrues."""
    prepared, _ = run(None, engine_runs.walk("S", 10, seed=1), (7, 1))
    assert prepared.kernel.flow.accrual is None
    assert prepared.kernel.account.book.ledger.fees == 0


def test_days_are_those_of_sessions() -> None:
    """After-market hours that end after midnight UTC are of their day; what lies between belongs to the next."""
    opens = np.array([times.instant(f"2026-01-0{day}T14:30:00Z") for day in (5, 6, 9)], dtype=np.int64)
    begins, closes, ends = (opens + hours * times.HOUR // 2 for hours in (-11, 13, 21))
    found = days.Days(sessions.Sessions(opens, closes, begins, ends))
    assert found.of(times.instant("2026-01-06T00:30:00Z")) == "2026-01-05"
    assert found.of(times.instant("2026-01-06T01:00:00Z")) == "2026-01-05"
    assert found.of(times.instant("2026-01-06T01:00:01Z")) == "2026-01-06"
    assert found.after("2026-01-06", 1) == "2026-01-09"
    assert found.after("2026-01-09", 1) == "2026-01-12"
    regular = days.Days(sessions.Sessions(opens, closes))
    assert regular.of(times.instant("2026-01-05T21:00:00Z")) == "2026-01-05"
    assert regular.of(times.instant("2026-01-05T21:00:01Z")) == "2026-01-06"
    assert days.Days(None).of(times.instant("2026-01-06T00:30:00Z")) == "2026-01-06"
