"""How far and how fast a price moved."""

from tradeplane_engine.indicators import averages, nodes, prices, windowed


def mom(*, window: int = 10, field: str = "close") -> nodes.Graph:
    """Momentum: value minus the value n rows before, as float (``change`` is its exact twin)."""
    return nodes.single(nodes.change(nodes.column(field), window))


def roc(*, window: int = 10, field: str = "close") -> nodes.Graph:
    """Rate of change in percent."""
    return nodes.single(_growth(nodes.column(field), window))


def rsi(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Relative strength index, Wilder's smoothing, 0 to 100; NaN where nothing moved since the start."""
    return nodes.single(_strength(nodes.column(field), window))


def cmo(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Chande's momentum oscillator with Wilder's smoothing, -100 to 100; NaN where nothing moved."""
    moves = nodes.change(nodes.column(field))
    gain, loss = averages.wilder(nodes.rise(moves), window), averages.wilder(nodes.fall(moves), window)
    return nodes.single(100.0 * ((gain - loss) / (gain + loss)))


def macd(*, fast: int = 12, slow: int = 26, signal: int = 9, field: str = "close") -> nodes.Graph:
    """Difference of two exponential averages, its own average and their difference.

    Both averages are seeded at the slow one's first row, as TA-Lib does.
    """
    quick, calm = averages.exponential_pair(nodes.column(field), fast, slow, together=True)
    line = quick - calm
    average = averages.exponential(line, signal)
    return nodes.Graph({"macd": line, "signal": average, "histogram": line - average})


def apo(*, fast: int = 12, slow: int = 26, field: str = "close") -> nodes.Graph:
    """Absolute price oscillator: fast minus slow exponential average."""
    quick, calm = averages.exponential_pair(nodes.column(field), fast, slow)
    return nodes.single(quick - calm)


def ppo(*, fast: int = 12, slow: int = 26, field: str = "close") -> nodes.Graph:
    """Percentage price oscillator: fast minus slow exponential average in percent of the slow one."""
    quick, calm = averages.exponential_pair(nodes.column(field), fast, slow)
    return nodes.single(100.0 * ((quick - calm) / calm))


def trix(*, window: int = 30, field: str = "close") -> nodes.Graph:
    """One-row change of a threefold exponential average, in percent."""
    node = nodes.column(field)
    for _ in range(3):
        node = averages.exponential(node, window)
    return nodes.single(_growth(node, 1))


def tsi(*, long: int = 25, short: int = 13, field: str = "close") -> nodes.Graph:
    """True strength index: twice smoothed change over twice smoothed absolute change, -100 to 100."""
    moves = nodes.change(nodes.column(field))
    net = averages.exponential(averages.exponential(moves, long), short)
    path = averages.exponential(averages.exponential(nodes.size(moves), long), short)
    return nodes.single(100.0 * (net / path))


def coppock(*, window: int = 10, short: int = 11, long: int = 14, field: str = "close") -> nodes.Graph:
    """Weighted average of the sum of two rates of change."""
    node = nodes.column(field)
    return nodes.single(nodes.over(windowed.weighted_mean, window, _growth(node, short) + _growth(node, long)))


def stoch(*, window: int = 5, slow: int = 3, signal: int = 3) -> nodes.Graph:
    """Slow stochastic: place of the close in the range, 0 to 100, averaged (k), averaged again (d)."""
    k = nodes.over(windowed.mean, slow, _place_in_range(window))
    return nodes.Graph({"k": k, "d": nodes.over(windowed.mean, signal, k)})


def stochf(*, window: int = 5, signal: int = 3) -> nodes.Graph:
    """Fast stochastic: place of the close in the range, 0 to 100 (k), averaged (d)."""
    k = _place_in_range(window)
    return nodes.Graph({"k": k, "d": nodes.over(windowed.mean, signal, k)})


def stochrsi(*, window: int = 14, range_window: int = 5, signal: int = 3, field: str = "close") -> nodes.Graph:
    """Fast stochastic of the relative strength index."""
    strength = _strength(nodes.column(field), window)
    top = nodes.over(windowed.highest, range_window, strength)
    bottom = nodes.over(windowed.lowest, range_window, strength)
    k = 100.0 * ((strength - bottom) / (top - bottom))
    return nodes.Graph({"k": k, "d": nodes.over(windowed.mean, signal, k)})


def willr(*, window: int = 14) -> nodes.Graph:
    """Williams' %R, -100 to 0."""
    top = nodes.over(windowed.highest, window, nodes.column("high"))
    bottom = nodes.over(windowed.lowest, window, nodes.column("low"))
    return nodes.single(-100.0 * ((top - nodes.column("close")) / (top - bottom)))


def cci(*, window: int = 14) -> nodes.Graph:
    """Commodity channel index: distance of the typical price from its mean over 0.015 mean deviations."""
    typical = prices.typical()
    distance = typical - nodes.over(windowed.mean, window, typical)
    return nodes.single(distance / (0.015 * nodes.over(windowed.mean_deviation, window, typical)))


def ultosc(*, short: int = 7, middle: int = 14, long: int = 28) -> nodes.Graph:
    """Ultimate oscillator: buying pressure over true range in three windows, weights 4, 2, 1."""
    pressure, span = nodes.column("close") - prices.true_low(), prices.true_range()

    def share(window: int) -> nodes.Node:
        return nodes.over(windowed.total, window, pressure) / nodes.over(windowed.total, window, span)

    return nodes.single(100.0 * ((4.0 * share(short) + 2.0 * share(middle) + share(long)) / 7.0))


def ao(*, fast: int = 5, slow: int = 34) -> nodes.Graph:
    """Awesome oscillator: fast minus slow mean of the median price."""
    averages.ordered(fast, slow)
    median = prices.median()
    return nodes.single(nodes.over(windowed.mean, fast, median) - nodes.over(windowed.mean, slow, median))


def bop() -> nodes.Graph:
    """Balance of power: (close - open) / (high - low)."""
    high, low, close = prices.bar()
    return nodes.single((close - nodes.column("open")) / (high - low))


def qstick(*, window: int = 10) -> nodes.Graph:
    """Mean of close minus open."""
    return nodes.single(nodes.over(windowed.mean, window, nodes.column("close") - nodes.column("open")))


def er(*, window: int = 10, field: str = "close") -> nodes.Graph:
    """Kaufman's efficiency ratio, 0 to 1; 1 where nothing moved."""
    return nodes.single(averages.efficiency(nodes.column(field), window))


def _growth(node: nodes.Node, window: int) -> nodes.Node:
    return 100.0 * (node / nodes.lag(node, window) - 1.0)


def _strength(node: nodes.Node, window: int) -> nodes.Node:
    moves = nodes.change(node)
    gain, loss = averages.wilder(nodes.rise(moves), window), averages.wilder(nodes.fall(moves), window)
    return 100.0 * (gain / (gain + loss))


def _place_in_range(window: int) -> nodes.Node:
    top = nodes.over(windowed.highest, window, nodes.column("high"))
    bottom = nodes.over(windowed.lowest, window, nodes.column("low"))
    return 100.0 * ((nodes.column("close") - bottom) / (top - bottom))
