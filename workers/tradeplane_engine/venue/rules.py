"""What Alpaca refuses of a new order for US equities, with its status, code, message and fields.

One chain of small checks, the first refusal wins: (1) what is not offered at all, (2) the asset, (3) the form of the
order (:mod:`.form`), (4) account, market and position, (5) its exits (:mod:`.exits`), (6) its cost. Each check answers
a refusal or nothing. A flip from long to short (or back) in one order is refused: the second half would be a different
order. Sources: ``alpaca-protocol.md`` sections 5.1, 5.2, 6, 10.2 and 10.3. Not modelled, because no threshold is
published: a limit too far from the market, and a largest quantity.

:func:`surely_accepted` is the short way for a path that cannot afford the chain.
"""

from collections.abc import Callable

from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import exits, form, margin, refusals, ticket

_COST_MIN = 10**numbers.MONEY_DIGITS
# Minutes of the New York day in which an auction takes no orders: 09:28, and ten minutes before the close, to 19:00.
_OPG_FROM, _AUCTIONS_AGAIN, _CLS_BEFORE_CLOSE = 9 * 60 + 28, 19 * 60, 10
_EXEMPT_CLASSES = frozenset({"bracket", "oco", "oto"})
_LASTING = frozenset({"day", "gtc"})
_AT_ANY_PRICE = frozenset({"market", "stop"})


class Case:
    """One order before the venue, with what several checks ask.

    opens, opens_short : whether it adds to a position rather than closing one, and whether that is a short
    price : at which it is valued, 0 when unknown or when it closes
    """

    __slots__ = ("account", "asset", "market", "opens", "opens_short", "price", "request")

    def __init__(
        self, request: ticket.Request, asset: ticket.Asset, account: ticket.AccountView, market: ticket.Market
    ) -> None:
        self.request = request
        self.asset = asset
        self.account = account
        self.market = market
        buys = request.side is orders.Side.BUY
        self.opens = account.position >= 0 if buys else account.position <= 0
        self.opens_short = self.opens and not buys
        self.price = _price(request, market, asset.digits, opens_short=self.opens_short) if self.opens else 0


Check = Callable[[Case], refusals.Refusal | None]
Parts = tuple[ticket.Request, ticket.Asset, ticket.AccountView, ticket.Market]


def refusal(
    request: ticket.Request, asset: ticket.Asset, account: ticket.AccountView, market: ticket.Market
) -> refusals.Refusal | None:
    """Return the first refusal of a new order, or None for one that is accepted."""
    return _first(_CHAIN, Case(request, asset, account, market))


def money_refusal(
    request: ticket.Request, asset: ticket.Asset, account: ticket.AccountView, market: ticket.Market
) -> refusals.Refusal | None:
    """Return the first refusal for want of money or of shares to borrow, or None: the part that any account has."""
    return _first(_MONEY, Case(request, asset, account, market))


def _first(chain: "tuple[Check, ...]", case: Case) -> refusals.Refusal | None:
    for check in chain:
        violation = check(case)
        if violation is not None:
            return violation
    return None


def unknown(symbol: str) -> refusals.Refusal:
    """Refuse an order for a symbol that is no asset."""
    return refusals.unprocessable(f'asset "{symbol}" not found')


def reserve(
    request: ticket.Request, asset: ticket.Asset, account: ticket.AccountView, market: ticket.Market
) -> numbers.Money:
    """Buying power that an order holds until it is done; nothing for one that closes."""
    return numbers.Money(_needed(Case(request, asset, account, market)))


def surely_accepted(
    *, side: orders.Side, quantity: int, cost: int, value: int, position: int, buying_power: int
) -> bool:
    """Whether a market day order in whole shares passes every check, by a few comparisons; False decides nothing.

    Only for a symbol without open orders whose asset is active, tradable and marginable, for an account that is neither
    blocked nor restricted, and a fresh client order id; then True implies that :func:`refusal` answers None.

    Parameters
    ----------
    quantity : 1e-9 shares, positive
    cost, value : what it is worth at the last price, and at that of :func:`margin.order_price` rounded up; money
    position : signed shares of the symbol
    buying_power : free, money
    """
    if quantity % numbers.ONE_SHARE:
        return False
    if position * side.sign < 0:
        return quantity <= abs(position)
    return side is orders.Side.BUY and cost >= _COST_MIN and value <= buying_power


def _is_not_offered(case: Case) -> refusals.Refusal | None:
    asset = case.asset
    if asset.asset_class != "us_equity":
        return refusals.unprocessable(f"asset class {asset.asset_class} is not offered: US equities in USD only")
    if asset.currency != "USD":
        return refusals.unprocessable(f"currency {asset.currency} is not offered: US equities in USD only")
    return None


