"""Recurrences: a row's value from this row and a small state, each written once as a loop over rows.

A loop takes its parameters, its state (zeros at the start; changed in place), its inputs and its outputs, all vectors
of float64. History is one call over all rows, a new bar is a call over one row; the state carries over, so that any
split of the rows gives the same bits. Values of rows that are not defined yet are written and dropped by the caller.

The loops use plain scalars and vectors only: Cython's pure-Python mode can type and compile this file as it is. No
division here can be by zero, because Python raises there and C does not.
"""

from typing import Protocol


class Vector(Protocol):
    """A float64 vector: a memoryview here, a typed memoryview when compiled."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> float: ...
    def __setitem__(self, at: int, value: float, /) -> None: ...


def smooth(parameters: Vector, state: Vector, x: Vector, out: Vector) -> None:
    """Exponential smoothing seeded with the mean of the first n values.

    Parameters are n and the weight of the newest value; state is rows seen and the average.
    """
    n, weight = parameters[0], parameters[1]
    seen, average = state[0], state[1]
    for i in range(len(x)):
        if seen < n:
            average += x[i]
            seen += 1.0
            if seen == n:
                average = average / n
        else:
            average += weight * (x[i] - average)
        out[i] = average
    state[0], state[1] = seen, average


def follow(parameters: Vector, state: Vector, x: Vector, out: Vector) -> None:
    """Exponential smoothing that starts at the first value.

    Parameter is the weight of the newest value; state is rows seen (0 or 1) and the average.
    """
    weight = parameters[0]
    seen, average = state[0], state[1]
    for i in range(len(x)):
        if seen == 0.0:
            average = x[i]
            seen = 1.0
        else:
            average += weight * (x[i] - average)
        out[i] = average
    state[0], state[1] = seen, average


def decay(parameters: Vector, state: Vector, x: Vector, out: Vector) -> None:
    """Wilder's sum: the first n - 1 values added, then S - S/n + x.

    Parameter is n; state is rows seen and the sum.
    """
    n = parameters[0]
    seen, total = state[0], state[1]
    for i in range(len(x)):
        if seen < n - 1.0:
            total += x[i]
            seen += 1.0
        else:
            total = total - total / n + x[i]
        out[i] = total
    state[0], state[1] = seen, total


def accumulate(parameters: Vector, state: Vector, x: Vector, out: Vector) -> None:  # noqa: ARG001 - every loop's shape
    """Sum of all values since the start; state is the sum."""
    total = state[0]
    for i in range(len(x)):
        total += x[i]
        out[i] = total
    state[0] = total


def balance(parameters: Vector, state: Vector, close: Vector, volume: Vector, out: Vector) -> None:  # noqa: ARG001 - as above
    """On-balance volume: starts at the first volume, adds it after a rise, subtracts it after a fall.

    State is rows seen (0 or 1), the previous close and the balance.
    """
    seen, before, total = state[0], state[1], state[2]
    for i in range(len(close)):
        if seen == 0.0 or close[i] > before:
            total += volume[i]
        elif close[i] < before:
            total -= volume[i]
        seen = 1.0
        before = close[i]
        out[i] = total
    state[0], state[1], state[2] = seen, before, total


def adapt(parameters: Vector, state: Vector, x: Vector, before: Vector, efficiency: Vector, out: Vector) -> None:
    """Kaufman's average: smoothing whose weight is the square of a constant between two, chosen by efficiency.

    Parameters are the slow and the fast weight; state is rows seen (0 or 1) and the average, which starts at the value
    before the first row.
    """
    slow, fast = parameters[0], parameters[1]
    seen, average = state[0], state[1]
    for i in range(len(x)):
        if seen == 0.0:
            average = before[i]
            seen = 1.0
        weight = efficiency[i] * (fast - slow) + slow
        average += weight * weight * (x[i] - average)
        out[i] = average
    state[0], state[1] = seen, average


def parabolic(parameters: Vector, state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Wilder's stop and reverse, defined from the second row.

    Parameters are the step and the limit of the acceleration. State: rows seen (at most 2), side (1 long, 0 short),
    stop, extreme point, acceleration, previous high, previous low. The first side is short only where the second low
    fell by more than the high rose.
    """
    step, limit = parameters[0], parameters[1]
    seen, side, stop, extreme = state[0], state[1], state[2], state[3]
    rate, high_before, low_before = state[4], state[5], state[6]
    for i in range(len(high)):
        h, low_now = high[i], low[i]
        if seen == 0.0:
            seen = 1.0
            out[i] = 0.0
            high_before, low_before = h, low_now
            continue
        if seen == 1.0:
            seen = 2.0
            rate = step
            down = low_before - low_now
            side = 0.0 if down > 0.0 and down > h - high_before else 1.0
            stop, extreme = (low_before, h) if side == 1.0 else (high_before, low_now)
            high_before, low_before = h, low_now
        if side == 1.0:
            if low_now <= stop:
                side = 0.0
                stop = max(extreme, h)
                out[i] = stop
                rate, extreme = step, low_now
                stop = max(stop + rate * (extreme - stop), high_before, h)
            else:
                out[i] = stop
                if h > extreme:
                    extreme = h
                    rate = min(rate + step, limit)
                stop = min(stop + rate * (extreme - stop), low_before, low_now)
        elif h >= stop:
            side = 1.0
            stop = min(extreme, low_now)
            out[i] = stop
            rate, extreme = step, h
            stop = min(stop + rate * (extreme - stop), low_before, low_now)
        else:
            out[i] = stop
            if low_now < extreme:
                extreme = low_now
                rate = min(rate + step, limit)
            stop = max(stop + rate * (extreme - stop), high_before, h)
        high_before, low_before = h, low_now
    state[0], state[1], state[2], state[3] = seen, side, stop, extreme
    state[4], state[5], state[6] = rate, high_before, low_before


def ratchet(  # noqa: PLR0913, PLR0917 - every loop's shape
    parameters: Vector,  # noqa: ARG001 - as above
    state: Vector,
    upper: Vector,
    lower: Vector,
    close: Vector,
    line: Vector,
    side: Vector,
) -> None:
    """Supertrend: a band moves only towards the price until the price closes beyond it; then the side changes.

    State: rows seen (0 or 1), final upper and lower band, previous close, side (1 up: the line is the lower band).
    """
    seen, high, low, before, way = state[0], state[1], state[2], state[3], state[4]
    for i in range(len(close)):
        if seen == 0.0:
            seen = 1.0
            high, low = upper[i], lower[i]
            way = 1.0
        else:
            if upper[i] < high or before > high:
                high = upper[i]
            if lower[i] > low or before < low:
                low = lower[i]
            if way == 1.0:
                if close[i] < low:
                    way = -1.0
            elif close[i] > high:
                way = 1.0
        before = close[i]
        line[i] = low if way == 1.0 else high
        side[i] = way
    state[0], state[1], state[2], state[3], state[4] = seen, high, low, before, way
