"""What an account may order: desk and market as the venue's rules see them (:mod:`tradeplane_engine.venue.rules`).

Every order is a market day order, and is valued at what it would cost at the last price.
"""

from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import margin, rules, ticket
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, errors
from tradeplane_simulator import desk as desks

intent = ticket.intent


def reserve(desk: desks.Desk, request: book.Request, market: desks.Market) -> numbers.Money:
    """Buying power that a new order holds until it is done; nothing for one that closes a position."""
    return rules.reserve(
        _request(request),
        ticket.Asset(symbol=request.symbol),
        _account(desk, request, market),
        _market(request, market),
    )


def refusal(desk: desks.Desk, request: book.Request, market: desks.Market) -> errors.Refusal | None:
    """Return the first violation, or None for an order that is accepted."""
    if request.symbol not in market.prices:
        return rules.unknown(request.symbol)
    return rules.refusal(
        _request(request),
        ticket.Asset(symbol=request.symbol),
        _account(desk, request, market),
        _market(request, market),
    )


def _request(request: book.Request) -> ticket.Request:
    return ticket.Request(
        side=request.side,
        quantity=request.quantity,
        intent=request.intent,
        client_order_id=request.client_order_id,
    )


def _account(desk: desks.Desk, request: book.Request, market: desks.Market) -> ticket.AccountView:
    worth = accounts.value(desk.account, market.prices)
    return ticket.AccountView(
        equity=worth.equity,
        cash=worth.cash,
        buying_power=worth.buying_power(desk.reserved),
        factor=margin.REG_T,
        position=desk.account.held(request.symbol),
        held=desk.working(request.symbol, request.side),
        open_orders=tuple(
            ticket.OpenOrder(order.id, order.side)
            for order in desk.open_orders.values()
            if order.symbol == request.symbol
        ),
    )


def _market(request: book.Request, market: desks.Market) -> ticket.Market:
    last = market.prices[request.symbol]
    bid, ask = (market.profile.fill_price(side, last) for side in (orders.Side.SELL, orders.Side.BUY))
    # An order that waits fills at an open, so it is valued as in regular hours whenever it comes.
    return ticket.Market(quote=margin.Quote(last=last, bid=bid, ask=ask))
