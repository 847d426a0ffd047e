import numpy as np
import pytest

from tradeplane_engine.core import table
from tradeplane_engine.data import series
from tradeplane_engine.results import curves, round_trips

SHARE = 10**9
USD = 10**9
UNIT = 10_000


def bars(*prices: tuple[float, float, float, float]) -> table.Table:
    """One symbol's bars of length 10 from open, high, low, close."""
    rows = np.rint(np.array(prices) * UNIT).astype(np.int64)
    start = np.arange(len(rows), dtype=np.int64) * 10 + 10
    end = start + 10
    volume = np.ones(len(rows), dtype=np.int64)
    open_, high, low, close = (np.ascontiguousarray(rows[:, n]) for n in range(4))
    return table.Table(
        [series.Series("X", start, end, end, open=open_, high=high, low=low, close=close, volume=volume)]
    )


def fill(at: int, shares: float, price: float, fee: float = 0.0, *, strategy: int = 0) -> round_trips.Fill:
    """A fill in shares and USD."""
    return round_trips.Fill(at, strategy, 0, 1, int(shares * SHARE), int(price * UNIT), int(fee * USD))


CLIMB = bars((10, 12, 9, 11), (11, 13, 10.5, 12), (12, 12.5, 8, 9), (9, 9.5, 8.5, 9), (9, 20, 1, 10))


def test_a_long_trip_has_averages_profit_and_excursions() -> None:
    """Prices are averages by side; open profit counts what was already taken home."""
    fills = [fill(10, 100, 10, 1), fill(20, 100, 11, 1), fill(30, -50, 12, 0.5), fill(40, -150, 9, 1.5)]
    (trip,) = round_trips.find(fills, CLIMB, [UNIT])
    assert (trip.side, trip.entry_at, trip.exit_at, trip.bars) == (1, 10, 40, 3)
    assert (trip.quantity, trip.entered, trip.left) == (200 * SHARE, 200 * SHARE, 200 * SHARE)
    assert (trip.entry_value, trip.exit_value) == (2_100 * USD, 1_950 * USD)
    assert (trip.profit, trip.fees) == (-154 * USD, 4 * USD)
    assert trip.best == 500 * USD  # 200 shares for 2,100 at the second bar's high of 13
    assert trip.worst == (-2_100 + 600 + 150 * 8) * USD  # 150 left at the third bar's low of 8


def test_a_short_trip_loses_at_highs() -> None:
    """A short's worst is a high, its best a low."""
    (trip,) = round_trips.find([fill(10, -100, 10), fill(30, 100, 12)], CLIMB, [UNIT])
    assert (trip.side, trip.profit) == (-1, -200 * USD)
    assert (trip.worst, trip.best) == (-300 * USD, 100 * USD)  # high of 13, low of 9


def test_a_fill_across_zero_ends_one_trip_and_begins_another() -> None:
    """The fee is divided by quantity, nothing of it is lost."""
    fills = [fill(10, 100, 10), fill(20, -300, 11, 0.000000004), fill(30, 200, 12)]
    first, second = round_trips.find(fills, CLIMB, [UNIT])
    assert (first.flow, first.fees, first.side) == (100 * USD, 1, 1)
    assert (second.flow, second.fees, second.side) == (-200 * USD, 3, -1)
    assert (second.entry_at, second.exit_at, second.quantity) == (20, 30, 200 * SHARE)


def test_strategies_have_trips_of_their_own() -> None:
    """What one strategy holds does not end another's trip; a trip that is open is no trade."""
    fills = [fill(10, 100, 10), fill(20, -100, 11, strategy=1), fill(30, -100, 12), fill(40, 50, 9, strategy=1)]
    (trip,) = round_trips.find(fills, CLIMB, [UNIT])
    assert (trip.strategy, trip.profit) == (0, 200 * USD)


