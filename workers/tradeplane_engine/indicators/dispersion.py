"""Statistics of a window: spread, rank, regression on time, and of two fields."""

from tradeplane_engine import errors
from tradeplane_engine.indicators import nodes, windowed

_WHOLE = 100.0


def stddev(*, window: int = 5, field: str = "close") -> nodes.Graph:
    """Standard deviation, ddof 0."""
    return nodes.single(nodes.over(windowed.deviation, window, nodes.column(field)))


def var(*, window: int = 5, field: str = "close") -> nodes.Graph:
    """Variance, ddof 0."""
    return nodes.single(nodes.over(windowed.variance, window, nodes.column(field)))


def avgdev(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Mean absolute deviation from the mean."""
    return nodes.single(nodes.over(windowed.mean_deviation, window, nodes.column(field)))


def zscore(*, window: int = 20, field: str = "close") -> nodes.Graph:
    """Distance of the newest value from the mean in standard deviations, ddof 0."""
    node = nodes.column(field)
    distance = node - nodes.over(windowed.mean, window, node)
    return nodes.single(distance / nodes.over(windowed.deviation, window, node))


def percentrank(*, window: int = 100, field: str = "close") -> nodes.Graph:
    """Share of the ``window`` values before the newest that are below it, 0 to 100."""
    return nodes.single(100.0 * nodes.over(windowed.share_below, window + 1, nodes.column(field)))


def percentile(*, window: int = 30, percent: float = 50.0, field: str = "close") -> nodes.Graph:
    """Quantile by linear interpolation; ``percent`` above 0, at most 100."""
    if percent > _WHOLE:
        raise errors.ValueRefused("percent", "above 0, at most 100", percent)
    return nodes.single(nodes.over(windowed.quantile_at(percent / 100.0), window, nodes.column(field)))


def linearreg(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Least-squares line on time, at the newest row."""
    return nodes.single(_line(nodes.column(field), window, (window - 1) / 2))


def linearreg_slope(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Slope per row of the least-squares line on time."""
    return nodes.single(nodes.over(windowed.slope, window, nodes.column(field)))


def linearreg_intercept(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Least-squares line on time, at the window's oldest row."""
    return nodes.single(_line(nodes.column(field), window, -(window - 1) / 2))


def tsf(*, window: int = 14, field: str = "close") -> nodes.Graph:
    """Time series forecast: the least-squares line on time, one row ahead."""
    return nodes.single(_line(nodes.column(field), window, (window + 1) / 2))


def correl(*, window: int = 30, field: str = "close", other: str = "volume") -> nodes.Graph:
    """Pearson correlation of two fields; NaN where either does not move."""
    return nodes.single(nodes.over(windowed.correlation, window, nodes.column(field), nodes.column(other)))


def beta(*, window: int = 5, field: str = "high", other: str = "low") -> nodes.Graph:
    """Slope of the returns of ``other`` on the returns of ``field``."""
    base, follower = _returns(nodes.column(field)), _returns(nodes.column(other))
    shared = nodes.over(windowed.covariance, window, base, follower)
    return nodes.single(shared / nodes.over(windowed.variance, window, base))


def _line(node: nodes.Node, window: int, ahead: float) -> nodes.Node:
    centre = nodes.over(windowed.mean, window, node)
    return centre + ahead * nodes.over(windowed.slope, window, node)


def _returns(node: nodes.Node) -> nodes.Node:
    return nodes.change(node) / nodes.lag(node, 1)
