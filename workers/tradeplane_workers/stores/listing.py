"""Reading the ledger for people and programs: rows as JSON values, decimals as text, in ledger sequence."""

import bisect
import json
import math
from dataclasses import dataclass
from typing import Any

from tradeplane_engine import record
from tradeplane_engine.domain import numbers, times
from tradeplane_workers.stores import decisions as decisions_store
from tradeplane_workers.stores import journal
from tradeplane_workers.stores import orders as orders_store

Row = dict[str, Any]
# Uids of the strategies that ever held a fence under a name.
_OF_STRATEGY = "in (select substr(scope, 10) from epochs where scope like 'strategy:%' and holder = $3)"


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list: at most ``limit`` behind a place, of one strategy and symbol; empty for all of them."""

    after: int
    limit: int
    strategy: str = ""
    symbol: str = ""


async def last_place(connection: Any) -> int:
    """Return the last place of the sequence that was taken."""
    place: int = await connection.fetchval("select sequence from ledger")
    return place


async def decisions(connection: Any, page: Page) -> list[Row]:
    """Return decisions."""
    rows = await connection.fetch(
        "select * from decisions where sequence > $1 and ($3 = '' or strategy = $3) order by sequence limit $2",
        page.after,
        page.limit,
        page.strategy,
    )
    return [
        {
            "sequence": row["sequence"],
            "strategy": row["strategy"],
            "uid": row["strategy_uid"],
            "generation": row["generation"],
            "attempt": row["attempt"],
            "trigger": times.text(row["trigger"]),
            "part": row["part"],
            "outcome": row["outcome"],
            "detail": row["detail"],
            "model_digest": row["model_digest"],
            "feature_set": row["feature_set"],
            "policy_hash": row["policy_hash"],
            "recorded": _time(row["recorded"]),
        }
        for row in rows
    ]


async def orders(connection: Any, page: Page, *, only_open: bool = False) -> list[Row]:
    """Return intents with what became of them; ``only_open``: what may still fill."""
    is_open = (
        f"and (i.status in ('released', 'sending', 'unknown') or i.status = 'acknowledged' and {orders_store.MAY_FILL})"
    )
    rows = await connection.fetch(
        "select i.*, d.strategy, d.owner, d.generation, d.model_digest, d.feature_set, d.policy_hash, d.git_revision,"  # noqa: S608 - constants
        " o.broker_order_id, o.status as order_status, coalesce(o.filled, 0) as filled, o.parent, o.signal_score"
        " from intents i join decisions d on d.sequence = i.decision left join orders o using (client_order_id)"
        " where i.sequence > $1 and ($3 = '' or d.strategy = $3) and ($4 = '' or i.symbol = $4)"
        f" {is_open if only_open else ''} order by i.sequence limit $2",
        page.after,
        page.limit,
        page.strategy,
        page.symbol,
    )
    return [
        {
            "sequence": row["sequence"],
            "client_order_id": row["client_order_id"],
            "broker_order_id": row["broker_order_id"],
            "decision": row["decision"],
            "strategy": row["strategy"],
            "owner": row["owner"],
            "uid": row["strategy_uid"],
            "generation": row["generation"],
            "trigger": times.text(row["trigger"]),
            "symbol": row["symbol"],
            "side": row["side"],
            "quantity": numbers.quantity_text(row["quantity"]),
            **record.described(decisions_store.terms(row)),
            "role": row["role"],
            "status": row["status"],
            "reason": row["reason"],
            "detail": row["detail"],
            "order_status": row["order_status"] or "",
            "filled": numbers.quantity_text(row["filled"]),
            "parent": row["parent"],
            "sub_ledger": row["strategy_uid"],
            "score": row["signal_score"],
            "model_digest": row["model_digest"],
            "feature_set": row["feature_set"],
            "policy_hash": row["policy_hash"],
            "git_revision": row["git_revision"],
            "recorded": _time(row["recorded"]),
            "sent": _time(row["sent"]),
            "answered": _time(row["answered"]),
        }
        for row in rows
    ]


async def fills(connection: Any, page: Page) -> list[Row]:
    """Return fills."""
    rows = await connection.fetch(
        "select * from fills where sequence > $1 and ($4 = '' or symbol = $4)"  # noqa: S608 - a constant
        f" and ($3 = '' or sub_ledger {_OF_STRATEGY}) order by sequence limit $2",
        page.after,
        page.limit,
        page.strategy,
        page.symbol,
    )
    return [
        {
            "sequence": row["sequence"],
            "client_order_id": row["client_order_id"],
            "broker_order_id": row["broker_order_id"],
            "symbol": row["symbol"],
            "side": row["side"],
            "quantity": numbers.quantity_text(row["quantity"]),
            "price": numbers.price_text(row["price"]),
            "at": times.text(row["at"]),
            "cumulative_from": numbers.quantity_text(row["cumulative_from"]),
            "cumulative_to": numbers.quantity_text(row["cumulative_to"]),
            "execution_id": row["execution_id"],
            "activity_id": row["activity_id"],
            "sub_ledger": row["sub_ledger"],
        }
        for row in rows
    ]


async def positions(connection: Any, *, strategy: str = "", symbol: str = "") -> list[Row]:
    """Return the positions that are not flat."""
    rows = await connection.fetch(
        "select p.*, coalesce(e.holder, '') as strategy from positions p"
        " left join epochs e on e.scope = 'strategy:' || p.sub_ledger"
        " where p.quantity <> 0 and ($1 = '' or e.holder = $1) and ($2 = '' or p.symbol = $2)"
        " order by p.sub_ledger, p.symbol",
        strategy,
        symbol,
    )
    return [
        {
            "sub_ledger": row["sub_ledger"],
            "strategy": row["strategy"],
            "symbol": row["symbol"],
            "quantity": numbers.quantity_text(row["quantity"]),
        }
        for row in rows
    ]


async def signals(connection: Any, page: Page) -> list[Row]:
    """Return the signals of so many decisions that have some, with their feature rows; null for NaN."""
    rows = await connection.fetch(
        "with decided as (select sequence, strategy_uid, trigger from decisions where sequence > $1"
        " and ($3 = '' or strategy = $3) and exists (select 1 from signals where decision = sequence)"
        " order by sequence limit $2)"
        " select s.*, d.strategy_uid, d.trigger from signals s join decided d on d.sequence = s.decision"
        " order by s.decision, s.position",
        page.after,
        page.limit,
        page.strategy,
    )
    return [
        {
            "decision": row["decision"],
            "uid": row["strategy_uid"],
            "trigger": times.text(row["trigger"]),
            "symbol": row["symbol"],
            "score": row["score"],
            "features": [None if math.isnan(value) else value for value in row["features"]],
            "direction": row["direction"],
            "confidence": row["confidence"],
            "horizon_ns": row["horizon"],
            "model_digest": row["model_digest"],
        }
        for row in rows
    ]


async def events(connection: Any, page: Page) -> list[Row]:
    """Return control events."""
    rows = await connection.fetch(
        "select * from control_events where sequence > $1 order by sequence limit $2", page.after, page.limit
    )
    return [
        {
            **json.loads(row["body"]),
            "sequence": row["sequence"],
            "type": row["type"],
            "recorded": _time(row["recorded"]),
        }
        for row in rows
    ]


async def record_sequence(connection: Any) -> list[Row]:
    """Return control events and decisions in one sequence, as the session record has them."""
    # What a person wanted cancelled acts by its end, which is recorded too.
    control = await connection.fetch(
        "select sequence, type, body from control_events where type <> $1", journal.CANCEL_WANTED
    )
    decided = await connection.fetch(
        "select sequence, strategy_uid, trigger, outcome, part, heard, rung from decisions order by sequence"
    )
    told = await _told(connection)
    at = {row["decision"]: times.text(row["at"]) for row in await connection.fetch(_PARTS_AT_THE_BROKER)}
    entries = [{**json.loads(row["body"]), "seq": row["sequence"], "type": row["type"]} for row in control]
    entries += [
        {
            "seq": row["sequence"],
            "type": "decision",
            "uid": row["strategy_uid"],
            "trigger": times.text(row["trigger"]),
            "outcome": row["outcome"],
            **({"part": row["part"]} if row["part"] else {}),
            **_heard(row, told.get(row["strategy_uid"], [])),
            **({"at": at[row["sequence"]]} if row["sequence"] in at else {}),
        }
        for row in decided
    ]
    return sorted(entries, key=lambda entry: int(entry["seq"]))


# When the broker had the first order of each part.
_PARTS_AT_THE_BROKER = """
select i.decision, min(e.at) as at from decisions d join intents i on i.decision = d.sequence
join order_events e on e.client_order_id = i.client_order_id where d.part > 0 group by i.decision
"""


async def _told(connection: Any) -> dict[str, list[int]]:
    """Return the places of fills and ends in the sequence, in their order, by the strategy whose orders they are of."""
    rows = await connection.fetch(
        "select sub_ledger as uid, sequence from fills union all"
        " select i.strategy_uid, c.sequence from control_events c"
        " join intents i on i.client_order_id = c.body ->> 'client_order_id'"
        " where c.type in ('cancelled', 'not-sent') order by sequence"
    )
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["uid"], []).append(row["sequence"])
    return found


def _heard(row: Any, told: list[int]) -> Row:
    """Say how many fills and ends a decision may be an answer to, and the last timer; nothing where nobody knows."""
    heard = {} if row["heard"] is None else {"heard": bisect.bisect_right(told, row["heard"])}
    return heard if row["rung"] is None else {**heard, "rung": times.text(row["rung"])}


@dataclass(slots=True)
class Totals:
    """How many rows there were up to a place of the sequence: what is behind it is all that need be counted again."""

    place: int = 0
    decisions: int = 0
    intents: int = 0
    fills: int = 0


async def counts(connection: Any, totals: Totals) -> Row:
    """Return how much of everything there is; brings the totals up to date."""
    place = await last_place(connection)
    for table in ("decisions", "intents", "fills"):
        added = await connection.fetchval(
            f"select count(*) from {table} where sequence > $1 and sequence <= $2",  # noqa: S608 - constants
            totals.place,
            place,
        )
        setattr(totals, table, getattr(totals, table) + added)
    totals.place = place
    row = await connection.fetchrow(
        f"""
        select (select count(*) from orders o join intents i using (client_order_id)
                 where i.status in ('sending', 'unknown', 'acknowledged')
                   and {orders_store.MAY_FILL}) as open_orders,
               (select count(*) from intents where status in ('released', 'sending', 'unknown')) as unsettled_intents,
               (select count(*) from intents where status in ('refused', 'not-sent', 'unseen')) as unsent,
               (select count(*) from intents where status = 'unknown') as unknown
        """  # noqa: S608 - a constant
    )
    rejects = await connection.fetch(
        "select reason, count(*) as count from intents where status in ('refused', 'not-sent', 'unseen')"
        " or status = 'broker-refused' group by reason order by reason"
    )
    return {
        "decisions": totals.decisions,
        "intents": totals.intents,
        "orders": totals.intents - row["unsettled_intents"] - row["unsent"],
        "fills": totals.fills,
        "open_orders": row["open_orders"],
        "unsettled_intents": row["unsettled_intents"],
        "unknown": row["unknown"],
        "rejects": {each["reason"]: each["count"] for each in rejects},
    }


async def strategies(connection: Any) -> list[Row]:
    """Return every strategy that ever held a fence, with its last decision and that decision's first refusal."""
    rows = await connection.fetch(
        f"""
        select substr(e.scope, 10) as uid, e.holder, e.generation, e.attempt, d.sequence, d.trigger, d.outcome,
               (select count(*) from orders o join intents i using (client_order_id)
                 where o.strategy_uid = substr(e.scope, 10) and i.status in ('sending', 'unknown', 'acknowledged')
                   and {orders_store.MAY_FILL}) as open_orders,
               b.reason, b.detail
        from epochs e
        left join lateral (select * from decisions where strategy_uid = substr(e.scope, 10)
                           order by trigger desc, part desc limit 1) d on true
        left join lateral (select * from intents where decision = d.sequence and status = 'refused'
                           and reason <> 'halted' order by position limit 1) b on true
        where e.scope like 'strategy:%' order by e.holder, e.scope
        """  # noqa: S608 - a constant
    )
    return [dict(row) for row in rows]


def _time(value: Any) -> str:
    return "" if value is None else value.isoformat().replace("+00:00", "Z")
