"""What an account may order: a chain of small checks, the first violation wins.

Each check sees the desk, the request and the market, and answers a refusal or nothing. A flip from long to short (or
back) in one order is refused, as Alpaca does: the second half would be a different order.
"""

from collections.abc import Callable
from fractions import Fraction

from tradeplane_engine.domain import numbers, orders
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, errors
from tradeplane_simulator import desk as desks

Check = Callable[[desks.Desk, book.Request, desks.Market], errors.Refusal | None]

_SHORT_EQUITY_MIN = 2_000 * 10**numbers.MONEY_DIGITS
_COST_MIN = 10**numbers.MONEY_DIGITS
_SHORT_MARGIN = Fraction(103, 100)


def intent(held: numbers.Quantity, side: orders.Side) -> str:
    """Say what an order does to the position: open or close, by buying or selling."""
    closing = held < 0 if side is orders.Side.BUY else held > 0
    return f"{side.value}_to_{'close' if closing else 'open'}"


def reserve(desk: desks.Desk, request: book.Request, market: desks.Market) -> numbers.Money:
    """Buying power that a new order holds until it is done; nothing for one that closes a position."""
    if intent(desk.account.held(request.symbol), request.side).endswith("close"):
        return numbers.Money(0)
    last = market.prices[request.symbol]
    price = market.profile.fill_price(orders.Side.BUY, last)
    if request.side is orders.Side.SELL:
        price = numbers.Price(-(-price * _SHORT_MARGIN.numerator // _SHORT_MARGIN.denominator))
    return numbers.notional(price, request.quantity)


def refusal(desk: desks.Desk, request: book.Request, market: desks.Market) -> errors.Refusal | None:
    """Return the first violation, or None for an order that is accepted."""
    for check in _CHAIN:
        violation = check(desk, request, market)
        if violation is not None:
            return violation
    return None


def _symbol_is_unknown(_: desks.Desk, request: book.Request, market: desks.Market) -> errors.Refusal | None:
    if request.symbol in market.prices:
        return None
    return errors.unprocessable(f'asset "{request.symbol}" not found')


def _intent_is_not_what_it_does(desk: desks.Desk, request: book.Request, _: desks.Market) -> errors.Refusal | None:
    actual = intent(desk.account.held(request.symbol), request.side)
    if request.intent in {"", actual}:
        return None
    return errors.unprocessable(f"position_intent must be {actual} for this order, got {request.intent}")


def _opposite_order_is_open(desk: desks.Desk, request: book.Request, _: desks.Market) -> errors.Refusal | None:
    for order in desk.open_orders.values():
        if order.symbol == request.symbol and order.side is not request.side:
            return errors.denied(
                "potential wash trade detected. use complex orders",
                existing_order_id=order.id,
                reject_reason="opposite side market order exists",
            )
    return None


def _quantity_is_not_available(desk: desks.Desk, request: book.Request, _: desks.Market) -> errors.Refusal | None:
    held = desk.account.held(request.symbol)
    if intent(held, request.side).endswith("open"):
        return None
    working = desk.working(request.symbol, request.side)
    available = numbers.Quantity(max(abs(held) - working, 0))
    if request.quantity <= available:
        return None
    requested = numbers.quantity_text(request.quantity)
    return errors.denied(
        f"insufficient qty available for order (requested: {requested}, available: {numbers.quantity_text(available)})",
        available=numbers.quantity_text(available),
        existing_qty=numbers.quantity_text(held),
        held_for_orders=numbers.quantity_text(working),
        symbol=request.symbol,
    )


def _short_sale_is_not_allowed(desk: desks.Desk, request: book.Request, market: desks.Market) -> errors.Refusal | None:
    if intent(desk.account.held(request.symbol), request.side) != "sell_to_open":
        return None
    if request.quantity % numbers.ONE_SHARE:
        return errors.unprocessable("fractional orders cannot be sold short")
    if accounts.value(desk.account, market.prices).equity < _SHORT_EQUITY_MIN:
        return errors.denied("account is not allowed to short")
    return None


def _cost_is_below_the_minimum(desk: desks.Desk, request: book.Request, market: desks.Market) -> errors.Refusal | None:
    if intent(desk.account.held(request.symbol), request.side).endswith("close"):
        return None
    if numbers.notional(market.prices[request.symbol], request.quantity) >= _COST_MIN:
        return None
    return errors.denied("cost basis must be >= minimal amount of order 1")


def _buying_power_is_not_enough(desk: desks.Desk, request: book.Request, market: desks.Market) -> errors.Refusal | None:
    needed = reserve(desk, request, market)
    if not needed:
        return None
    free = accounts.value(desk.account, market.prices).buying_power(desk.reserved)
    if needed <= free:
        return None
    return errors.denied(
        "insufficient buying power",
        buying_power=numbers.money_text(free),
        cost_basis=numbers.money_text(needed),
    )


_CHAIN: tuple[Check, ...] = (
    _symbol_is_unknown,
    _intent_is_not_what_it_does,
    _opposite_order_is_open,
    _quantity_is_not_available,
    _short_sale_is_not_allowed,
    _cost_is_below_the_minimum,
    _buying_power_is_not_enough,
)
