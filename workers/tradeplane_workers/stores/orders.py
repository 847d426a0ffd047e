"""Orders, what the broker said about them, their fills, and the positions that follow."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeplane_engine.domain import numbers, orders
from tradeplane_workers.stores import decisions

_ENDED = "('filled', 'canceled', 'expired', 'replaced', 'rejected')"  # the broker's words
MAY_FILL = f"o.status not in {_ENDED}"
"""Of an order ``o``: the broker has not said that it ended."""
_LIVE = f"({MAY_FILL} or o.reported > o.filled)"  # a part may fill, or was reported filled and is not booked yet
# Few of many orders, which no planner believes: first by their own index, then each intent by its key.
_LIVE_ORDERS = f"""live as materialized (
    select client_order_id, status, filled, reported from orders o where {_LIVE}
)"""  # noqa: S608 - a constant
_ACKNOWLEDGED = """live o cross join lateral (
    select * from intents where client_order_id = o.client_order_id and status = 'acknowledged' offset 0
) i"""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Position and working orders of one symbol in one sub-ledger; working ones unsigned.

    open_orders : of which a part may still fill
    """

    sub_ledger: str
    symbol: str
    position: numbers.Quantity
    working_buy: numbers.Quantity
    working_sell: numbers.Quantity
    open_orders: int = 0


@dataclass(frozen=True, slots=True)
class Working:
    """An order of which a part may still fill, as far as another one could meet it."""

    client_order_id: str
    symbol: str
    side: orders.Side
    terms: orders.Terms


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A booking that is no fill: a fee, a dividend, a split; (source, id) is its identity."""

    source: str
    id: str
    kind: str
    date: str
    amount: numbers.Money
    symbol: str
    quantity: numbers.Quantity
    description: str


EVENTS_AT_ONCE = 1000
FILLS_AT_ONCE = 5000


async def events(connection: Any, uid: str, *, after: int) -> list[Any]:
    """Return what happened to a strategy's orders behind a place in the sequence, oldest first, so many at once.

    ``sent``: an intent was released. ``fill``: an execution was booked. ``ended``: the broker ended the order, or it
    never became one there.
    """
    rows: list[Any] = await connection.fetch(
        """
        with steps as (
            select i.sequence, 'sent' as event, i.client_order_id, 0::bigint as executed, 0::bigint as price,
                   i.trigger as at, '' as status, '' as reason
            from intents i where i.strategy_uid = $1 and i.status <> 'refused' and i.sequence > $2
            union all
            select f.sequence, 'fill', f.client_order_id, f.quantity, f.price, f.at, '', ''
            from fills f where f.sub_ledger = $1 and f.sequence > $2
            union all
            select c.sequence, 'ended', i.client_order_id, 0, 0,
                   (extract(epoch from c.recorded) * 1000000)::bigint * 1000,
                   case c.type when 'cancelled' then o.status else 'rejected' end, coalesce(c.body ->> 'reason', '')
            from control_events c join intents i on i.client_order_id = c.body ->> 'client_order_id'
                                  left join orders o on o.client_order_id = i.client_order_id
            where c.type in ('cancelled', 'not-sent') and i.strategy_uid = $1 and i.status <> 'refused'
              and c.sequence > $2
        )
        select s.*, i.symbol, i.side, i.quantity, i.trigger from steps s join intents i using (client_order_id)
        order by s.sequence limit $3
        """,
        uid,
        after,
        EVENTS_AT_ONCE,
    )
    return rows


async def insert(connection: Any, client_order_ids: Collection[str]) -> None:
    """Write the orders of intents that are about to be sent, with the ids that trace them (invariant 8)."""
    await connection.execute(
        "insert into orders (client_order_id, sub_ledger, strategy_uid, decision, signal_score, model_digest,"  # noqa: S608
        " feature_set, policy_hash, generation, owner, git_revision, symbol, side, quantity, status,"
        f" {decisions.TERMS})"
        " select i.client_order_id, d.strategy_uid, d.strategy_uid, d.sequence,"
        " (select score from signals s where s.decision = d.sequence and s.symbol = i.symbol limit 1),"
        " d.model_digest, d.feature_set, d.policy_hash, d.generation, d.owner, d.git_revision, i.symbol, i.side,"
        " i.quantity, '',"
        f" {decisions.TERMS}"
        " from intents i join decisions d on d.sequence = i.decision"
        " where i.client_order_id = any($1::text[]) on conflict do nothing",
        list(client_order_ids),
    )


async def doubt_released(connection: Any) -> None:
    """Take every intent that seems unsent as unknown: the commit that marked it, and wrote its order, may be lost."""
    rows = await connection.fetch(
        "update intents set status = 'unknown' where status = 'released' returning client_order_id"
    )
    await insert(connection, [row["client_order_id"] for row in rows])


async def located(
    connection: Any, *, client_order_ids: Collection[str], broker_order_ids: Collection[str]
) -> list[Any]:
    """Return the rows of orders by our ids or by the broker's, locked."""
    rows: list[Any] = await connection.fetch(
        "select * from orders where client_order_id in ("
        "select client_order_id from orders where client_order_id = any($1::text[])"
        " union select client_order_id from orders where broker_order_id = any($2::text[])) for update",
        list(client_order_ids),
        list(broker_order_ids),
    )
    return rows


