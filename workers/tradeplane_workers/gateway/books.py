"""Books: what the limits of a decision are judged against, from the ledger's fills and working orders.

Equity is the engine's own arithmetic on the ledger's fills (:mod:`tradeplane_engine.ledger`): the account's with fees
as the broker books them, a strategy's with exact fees on its capital. A backtest of the session record computes the
same numbers from the same fills.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tradeplane_engine import ledger
from tradeplane_engine.core import gate
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times
from tradeplane_engine.venue import fees, profile
from tradeplane_workers.stores import orders as orders_store

_ACCOUNT = ""
_SAVED_EVERY = 5000  # places of the ledger's sequence


def session_of(at: times.Nanos) -> str:
    """Return the New York day of an instant."""
    return datetime.fromtimestamp(at // times.SECOND, UTC).astimezone(timeframes.NEW_YORK).date().isoformat()


class Fills:
    """The ledger's fills as the engine's ledgers: one for the account, one per sub-ledger.

    Where they stand is saved from time to time, so that a new process reads only the fills behind that.

    Parameters
    ----------
    starting : the account's cash before the first order
    costs : the venue's
    """

    def __init__(self, starting: numbers.Money, costs: profile.VenueProfile) -> None:
        self.starting = starting
        self.account = ledger.Ledger(starting, costs)
        self._costs = costs
        self._sub_ledgers: dict[str, ledger.Ledger] = {}
        self._walks: dict[str, list[tuple[int, int]]] = {}
        self._last = 0
        self._saved = 0

    def sub_ledger(self, uid: str) -> ledger.Ledger:
        """Return a strategy's ledger; its capital is named when its equity is asked for."""
        if uid not in self._sub_ledgers:
            self._sub_ledgers[uid] = ledger.Ledger(numbers.Money(0), self._costs)
        return self._sub_ledgers[uid]

    async def resume(self, connection: Any) -> None:
        """Go on from where they were saved last."""
        for row in await orders_store.books(connection):
            state = json.loads(row["state"])
            if row["sub_ledger"] == _ACCOUNT:
                self.account = ledger.Ledger.resumed(self.starting, self._costs, state)
            else:
                self._sub_ledgers[row["sub_ledger"]] = ledger.Ledger.resumed(numbers.Money(0), self._costs, state)
            self._last = self._saved = row["sequence"]
        await self.advance(connection)

    async def advance(self, connection: Any) -> None:
        """Book the fills that were committed since the last call."""
        while rows := await orders_store.fills_behind(connection, self._last):
            for row in rows:
                fill = _fill(row)
                self.account.apply(fill)
                self.sub_ledger(row["sub_ledger"]).apply(fill)
                self._last = row["sequence"]
            if len(rows) < orders_store.FILLS_AT_ONCE:
                return

    @property
    def is_worth_saving(self) -> bool:
        """Whether a new process would have much to read."""
        return self._last - self._saved >= _SAVED_EVERY

    async def save(self, connection: Any) -> int:
        """Write where they stand; once that is committed, :meth:`saved` is to be called with what this returns."""
        found = {_ACCOUNT: self.account, **self._sub_ledgers}
        await orders_store.save_books(
            connection, self._last, {uid: json.dumps(one.state) for uid, one in found.items()}
        )
        return self._last

    def saved(self, place: int) -> None:
        """Remember that they were saved up to a place in the sequence."""
        self._saved = place

    async def fees(self, connection: Any, uid: str, places: Sequence[int]) -> dict[int, numbers.Money]:
        """Return what a strategy's fills added to what it owes, as in a backtest, by their places, ascending.

        All its fills between the first and the last must be among them. Who asks page after page is answered from where
        the last page ended; who asks again from the start has all of them charged again.
        """
        found: dict[int, numbers.Money] = {}
        walks = self._walks.setdefault(uid, [])
        at, exact = next((walk for walk in reversed(walks) if places and walk[0] < places[0]), (0, 0))
        before = (at, exact)
        while places and at < places[-1]:
            for row in await orders_store.fills_behind(connection, at, sub_ledger=uid, until=places[-1]):
                fill = _fill(row)
                charges = self._costs.charges(fill.side, fill.price, fill.quantity, session=fill.session)
                owed = -fees.less_charges(0, exact)
                exact += sum(charge.amount for charge in charges)
                found[row["sequence"]] = numbers.Money(-fees.less_charges(0, exact) - owed)
                at = row["sequence"]
        if places:
            self._walks[uid] = [before, (at, exact)]
        return found


def _fill(row: Any) -> orders.Fill:
    return orders.Fill(
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        side=orders.Side(row["side"]),
        quantity=numbers.Quantity(row["quantity"]),
        price=numbers.Price(row["price"]),
        at=times.Nanos(row["at"]),
        session=session_of(times.Nanos(row["at"])),
    )


def account_book(fills: Fills, exposures: Sequence[orders_store.Exposure], prices: Mapping[str, bars.Bar]) -> gate.Book:
    """Return the account's book."""
    return _book(fills.account.equity(prices), exposures, prices)


def strategy_book(
    fills: Fills,
    exposures: Sequence[orders_store.Exposure],
    prices: Mapping[str, bars.Bar],
    *,
    uid: str,
    capital: numbers.Money,
) -> gate.Book:
    """Return a strategy's book."""
    equity = fills.sub_ledger(uid).equity_exact_fees(prices, capital=capital)
    return _book(equity, [exposure for exposure in exposures if exposure.sub_ledger == uid], prices)


def _book(
    equity: numbers.Money | None, exposures: Sequence[orders_store.Exposure], prices: Mapping[str, bars.Bar]
) -> gate.Book:
    positions: dict[str, numbers.Quantity] = {}
    buys: dict[str, numbers.Quantity] = {}
    sells: dict[str, numbers.Quantity] = {}
    for exposure in exposures:
        for target, amount in (
            (positions, exposure.position),
            (buys, exposure.working_buy),
            (sells, exposure.working_sell),
        ):
            if amount:
                target[exposure.symbol] = numbers.Quantity(target.get(exposure.symbol, 0) + amount)
    return gate.Book(
        equity=equity,
        positions=positions,
        working_buy=buys,
        working_sell=sells,
        prices=prices,
        open_orders=sum(exposure.open_orders for exposure in exposures),
    )