def test_bars_before_entry_and_from_the_exit_on_are_not_seen() -> None:
    """The last bar's range of 1 to 20 belongs to nobody who left at its open."""
    (trip,) = round_trips.find([fill(40, 1, 9), fill(50, -1, 9)], CLIMB, [UNIT])
    assert (trip.worst, trip.best, trip.bars) == (-USD // 2, USD // 2, 1)


@pytest.mark.parametrize("seed", range(8))
def test_random_trips_equal_a_slow_walk(seed: int) -> None:
    """Profit, excursions and bars are those of a walk over every bar and every fill."""
    rng = np.random.default_rng(seed)
    count = 60
    base = 50 + np.cumsum(rng.normal(0, 1, (count, 1)), axis=0)
    rows = base + rng.normal(0, 0.5, (count, 4))
    rows[:, 1], rows[:, 2] = rows.max(axis=1), rows.min(axis=1)
    market = bars(*[tuple(row) for row in np.round(rows, 4).tolist()])
    starts, opens = market.columns["start"].tolist(), market.columns["open"].tolist()
    highs, lows = market.columns["high"].tolist(), market.columns["low"].tolist()
    wanted = (rng.integers(-2, 3, 30) * SHARE // 3).tolist()
    rows_filled = sorted(rng.choice(count, 30, replace=False).tolist())
    fills = [
        round_trips.Fill(starts[row], 0, 0, row, wish - before, opens[row], int(rng.integers(9)))
        for row, wish, before in zip(rows_filled, wanted, [0, *wanted[:-1]], strict=True)
        if wish != before
    ]
    expected: list[tuple[int, int, int, int]] = []
    held = flow = fees = worst = best = seen = 0
    by_row = {one.order: one for one in fills}
    for row in range(count):
        one = by_row.get(row)
        if one is not None:
            crosses = held and (held > 0) != (one.signed > 0) and abs(one.signed) > abs(held)
            continued = -held if crosses else one.signed
            part = one.fee * continued // one.signed
            pieces = [(continued, part), (one.signed - continued, one.fee - part)]
            for signed, fee in pieces:
                if signed:
                    flow, fees, held = flow - _value(one.price, signed), fees + fee, held + signed
                    now = flow + _value(one.price, held)
                    worst, best = min(worst, now), max(best, now)
                    if held == 0:
                        expected.append((flow - fees, worst, best, seen))
                        flow = fees = worst = best = seen = 0
        if held:
            seen += 1
            for price in (lows[row], highs[row]):
                now = flow + _value(price, held)
                worst, best = min(worst, now), max(best, now)
    found = round_trips.find(fills, market, [UNIT])
    assert [(one.profit, one.worst, one.best, one.bars) for one in found] == expected
    assert len(found) > 2


def _value(price: int, quantity: int) -> int:
    """Half to even, in plain integers."""
    quotient, remainder = divmod(price * quantity, UNIT)
    return quotient + (2 * remainder > UNIT or (2 * remainder == UNIT and quotient % 2))


@pytest.mark.parametrize("unit", [1, 100, 10_000, 10**9])
def test_the_worth_of_positions_is_the_ledgers(unit: int) -> None:
    """Vectorised values round half to even exactly as the ledger does, beyond 64-bit products too."""
    rng = np.random.default_rng(unit)
    price = rng.integers(1, 10**6, 4_000)
    quantity = rng.integers(-(10**12), 10**12, 4_000)
    quantity[:1_000] = rng.integers(-9, 9, 1_000) * (unit // 2 or 1)
    expected = [round_exact(p * q, unit) for p, q in zip(price.tolist(), quantity.tolist(), strict=True)]
    assert curves._values(price, quantity, unit).tolist() == expected
    big = price * 10_000
    small = quantity // 10**5
    expected = [round_exact(p * q, unit) for p, q in zip(big.tolist(), small.tolist(), strict=True)]
    assert curves._values(big, small, unit).tolist() == expected


def round_exact(product: int, unit: int) -> int:
    """Half to even by doubling."""
    quotient, remainder = divmod(product, unit)
    return quotient + (2 * remainder > unit or (2 * remainder == unit and quotient % 2))
