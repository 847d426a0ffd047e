"""Whether there is a trend, and which way."""

from tradeplane_engine.indicators import averages, nodes, prices, recurrences, windowed


def plus_dm(*, window: int = 14) -> nodes.Graph:
    """Upward directional movement, Wilder's sum."""
    return nodes.single(_decayed(_movements()[0], window, window - 2))


def minus_dm(*, window: int = 14) -> nodes.Graph:
    """Downward directional movement, Wilder's sum."""
    return nodes.single(_decayed(_movements()[1], window, window - 2))


def plus_di(*, window: int = 14) -> nodes.Graph:
    """Upward directional indicator: movement in percent of the true range."""
    return nodes.single(_indicators(window)[0])


def minus_di(*, window: int = 14) -> nodes.Graph:
    """Downward directional indicator: movement in percent of the true range."""
    return nodes.single(_indicators(window)[1])


def dx(*, window: int = 14) -> nodes.Graph:
    """Directional index, 0 to 100; 0 where there was no movement."""
    return nodes.single(_index(window))


def adx(*, window: int = 14) -> nodes.Graph:
    """Average directional index: Wilder's average of the directional index."""
    return nodes.single(averages.wilder(_index(window), window))


def adxr(*, window: int = 14) -> nodes.Graph:
    """Mean of the average directional index and itself n - 1 rows before."""
    average = averages.wilder(_index(window), window)
    return nodes.single((average + nodes.lag(average, window - 1)) / 2.0)


def aroon(*, window: int = 14) -> nodes.Graph:
    """How recent the highest high (``up``) and the lowest low (``down``) of n + 1 rows are, 0 to 100."""
    up, down = _recent(window)
    return nodes.Graph({"up": up, "down": down})


def aroonosc(*, window: int = 14) -> nodes.Graph:
    """Aroon up minus down."""
    up, down = _recent(window)
    return nodes.single(up - down)


def vortex(*, window: int = 14) -> nodes.Graph:
    """Sums of this high to the low before, and of this low to the high before, over the sum of true ranges."""
    high, low, _ = prices.bar()
    span = nodes.over(windowed.total, window, prices.true_range())
    up = nodes.over(windowed.total, window, nodes.size(high - nodes.lag(low, 1)))
    down = nodes.over(windowed.total, window, nodes.size(low - nodes.lag(high, 1)))
    return nodes.Graph({"plus": up / span, "minus": down / span})


def sar(*, acceleration: float = 0.02, maximum: float = 0.2) -> nodes.Graph:
    """Wilder's parabolic stop and reverse."""
    (found,) = nodes.recur(
        recurrences.parabolic,
        nodes.column("high"),
        nodes.column("low"),
        parameters=(min(acceleration, maximum), maximum),
        size=7,
        skipped=1,
    )
    return nodes.single(found)


def supertrend(*, window: int = 10, ranges: float = 3.0) -> nodes.Graph:
    """Supertrend: the band in force (``line``) and the side it is on (``side``: 1 up, -1 down)."""
    middle = prices.median()
    spread = ranges * averages.wilder(prices.true_range(), window)
    bands = (middle + spread, middle - spread)
    line, side = nodes.recur(recurrences.ratchet, *bands, nodes.column("close"), size=5, outputs=2)
    return nodes.Graph({"line": line, "side": side})


def _movements() -> tuple[nodes.Node, nodes.Node]:
    up, down = nodes.change(nodes.column("high")), -1.0 * nodes.change(nodes.column("low"))
    return nodes.each(nodes.dominant, up, down), nodes.each(nodes.dominant, down, up)


def _indicators(window: int) -> tuple[nodes.Node, nodes.Node]:
    up, down = _movements()
    span = _decayed(prices.true_range(), window, window - 1)
    # Without a range there is no movement: 0, because a NaN would stay in the average of the index for good.
    share = (nodes.ratio_or(_decayed(move, window, window - 1), span, 0.0) for move in (up, down))
    plus, minus = (100.0 * one for one in share)
    return plus, minus


def _index(window: int) -> nodes.Node:
    plus, minus = _indicators(window)
    return 100.0 * nodes.ratio_or(nodes.size(plus - minus), plus + minus, 0.0)


def _decayed(node: nodes.Node, window: int, skipped: int) -> nodes.Node:
    (found,) = nodes.recur(recurrences.decay, node, parameters=(float(window),), size=2, skipped=skipped)
    return found


def _recent(window: int) -> tuple[nodes.Node, nodes.Node]:
    rows = window + 1
    up = nodes.over(windowed.since_highest, rows, nodes.column("high"))
    down = nodes.over(windowed.since_lowest, rows, nodes.column("low"))
    return 100.0 * ((float(window) - up) / float(window)), 100.0 * ((float(window) - down) / float(window))
