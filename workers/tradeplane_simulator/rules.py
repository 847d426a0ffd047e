"""What an account may order: desk and market as the venue's rules see them (:mod:`tradeplane_engine.venue.rules`)."""

import datetime as dt

from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import margin, rules, ticket
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, errors, sessions
from tradeplane_simulator import desk as desks

intent = ticket.intent
_CLOSE = dt.time(16)


def reserve(desk: desks.Desk, request: book.Request, market: desks.Market) -> numbers.Money:
    """Buying power that a new order holds until it is done; nothing for one that closes a position."""
    return rules.reserve(
        _request(request),
        market.asset(request.symbol),
        _account(desk, request, market),
        _market(request, market),
    )


def refusal(desk: desks.Desk, request: book.Request, market: desks.Market) -> errors.Refusal | None:
    """Return the first violation, or None for an order that is accepted."""
    if request.symbol not in market.prices:
        return rules.unknown(request.symbol)
    return rules.refusal(
        _request(request),
        market.asset(request.symbol),
        _account(desk, request, market),
        _market(request, market),
    )


def reserve_of(desk: desks.Desk, order: book.Order, market: desks.Market) -> numbers.Money:
    """Buying power that an order of today's terms would hold, were it new; nothing for a leg."""
    if order.parent:
        return numbers.Money(0)
    request = book.Request(
        symbol=order.symbol,
        side=order.side,
        quantity=order.rest,
        client_order_id="",
        kind=order.kind,
        limit_price=order.limit_price,
        stop_price=numbers.Price(0) if order.kind == "trailing_stop" else order.stop_price,
        trail_price=order.trail_price,
        trail_bps=order.trail_bps,
    )
    return reserve(desk, request, market)


def shares_of(request: book.Request, market: desks.Market) -> numbers.Quantity:
    """Shares that an amount of money buys at the last price, rounded up."""
    price = market.prices[request.symbol]
    return numbers.Quantity(-(-request.notional * 10**numbers.PRICE_DIGITS // price))


def _request(request: book.Request) -> ticket.Request:
    return ticket.Request(
        side=request.side,
        quantity=request.quantity,
        kind=request.kind,
        time_in_force=request.time_in_force,
        limit=request.take_profit if request.order_class == "oco" else request.limit_price,
        stop=request.stop_price,
        trail=request.trail_price,
        trail_bps=request.trail_bps,
        extended=request.extended_hours,
        intent=request.intent,
        client_order_id=request.client_order_id,
        notional=request.notional,
        order_class=request.order_class,
        take_profit=request.take_profit,
        stop_loss=request.stop_loss,
        stop_loss_limit=request.stop_loss_limit,
    )


def _account(desk: desks.Desk, request: book.Request, market: desks.Market) -> ticket.AccountView:
    now = accounts.standing(desk.account, market.prices)
    settings = desk.account.configuration
    return ticket.AccountView(
        equity=now.equity,
        cash=now.cash,
        buying_power=desk.buying_power(market),
        factor=accounts.factor(desk.account, now.equity, is_open=market.is_open),
        shorting_enabled=not settings.no_shorting,
        fractional_enabled=settings.fractional_trading,
        blocked=settings.suspend_trade,
        position=desk.account.held(request.symbol),
        held=desk.working(request.symbol, request.side),
        open_orders=tuple(
            ticket.OpenOrder(order.id, order.side, order.kind, order.limit_price, order.order_class)
            for order in desk.open_orders.values()
            if order.symbol == request.symbol
        ),
    )


def _market(request: book.Request, market: desks.Market) -> ticket.Market:
    last = market.prices[request.symbol]
    bid, ask = (market.profile.fill_price(side, last) for side in (orders.Side.SELL, orders.Side.BUY))
    # An order that waits fills at an open, so it is valued as in regular hours whenever it comes; auctions have times.
    now = sessions.new_york_time(market.at)
    closes = _CLOSE if market.today is None else sessions.new_york_time(market.today.close)
    return ticket.Market(
        quote=margin.Quote(last=last, bid=bid, ask=ask),
        minute=now.hour * 60 + now.minute,
        trading_day=market.today is not None,
        close_minute=closes.hour * 60 + closes.minute,
    )
