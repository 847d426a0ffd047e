"""How much a price moves: ranges, and estimators of the variance of a bar's log return."""

import math

from tradeplane_engine.indicators import averages, nodes, prices, windowed


def trange() -> nodes.Graph:
    """True range."""
    return nodes.single(prices.true_range())


def atr(*, window: int = 14) -> nodes.Graph:
    """Average true range, Wilder's smoothing."""
    return nodes.single(averages.wilder(prices.true_range(), window))


def natr(*, window: int = 14) -> nodes.Graph:
    """Average true range in percent of the close."""
    return nodes.single(100.0 * (averages.wilder(prices.true_range(), window) / nodes.column("close")))


def adr(*, window: int = 14) -> nodes.Graph:
    """Mean of high minus low."""
    return nodes.single(nodes.over(windowed.mean, window, nodes.column("high") - nodes.column("low")))


def massi(*, window: int = 25, average: int = 9) -> nodes.Graph:
    """Mass index: sum of the averaged range over the range averaged twice."""
    once = averages.exponential(nodes.column("high") - nodes.column("low"), average)
    return nodes.single(nodes.over(windowed.total, window, once / averages.exponential(once, average)))


def cvi(*, window: int = 10, change: int = 10) -> nodes.Graph:
    """Chaikin's volatility: percentage change of the averaged range."""
    average = averages.exponential(nodes.column("high") - nodes.column("low"), window)
    return nodes.single(100.0 * (average / nodes.lag(average, change) - 1.0))


def close_close(*, window: int = 20) -> nodes.Graph:
    """Variance of log returns, ddof 1."""
    close = nodes.column("close")
    return nodes.single(_variance(nodes.log(close / nodes.lag(close, 1)), window))


def parkinson(*, window: int = 20) -> nodes.Graph:
    """Parkinson's (1980) variance per bar from high and low."""
    span = nodes.log(nodes.column("high") / nodes.column("low"))
    return nodes.single(nodes.over(windowed.mean, window, span * span) / (4.0 * _LN2))


def garman_klass(*, window: int = 20) -> nodes.Graph:
    """Garman and Klass's (1980) variance per bar from open, high, low and close."""
    high, low, close = prices.bar()
    span, body = nodes.log(high / low), nodes.log(close / nodes.column("open"))
    return nodes.single(nodes.over(windowed.mean, window, 0.5 * (span * span) - (2.0 * _LN2 - 1.0) * (body * body)))


def rogers_satchell(*, window: int = 20) -> nodes.Graph:
    """Rogers and Satchell's (1991) variance per bar, free of drift."""
    return nodes.single(nodes.over(windowed.mean, window, _drift_free()))


def yang_zhang(*, window: int = 20) -> nodes.Graph:
    """Yang and Zhang's (2000) variance per bar: overnight, open to close, and drift-free parts."""
    close, opened = nodes.column("close"), nodes.column("open")
    overnight = _variance(nodes.log(opened / nodes.lag(close, 1)), window)
    daytime = _variance(nodes.log(close / opened), window)
    weight = 0.34 / (1.34 + (window + 1) / (window - 1))
    return nodes.single(
        overnight + weight * daytime + (1.0 - weight) * nodes.over(windowed.mean, window, _drift_free())
    )


_LN2 = math.log(2.0)


def _variance(node: nodes.Node, window: int) -> nodes.Node:
    return nodes.over(windowed.squares, window, node) / (window - 1.0)


def _drift_free() -> nodes.Node:
    high, low, close = prices.bar()
    opened = nodes.column("open")
    upper = nodes.log(high / close) * nodes.log(high / opened)
    return upper + nodes.log(low / close) * nodes.log(low / opened)