async def fills_of(connection: Any, client_order_ids: Sequence[str]) -> dict[str, list[Any]]:
    """Return the fills of orders, each order's by cumulative quantity."""
    found: dict[str, list[Any]] = {}
    for row in await connection.fetch(
        "select * from fills where client_order_id = any($1::text[]) order by cumulative_from", client_order_ids
    ):
        found.setdefault(row["client_order_id"], []).append(row)
    return found


async def update(connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write what the broker said of orders: our id, then the columns in the order below."""
    if rows:
        await connection.executemany(
            "update orders set broker_order_id = $2, status = $3, filled = $4, reported = $5, irregular = $6,"
            " replaced_by = $7, broker_at = $8, changed = clock_timestamp() where client_order_id = $1",
            rows,
        )


async def insert_fills(connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write fills, each in the order of the columns below; positions follow."""
    if rows:
        await connection.executemany(
            "insert into fills (broker_order_id, cumulative_from, cumulative_to, client_order_id, sub_ledger, symbol,"
            " side, quantity, price, paid, at, execution_id, activity_id, sequence)"
            " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            rows,
        )


async def fills_behind(connection: Any, after: int, *, sub_ledger: str = "", until: int | None = None) -> list[Any]:
    """Return fills behind a place of the sequence, so many at once, of all sub-ledgers unless one is given."""
    rows: list[Any] = await connection.fetch(
        "select sequence, client_order_id, sub_ledger, symbol, side, quantity, price, at from fills"
        " where sequence > $1 and ($2 = '' or sub_ledger = $2) and ($3::bigint is null or sequence <= $3)"
        " order by sequence limit $4",
        after,
        sub_ledger,
        until,
        FILLS_AT_ONCE,
    )
    return rows


async def books(connection: Any) -> list[Any]:
    """Return the saved states of the books of account and sub-ledgers, all of one place in the sequence."""
    rows: list[Any] = await connection.fetch("select sub_ledger, sequence, state from books")
    return rows


async def save_books(connection: Any, sequence: int, states: Mapping[str, str]) -> None:
    """Write the states of all books as of a place in the sequence."""
    await connection.executemany(
        "insert into books (sub_ledger, sequence, state) values ($1, $2, $3)"
        " on conflict (sub_ledger) do update set sequence = excluded.sequence, state = excluded.state",
        [(sub_ledger, sequence, state) for sub_ledger, state in states.items()],
    )


async def exposures(connection: Any) -> tuple[Exposure, ...]:
    """Return position and working orders per sub-ledger and symbol, as of one instant.

    An intent works from its release until the broker's terminal word, at full size while nothing is known; an
    ``unseen`` one does not, and of an ended order what the broker reported filled and is not booked yet still does.
    """
    rows = await connection.fetch(
        f"""
        with {_LIVE_ORDERS}, working as (
            select i.strategy_uid as sub_ledger, i.symbol, i.side,
                   greatest(case when o.status in {_ENDED}
                                 then o.reported else i.quantity end - coalesce(o.filled, 0), 0) as quantity
            from intents i left join orders o using (client_order_id)
            where i.status in ('released', 'sending', 'unknown')
            union all
            select i.strategy_uid, i.symbol, i.side,
                   greatest(case when o.status in {_ENDED} then o.reported else i.quantity end - o.filled, 0)
            from {_ACKNOWLEDGED}
        ), parts as (
            select sub_ledger, symbol, quantity as position, 0::bigint as buy, 0::bigint as sell, 0 as open
            from positions
            union all
            select sub_ledger, symbol, 0, case side when 'buy' then quantity else 0 end,
                   case side when 'sell' then quantity else 0 end, case when quantity > 0 then 1 else 0 end
            from working
        )
        select sub_ledger, symbol, sum(position)::bigint as position, sum(buy)::bigint as buy,
               sum(sell)::bigint as sell, sum(open)::integer as open
        from parts group by sub_ledger, symbol order by sub_ledger, symbol
        """  # noqa: S608 - a constant
    )
    return tuple(
        Exposure(
            row["sub_ledger"],
            row["symbol"],
            numbers.Quantity(row["position"]),
            numbers.Quantity(row["buy"]),
            numbers.Quantity(row["sell"]),
            row["open"],
        )
        for row in rows
    )


async def working(connection: Any, symbols: Collection[str]) -> tuple[Working, ...]:
    """Return the open orders of the account in some symbols, those that were released and not sent yet too."""
    rows = await connection.fetch(
        f"""
        with {_LIVE_ORDERS}
        select i.* from intents i where i.status in ('released', 'sending', 'unknown') and i.symbol = any($1::text[])
        union all
        select i.* from {_ACKNOWLEDGED} where i.symbol = any($1::text[])
        """,  # noqa: S608 - a constant
        list(symbols),
    )
    found = [decisions.intent(row) for row in sorted(rows, key=lambda row: row["sequence"])]
    return tuple(Working(each.client_order_id, each.symbol, each.side, each.terms) for each in found)


async def cash_flow(connection: Any) -> tuple[numbers.Money, numbers.Money]:
    """Return the sum of all booked adjustments, and the part of it that was fees (positive when paid)."""
    row = await connection.fetchrow(
        "select coalesce(sum(amount), 0)::bigint as total,"
        " coalesce(-sum(amount) filter (where kind = 'FEE'), 0)::bigint as fees from adjustments"
    )
    return numbers.Money(row["total"]), numbers.Money(row["fees"])


async def open_orders(connection: Any) -> list[Any]:
    """Return sent orders that may still fill, and ended ones whose executions are not all booked."""
    rows: list[Any] = await connection.fetch(
        "select o.* from orders o join intents i using (client_order_id)"  # noqa: S608 - a constant
        " where i.status in ('sending', 'unknown', 'acknowledged')"
        f" and {_LIVE}"
        " order by o.created"
    )
    return rows


async def to_cancel(connection: Any) -> list[Any]:
    """Return client and broker order ids of open orders that their strategies want no more."""
    rows: list[Any] = await connection.fetch(
        "select o.client_order_id, o.broker_order_id from intents i join orders o using (client_order_id)"  # noqa: S608 - a constant
        " where i.cancel_wanted is not null and i.status = 'acknowledged' and o.broker_order_id is not null"
        f" and {MAY_FILL} and o.status <> 'pending_cancel' order by i.sequence"
    )
    return rows


async def irregular(connection: Any) -> list[Any]:
    """Return orders of which the broker said something that was not booked."""
    rows: list[Any] = await connection.fetch(
        "select client_order_id, irregular from orders where irregular <> '' order by created"
    )
    return rows


async def client_ids(connection: Any, broker_order_ids: Sequence[str]) -> dict[str, str]:
    """Return our ids of orders by the broker's."""
    rows = await connection.fetch(
        "select broker_order_id, client_order_id from orders where broker_order_id = any($1::text[])",
        list(broker_order_ids),
    )
    return {row["broker_order_id"]: row["client_order_id"] for row in rows}


async def insert_adjustment(connection: Any, row: Adjustment) -> bool:
    """Book what is no fill, once per source and id; returns whether it was new."""
    result: str = await connection.execute(
        "insert into adjustments (source, id, kind, date, amount, symbol, quantity, description)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        *(getattr(row, name) for name in row.__slots__),
    )
    return result == "INSERT 0 1"
