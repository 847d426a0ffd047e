"""Small static charts as inline SVG: no script, no font, no network."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 12, 26


@dataclass(frozen=True, slots=True)
class Span:
    """A marked stretch of the x axis, from index ``first`` to index ``last``."""

    first: int
    last: int
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Labels of the x positions, and how a y value is written."""

    labels: Sequence[str]
    write: Callable[[float], str]


def line(values: Sequence[float], axis: Axis, *, spans: Sequence[Span] = (), fill: bool = False) -> str:
    """Draw one series over evenly spaced x positions; ``fill`` shades the area to zero."""
    scale = _Scale.of(values, len(axis.labels))
    points = " ".join(f"{scale.x(i):.1f},{scale.y(v):.1f}" for i, v in enumerate(values))
    area = ""
    if fill and values:
        zero, first, last = scale.y(0.0), scale.x(0), scale.x(len(values) - 1)
        area = f'<polygon class="area" points="{first:.1f},{zero:.1f} {points} {last:.1f},{zero:.1f}"/>'
    return _frame(scale, axis, spans, f'{area}<polyline class="line" points="{points}"/>')


def bars(groups: Sequence[Sequence[float]], axis: Axis, *, spans: Sequence[Span] = ()) -> str:
    """Draw stacked bars; ``groups`` holds one sequence of heights per stacked part, all of the same length."""
    totals = [sum(parts) for parts in zip(*groups, strict=True)]
    scale = _Scale.of([0.0, *totals], len(axis.labels))
    width = max(1.0, (_WIDTH - _LEFT - _RIGHT) / max(1, len(totals)) * 0.8)
    body = []
    base = [0.0] * len(totals)
    for part, heights in enumerate(groups):
        for i, height in enumerate(heights):
            if height:
                top, bottom = scale.y(base[i] + height), scale.y(base[i])
                body.append(
                    f'<rect class="part{part}" x="{scale.x(i) - width / 2:.1f}" y="{top:.1f}" '
                    f'width="{width:.1f}" height="{max(0.5, bottom - top):.1f}"/>'
                )
                base[i] += height
    return _frame(scale, axis, spans, "".join(body))


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float], count: int) -> "_Scale":
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if low == high:
            low, high = low - 1, high + 1
        return cls(low, high, max(1, count))

    def x(self, index: int) -> float:
        usable = _WIDTH - _LEFT - _RIGHT
        return _LEFT + usable * (index + 0.5) / self.count

    def y(self, value: float) -> float:
        usable = _HEIGHT - _TOP - _BOTTOM
        return _TOP + usable * (self.high - value) / (self.high - self.low)

    def ticks(self) -> list[float]:
        step = 10 ** math.floor(math.log10((self.high - self.low) / 3))
        step = next(step * factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= 5)  # noqa: PLR2004 - at most five grid lines
        first = math.ceil(self.low / step)
        return [index * step for index in range(first, math.floor(self.high / step) + 1)]


def _frame(scale: _Scale, axis: Axis, spans: Sequence[Span], body: str) -> str:
    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{scale.y(tick):.1f}" y2="{scale.y(tick):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{scale.y(tick) + 4:.1f}" text-anchor="end">{html.escape(axis.write(tick))}</text>'
        for tick in scale.ticks()
    )
    marks = "".join(
        f'<rect class="span" x="{scale.x(span.first):.1f}" y="{_TOP}" '
        f'width="{max(2.0, scale.x(span.last) - scale.x(span.first)):.1f}" height="{_HEIGHT - _TOP - _BOTTOM}"/>'
        f'<text class="mark" x="{scale.x(span.first) + 3:.1f}" y="{_TOP + 12}">{html.escape(span.label)}</text>'
        for span in spans
    )
    every = max(1, len(axis.labels) // 8)
    dates = "".join(
        f'<text x="{scale.x(i):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{html.escape(label)}</text>'
        for i, label in enumerate(axis.labels)
        if i % every == every // 2
    )
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{grid}{marks}{body}{dates}</svg>'