def _asset_is_not_active(case: Case) -> refusals.Refusal | None:
    if case.asset.active:
        return None
    return refusals.unprocessable(f'asset "{case.asset.symbol}" is not active')


def _asset_is_not_tradable(case: Case) -> refusals.Refusal | None:
    if case.asset.tradable:
        return None
    return refusals.unprocessable(f'asset "{case.asset.symbol}" is not tradable')


def _form_is_wrong(case: Case) -> refusals.Refusal | None:
    return form.refusal(case.request, case.asset, extended_gtc=case.market.extended_gtc)


def _account_may_not_trade(case: Case) -> refusals.Refusal | None:
    return refusals.denied("account is not authorized to trade") if case.account.blocked else None


def _client_order_id_is_taken(case: Case) -> refusals.Refusal | None:
    wanted = case.request.client_order_id
    if not wanted or wanted not in case.account.used_ids:
        return None
    return refusals.malformed("client_order_id must be unique")


def _asset_is_not_fractionable(case: Case) -> refusals.Refusal | None:
    if not case.request.fractional or (case.asset.fractionable and case.account.fractional_enabled):
        return None
    return refusals.denied(f'asset "{case.asset.symbol}" is not fractionable')


def _intent_is_not_what_it_does(case: Case) -> refusals.Refusal | None:
    actual = ticket.intent(case.account.position, case.request.side)
    if case.request.intent in {"", actual}:
        return None
    return refusals.unprocessable(f"position_intent must be {actual} for this order, got {case.request.intent}")


def _time_in_force_is_not_permitted(case: Case) -> refusals.Refusal | None:
    kind = case.request.time_in_force
    if kind in _LASTING or case.account.special_times:
        return None
    return refusals.denied(f"account is not entitled to {kind} orders")


def _auction_takes_no_orders(case: Case) -> refusals.Refusal | None:
    kind, market = case.request.time_in_force, case.market
    if kind not in {"opg", "cls"} or not market.trading_day:
        return None
    start = _OPG_FROM if kind == "opg" else market.close_minute - _CLS_BEFORE_CLOSE
    if not start <= market.minute < _AUCTIONS_AGAIN:
        return None
    hours, minutes = divmod(start, 60)
    return refusals.unprocessable(f"{kind} orders are not accepted between {hours:02}:{minutes:02} and 19:00")


def _hard_to_borrow_is_not_day(case: Case) -> refusals.Refusal | None:
    if case.asset.easy_to_borrow or case.request.time_in_force == "day":
        return None
    return refusals.unprocessable(f'only day orders are allowed for hard-to-borrow asset "{case.asset.symbol}"')


def _class_does_not_suit_the_position(case: Case) -> refusals.Refusal | None:
    kind = case.request.order_class
    if kind in {"bracket", "oto"} and not case.opens:
        return refusals.unprocessable(f"{kind} orders must be entry orders")
    if kind == "oco" and case.opens:
        return refusals.unprocessable("oco orders must be exit orders")
    return None


def _opposite_order_is_open(case: Case) -> refusals.Refusal | None:
    for order in case.account.open_orders:
        if order.side is not case.request.side and washes(case.request, order):
            word = "market" if order.kind == "market" else order.kind.replace("_", " ")
            return refusals.denied(
                "potential wash trade detected. use complex orders",
                existing_order_id=order.id,
                reject_reason=f"opposite side {word} order exists",
            )
    return None


def _quantity_is_not_available(case: Case) -> refusals.Refusal | None:
    if case.opens:
        return None
    held, promised = case.account.position, case.account.held
    available = max(abs(held) - promised, 0)
    if _shares(case) <= available:
        return None
    shown = numbers.quantity_text(numbers.Quantity(_shares(case)))
    return refusals.denied(
        f"insufficient qty available for order (requested: {shown}, available: {_shares_text(available)})",
        available=_shares_text(available),
        existing_qty=_shares_text(held),
        held_for_orders=_shares_text(promised),
        symbol=case.asset.symbol,
    )


def _account_may_only_close(case: Case) -> refusals.Refusal | None:
    if not (case.account.closing_only and case.opens):
        return None
    return refusals.denied("account is restricted to closing orders: a position is above 600 % of equity")


def _fraction_is_sold_short(case: Case) -> refusals.Refusal | None:
    if not (case.opens_short and case.request.fractional):
        return None
    return refusals.unprocessable("fractional orders cannot be sold short")


