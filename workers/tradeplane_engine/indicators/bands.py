"""Bands around a price: outputs ``upper``, ``middle``, ``lower``."""

from tradeplane_engine.indicators import averages, nodes, prices, windowed


def bbands(*, window: int = 20, deviations: float = 2.0, field: str = "close") -> nodes.Graph:
    """Bollinger bands: mean and standard deviations, ddof 0."""
    node = nodes.column(field)
    spread = deviations * nodes.over(windowed.deviation, window, node)
    return _around(nodes.over(windowed.mean, window, node), spread)


def kc(*, window: int = 20, range_window: int = 10, ranges: float = 2.0) -> nodes.Graph:
    """Keltner channel: exponential average of the typical price and multiples of the average true range.

    Both start at their own first rows; TA-Lib starts the range later and agrees after some ten windows.
    """
    spread = ranges * averages.wilder(prices.true_range(), range_window)
    return _around(averages.exponential(prices.typical(), window), spread)


def donchian(*, window: int = 20) -> nodes.Graph:
    """Donchian channel: highest high, lowest low and their middle."""
    top = nodes.over(windowed.highest, window, nodes.column("high"))
    bottom = nodes.over(windowed.lowest, window, nodes.column("low"))
    return nodes.Graph({"upper": top, "middle": (top + bottom) / 2.0, "lower": bottom})


def accbands(*, window: int = 20) -> nodes.Graph:
    """Acceleration bands: means of high and low stretched by 4 (high - low) / (high + low), and of the close."""
    high, low, close = prices.bar()
    stretch = 4.0 * ((high - low) / (high + low))
    return nodes.Graph(
        {
            "upper": nodes.over(windowed.mean, window, high * (1.0 + stretch)),
            "middle": nodes.over(windowed.mean, window, close),
            "lower": nodes.over(windowed.mean, window, low * (1.0 - stretch)),
        }
    )


def _around(middle: nodes.Node, spread: nodes.Node) -> nodes.Graph:
    return nodes.Graph({"upper": middle + spread, "middle": middle, "lower": middle - spread})
