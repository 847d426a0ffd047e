"""Static charts as inline SVG: no script, no font, no network. Colours are classes that the style sheet fills."""

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tradeplane_engine.measures import inputs

_WIDTH = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 14, 10, 24
_MOST_GRID = 5

Ticks = Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Points to draw: sample numbers, values (NaN lifts the pen), and the class of the line."""

    rows: inputs.IntArray
    values: inputs.FloatArray
    style: str = "a"
    fill: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A marked stretch from sample ``first`` to ``last``."""

    first: int
    last: int
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A trade from its entry to its exit; ``text`` is shown when the pointer rests on it."""

    entry: tuple[int, float]
    exit: tuple[int, float]
    long: bool
    won: bool
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Axes of a chart.

    Parameters
    ----------
    count : samples along x
    ticks : sample numbers with their labels
    write : how a y value is written
    height : of the picture; its width is 960
    zero : whether the y axis must reach zero
    label : what the picture shows, for screen readers
    """

    count: int
    ticks: Ticks
    write: Callable[[float], str]
    height: int = 230
    zero: bool = False
    label: str = ""


def lines(frame: Frame, series: Sequence[Series], *, spans: Sequence[Span] = (), marks: Sequence[Mark] = ()) -> str:
    """Draw series over a common y axis, with marked spans behind them and trades before them."""
    ends = [point for mark in marks for point in (mark.entry[1], mark.exit[1])]
    scale = _Scale.of(frame, [*(one.values for one in series), np.array(ends)])
    drawn = "".join(_line(scale, one) for one in series)
    body = "".join(_span(scale, span) for span in spans) + drawn + "".join(_mark(scale, mark) for mark in marks)
    return _svg(frame, scale, body)


def bars(frame: Frame, heights: Sequence[float | None], *, texts: Sequence[str], style: str = "") -> str:
    """Draw one bar per sample from zero; without ``style`` gains and losses have their own colours."""
    scale = _Scale.of(frame, [np.array([height or 0.0 for height in heights])])
    width = max(1.0, scale.step * 0.78)
    zero = scale.y(0.0)
    body = "".join(
        f'<rect class="{style or ("gain" if height > 0 else "loss")}" x="{scale.x(row) - width / 2:.1f}" '
        f'y="{min(zero, scale.y(height)):.1f}" width="{width:.1f}" '
        f'height="{max(0.5, abs(zero - scale.y(height))):.1f}">'
        f"<title>{html.escape(text)}</title></rect>"
        for row, (height, text) in enumerate(zip(heights, texts, strict=True))
        if height
    )
    return _svg(frame, scale, body)


