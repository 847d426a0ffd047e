"""Alpaca's JSON shapes of what the venue holds. Amounts are decimal strings; bars carry exact JSON numbers."""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]  # published without type information
import orjson

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.venue import margin
from tradeplane_simulator import account as accounts
from tradeplane_simulator import assets, book, dataset, desk, exchange, notices, renames, sessions, tape

_EXCHANGE = "NASDAQ"


def asset_id(symbol: str) -> str:
    """Return the UUID of a symbol, the same in every run."""
    return book.identity("asset", symbol)


def order(value: book.Order, legs: Sequence[book.Order] = ()) -> dict[str, Any]:
    """Shape an order, with its legs where they are asked for, as REST and stream show it."""
    return {
        "id": value.id,
        "client_order_id": value.client_order_id,
        "created_at": times.text(value.submitted_at),
        "updated_at": times.text(value.updated_at),
        "submitted_at": times.text(value.submitted_at),
        "filled_at": _moment(value.filled_at),
        "expired_at": _moment(value.expired_at),
        "expires_at": times.text(value.expires_at),
        "canceled_at": _moment(value.canceled_at),
        "failed_at": _moment(value.failed_at),
        "replaced_at": _moment(value.replaced_at),
        "replaced_by": value.replaced_by or None,
        "replaces": value.replaces or None,
        "asset_id": asset_id(value.symbol),
        "symbol": value.symbol,
        "asset_class": "us_equity",
        "notional": numbers.money_text(value.notional) if value.notional else None,
        "qty": None if value.notional else numbers.quantity_text(value.quantity),
        "filled_qty": numbers.quantity_text(value.filled),
        "filled_avg_price": None if value.average_price is None else numbers.money_text(value.average_price),
        "order_class": "" if value.order_class == "simple" else value.order_class,
        "order_type": value.kind,
        "type": value.kind,
        "side": value.side.value,
        "position_intent": value.intent,
        "time_in_force": value.time_in_force,
        "limit_price": _price(value.limit_price),
        "stop_price": _price(value.stop_price),
        "status": value.status.value,
        "extended_hours": value.extended_hours,
        "legs": [order(leg) for leg in legs] or None,
        "trail_percent": f"{value.trail_bps / 100:g}" if value.trail_bps else None,
        "trail_price": _price(value.trail_price),
        "hwm": _price(value.high_water),
        "subtag": None,
        "source": None,
    }


def _price(value: numbers.Price) -> str | None:
    return numbers.price_text(value) if value else None


def update(value: book.Update) -> dict[str, Any]:
    """Shape one message of the trade-updates stream."""
    data: dict[str, Any] = {
        "event": value.event,
        "event_id": value.event_id,
        "at": times.text(value.at),
        "timestamp": times.text(value.at),
        "execution_id": value.execution_id or None,
        "order": order(value.order),
    }
    if value.execution is not None:
        data["price"] = numbers.price_text(value.execution.price)
        data["qty"] = numbers.quantity_text(value.execution.quantity)
        data["position_qty"] = numbers.quantity_text(value.execution.position)
    return {"stream": "trade_updates", "data": data}


