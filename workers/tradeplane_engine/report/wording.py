"""How numbers are written: for people with units, for programs as canonical decimal text."""

from collections.abc import Callable
from decimal import Decimal

from tradeplane_engine.domain import times
from tradeplane_engine.measures import measure

Write = Callable[[float], str]

NOTHING = "–"  # noqa: RUF001 - a dash stands for what cannot be computed
_NANO = Decimal("1e-9")
_LARGE = 1000


def money(amount: float) -> str:
    """Canonical decimal text of USD, at most 9 decimals, no exponent, no trailing zeros.

    The text is the shortest that gives the same float; below 9 million USD that is the ledger's own nanodollar.
    """
    text = format(Decimal(repr(float(amount))).quantize(_NANO), "f").rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def value(number: float | None, unit: measure.Unit) -> str:
    """Write a measure for a reader."""
    if number is None:
        return NOTHING
    match unit:
        case "fraction":
            return percent(number)
        case "usd":
            return dollars(number)
        case "count" | "periods":
            return f"{number:,.0f}"
        case "bars" | "days" | "bps":
            return f"{number:,.1f}"
        case "ratio":
            return f"{number:,.2f}" if abs(number) < _LARGE else f"{number:,.0f}"


def percent(number: float) -> str:
    """Write a fraction in percent with two decimals, typographic minus."""
    return f"{number * 100:,.2f} %".replace("-", "−")  # noqa: RUF001 - a minus as wide as a plus


def dollars(number: float) -> str:
    """Write USD, with cents where they are seen."""
    return (f"{number:,.0f}" if abs(number) >= _LARGE else f"{number:,.2f}").replace("-", "−")  # noqa: RUF001 - as above


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
    size = abs(number)
    for unit, name in ((1e9, " B"), (1e6, " M"), (1e4, " k")):
        if size >= unit:
            scaled = number / (1e3 if name == " k" else unit)
            return f"{scaled:,.3f}".rstrip("0").rstrip(".") + name
    return f"{number:,.2f}".rstrip("0").rstrip(".") if number else "0"


def short_percent(number: float) -> str:
    """Write a fraction on an axis, without needless decimals."""
    return (f"{number * 100:,.2f}".rstrip("0").rstrip(".") + " %").replace("-", "−")  # noqa: RUF001 - as above
