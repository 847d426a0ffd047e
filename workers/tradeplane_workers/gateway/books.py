"""Books: what the limits of a decision are judged against, from the ledger's fills and working orders.

Equity is the engine's own arithmetic on the ledger's fills (:mod:`tradeplane_engine.ledger`): the account's with fees
as the broker books them, a strategy's with exact fees on its capital. A backtest of the session record computes the
same numbers from the same fills.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tradeplane_engine import ledger
from tradeplane_engine.core import gate
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times
from tradeplane_engine.venue import profile
from tradeplane_workers.stores import orders as orders_store


def session_of(at: times.Nanos) -> str:
    """Return the New York day of an instant."""
    return datetime.fromtimestamp(at // times.SECOND, UTC).astimezone(timeframes.NEW_YORK).date().isoformat()


class Fills:
    """The ledger's fills as the engine's ledgers: one for the account, one per sub-ledger.

    Parameters
    ----------
    starting : the account's cash before the first order
    costs : the venue's

    Attributes
    ----------
    fees : what each fill added to what its sub-ledger owes, by its place in the sequence, as in a backtest
    """

    def __init__(self, starting: numbers.Money, costs: profile.VenueProfile) -> None:
        self.fees: dict[int, numbers.Money] = {}
        self.starting = starting
        self.account = ledger.Ledger(starting, costs)
        self._costs = costs
        self._sub_ledgers: dict[str, ledger.Ledger] = {}
        self._last = 0

    def sub_ledger(self, uid: str) -> ledger.Ledger:
        """Return a strategy's ledger; its capital is named when its equity is asked for."""
        if uid not in self._sub_ledgers:
            self._sub_ledgers[uid] = ledger.Ledger(numbers.Money(0), self._costs)
        return self._sub_ledgers[uid]

    async def advance(self, connection: Any) -> None:
        """Book the fills that were committed since the last call; the caller holds the ledger's row."""
        rows = await connection.fetch("select * from fills where sequence > $1 order by sequence", self._last)
        for row in rows:
            fill = orders.Fill(
                client_order_id=row["client_order_id"],
                symbol=row["symbol"],
                side=orders.Side(row["side"]),
                quantity=numbers.Quantity(row["quantity"]),
                price=numbers.Price(row["price"]),
                at=times.Nanos(row["at"]),
                session=session_of(times.Nanos(row["at"])),
            )
            self.account.apply(fill)
            own = self.sub_ledger(row["sub_ledger"])
            owed = own.fees_owed
            own.apply(fill)
            self.fees[row["sequence"]] = numbers.Money(own.fees_owed - owed)
            self._last = row["sequence"]


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