def account(found: desk.Desk, market: desk.Market) -> dict[str, Any]:
    """Shape an account; fees of the day are accrued, not yet taken from the cash."""
    state = found.account
    worth = accounts.value(state, market.prices)
    now = accounts.standing(state, market.prices)
    factor = accounts.factor(state, now.equity, is_open=market.is_open)
    power = found.buying_power(market)
    regular = numbers.Money(margin.buying_power(now, min(factor, margin.REG_T), reserved=found.reserved))
    fees = numbers.Money(sum(exchange.accrued(state, market.profile).values()))
    amounts = {
        "cash": worth.cash,
        "equity": worth.equity,
        "portfolio_value": worth.equity,
        "last_equity": state.last_equity,
        "buying_power": power,
        "regt_buying_power": regular,
        "effective_buying_power": power,
        "non_marginable_buying_power": numbers.Money(power // factor),
        "options_buying_power": numbers.Money(0),
        "long_market_value": worth.long_value,
        "short_market_value": worth.short_value,
        "position_market_value": worth.gross,
        "initial_margin": numbers.Money(now.initial),
        "maintenance_margin": numbers.Money(now.maintenance),
        "accrued_fees": fees,
        "pending_transfer_in": numbers.Money(0),
        "pending_transfer_out": numbers.Money(0),
        "pending_reg_taf_fees": fees,
    }
    return {
        "id": state.id,
        "account_number": state.id.replace("-", "")[:12].upper(),
        "status": "ACTIVE",
        "currency": "USD",
        "multiplier": str(factor),
        "created_at": times.text(state.created_at),
        "balance_asof": sessions.new_york_date(market.at).isoformat(),
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": state.configuration.suspend_trade,
        "shorting_enabled": not state.configuration.no_shorting and now.equity >= margin.MARGIN_EQUITY_MIN,
        **{name: numbers.money_text(amount) for name, amount in amounts.items()},
    }


def position(held: accounts.Position, found: desk.Desk, *, quotation: dataset.Quotation) -> dict[str, Any]:
    """Shape a position; a short's quantity, value and cost are negative."""
    value = numbers.notional(quotation.price, held.quantity)
    profit = numbers.Money(value - held.cost)
    order_side = [order.side for order in found.open_orders.values() if order.symbol == held.symbol]
    closing = [side for side in order_side if side.sign * held.quantity < 0]
    working = found.working(held.symbol, closing[0]) if closing else 0
    sign = 1 if held.quantity > 0 else -1
    average = numbers.Money(numbers.divide_half_even(abs(held.cost) * numbers.ONE_SHARE, abs(held.quantity)))
    return {
        "asset_id": asset_id(held.symbol),
        "symbol": held.symbol,
        "exchange": _EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "avg_entry_price": numbers.money_text(average),
        "qty": numbers.quantity_text(held.quantity),
        "qty_available": numbers.quantity_text(numbers.Quantity(held.quantity - sign * working)),
        "side": "long" if held.quantity > 0 else "short",
        "market_value": numbers.money_text(value),
        "cost_basis": numbers.money_text(held.cost),
        "unrealized_pl": numbers.money_text(profit),
        "unrealized_plpc": _ratio(profit, abs(held.cost)),
        "current_price": numbers.price_text(quotation.price),
        "lastday_price": numbers.price_text(quotation.previous_close),
        "change_today": _ratio(quotation.price - quotation.previous_close, quotation.previous_close),
    }


def activity(row: book.Activity) -> dict[str, Any]:
    """Shape a row of the account's history."""
    return {"id": row.id, "activity_type": row.type, **dict(row.fields)}


def asset(symbol: str, known: assets.Entry | None = None) -> dict[str, Any]:
    """Shape an asset; one of which nothing is known can be traded, shorted and split into fractions."""
    found = known or assets.ANY
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": found.exchange,
        "symbol": symbol,
        "name": found.name or symbol,
        "status": "active" if found.active else "inactive",
        "tradable": found.tradable,
        "marginable": found.marginable,
        "shortable": found.shortable,
        "easy_to_borrow": found.easy_to_borrow,
        "fractionable": found.fractionable,
        "maintenance_margin_requirement": 30 if found.marginable else 100,
        "attributes": [],
    }


def watchlist(list_id: str, name: str, *, created_at: times.Nanos, updated_at: times.Nanos) -> dict[str, Any]:
    """Shape a watchlist without its assets."""
    return {"id": list_id, "name": name, "created_at": times.text(created_at), "updated_at": times.text(updated_at)}


def clock(at: times.Nanos, calendar: sessions.Sessions) -> dict[str, Any]:
    """Shape the market clock, with New York's offset."""
    closing, opening = calendar.upcoming(at), calendar.opening(at)
    return {
        "timestamp": local(at),
        "is_open": calendar.trading(at) is not None,
        "next_open": local(at if opening is None else opening.open),
        "next_close": local(at if closing is None else closing.close),
    }


def calendar_day(day: sessions.Session, settlement: dt.date) -> dict[str, str]:
    """Shape one day of the calendar."""
    return {
        "date": day.date.isoformat(),
        "open": f"{_new_york(day.open):%H:%M}",
        "close": f"{_new_york(day.close):%H:%M}",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": settlement.isoformat(),
    }


def number(digits: str) -> orjson.Fragment:
    """Return a JSON number of exactly these digits: no float is ever made of a price here."""
    return orjson.Fragment(digits)


def _number(value: numbers.Price) -> orjson.Fragment:
    return number(numbers.price_text(value))


@dataclass(frozen=True, slots=True)
class Form:
    """How prices and instants of market data are written."""

    price: Callable[[numbers.Price], Any]
    moment: Callable[[times.Nanos], Any]


JSON: Final = Form(price=_number, moment=times.text)
# MessagePack has no decimals: prices become the nearest doubles here, whose shortest text is the price again.
MESSAGE_PACK: Final = Form(
    price=lambda value: value / 10**numbers.PRICE_DIGITS,
    moment=lambda at: msgpack.Timestamp(*divmod(at, times.SECOND)),
)


