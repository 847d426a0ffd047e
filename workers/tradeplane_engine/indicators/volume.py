"""Indicators of traded volume, in shares."""

from tradeplane_engine.indicators import averages, nodes, prices, recurrences, windowed


def obv() -> nodes.Graph:
    """On-balance volume; starts at the first volume."""
    return nodes.single(nodes.recur(recurrences.balance, nodes.column("close"), nodes.column("volume"), size=3)[0])


def ad() -> nodes.Graph:
    """Accumulation and distribution line; a bar without range adds nothing."""
    return nodes.single(_line())


def adosc(*, fast: int = 3, slow: int = 10) -> nodes.Graph:
    """Fast minus slow smoothing of the accumulation line, both starting at its first value."""
    averages.ordered(fast, slow)
    line = _line()
    quick, calm = _followed(line, fast), _followed(line, slow)
    return nodes.single(nodes.late(quick - calm, line.first + slow - 1))


def cmf(*, window: int = 20) -> nodes.Graph:
    """Chaikin's money flow, -1 to 1; NaN without volume."""
    return nodes.single(_total(window, _flow()) / _total(window, nodes.column("volume")))


def mfi(*, window: int = 14) -> nodes.Graph:
    """Money flow index, 0 to 100; NaN where the typical price did not move."""
    typical, volume = prices.typical(), nodes.column("volume")
    moves, flow = nodes.change(typical), typical * volume
    gain = _total(window, nodes.each(lambda move, size: (move > 0) * size, moves, flow))
    loss = _total(window, nodes.each(lambda move, size: (move < 0) * size, moves, flow))
    return nodes.single(100.0 * (gain / (gain + loss)))


def efi(*, window: int = 13) -> nodes.Graph:
    """Elder's force index: exponential average of change times volume."""
    return nodes.single(averages.exponential(nodes.change(nodes.column("close")) * nodes.column("volume"), window))


def pvo(*, fast: int = 12, slow: int = 26) -> nodes.Graph:
    """Percentage volume oscillator; NaN where the slow average is 0."""
    quick, calm = averages.exponential_pair(nodes.column("volume"), fast, slow)
    return nodes.single(100.0 * ((quick - calm) / calm))


def pvt() -> nodes.Graph:
    """Price and volume trend: sum of volume times return; defined from the second row."""
    close = nodes.column("close")
    return nodes.single(_accumulated((nodes.change(close) / nodes.lag(close, 1)) * nodes.column("volume")))


def vwap(*, window: int = 20) -> nodes.Graph:
    """Volume-weighted typical price of the window, whatever the session; NaN without volume."""
    volume = nodes.column("volume")
    return nodes.single(_total(window, prices.typical() * volume) / _total(window, volume))


def marketfi() -> nodes.Graph:
    """Market facilitation index: range per share traded."""
    return nodes.single((nodes.column("high") - nodes.column("low")) / nodes.column("volume"))


def _total(window: int, node: nodes.Node) -> nodes.Node:
    return nodes.over(windowed.total, window, node)


def _flow() -> nodes.Node:
    high, low, close = prices.bar()
    # 0 for a bar without range: a NaN would stay in the line for good.
    place = nodes.ratio_or((close - low) - (high - close), high - low, 0.0)
    return place * nodes.column("volume")


def _line() -> nodes.Node:
    return _accumulated(_flow())


def _accumulated(node: nodes.Node) -> nodes.Node:
    return nodes.recur(recurrences.accumulate, node, size=1)[0]


def _followed(node: nodes.Node, window: int) -> nodes.Node:
    return nodes.recur(recurrences.follow, node, parameters=(2.0 / (window + 1),), size=2)[0]