def _account_may_not_short(case: Case) -> refusals.Refusal | None:
    if not case.opens_short:
        return None
    if case.account.shorting_enabled and case.account.equity >= margin.MARGIN_EQUITY_MIN:
        return None
    return refusals.denied("account is not allowed to short")


def _asset_may_not_be_shorted(case: Case) -> refusals.Refusal | None:
    if not case.opens_short or (case.asset.shortable and case.asset.easy_to_borrow):
        return None
    return refusals.unprocessable(f'asset "{case.asset.symbol}" cannot be sold short')


def _exit_is_on_the_wrong_side(case: Case) -> refusals.Refusal | None:
    if case.request.order_class == "simple":
        return None
    quote = case.market.quote
    return exits.refusal(case.request, market=quote.last or quote.ask or quote.bid, digits=case.asset.digits)


def _price_is_not_known(case: Case) -> refusals.Refusal | None:
    if not case.opens or case.request.notional or case.price:
        return None
    return refusals.unprocessable(f'no price of asset "{case.asset.symbol}" is known')


def _cost_is_below_the_minimum(case: Case) -> refusals.Refusal | None:
    if not case.opens:
        return None
    quote = case.market.quote
    price = case.request.limit or quote.last or case.price
    cost = case.request.notional or case.request.quantity * price // 10**case.asset.digits
    if cost >= _COST_MIN:
        return None
    return refusals.denied("cost basis must be >= minimal amount of order 1")


def _buying_power_is_not_enough(case: Case) -> refusals.Refusal | None:
    needed = _needed(case)
    if not needed or needed <= case.account.buying_power:
        return None
    return refusals.denied(
        "insufficient buying power",
        buying_power=numbers.money_text(numbers.Money(case.account.buying_power)),
        cost_basis=numbers.money_text(numbers.Money(needed)),
    )


_CHAIN: tuple[Check, ...] = (
    _is_not_offered,
    _asset_is_not_active,
    _asset_is_not_tradable,
    _form_is_wrong,
    _account_may_not_trade,
    _client_order_id_is_taken,
    _asset_is_not_fractionable,
    _intent_is_not_what_it_does,
    _time_in_force_is_not_permitted,
    _auction_takes_no_orders,
    _hard_to_borrow_is_not_day,
    _class_does_not_suit_the_position,
    _opposite_order_is_open,
    _quantity_is_not_available,
    _account_may_only_close,
    _fraction_is_sold_short,
    _account_may_not_short,
    _asset_may_not_be_shorted,
    _exit_is_on_the_wrong_side,
    _price_is_not_known,
    _cost_is_below_the_minimum,
    _buying_power_is_not_enough,
)
_MONEY: tuple[Check, ...] = (
    _account_may_only_close,
    _account_may_not_short,
    _asset_may_not_be_shorted,
    _price_is_not_known,
    _buying_power_is_not_enough,
)


def washes(one: ticket.Request | ticket.OpenOrder, other: ticket.OpenOrder) -> bool:
    """Say whether two orders of one symbol, on different sides, could trade with each other, as Alpaca sees it."""
    for each in (one, other):
        if each.order_class in _EXEMPT_CLASSES or each.kind == "trailing_stop":
            return False
    if one.kind in _AT_ANY_PRICE or other.kind in _AT_ANY_PRICE:
        return True
    buy, sell = (one, other) if one.side is orders.Side.BUY else (other, one)
    return buy.limit >= sell.limit


def _price(request: ticket.Request, market: ticket.Market, digits: int, *, opens_short: bool) -> int:
    quote, limit, stop = market.quote, request.limit, request.stop
    if request.side is orders.Side.BUY:
        if request.kind == "trailing_stop":
            stop = quote.ask or quote.last
            stop += request.trail or -(-stop * request.trail_bps // 10_000)
        if stop and not limit:
            limit = margin.stop_limit(stop, digits)
    return margin.order_price(request.side, quote, limit=limit, stop=stop, opens_short=opens_short, phase=market.phase)


def _needed(case: Case) -> int:
    if not case.opens:
        return 0
    value = case.request.notional or margin.value_up(case.price, case.request.quantity, case.asset.digits)
    return margin.needed(value, case.account.factor, marginable=case.asset.marginable)


def _shares(case: Case) -> int:
    """Shares that a closing order needs; an amount of money is turned at the market's price, rounded up."""
    request, quote = case.request, case.market.quote
    if request.quantity:
        return request.quantity
    price = quote.last or quote.bid or quote.ask
    return -(-request.notional * 10**case.asset.digits // price) if price else abs(case.account.position) + 1


def _shares_text(quantity: int) -> str:
    return numbers.quantity_text(numbers.Quantity(quantity))
