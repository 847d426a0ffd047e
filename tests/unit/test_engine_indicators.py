import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import engine_indicators
from tradeplane_engine import errors, indicators
from tradeplane_engine.indicators import evaluate

ROWS = 150
HISTORY = engine_indicators.columns(ROWS)
MOSTLY_FLAT = engine_indicators.columns(ROWS, flat=7)
FAST_SLOW = {"fast": "slow", "short": "long"}
Arrays = dict[str, npt.NDArray[Any]]


def spread(window: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A user's function whose sums numpy adds in another order for another shape."""
    found: npt.NDArray[np.float64] = window.std(axis=0) + np.log(other).sum(axis=0) + window[0] - window[-1]
    return found


USER = indicators.function(spread, window=37, fields=("close", "high"))


def bits(value: float | None) -> bytes:
    """The bits of a value; none for no value."""
    if value is None:
        return b""
    return struct.pack("<q", value) if isinstance(value, int) else struct.pack("<d", value)


def values_of(spec: indicators.Spec, history: indicators.Columns) -> Arrays:
    """Values by output."""
    return {name: output.values for name, output in indicators.batch(spec, history).items()}


def assert_live_has_the_bits_of_history(spec: indicators.Spec, history: indicators.Columns) -> None:
    """Push every bar and compare every output with the batch."""
    batch = indicators.batch(spec, history)
    live = indicators.Incremental(spec, digits=history.digits)
    for row, bar in enumerate(engine_indicators.bars(history)):
        live.push(*bar)
        for value, output in zip(live.values, batch.values(), strict=True):
            expected = bits(output.values[row].item()) if row >= output.first else b""
            assert expected == bits(value), (spec, row)
        assert bits(live.value) == bits(live.values[0])


@st.composite
def specs(draw: st.DrawFn, name: str, most: int) -> indicators.Spec:
    """An indicator with windows and fields drawn within its rules."""
    arguments: dict[str, int | float | str] = {}
    for key, default in indicators.parameters(name).items():
        if isinstance(default, str):
            arguments[key] = draw(st.sampled_from(indicators.FIELDS))
        elif isinstance(default, int):
            arguments[key] = draw(st.integers(2, most))
        else:
            arguments[key] = draw(st.floats(0.01, 5.0))
    for less, more in FAST_SLOW.items():
        if less in arguments and more in arguments:
            arguments[more] = int(arguments[less]) + int(arguments[more])
    return indicators.named(name)(**arguments)


@pytest.mark.parametrize("name", indicators.names())
@settings(max_examples=5)
@given(data=st.data(), seed=st.integers(0, 2**32), rows=st.integers(0, 90), flat=st.sampled_from([0, 0, 3, 9]))
def test_live_has_the_bits_of_history(name: str, data: st.DataObject, seed: int, rows: int, flat: int) -> None:
    """One implementation: a value has the same bits at every row, whatever windows, length and quiet bars."""
    spec = data.draw(specs(name, 25))
    assert_live_has_the_bits_of_history(spec, engine_indicators.columns(rows, seed, flat=flat))


@pytest.mark.parametrize("history", [HISTORY, MOSTLY_FLAT], ids=["lively", "mostly flat"])
@pytest.mark.parametrize(
    "spec", [*(indicators.named(name)() for name in indicators.names()), USER], ids=lambda s: s.name
)
def test_a_value_does_not_depend_on_later_rows_or_on_the_chunks(
    spec: indicators.Spec, history: indicators.Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cutting the future off, or computing in other blocks, changes no bit."""
    whole = values_of(spec, history)
    monkeypatch.setattr(evaluate, "CHUNK", 17)
    for end in (0, 1, spec.warmup, spec.warmup + 1, 61, ROWS):
        cut = values_of(spec, engine_indicators.part(history, 0, end))
        for name, values in cut.items():
            assert whole[name][:end].tobytes() == values.tobytes()


@pytest.mark.parametrize(
    "spec", [s for s in (*(indicators.named(n)() for n in indicators.names()), USER) if s.span], ids=lambda s: s.name
)
def test_a_windowed_value_depends_on_its_window_alone(spec: indicators.Spec) -> None:
    """Cutting off all that is older than the span changes no bit, and the span is as short as the warm-up says."""
    assert spec.span == spec.warmup + 1
    whole = values_of(spec, HISTORY)
    for newest in (spec.warmup, 120, ROWS - 1):
        window = engine_indicators.part(HISTORY, newest - spec.span + 1, newest + 1)
        for name, values in values_of(spec, window).items():
            assert whole[name][newest : newest + 1].tobytes() == values[-1:].tobytes()


def test_recursive_indicators_say_that_they_depend_on_all_history() -> None:
    """Everything built on smoothing, sums since the start or a side in force has no span."""
    unbounded = {name for name in indicators.names() if indicators.named(name)().span is None}
    smoothed = {"ema", "rma", "dema", "tema", "t3", "zlema", "kama", "kc", "rsi", "cmo", "macd", "apo", "ppo", "trix"}
    directed = {"plus_dm", "minus_dm", "plus_di", "minus_di", "dx", "adx", "adxr", "sar", "supertrend"}
    ranged = {"atr", "natr", "massi", "cvi"}
    traded = {"obv", "ad", "adosc", "efi", "pvo", "pvt"}
    assert smoothed | directed | ranged | traded | {"tsi", "stochrsi"} == unbounded


@pytest.mark.parametrize("name", indicators.names())
def test_the_first_defined_row_is_the_warm_up_of_the_spec(name: str) -> None:
    """Before it floats are NaN and integers 0; from it on every output of lively bars is a number."""
    spec = indicators.named(name)()
    for output in indicators.batch(spec, HISTORY).values():
        assert output.first == spec.warmup
        if spec.exact:
            assert not output.values[: output.first].any()
        else:
            assert np.isnan(output.values[: output.first]).all()
            assert np.isfinite(output.values[output.first :]).all()


FIRSTS = [
    *(("sma", {"window": 20}, 19), ("ema", {"window": 20}, 19), ("change", {"window": 10}, 10), ("rsi", {}, 14)),
    *(
        ("atr", {}, 14),
        ("adx", {}, 27),
        ("adxr", {}, 40),
        ("macd", {}, 33),
        ("dema", {"window": 10}, 18),
        ("obv", {}, 0),
    ),
    *(("tema", {"window": 10}, 27), ("kama", {}, 30), ("stoch", {}, 8), ("stochrsi", {}, 20), ("trix", {}, 88)),
    *(("sar", {}, 1), ("bbands", {}, 19), ("plus_di", {}, 14), ("plus_dm", {}, 13), ("yang_zhang", {}, 20)),
]


@pytest.mark.parametrize("name, arguments, first", FIRSTS)
def test_the_first_row_follows_the_field_s_convention(name: str, arguments: dict[str, int], first: int) -> None:
    """Averages are seeded with a mean, Wilder's from the first change (quant reference, section 2)."""
    assert first == indicators.named(name)(**arguments).warmup


def test_an_exponential_average_is_seeded_with_the_mean() -> None:
    """Of 1, 2, 3 at row 2, then weight 2 / (n + 1)."""
    prices = np.array([1, 2, 3, 8, 5], dtype=np.int64)
    history = indicators.Columns(0, *[prices] * 5)
    assert values_of(indicators.named("ema")(window=3), history)["value"][2:].tolist() == [2.0, 5.0, 5.0]
    assert values_of(indicators.named("rma")(window=3), history)["value"][2:].tolist() == [2.0, 4.0, 4.0 + 1 / 3]


def test_ties_count_for_neither_side() -> None:
    """An unchanged close moves no volume; a value equal to the newest is not below it."""
    close, volume = np.array([5, 6, 6, 4, 6], dtype=np.int64), np.array([10, 1, 2, 3, 4], dtype=np.int64)
    history = indicators.Columns(0, close, close, close, close, volume)
    assert values_of(indicators.named("obv")(), history)["value"].tolist() == [10.0, 11.0, 11.0, 8.0, 12.0]
    assert values_of(indicators.named("percentrank")(window=4), history)["value"][-1] == 50.0


def test_a_stop_reverses_beyond_the_bar_that_hit_it() -> None:
    """A bar that makes a new extreme and hits the stop turns the side; the new stop is that bar's far end."""
    for sign, far in ((1, 140.0), (-1, 860.0)):
        near = np.array([100, 110, 140]), np.array([90, 95, 80])
        high, low = near if sign == 1 else (1000 - near[1], 1000 - near[0])
        history = indicators.Columns(0, high, high, low, low, low)
        assert values_of(indicators.named("sar")(), history)["value"][2] == far


def test_equal_movements_up_and_down_are_none() -> None:
    """A bar that grew by the same at both ends has no direction."""
    high, low = np.array([10, 12, 15]), np.array([8, 6, 5])
    history = indicators.Columns(0, high, high, low, low, low)
    assert values_of(indicators.named("plus_dm")(window=2), history)["value"][1:].tolist() == [0.0, 3.0]
    assert values_of(indicators.named("minus_dm")(window=2), history)["value"][1:].tolist() == [0.0, 0.0]


def test_deviation_divides_by_n() -> None:
    """Bands, deviation and variance have ddof 0."""
    prices = np.array([2, 4, 4, 4, 5, 5, 7, 9], dtype=np.int64)
    history = indicators.Columns(0, *[prices] * 5)
    assert values_of(indicators.named("stddev")(window=8), history)["value"][-1] == 2.0
    assert values_of(indicators.named("var")(window=8), history)["value"][-1] == 4.0
    assert values_of(indicators.named("bbands")(window=8), history)["upper"][-1] == 9.0
    assert values_of(indicators.named("zscore")(window=8), history)["value"][-1] == 2.0


@pytest.mark.parametrize(
    "name", ["rsi", "cmo", "willr", "cci", "stochf", "zscore", "correl", "mfi", "vwma", "cmf", "vwap"]
)
def test_a_division_by_zero_is_not_a_number(name: str) -> None:
    """Without movement and volume there is no reading, least of all an extreme one."""
    for values in values_of(indicators.named(name)(), engine_indicators.columns(60, flat=10)).values():
        assert np.isnan(values).all()


def test_quiet_bars_do_not_poison_what_is_summed_since_the_start() -> None:
    """Directional indices and the accumulation line count a bar without range as 0 and go on."""
    quiet, lively = engine_indicators.columns(40, flat=10), HISTORY
    joined = indicators.Columns(
        4, *(np.concatenate((quiet.integers(f), lively.integers(f))) for f in indicators.FIELDS)
    )
    for name in ("plus_di", "dx", "adx", "adxr", "ad", "adosc", "kama", "rsi", "macd"):
        for values in values_of(indicators.named(name)(), joined).values():
            assert np.isfinite(values[-50:]).all()


def test_values_without_an_outside_oracle_follow_their_definition() -> None:
    """zscore, windowed vwap and percentile at the newest row, in numpy's own words."""
    close, volume = HISTORY.close / 1e4, HISTORY.volume.astype(np.float64)
    typical = (HISTORY.high + HISTORY.low + HISTORY.close) / 3e4
    expected = {
        "zscore": (close[-1] - close[-20:].mean()) / close[-20:].std(),
        "vwap": (typical[-20:] * volume[-20:]).sum() / volume[-20:].sum(),
        "percentile": np.percentile(close[-30:], 50.0),
        "close_close": np.log(close[-20:] / close[-21:-1]).var(ddof=1),
    }
    for name, value in expected.items():
        assert values_of(indicators.named(name)(), HISTORY)["value"][-1] == pytest.approx(value, rel=1e-12)


def test_a_user_s_function_has_the_same_bits_live() -> None:
    """Even where numpy would add one window in another order than many."""
    assert_live_has_the_bits_of_history(USER, engine_indicators.columns(400))
    alone = np.ascontiguousarray((HISTORY.close[-37:] / 1e4)[::-1][:, None])
    many = np.ascontiguousarray(np.repeat(alone, 256, axis=1))
    assert alone.sum(axis=0)[0] != many.sum(axis=0)[0], "numpy adds alike here: this test shows nothing"


def test_a_user_s_function_sees_its_window_newest_row_first() -> None:
    """Shape (window, 256), one array per field, read-only, prices in USD and volume in shares."""
    seen: list[tuple[npt.NDArray[np.float64], ...]] = []

    def look(*windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        seen.append(windows)
        return windows[0][0]

    spec = indicators.function(look, window=3, fields=("close", "volume"))
    assert (spec.fields, spec.warmup, spec.span) == (("close", "volume"), 2, 3)
    values = values_of(spec, HISTORY)["value"]
    close, volume = seen[0]
    assert close.shape == volume.shape == (3, 256)
    assert close[:, 0].tolist() == (HISTORY.close[2::-1] / 1e4).tolist()
    assert volume[:, 1].tolist() == HISTORY.volume[3:0:-1].tolist()
    assert not close.flags.writeable
    assert values[2:].tolist() == (HISTORY.close[2:] / 1e4).tolist()


@pytest.mark.parametrize("answer", [1.0, np.zeros(255), np.zeros(256, dtype=np.int64), np.zeros((1, 256))], ids=repr)
def test_a_user_s_function_must_return_one_float_per_window(answer: Any) -> None:
    """Anything else is refused rather than broadcast."""
    spec = indicators.function(lambda _: answer, window=3)
    with pytest.raises(errors.ValueRefused, match=r"function's result: must be float64 of shape \(256,\)"):
        indicators.batch(spec, HISTORY)


REFUSALS = [
    ("sma", {"window": 0}, r"sma.window: must be a whole number of rows from 1 to 10000, got 0"),
    ("sma", {"window": 10_001}, r"sma.window: .* got 10001"),
    ("sma", {"window": 2.5}, r"sma.window: .* got 2.5"),
    ("sma", {"window": True}, r"sma.window: .* got True"),
    ("zscore", {"window": 1}, r"zscore.window: must be a whole number of rows from 2"),
    ("sma", {"field": "vwap"}, r"sma.field: must be one of: open, high, low, close, volume, got 'vwap'"),
    ("sma", {"widow": 3}, r"sma.widow: must be one of: window, field, got 3"),
    ("obv", {"window": 3}, r"obv.window: must be one of: no parameters, got 3"),
    ("bbands", {"deviations": 0.0}, r"bbands.deviations: must be a positive number, got 0.0"),
    ("bbands", {"deviations": float("nan")}, r"bbands.deviations: .* got nan"),
    ("bbands", {"deviations": True}, r"bbands.deviations: .* got True"),
    ("bbands", {"deviations": "2"}, r"bbands.deviations: .* got '2'"),
    ("macd", {"fast": 26}, r"fast: must be below slow \(26\), got 26"),
    ("percentile", {"percent": 101.0}, r"percent: must be above 0, at most 100, got 101.0"),
]


@pytest.mark.parametrize("name, arguments, message", REFUSALS)
def test_what_an_indicator_cannot_take_is_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    """The refusal names parameter, limit and value."""
    with pytest.raises(errors.ValueRefused, match=message):
        indicators.named(name)(**arguments)


def test_an_unknown_indicator_is_refused_naming_the_known() -> None:
    """The refusal says what there is."""
    with pytest.raises(errors.ValueRefused, match=r"indicator: must be one of: accbands, .*zscore, got 'smaa'"):
        indicators.named("smaa")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"window": 0}, "window: .* got 0"),
        ({"window": 3, "fields": ()}, "fields: must be at least one field"),
        ({"window": 3, "fields": ("close", "bid")}, "fields: must be one of: open, .* got 'bid'"),
    ],
)
def test_a_user_s_window_and_fields_have_limits(arguments: dict[str, Any], message: str) -> None:
    """The same limits as for a named indicator."""
    with pytest.raises(errors.ValueRefused, match=message):
        indicators.function(spread, **arguments)


