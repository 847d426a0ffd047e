"""Moving averages. The simple one is exact and lives in :mod:`~tradeplane_engine.indicators.exact`."""

from tradeplane_engine import errors
from tradeplane_engine.indicators import nodes, recurrences, windowed


def exponential(node: nodes.Node, window: int) -> nodes.Node:
    """Smooth with weight 2 / (n + 1), seeded with the mean of the first n values."""
    return _smoothed(node, window, 2.0 / (window + 1))


def wilder(node: nodes.Node, window: int) -> nodes.Node:
    """Smooth with weight 1 / n, seeded with the mean of the first n values."""
    return _smoothed(node, window, 1.0 / window)


def exponential_pair(
    node: nodes.Node, fast: int, slow: int, *, together: bool = False
) -> tuple[nodes.Node, nodes.Node]:
    """Two exponential averages, each seeded at its own start, or ``together`` at the slow one's first row."""
    ordered(fast, slow)
    started = nodes.late(node, node.first + slow - fast) if together else node
    return exponential(started, fast), exponential(node, slow)


def ordered(fast: int, slow: int) -> None:
    """Refuse a fast window that is not below the slow one."""
    if fast >= slow:
        raise errors.ValueRefused("fast", f"below slow ({slow})", fast)


def ema(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Exponential moving average."""
    return nodes.single(exponential(nodes.column(field), window))


def rma(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Wilder's moving average."""
    return nodes.single(wilder(nodes.column(field), window))


def wma(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Linearly weighted moving average."""
    return nodes.single(nodes.over(windowed.weighted_mean, window, nodes.column(field)))


def trima(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Triangular moving average."""
    return nodes.single(nodes.over(windowed.triangular_mean, window, nodes.column(field)))


def dema(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Double exponential moving average, 2 E - E(E)."""
    once = exponential(nodes.column(field), window)
    return nodes.single(2.0 * once - exponential(once, window))


def tema(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Triple exponential moving average, 3 E - 3 E(E) + E(E(E))."""
    once = exponential(nodes.column(field), window)
    twice = exponential(once, window)
    return nodes.single(3.0 * once - 3.0 * twice + exponential(twice, window))


def t3(*, window: int = 5, factor: float = 0.7, field: str = "close") -> nodes.Graph:
    """Tillson's T3: six exponential averages in a row, the last four mixed by the volume factor."""
    averages = [nodes.column(field)]
    for _ in range(6):
        averages.append(exponential(averages[-1], window))
    b, b2 = factor, factor * factor
    b3 = b2 * b
    return nodes.single(
        -b3 * averages[6]
        + (3.0 * b2 + 3.0 * b3) * averages[5]
        + (-6.0 * b2 - 3.0 * b - 3.0 * b3) * averages[4]
        + (1.0 + 3.0 * b + b3 + 3.0 * b2) * averages[3]
    )


def hma(*, window: int = 20, field: str = "close") -> nodes.Graph:
    """Hull's moving average: a weighted average over sqrt(n) rows of 2 WMA(n / 2) - WMA(n), both rounded down."""
    node = nodes.column(field)
    half = nodes.over(windowed.weighted_mean, window // 2, node)
    whole = nodes.over(windowed.weighted_mean, window, node)
    return nodes.single(nodes.over(windowed.weighted_mean, int(window**0.5), 2.0 * half - whole))


def zlema(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Zero-lag exponential average: of 2 x minus x (n - 1) / 2 rows before."""
    node = nodes.column(field)
    return nodes.single(exponential(2.0 * node - nodes.lag(node, (window - 1) // 2), window))


def kama(*, window: int = 30, fast: int = 2, slow: int = 30, field: str = "close") -> nodes.Graph:
    """Kaufman's adaptive moving average; starts at the row before its first value."""
    ordered(fast, slow)
    node = nodes.column(field)
    (found,) = nodes.recur(
        recurrences.adapt,
        node,
        nodes.lag(node, 1),
        efficiency(node, window),
        parameters=(2.0 / (slow + 1), 2.0 / (fast + 1)),
        size=2,
    )
    return nodes.single(found)


def efficiency(node: nodes.Node, window: int) -> nodes.Node:
    """Net change over the path's length; 1 where nothing moved, as the average then has nowhere to go."""
    path = nodes.over(windowed.total, window, nodes.size(nodes.change(node)))
    return nodes.ratio_or(nodes.size(nodes.change(node, window)), path, 1.0)


def vwma(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """Volume-weighted moving average; NaN without volume."""
    volume = nodes.column("volume")
    traded = nodes.over(windowed.total, window, nodes.column(field) * volume)
    return nodes.single(traded / nodes.over(windowed.total, window, volume))


def midpoint(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Middle between the highest and the lowest value."""
    node = nodes.column(field)
    top, bottom = nodes.over(windowed.highest, window, node), nodes.over(windowed.lowest, window, node)
    return nodes.single((top + bottom) / 2.0)


def midprice(*, window: int = 14) -> nodes.Graph:
    """Middle between the highest high and the lowest low."""
    top = nodes.over(windowed.highest, window, nodes.column("high"))
    bottom = nodes.over(windowed.lowest, window, nodes.column("low"))
    return nodes.single((top + bottom) / 2.0)


def _smoothed(node: nodes.Node, window: int, weight: float) -> nodes.Node:
    parameters = (float(window), weight)
    (found,) = nodes.recur(recurrences.smooth, node, parameters=parameters, size=2, skipped=window - 1)
    return found