def shares(parts: Iterable[tuple[str, float]], *, label: str) -> str:
    """Draw one horizontal bar, cut into parts of a positive whole."""
    kept = [(text, part) for text, part in parts if part > 0]
    whole = sum(part for _, part in kept)
    body, left = "", 0.0
    for number, (text, part) in enumerate(kept):
        width = part / whole * _WIDTH
        body += (
            f'<rect class="part{number % 6}" x="{left:.1f}" y="0" width="{max(1.0, width - 2):.1f}" height="26" rx="2">'
            f"<title>{html.escape(text)}</title></rect>"
        )
        left += width
    return f'<svg viewBox="0 0 {_WIDTH} 26" role="img" aria-label="{html.escape(label)}">{body}</svg>' if kept else ""


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    count: int
    height: int

    @classmethod
    def of(cls, frame: Frame, columns: Sequence[inputs.FloatArray]) -> "_Scale":
        finite = [column[np.isfinite(column)] for column in columns]
        known = [column for column in finite if column.size]
        low = min((float(column.min()) for column in known), default=0.0)
        high = max((float(column.max()) for column in known), default=1.0)
        if frame.zero:
            low, high = min(low, 0.0), max(high, 0.0)
        room = (high - low) * 0.04
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            room = max(abs(high) * 0.01, 1e-6)
        # A side that ends at zero stays there: a drawdown has nothing above it.
        low, high = (low - room if low else 0.0), (high + room if high else 0.0)
        return cls(low, high if high > low else low + 1.0, max(1, frame.count), frame.height)

    @property
    def step(self) -> float:
        return (_WIDTH - _LEFT - _RIGHT) / self.count

    def x(self, row: float) -> float:
        return _LEFT + self.step * (row + 0.5)

    def y(self, value: float) -> float:
        return _TOP + (self.height - _TOP - _BOTTOM) * (self.high - value) / (self.high - self.low)

    def ticks(self) -> list[float]:
        base = 10 ** math.floor(math.log10((self.high - self.low) / 3))
        step = next(base * factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (base * factor) <= _MOST_GRID)
        return [number * step for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def _line(scale: _Scale, series: Series) -> str:
    """Draw one path; the pen is lifted over NaN."""
    strokes: list[list[str]] = [[]]
    ends: list[tuple[int, int]] = []
    for row, value in zip(series.rows.tolist(), series.values.tolist(), strict=True):
        if math.isnan(value):
            if strokes[-1]:
                strokes.append([])
            continue
        if not strokes[-1]:
            ends.append((row, row))
        ends[-1] = (ends[-1][0], row)
        strokes[-1].append(f"{scale.x(row):.1f} {scale.y(value):.1f}")
    drawn = [stroke for stroke in strokes if stroke]
    area = ""
    if series.fill:
        zero = scale.y(min(max(0.0, scale.low), scale.high))
        area = "".join(
            f'<path class="area {series.style}" d="M{scale.x(first):.1f} {zero:.1f}L{"L".join(stroke)}'
            f'L{scale.x(last):.1f} {zero:.1f}Z"/>'
            for stroke, (first, last) in zip(drawn, ends, strict=True)
        )
    path = "".join(f"M{'L'.join(stroke)}" for stroke in drawn)
    return f'{area}<path class="line {series.style}" d="{path}"/>' if path else ""


def _span(scale: _Scale, span: Span) -> str:
    left, right = scale.x(span.first), scale.x(span.last)
    return (
        f'<rect class="span" x="{left:.1f}" y="{_TOP}" width="{max(2.0, right - left):.1f}" '
        f'height="{scale.height - _TOP - _BOTTOM}"/>'
        f'<text class="mark" x="{(left + right) / 2:.1f}" y="{_TOP + 13}" text-anchor="middle">'
        f"{html.escape(span.label)}</text>"
    )


def _mark(scale: _Scale, mark: Mark) -> str:
    left, right = scale.x(mark.entry[0]), scale.x(mark.exit[0])
    top, bottom = scale.y(mark.entry[1]), scale.y(mark.exit[1])
    tip = -4.5 if mark.long else 4.5
    kind = "gain" if mark.won else "loss"
    return (
        f'<g class="trade {kind}"><path class="leg" d="M{left:.1f} {top:.1f}L{right:.1f} {bottom:.1f}"/>'
        f'<path d="M{left - 4:.1f} {top - tip:.1f}L{left + 4:.1f} {top - tip:.1f}L{left:.1f} {top + tip:.1f}Z"/>'
        f'<circle cx="{right:.1f}" cy="{bottom:.1f}" r="2.6"/><title>{html.escape(mark.text)}</title></g>'
    )


def _svg(frame: Frame, scale: _Scale, body: str) -> str:
    grid = "".join(
        f'<path class="{"axis" if tick == 0 else "grid"}" d="M{_LEFT} {scale.y(tick):.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 8}" y="{scale.y(tick) + 4:.1f}" text-anchor="end">{html.escape(frame.write(tick))}</text>'
        for tick in scale.ticks()
    )
    foot = frame.height - _BOTTOM
    dates = "".join(
        f'<path class="grid" d="M{scale.x(row):.1f} {foot}v4"/>'
        f'<text x="{scale.x(row):.1f}" y="{frame.height - 6}" text-anchor="middle">{html.escape(text)}</text>'
        for row, text in frame.ticks
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {frame.height}" role="img" aria-label="{html.escape(frame.label)}">'
        f"{grid}{dates}{body}</svg>"
    )