def bar(
    value: bars.Bar, label: times.Nanos, measured: tape.Measures | None = None, form: Form = JSON
) -> dict[str, Any]:
    """Shape a bar under the instant that names it: a day's midnight in New York, a shorter bar's start.

    Trade count and average price are known where single trades were recorded.
    """
    return {
        "t": form.moment(label),
        "o": form.price(value.open),
        "h": form.price(value.high),
        "l": form.price(value.low),
        "c": form.price(value.close),
        "v": value.volume,
        "n": None if measured is None else measured.count,
        "vw": None if measured is None else form.price(measured.average),
    }


def trade(value: tape.Trade, form: Form = JSON) -> dict[str, Any]:
    """Shape a trade; a regular one has the condition ``@``."""
    row = {
        "t": form.moment(value.at),
        "x": value.exchange,
        "p": form.price(value.price),
        "s": value.size,
        "c": list(value.conditions) or ["@"],
        "i": value.number,
        "z": value.tape,
    }
    return row | {"u": value.update} if value.update else row


def auction(value: tape.Trade) -> dict[str, Any]:
    """Shape a trade of an opening or closing auction; its condition is the one that says so."""
    marks = [one for one in value.conditions if one in tape.OPENING + tape.CLOSING]
    return {
        "t": times.text(value.at),
        "x": value.exchange,
        "p": _number(value.price),
        "s": value.size,
        "c": "".join(marks[:1]),
    }


def quote(value: tape.Quote, form: Form = JSON) -> dict[str, Any]:
    """Shape a quote; both of its sides are of one exchange."""
    return {
        "t": form.moment(value.at),
        "ax": value.exchange,
        "ap": form.price(value.ask),
        "as": value.ask_size,
        "bx": value.exchange,
        "bp": form.price(value.bid),
        "bs": value.bid_size,
        "c": ["R"],
        "z": value.tape,
    }


def notice(value: notices.Notice, form: Form = JSON) -> dict[str, Any]:
    """Shape a halt, a band, a correction, a cancelled trade or a revised bar."""
    fields = {
        name: form.price(field.value) if isinstance(field, notices.Amount) else field
        for name, field in value.fields.items()
    }
    return {**fields, "t": form.moment(value.label)}


def corporate_action(action: bars.CorporateAction) -> list[tuple[str, dict[str, Any]]]:
    """Shape an action as the rows of Alpaca's lists: a split, a dividend, or both."""
    date = sessions.new_york_date(action.ex_start).isoformat()
    common = {"symbol": action.symbol, "process_date": date, "ex_date": date, "record_date": date, "payable_date": date}
    rows: list[tuple[str, dict[str, Any]]] = []
    new, old = action.split
    if new != old:
        kind = "forward_splits" if new > old else "reverse_splits"
        cusips = {"cusip": ""} if new > old else {"old_cusip": "", "new_cusip": ""}
        identity = book.identity("action", action.symbol, date, kind)
        rows.append((kind, {"id": identity, **common, **cusips, "new_rate": new, "old_rate": old}))
    if action.dividend:
        rate = orjson.Fragment(numbers.money_text(action.dividend))
        identity = book.identity("action", action.symbol, date, "cash_dividends")
        row = {"id": identity, **common, "cusip": "", "rate": rate, "special": False, "foreign": False}
        rows.append(("cash_dividends", row))
    return rows


def name_change(rename: renames.Rename) -> dict[str, Any]:
    """Shape a new name as a row of Alpaca's list."""
    date = rename.date.isoformat()
    return {
        "id": book.identity("action", rename.old, date, "name_changes"),
        "old_symbol": rename.old,
        "new_symbol": rename.new,
        "old_cusip": "",
        "new_cusip": "",
        "process_date": date,
    }


def local(at: times.Nanos) -> str:
    """Return an instant with New York's offset, to the nanosecond."""
    moment = _new_york(at).isoformat()
    fraction = at % times.SECOND
    return f"{moment[:19]}.{fraction:09d}{moment[19:]}" if fraction else moment


def is_asset_id(text: str) -> bool:
    """Say whether a path part is an asset's UUID and not a symbol."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _new_york(at: times.Nanos) -> dt.datetime:
    return dt.datetime.fromtimestamp(at // times.SECOND, sessions.NEW_YORK)


def _moment(at: times.Nanos | None) -> str | None:
    return None if at is None else times.text(at)


def _ratio(part: int, whole: int) -> str:
    scaled = numbers.divide_half_even(part * numbers.ONE_SHARE, whole) if whole else 0
    return numbers.quantity_text(numbers.Quantity(scaled))
