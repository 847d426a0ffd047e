import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.domain import bars, logarithms, numbers
from tradeplane_engine.features import alpha158, history, registry, rolling, sources

ROWS = 200


def rows_of(found: list[bars.Bar], actions: tuple[bars.CorporateAction, ...] = ()) -> rolling.FloatArray:
    """History of one symbol as rows."""
    return history.histories(engine_data.slices(found, actions), [found[0].symbol])[found[0].symbol].rows


@pytest.fixture(scope="module", name="rows")
def _rows() -> rolling.FloatArray:
    return rows_of(engine_data.walk("AAA", range(ROWS)))


def with_gaps(rows: rolling.FloatArray) -> rolling.FloatArray:
    """The same history with suspended rows."""
    holed = rows.copy()
    holed[[70, 71, 72, 130, 160], :5] = np.nan
    return holed


@pytest.mark.parametrize("change", [np.copy, with_gaps], ids=["complete", "suspended rows"])
def test_the_newest_row_alone_has_the_bits_of_the_batch(
    rows: rolling.FloatArray, change: Callable[[rolling.FloatArray], rolling.FloatArray]
) -> None:
    """Live and history are one function: bit for bit, NaN included, at every bar."""
    changed = change(rows)
    batch, complete = alpha158.batch(changed)
    for at in range(alpha158.WINDOW - 1, ROWS, 7):
        alone, there = alpha158.newest([changed[at - alpha158.WINDOW + 1 : at + 1]])
        assert alone[0].tobytes() == batch[at].tobytes()
        assert there[0] == complete[at]


def test_a_row_does_not_depend_on_its_neighbours(rows: rolling.FloatArray) -> None:
    """One window and a thousand windows give the same bits."""
    last = rows[-alpha158.WINDOW :]
    one, _ = alpha158.newest([last])
    many, _ = alpha158.newest([rows[: alpha158.WINDOW], last] * 500)
    assert one[0].tobytes() == many[1].tobytes() == many[-1].tobytes()


def test_a_row_does_not_depend_on_where_history_starts(rows: rolling.FloatArray) -> None:
    """Cutting the past off before the window changes no bit of later rows."""
    whole, _ = alpha158.batch(rows)
    cut, _ = alpha158.batch(rows[50:])
    assert whole[50 + alpha158.WINDOW - 1 :].tobytes() == cut[alpha158.WINDOW - 1 :].tobytes()


def test_a_row_does_not_see_the_future(rows: rolling.FloatArray) -> None:
    """Truncating history at a bar leaves its row as it was, the last bar included."""
    whole, _ = alpha158.batch(rows)
    for at in (61, 100, 150, ROWS - 2):
        cut, _ = alpha158.batch(rows[: at + 1])
        assert cut[at].tobytes() == whole[at].tobytes()


def test_the_unit_of_prices_does_not_matter(rows: rolling.FloatArray) -> None:
    """All prices times seven move no feature by more than 1e-9."""
    scaled = rows.copy()
    scaled[:, :4] *= 7
    assert_close(alpha158.batch(rows)[0], alpha158.batch(scaled)[0])


def test_the_unit_of_volume_matters_only_to_the_one_share_of_a_logarithm(rows: rolling.FloatArray) -> None:
    """Prices x 7 with volumes / 7 move nothing by 1e-9 but CORR, whose log(volume + 1) counts one share."""
    scaled = rows.copy()
    scaled[:, :4] *= 7
    scaled[:, 4] /= 7
    others = [at for at, name in enumerate(alpha158.COLUMNS) if not name.startswith("CORR")]
    before, after = alpha158.batch(rows)[0], alpha158.batch(scaled)[0]
    assert_close(before[:, others], after[:, others])
    assert np.nanmax(np.abs(before - after)) < 1e-4


