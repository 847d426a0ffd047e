"""Alpaca's JSON as values of the port: exact decimals, unknown fields ignored, unknown words carried.

A body that cannot be read raises :class:`Unreadable`; numbers are parsed as :class:`~decimal.Decimal`, never as floats.
"""

import json
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import port

_MONEY_STEP = Decimal(1).scaleb(-numbers.MONEY_DIGITS)
# Events that move no quantity: the report inside says all there is to say.
_PLAIN = frozenset(
    {
        "new",
        "accepted",
        "pending_new",
        "pending_cancel",
        "pending_replace",
        "canceled",
        "expired",
        "replaced",
        "rejected",
        "done_for_day",
        "stopped",
        "suspended",
        "calculated",
        "restated",
        "held",
        "order_cancel_rejected",
        "order_replace_rejected",
    }
)
_FILLS = frozenset({"fill", "partial_fill"})


class Unreadable(port.BrokerError):
    """The broker's answer is not what its protocol says."""


def parse(body: bytes | str) -> Any:
    """Parse JSON with exact decimals; raises Unreadable for HTML, an empty body, a nest without end and the like."""
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"body: must be JSON, got {body[:80]!r}") from error


def dump(value: Any) -> str:
    """Return JSON text that keeps decimals exact (as strings)."""
    return json.dumps(value, default=str, sort_keys=True, separators=(",", ":"))


def error_of(body: bytes) -> tuple[str, str]:
    """Return code and message of an error body, empty code where there is none; never raises."""
    try:
        value = parse(body)
    except Unreadable:
        return "", body[:200].decode("utf-8", "replace")
    if not isinstance(value, Mapping):
        return "", str(value)[:200]
    return str(value.get("code", "")), str(value.get("message", ""))[:500]


def report(value: Any) -> port.Report:
    """Read an order; raises Unreadable."""
    order = _mapping(value, "order")
    try:
        updated = order.get("updated_at") or order["submitted_at"]
        return port.Report(
            broker_order_id=_text(order, "id"),
            client_order_id=_text(order, "client_order_id"),
            symbol=_text(order, "symbol"),
            side=orders.Side(order["side"]),
            quantity=numbers.quantity(_decimal(order, "qty"), field="qty"),
            type=str(order.get("type") or order.get("order_type") or ""),
            time_in_force=_text(order, "time_in_force"),
            status=_text(order, "status"),
            filled=numbers.quantity(_decimal(order, "filled_qty", default="0"), field="filled_qty"),
            at=times.instant(str(updated), field="updated_at"),
            submitted=times.instant(str(order["submitted_at"]), field="submitted_at"),
            replaced_by=str(order.get("replaced_by") or ""),
            replaces=str(order.get("replaces") or ""),
        )
    except (KeyError, ValueError, errors.EngineError) as error:
        raise Unreadable(f"order: {error}") from error


def order_event(value: Any, *, source: str) -> port.Event:
    """Read an order answered by REST as an event; raises Unreadable."""
    found = report(value)
    return port.Event(
        kind="snapshot",
        source=source,
        broker_order_id=found.broker_order_id,
        client_order_id=found.client_order_id,
        report=found,
        execution=None,
        at=found.at,
        raw=dump(value),
    )


def stream_event(value: Any) -> port.Event:
    """Read the data of a ``trade_updates`` frame; raises Unreadable."""
    data = _mapping(value, "trade update")
    kind = _text(data, "event")
    found = report(data.get("order"))
    execution = None
    irregular = ""
    if kind in _FILLS:
        execution = _execution(data, found)
    elif kind not in _PLAIN:
        # Busts and corrections change what was booked; a word we do not know might. Neither is guessed.
        irregular = kind
    return port.Event(
        kind=kind,
        source="stream",
        broker_order_id=found.broker_order_id,
        client_order_id=found.client_order_id,
        report=found,
        execution=execution,
        at=_instant(data, "timestamp"),
        raw=dump(data),
        irregular=irregular,
    )


