"""Where the exits of a bracket, OCO or OTO order may lie against the market and the entry.

A violation names the price that it was compared with in ``base_price``. The limit of an OCO is its take-profit.
"""

from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import refusals, ticket


def refusal(request: ticket.Request, *, market: int, digits: int) -> refusals.Refusal | None:
    """Return the first exit that lies on the wrong side, or None.

    Parameters
    ----------
    market : price of the symbol now, in units of 10^-digits; 0 where it is not known, then the entry alone counts
    """
    # Exits trade against the entry; an OCO has no entry, its own side is that of the exits.
    selling = (request.side is orders.Side.BUY) != (request.order_class == "oco")
    entry = request.take_profit if request.order_class == "oco" else request.limit
    step = max(10**digits // 100, 1)
    if request.stop_loss:
        for base in (market, entry):
            if base and (request.stop_loss > base - step if selling else request.stop_loss < base + step):
                return _violation("stop_loss.stop_price", below=selling, base=base, digits=digits)
    base = entry or market
    if request.take_profit and request.order_class != "oco" and base:
        wrong = request.take_profit < base + step if selling else request.take_profit > base - step
        if wrong:
            return _violation("take_profit.limit_price", below=not selling, base=base, digits=digits)
    return None


def _violation(name: str, *, below: bool, base: int, digits: int) -> refusals.Refusal:
    side = "<= base_price - 0.01" if below else ">= base_price + 0.01"
    return refusals.unprocessable(f"{name} must be {side}", base_price=numbers.scaled_text(base, digits))