def assert_close(one: rolling.FloatArray, two: rolling.FloatArray) -> None:
    """Compare complete rows: NaN in the same places, values within 1e-9."""
    one, two = one[alpha158.WINDOW - 1 :], two[alpha158.WINDOW - 1 :]
    assert (np.isnan(one) == np.isnan(two)).all()
    scale = np.maximum(1, np.abs(one))
    assert np.nanmax(np.abs(one - two) / scale) <= 1e-9


def flat(count: int, price: str) -> list[bars.Bar]:
    """Bars that never move."""
    return [engine_data.bar("AAA", session, price=price) for session in range(count)]


def test_a_flat_window_is_undefined_whatever_the_price() -> None:
    """RSQR and CORR are NaN on flat prices at 1 USD and at 100,000 USD alike."""
    for price in ("1", "100000"):
        row = alpha158.batch(rows_of(flat(70, price)))[0][-1]
        found = dict(zip(alpha158.COLUMNS, row.tolist(), strict=True))
        assert math.isnan(found["RSQR20"])
        assert math.isnan(found["CORR20"])
        assert found["STD20"] == 0


def test_a_cheap_stock_that_moves_is_not_flat() -> None:
    """Qlib's absolute threshold would hide a price of 0.0002 USD that doubles; ours does not."""
    found = [engine_data.bar("AAA", n, price="0.0001" if n % 2 else "0.0002") for n in range(70)]
    rows = rows_of(found)
    rows[:, :4] /= 100
    at = alpha158.COLUMNS.index("RSQR20")
    assert math.isnan(alpha158.batch(rows, qlib_compat=True)[0][-1][at])
    assert not math.isnan(alpha158.batch(rows)[0][-1][at])


def on_new_basis(found: list[bars.Bar], before: int, ratio: int) -> list[bars.Bar]:
    """The same bars as if the sessions before ``before`` had been quoted before a split."""
    return [
        replace(
            one,
            open=numbers.Price(one.open * ratio),
            high=numbers.Price(one.high * ratio),
            low=numbers.Price(one.low * ratio),
            close=numbers.Price(one.close * ratio),
            volume=one.volume // ratio,
        )
        if one.start < engine_data.opening(before)
        else one
        for one in found
    ]


