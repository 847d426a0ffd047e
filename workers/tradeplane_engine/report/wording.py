"""How numbers are written: for people with units, for programs as canonical decimal text."""

from collections.abc import Callable
from decimal import Context, Decimal

from tradeplane_engine.domain import times
from tradeplane_engine.measures import measure

Write = Callable[[float], str]

NOTHING = "–"  # noqa: RUF001 - a dash stands for what cannot be computed
_NANO = Decimal("1e-9")
_WIDE = Context(prec=400)  # the largest float has 309 digits before the point
_LARGE = 1000
_SMALL = 0.01


def money(amount: float) -> str:
    """Canonical decimal text of USD, at most 9 decimals, no exponent, no trailing zeros.

    The text is the shortest that gives the same float; below 9 million USD that is the ledger's own nanodollar.
    """
    text = format(Decimal(repr(float(amount))).quantize(_NANO, context=_WIDE), "f").rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def value(number: float | None, unit: measure.Unit) -> str:
    """Write a measure for a reader."""
    if number is None:
        return NOTHING
    match unit:
        case "fraction":
            return percent(number) if abs(number) >= _SMALL else f"{decimals(number * 100, 3)} %"
        case "usd":
            return dollars(number)
        case "count" | "periods":
            return decimals(number, 0)
        case "bars" | "days" | "bps":
            return decimals(number, 1)
        case "ratio":
            return decimals(number, 2 if abs(number) < _LARGE else 0)


def percent(number: float) -> str:
    """Write a fraction in percent with two decimals."""
    return f"{decimals(number * 100, 2)} %"


def decimals(number: float, digits: int) -> str:
    """Write a number with fixed decimals, thousands apart; the minus is as wide as a plus, and zero has none."""
    text = f"{number:,.{digits}f}"
    if not text.strip("-0.,"):
        return text.removeprefix("-")
    return text.replace("-", "−")  # noqa: RUF001 - typography


def dollars(number: float) -> str:
    """Write USD, with cents where they are seen."""
    return decimals(number, 0 if abs(number) >= _LARGE else 2)


def day(at: int) -> str:
    """Return the UTC date."""
    return times.utc_day(times.Nanos(at))


def words(name: str) -> str:
    """Turn a name of the registry into words: ``max_drawdown`` to ``Max drawdown``."""
    text = name.replace("_", " ")
    for small, large in _ABBREVIATIONS.items():
        text = " ".join(large if part == small else part for part in text.split(" "))
    return text[:1].upper() + text[1:]


_ABBREVIATIONS = {
    "sharpe": "Sharpe",
    "var": "VaR",
    "es": "ES",
    "ewma": "EWMA",
    "mae": "MAE",
    "mfe": "MFE",
    "sqn": "SQN",
    "bps": "bps",
    "cornish": "Cornish",
    "fisher": "Fisher",
}


def compact(number: float) -> str:
    """Write a value on an axis: ``1.2 M``, ``850 k``, ``52.5``."""
    for least, unit, name in ((1e9, 1e9, " B"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if abs(number) >= least:
            return _short(number / unit, 3) + name
    return _short(number, 2)


def short_percent(number: float) -> str:
    """Write a fraction on an axis, without needless decimals."""
    return f"{_short(number * 100, 2)} %"


def count(number: float) -> str:
    """Write a whole number on an axis."""
    return decimals(number, 0)


def _short(number: float, digits: int) -> str:
    text = decimals(number, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text
