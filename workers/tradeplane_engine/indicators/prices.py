"""Prices of a bar that many indicators start from, in USD."""

from tradeplane_engine.indicators import nodes


def bar() -> tuple[nodes.Node, nodes.Node, nodes.Node]:
    """Return high, low and close."""
    return nodes.column("high"), nodes.column("low"), nodes.column("close")


def median() -> nodes.Node:
    """(high + low) / 2."""
    return (nodes.column("high") + nodes.column("low")) / 2.0


def typical() -> nodes.Node:
    """(high + low + close) / 3."""
    high, low, close = bar()
    return (high + low + close) / 3.0


def true_high() -> nodes.Node:
    """The larger of this high and the close before."""
    return nodes.larger(nodes.column("high"), nodes.lag(nodes.column("close"), 1))


def true_low() -> nodes.Node:
    """The smaller of this low and the close before."""
    return nodes.smaller(nodes.column("low"), nodes.lag(nodes.column("close"), 1))


def true_range() -> nodes.Node:
    """The bar's range, the close before included."""
    return true_high() - true_low()


def medprice() -> nodes.Graph:
    """Median price, (high + low) / 2."""
    return nodes.single(median())


def typprice() -> nodes.Graph:
    """Typical price, (high + low + close) / 3."""
    return nodes.single(typical())


def wclprice() -> nodes.Graph:
    """Weighted close, (high + low + 2 close) / 4."""
    high, low, close = bar()
    return nodes.single((high + low + 2.0 * close) / 4.0)


def avgprice() -> nodes.Graph:
    """Average price, (open + high + low + close) / 4."""
    high, low, close = bar()
    return nodes.single((nodes.column("open") + high + low + close) / 4.0)