def test_a_split_inside_the_window_changes_nothing() -> None:
    """7:1 at session 90: every feature as if there had been none."""
    found = [replace(one, volume=one.volume // 7 * 7) for one in engine_data.walk("AAA", range(120))]
    split = bars.CorporateAction("AAA", engine_data.opening(90), (7, 1), numbers.Money(0))
    calm = alpha158.batch(rows_of(found))[0]
    adjusted = alpha158.batch(rows_of(on_new_basis(found, 90, 7), (split,)))[0]
    after = [at for at in range(alpha158.WINDOW - 1, 120) if at >= 90]
    assert np.nanmax(np.abs(calm[after] - adjusted[after])) <= 1e-9


def test_a_later_split_does_not_change_an_earlier_row() -> None:
    """What is known today never rewrites a row of yesterday: bit for bit."""
    found = engine_data.walk("AAA", range(120))
    split = bars.CorporateAction("AAA", engine_data.opening(110), (2, 1), numbers.money("0.5"))
    without = alpha158.batch(rows_of(found))[0]
    later = alpha158.batch(rows_of(found, (split,)))[0]
    assert without[:110].tobytes() == later[:110].tobytes()
    assert without[110:].tobytes() != later[110:].tobytes()


def test_a_dividend_is_a_return() -> None:
    """On the ex-day the previous close counts less by the total return factor 1 + dividend / close."""
    found = engine_data.walk("AAA", range(70))
    dividend = bars.CorporateAction("AAA", engine_data.opening(69), (1, 1), numbers.money("2"))
    rows = rows_of(found, (dividend,))
    windows = history.newest_windows([rows[-61:]], length=61)
    factor = 1 + 2 / (found[69].close / 10_000)
    assert windows.close[1, 0] == pytest.approx(found[68].close / 10_000 / factor, rel=1e-12)


def test_an_action_of_a_missing_bar_waits_for_the_next() -> None:
    """A split on a suspended day still adjusts what lies before it."""
    found = [one for one in engine_data.walk("AAA", range(70)) if one.start != engine_data.opening(68)]
    other = engine_data.walk("BBB", range(70))
    split = bars.CorporateAction("AAA", engine_data.opening(68), (2, 1), numbers.Money(0))
    rows = history.histories(engine_data.slices([*found, *other], [split]), ["AAA"])["AAA"].rows
    assert math.isnan(rows[68, 3])
    assert (rows[68, 5], rows[69, 5]) == (1.0, 2.0)


@pytest.mark.parametrize("present,expected", [(60, False), (61, True)])
def test_a_symbol_is_scored_only_with_its_full_window(present: int, expected: bool) -> None:
    """61 bars, not one less."""
    source = sources.LastBars(engine_data.ALPHA, ["AAA"])
    for one in engine_data.slices(engine_data.walk("AAA", range(present))):
        source.observe(one)
    assert (("AAA",) if expected else ()) == source.rows()[0]


@pytest.mark.parametrize("missing,expected", [(99, False), (39, False), (40, True), (70, True)])
def test_the_newest_and_oldest_bar_of_a_window_must_be_there(missing: int, expected: bool) -> None:
    """A bar missing at either end leaves the symbol without a score; one in between is a suspended day."""
    found = [one for one in engine_data.walk("AAA", range(100)) if one.start != engine_data.opening(missing)]
    source = sources.LastBars(engine_data.ALPHA, ["AAA", "BBB"])
    for one in engine_data.slices([*found, *engine_data.walk("BBB", range(100))]):
        source.observe(one)
    assert ("AAA" in source.rows()[0]) is expected


def test_both_sources_give_the_same_rows() -> None:
    """Precomputed history and the last bars agree bit for bit, late listings and gaps included."""
    found = [
        *engine_data.walk("AAA", range(110)),
        *engine_data.walk("BBB", (n for n in range(110) if n % 17)),
        *engine_data.walk("CCC", range(30, 110)),
    ]
    symbols = ("AAA", "BBB", "CCC")
    slices = engine_data.slices(found)
    live = sources.LastBars(engine_data.ALPHA, symbols)
    history_first = sources.precompute(
        slices, symbols=symbols, features=engine_data.ALPHA, start=engine_data.ending(70)
    )
    for session, one in enumerate(slices):
        live.observe(one)
        if session >= 70:
            assert live.rows_at(one.end)[0] == history_first.rows_at(one.end)[0]
            assert live.rows_at(one.end)[1].tobytes() == history_first.rows_at(one.end)[1].tobytes()


def test_our_logarithm_is_within_one_unit_in_the_last_place() -> None:
    """Against the machine's, over the whole range that volumes and growth ratios take."""
    values = np.exp(np.random.default_rng(7).uniform(-30, 40, 200_000))
    ours, theirs = logarithms.log(values), np.log(values)
    assert np.max(np.abs(ours - theirs) / np.spacing(np.abs(theirs))) <= 2


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_the_logarithm_of_nothing_is_missing(value: float) -> None:
    """No infinity enters a statistic."""
    assert math.isnan(logarithms.log(np.array([value]))[0])


def test_an_unknown_feature_set_is_refused_naming_the_known() -> None:
    """The refusal says what there is."""
    with pytest.raises(errors.ValueRefused, match=r"features: must be one of: alpha158 v1, got 'alpha360 v1'"):
        registry.named("alpha360", "v1")


def test_the_published_set_never_changes() -> None:
    """Version v1 has these columns for ever: models were trained on them."""
    columns = registry.named("alpha158", "v1").columns
    assert (len(columns), columns[0], columns[11], columns[-1]) == (157, "KMID", "LOW0", "VSUMD60")
    assert len(columns) == len(set(columns))
