"""Gather the facts: ledger by the gateway's lists, broker by its public protocol, journal by its control port."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx2
import orjson

from tradeplane_cli.demo import facts as f
from tradeplane_engine import record
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, orders, times

_PAGE = 500
_ACTIVITY_PAGE = 100


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """The broker's address and the account's trading key, masked in its text form."""

    url: str
    key_id: str
    secret_key: str

    def __repr__(self) -> str:
        return f"BrokerAccess({self.url!r}, key ***)"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that authenticate a request."""
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret_key}


def get(client: httpx2.Client, url: str, *, headers: Mapping[str, str] | None = None, **parameters: str) -> Any:
    """Return a JSON answer; raises httpx2.HTTPError."""
    answer = client.get(url, params=parameters, headers=headers, timeout=30)
    answer.raise_for_status()
    return orjson.loads(answer.content)


def listed(client: httpx2.Client, url: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one of the gateway's lists, page by page; raises httpx2.HTTPError."""
    after = 0
    while rows := get(client, url, after=str(after), limit=str(_PAGE)):
        yield from rows
        after = rows[-1].get("sequence", rows[-1].get("decision"))


def ledger(client: httpx2.Client, gateway: str) -> f.Ledger:
    """Read the whole ledger through the gateway's lists."""
    account = get(client, f"{gateway}/v1/account")
    return f.Ledger(
        decisions=[
            f.Decision(row["sequence"], row["trigger"], row["outcome"], row["generation"], row["model_digest"])
            for row in listed(client, f"{gateway}/v1/decisions")
        ],
        signals=[
            f.Signal(
                trigger=row["trigger"],
                symbol=row["symbol"],
                score=row["score"],
                features=tuple(float("nan") if value is None else value for value in row["features"]),
            )
            for row in listed(client, f"{gateway}/v1/signals")
        ],
        orders=[_order(row) for row in listed(client, f"{gateway}/v1/orders")],
        fills=[
            f.Fill(
                client_order_id=row["client_order_id"],
                symbol=row["symbol"],
                side=row["side"],
                quantity=numbers.quantity(row["quantity"]),
                price=numbers.price(row["price"]),
                day=row["at"][:10],
            )
            for row in listed(client, f"{gateway}/v1/fills")
        ],
        positions=_positions(
            (row["symbol"], numbers.quantity(row["quantity"])) for row in get(client, f"{gateway}/v1/positions")
        ),
        cash=numbers.money(account["cash"]),
        fees=numbers.money(account["fees"]),
        starting_cash=numbers.money(account["starting_cash"]),
    )


def broker(client: httpx2.Client, access: BrokerAccess) -> f.Broker:
    """Read the broker's books as any client of its protocol would."""
    rows = list(_orders(client, access))
    client_ids = {row["id"]: row["client_order_id"] for row in rows}
    account = get_broker(client, access, "/v2/account")
    fees = sum(-numbers.money(row["net_amount"]) for row in _activities(client, access, "FEE"))
    return f.Broker(
        orders=[
            f.BrokerOrder(
                row["client_order_id"], row["symbol"], row["side"], numbers.quantity(row["qty"]), row["status"]
            )
            for row in rows
        ],
        fills=[
            f.Fill(
                client_order_id=client_ids[row["order_id"]],
                symbol=row["symbol"],
                # The protocol names the side of a short sale apart; a fill only changes the position.
                side="buy" if row["side"] == "buy" else "sell",
                quantity=numbers.quantity(row["qty"]),
                price=numbers.price(row["price"]),
                day=row["transaction_time"][:10],
            )
            for row in _activities(client, access, "FILL")
        ],
        positions=_positions(
            (row["symbol"], numbers.quantity(row["qty"])) for row in get_broker(client, access, "/v2/positions")
        ),
        cash=numbers.money(account["cash"]),
        fees=numbers.Money(fees),
        equity=numbers.money(account["equity"]),
    )


def received(client: httpx2.Client, control: str) -> list[f.Received]:
    """Return every order that arrived at the broker, refused ones too, from its journal."""
    found: list[f.Received] = []
    after = 0
    while rows := get(client, f"{control}/control/journal", after=str(after)):
        after = rows[-1]["n"]
        found.extend(
            f.Received(row["client_order_id"], row["received_monotonic_ns"], row["answered_monotonic_ns"])
            for row in rows
            if row["method"] == "POST" and row["path"] == "/v2/orders"
        )
    return found


def closes(data: dataset.Dataset, sessions: Sequence[str]) -> dict[str, dict[str, numbers.Price]]:
    """Return closing prices by session and symbol."""
    found: dict[str, dict[str, numbers.Price]] = {session: {} for session in sessions}
    for one in _bars(data):
        session = times.text(one.end)
        if session in found:
            found[session][one.symbol] = one.close
    return found


def forward_returns(data: dataset.Dataset, sessions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the total return from the next open to the one after it, by session and symbol."""
    actions = {(action.symbol, action.ex_start): action for action in data.actions}
    found: dict[str, dict[str, float]] = {session: {} for session in sessions}
    for symbol, history in data.history.items():
        for (decided, entry), (_, leave) in pairwise(pairwise(history)):
            session = times.text(decided.end)
            if session not in found:
                continue
            action = actions.get((symbol, leave.start))
            new, old = action.split if action else (1, 1)
            dividend = action.dividend / 10 ** (numbers.MONEY_DIGITS - numbers.PRICE_DIGITS) if action else 0.0
            found[session][symbol] = (leave.open + dividend) * new / old / entry.open - 1
    return found


def unpaid_dividends(data: dataset.Dataset, fills: Sequence[f.Fill], sessions: Sequence[str]) -> numbers.Money:
    """Sum the cash dividends that positions held into an ex-date would have earned; owed ones are negative."""
    total = 0
    first, last = sessions[0][:10], sessions[-1][:10]
    for action in data.actions:
        day = times.text(action.ex_start)[:10]
        if action.dividend and first <= day <= last:
            held = sum(
                orders.Side(fill.side).sign * fill.quantity
                for fill in fills
                if fill.symbol == action.symbol and fill.day < day
            )
            total += numbers.divide_half_even(held * action.dividend, numbers.ONE_SHARE)
    return numbers.Money(numbers.checked(total, "dividends"))


def get_broker(client: httpx2.Client, access: BrokerAccess, path: str, **parameters: str) -> Any:
    """Return one answer of the broker's protocol; raises httpx2.HTTPError."""
    return get(client, f"{access.url}{path}", headers=access.headers, **parameters)


def _order(row: Mapping[str, Any]) -> f.Order:
    order = orders.Order(
        client_order_id=row["client_order_id"],
        bar_end=times.instant(row["trigger"]),
        symbol=row["symbol"],
        side=orders.Side(row["side"]),
        quantity=numbers.quantity(row["quantity"]),
        terms=record.terms(row),
    )
    return f.Order(
        seq=row["sequence"],
        client_order_id=order.client_order_id,
        trigger=row["trigger"],
        symbol=order.symbol,
        side=order.side.value,
        quantity=order.quantity,
        sent=bool(row["sent"]) and row["status"] not in ("not-sent", "broker-refused", "unseen"),
        state=row["order_status"] or row["status"],
        reason=row["reason"] or "",
        canonical=record.canonical_order(order).decode(),
    )


def _positions(rows: Iterable[tuple[str, numbers.Quantity]]) -> dict[str, numbers.Quantity]:
    sums: dict[str, int] = {}
    for symbol, quantity in rows:
        sums[symbol] = sums.get(symbol, 0) + quantity
    return {symbol: numbers.Quantity(total) for symbol, total in sums.items() if total}


def _orders(client: httpx2.Client, access: BrokerAccess) -> Iterator[dict[str, Any]]:
    """Page on the submission time, which is exclusive: overlap by one instant and drop what is known."""
    seen: set[str] = set()
    after = "1970-01-01T00:00:00Z"
    while True:
        page = get_broker(
            client, access, "/v2/orders", status="all", limit=str(_PAGE), direction="asc", nested="false", after=after
        )
        fresh = [row for row in page if row["id"] not in seen]
        seen.update(row["id"] for row in fresh)
        yield from fresh
        if len(page) < _PAGE or not fresh:
            return
        after = times.text(times.Nanos(times.instant(page[-1]["submitted_at"]) - 1))


def _activities(client: httpx2.Client, access: BrokerAccess, kind: str) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        parameters = {"activity_types": kind, "direction": "asc", "page_size": str(_ACTIVITY_PAGE)}
        if token:
            parameters["page_token"] = token
        page = get_broker(client, access, "/v2/account/activities", **parameters)
        yield from page
        if len(page) < _ACTIVITY_PAGE:
            return
        token = page[-1]["id"]


def _bars(data: dataset.Dataset) -> Iterator[bars.Bar]:
    for history in data.history.values():
        yield from history
