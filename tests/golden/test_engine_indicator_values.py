"""Indicators against values of TA-Lib (tests/golden/indicators) and of the quant reference, section 3."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from support import engine_indicators
from tradeplane_engine import indicators

GOLDEN = json.loads((Path(__file__).parent / "indicators" / "talib.json").read_text())
HISTORY = engine_indicators.columns(240, 2026)
DIGITS = 9


@pytest.mark.parametrize("which", GOLDEN)
def test_values_and_first_row_are_ta_lib_s(which: str) -> None:
    """At the first row, in the middle, at the end and, for the stop and the supertrend, where they turn."""
    name, key = which.split(".")
    spec = indicators.named(name)()
    output = indicators.batch(spec, HISTORY)[key]
    unit = output.denominator * 10**HISTORY.digits if spec.exact else 1
    assert output.first == GOLDEN[which]["first"]
    for row, expected in GOLDEN[which]["rows"].items():
        assert output.values[int(row)] / unit == pytest.approx(expected, rel=1e-9, abs=1e-9)


def reference_bars() -> indicators.Columns:
    """The 30 bars of the quant reference, section 3, rounded to 1e-9 USD; row 0 is there for its close alone."""
    close = [100 * math.exp(0.01 * math.sin(0.9 * i) + 0.0005 * i) for i in range(30)]
    opened = [close[0], *(close[i - 1] * math.exp(0.003 * math.cos(1.3 * i)) for i in range(1, 30))]
    high = [
        max(o, c) * math.exp(0.004 * abs(math.sin(2.1 * i))) for i, (o, c) in enumerate(zip(opened, close, strict=True))
    ]
    low = [
        min(o, c) * math.exp(-0.004 * abs(math.cos(1.7 * i)))
        for i, (o, c) in enumerate(zip(opened, close, strict=True))
    ]
    fields = [np.rint(np.array(one) * 10**DIGITS).astype(np.int64) for one in (opened, high, low, close)]
    return indicators.Columns(DIGITS, *fields, np.ones(30, dtype=np.int64))


@pytest.mark.parametrize(
    "name, expected",
    [
        ("close_close", 3.991308041e-5),
        ("parkinson", 4.884968652e-5),
        ("garman_klass", 5.013290619e-5),
        ("rogers_satchell", 4.667861739e-5),
        ("yang_zhang", 5.131664726e-5),
    ],
)
def test_variances_are_the_quant_reference_s(name: str, expected: float) -> None:
    """Variance per bar of rows 1 to 29, within what rounding prices to 1e-9 USD leaves."""
    values = indicators.batch(indicators.named(name)(window=29), reference_bars())["value"].values
    assert values[-1] == pytest.approx(expected, rel=2e-9)
