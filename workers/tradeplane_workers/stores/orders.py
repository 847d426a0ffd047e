"""Orders, what the broker said about them, their fills, and the positions that follow."""

from dataclasses import dataclass
from typing import Any

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.stores import decisions


@dataclass(frozen=True, slots=True)
class Exposure:
    """Position and working orders of one symbol in one sub-ledger; working ones unsigned."""

    sub_ledger: str
    symbol: str
    position: numbers.Quantity
    working_buy: numbers.Quantity
    working_sell: numbers.Quantity


@dataclass(frozen=True, slots=True)
class FillRow:
    """A fill as money needs it."""

    sub_ledger: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    price: numbers.Price
    at: times.Nanos


async def insert(connection: Any, intent: decisions.Intent) -> None:
    """Write the order of an intent that is about to be sent, with the ids that trace it (invariant 8)."""
    await connection.execute(
        "insert into orders (client_order_id, sub_ledger, strategy_uid, decision, signal_score, model_digest,"
        " feature_set, policy_hash, generation, symbol, side, quantity, type, time_in_force, status)"
        " select i.client_order_id, d.strategy_uid, d.strategy_uid, d.sequence,"
        " (select score from signals s where s.decision = d.sequence and s.symbol = i.symbol limit 1),"
        " d.model_digest, d.feature_set, d.policy_hash, d.generation, i.symbol, i.side, i.quantity, i.type,"
        " i.time_in_force, ''"
        " from intents i join decisions d on d.sequence = i.decision where i.client_order_id = $1"
        " on conflict do nothing",
        intent.client_order_id,
    )


async def locate(connection: Any, *, client_order_id: str, broker_order_id: str) -> Any | None:
    """Return the row of an order by our id, or else by the broker's, locked."""
    if client_order_id:
        row = await connection.fetchrow("select * from orders where client_order_id = $1 for update", client_order_id)
        if row is not None:
            return row
    return await connection.fetchrow("select * from orders where broker_order_id = $1 for update", broker_order_id)


async def fills_of(connection: Any, client_order_id: str) -> list[Any]:
    """Return an order's fills by cumulative quantity."""
    rows: list[Any] = await connection.fetch(
        "select * from fills where client_order_id = $1 order by cumulative_from", client_order_id
    )
    return rows


async def is_event_known(connection: Any, *, broker_order_id: str, kind: str, body: str) -> bool:
    """Whether the same words of the broker are already recorded."""
    found = await connection.fetchval(
        "select 1 from order_events where broker_order_id = $1 and kind = $2 and body = $3::jsonb limit 1",
        broker_order_id,
        kind,
        body,
    )
    return found is not None


async def exposures(connection: Any) -> tuple[Exposure, ...]:
    """Return position and working orders per sub-ledger and symbol, as of one instant.

    An intent works from its release until the broker's terminal word, at full size while nothing is known; an
    ``unseen`` one does not, and of an ended order what the broker reported filled and is not booked yet still does.
    """
    rows = await connection.fetch(
        """
        with working as (
            select i.strategy_uid as sub_ledger, i.symbol, i.side,
                   greatest(case when o.status in ('filled', 'canceled', 'expired', 'replaced', 'rejected')
                                 then o.reported else i.quantity end - coalesce(o.filled, 0), 0) as quantity
            from intents i left join orders o using (client_order_id)
            where i.status in ('released', 'sending', 'unknown', 'acknowledged')
              and not (coalesce(o.status, '') in ('filled', 'canceled', 'expired', 'replaced', 'rejected')
                       and o.reported <= o.filled)
        ), parts as (
            select sub_ledger, symbol, quantity as position, 0::bigint as buy, 0::bigint as sell from positions
            union all
            select sub_ledger, symbol, 0, case side when 'buy' then quantity else 0 end,
                   case side when 'sell' then quantity else 0 end from working
        )
        select sub_ledger, symbol, sum(position)::bigint as position, sum(buy)::bigint as buy, sum(sell)::bigint as sell
        from parts group by sub_ledger, symbol order by sub_ledger, symbol
        """
    )
    return tuple(
        Exposure(
            row["sub_ledger"],
            row["symbol"],
            numbers.Quantity(row["position"]),
            numbers.Quantity(row["buy"]),
            numbers.Quantity(row["sell"]),
        )
        for row in rows
    )


async def fill_rows(connection: Any) -> tuple[FillRow, ...]:
    """Return every fill in ledger sequence."""
    rows = await connection.fetch("select * from fills order by sequence")
    return tuple(
        FillRow(
            row["sub_ledger"],
            row["symbol"],
            orders.Side(row["side"]),
            numbers.Quantity(row["quantity"]),
            numbers.Price(row["price"]),
            times.Nanos(row["at"]),
        )
        for row in rows
    )


async def adjusted_cash(connection: Any) -> dict[str, numbers.Money]:
    """Return the sum of booked amounts per kind (fees, dividends, ...)."""
    rows = await connection.fetch("select kind, sum(amount)::bigint as amount from adjustments group by kind")
    return {row["kind"]: numbers.Money(row["amount"]) for row in rows}


async def open_orders(connection: Any) -> list[Any]:
    """Return orders that may still fill, and ended ones whose executions are not all booked."""
    rows: list[Any] = await connection.fetch(
        "select * from orders where status not in ('filled', 'canceled', 'expired', 'replaced', 'rejected')"
        " or reported > filled order by created"
    )
    return rows