def fill_activity(value: Any) -> port.Event:
    """Read a FILL row of the activities; raises Unreadable."""
    row = _mapping(value, "activity")
    try:
        execution = port.Execution(
            broker_order_id=_text(row, "order_id"),
            symbol=_text(row, "symbol"),
            side=orders.Side(str(row["side"]).partition("_")[0]),
            quantity=numbers.quantity(_decimal(row, "qty"), field="qty"),
            cumulative=numbers.quantity(_decimal(row, "cum_qty"), field="cum_qty"),
            price=numbers.price(_decimal(row, "price")),
            at=_instant(row, "transaction_time"),
            activity_id=_text(row, "id"),
        )
    except (KeyError, ValueError, errors.EngineError) as error:
        raise Unreadable(f"activity: {error}") from error
    return port.Event(
        kind=str(row.get("type") or "fill"),
        source="activity",
        broker_order_id=execution.broker_order_id,
        client_order_id="",
        report=None,
        execution=execution,
        at=execution.at,
        raw=dump(row),
    )


def cash_activity(value: Any) -> port.CashActivity:
    """Read a row that is not a fill; raises Unreadable."""
    row = _mapping(value, "activity")
    try:
        return port.CashActivity(
            id=_text(row, "id"),
            kind=_text(row, "activity_type"),
            date=str(row.get("date") or ""),
            amount=numbers.money(_decimal(row, "net_amount", default="0"), field="net_amount"),
            symbol=str(row.get("symbol") or ""),
            quantity=numbers.quantity(_decimal(row, "qty", default="0"), field="qty"),
            description=str(row.get("description") or "")[:500],
        )
    except (ValueError, errors.EngineError) as error:
        raise Unreadable(f"activity: {error}") from error


def position(value: Any) -> port.Position:
    """Read a position, negative for a short whichever way the broker signs it; raises Unreadable."""
    row = _mapping(value, "position")
    try:
        size = numbers.quantity(_decimal(row, "qty"), field="qty")
    except errors.EngineError as error:
        raise Unreadable(f"position: {error}") from error
    if row.get("side") == "short":
        size = numbers.Quantity(-abs(size))
    return port.Position(_text(row, "symbol"), size)


def asset(value: Any) -> port.Asset:
    """Read an asset; raises Unreadable. What is not said to be allowed is not."""
    row = _mapping(value, "asset")
    allowed = {name: row.get(name) is True for name in ("tradable", "shortable", "easy_to_borrow")}
    return port.Asset(symbol=_text(row, "symbol"), **allowed)


def account(value: Any) -> port.Account:
    """Read the account; raises Unreadable. Amounts past nanodollars are rounded half to even."""
    row = _mapping(value, "account")
    blocked = any(row.get(name) is True for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user"))
    try:
        return port.Account(
            id=_text(row, "id"),
            cash=_money(row, "cash"),
            equity=_money(row, "equity"),
            status=str(row.get("status", "")),
            blocked=blocked,
        )
    except errors.EngineError as error:
        raise Unreadable(f"account: {error}") from error


def clock(value: Any) -> times.Nanos:
    """Read the venue's clock; raises Unreadable."""
    return _instant(_mapping(value, "clock"), "timestamp")


def _execution(data: Mapping[str, Any], found: port.Report) -> port.Execution:
    try:
        return port.Execution(
            broker_order_id=found.broker_order_id,
            symbol=found.symbol,
            side=found.side,
            quantity=numbers.quantity(_decimal(data, "qty"), field="qty"),
            cumulative=found.filled,
            price=numbers.price(_decimal(data, "price")),
            at=_instant(data, "timestamp"),
            execution_id=str(data.get("execution_id") or ""),
        )
    except errors.EngineError as error:
        raise Unreadable(f"execution: {error}") from error


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreadable(f"{name}: must be an object, got {value!r:.80}")
    return value


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{name}: must be a text, got {value!r}")
    return value


def _instant(row: Mapping[str, Any], name: str) -> times.Nanos:
    try:
        return times.instant(_text(row, name), field=name)
    except errors.EngineError as error:
        raise Unreadable(str(error)) from error


def _decimal(row: Mapping[str, Any], name: str, *, default: str | None = None) -> Decimal:
    value = row.get(name)
    if value is None and default is not None:
        return Decimal(default)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable(f"{name}: must be a decimal, got {value!r}")
    try:
        return Decimal(value)
    except ArithmeticError as error:
        raise Unreadable(f"{name}: must be a decimal, got {value!r}") from error


def _money(row: Mapping[str, Any], name: str) -> numbers.Money:
    value = _decimal(row, name)
    try:
        return numbers.money(value.quantize(_MONEY_STEP, ROUND_HALF_EVEN), field=name)
    except ArithmeticError as error:
        raise Unreadable(f"{name}: must be an amount within 64 bits of nanodollars, got {value}") from error