def test_columns_are_never_converted() -> None:
    """Floats, unequal lengths and impossible digits are refused."""
    good = HISTORY.close
    with pytest.raises(errors.ValueRefused, match="volume: must be int64 of one dimension, got 'float64"):
        indicators.Columns(4, good, good, good, good, good.astype(np.float64))  # type: ignore[arg-type]
    with pytest.raises(errors.ValueRefused, match=r"close: must be as long as open \(150 rows\), got 149"):
        indicators.Columns(4, good, good, good, good[1:], good)
    with pytest.raises(errors.ValueRefused, match="digits: must be 0 to 9, got 10"):
        indicators.Columns(10, good, good, good, good, good)
    with pytest.raises(errors.ValueRefused, match="digits: must be 0 to 9, got -1"):
        indicators.Incremental(USER, digits=-1)


def test_a_spec_is_one_key_for_equal_requests() -> None:
    """Defaults said or unsaid, Python's integers or numpy's: the same spec, with every parameter in it."""
    one, two = indicators.named("sma")(), indicators.named("sma")(window=np.int64(20), field="close")
    assert one == two
    assert hash(one) == hash(two)
    assert one.arguments == (("window", 20), ("field", "close"))
    assert (*(one.fields, one.outputs, one.exact, one.denominator, one.warmup, one.span),) == (
        ("close",),
        ("value",),
        True,
        20,
        19,
        20,
    )
    assert indicators.named("macd")().outputs == ("macd", "signal", "histogram")
    assert indicators.named("macd")().window == 26


def test_every_indicator_is_described() -> None:
    """At least the 50 most used are there, each with its definition in words."""
    assert len(indicators.names()) >= 90
    assert all(indicators.description(name).endswith(".") for name in indicators.names())
