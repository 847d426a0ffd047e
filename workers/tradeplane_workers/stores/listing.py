"""Reading the ledger for people and programs: rows as JSON values, decimals as text, in ledger sequence."""

import json
import math
from typing import Any

from tradeplane_engine import record
from tradeplane_engine.domain import numbers, times
from tradeplane_workers.stores import decisions as decisions_store
from tradeplane_workers.stores import orders as orders_store

Row = dict[str, Any]


async def decisions(connection: Any) -> list[Row]:
    """Return every decision."""
    rows = await connection.fetch("select * from decisions order by sequence")
    return [
        {
            "sequence": row["sequence"],
            "strategy": row["strategy"],
            "uid": row["strategy_uid"],
            "generation": row["generation"],
            "attempt": row["attempt"],
            "trigger": times.text(row["trigger"]),
            "outcome": row["outcome"],
            "detail": row["detail"],
            "model_digest": row["model_digest"],
            "feature_set": row["feature_set"],
            "policy_hash": row["policy_hash"],
            "recorded": _time(row["recorded"]),
        }
        for row in rows
    ]


async def orders(connection: Any) -> list[Row]:
    """Return every intent with what became of it."""
    rows = await connection.fetch(
        "select i.*, d.strategy, d.owner, d.generation, d.model_digest, d.feature_set, d.policy_hash, d.git_revision,"
        " o.broker_order_id, o.status as order_status, coalesce(o.filled, 0) as filled, o.parent, o.signal_score"
        " from intents i join decisions d on d.sequence = i.decision left join orders o using (client_order_id)"
        " order by i.sequence"
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


async def fills(connection: Any) -> list[Row]:
    """Return every fill."""
    rows = await connection.fetch("select * from fills order by sequence")
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


async def positions(connection: Any) -> list[Row]:
    """Return every position that is not flat."""
    rows = await connection.fetch("select * from positions where quantity <> 0 order by sub_ledger, symbol")
    return [
        {
            "sub_ledger": row["sub_ledger"],
            "symbol": row["symbol"],
            "quantity": numbers.quantity_text(row["quantity"]),
        }
        for row in rows
    ]


async def signals(connection: Any) -> list[Row]:
    """Return every signal with its feature row; null for NaN."""
    rows = await connection.fetch(
        "select s.*, d.strategy_uid, d.trigger from signals s join decisions d on d.sequence = s.decision"
        " order by s.decision, s.position"
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


async def events(connection: Any) -> list[Row]:
    """Return every control event."""
    rows = await connection.fetch("select * from control_events order by sequence")
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
    control = await connection.fetch("select sequence, type, body from control_events")
    decided = await connection.fetch("select sequence, strategy_uid, trigger, outcome from decisions")
    entries = [{**json.loads(row["body"]), "seq": row["sequence"], "type": row["type"]} for row in control]
    entries += [
        {
            "seq": row["sequence"],
            "type": "decision",
            "uid": row["strategy_uid"],
            "trigger": times.text(row["trigger"]),
            "outcome": row["outcome"],
        }
        for row in decided
    ]
    return sorted(entries, key=lambda entry: int(entry["seq"]))


async def counts(connection: Any) -> Row:
    """Return how much of everything there is."""
    row = await connection.fetchrow(
        f"""
        select (select count(*) from decisions) as decisions,
               (select count(*) from intents) as intents,
               (select count(*) from intents where status in ('acknowledged', 'broker-refused')) as orders,
               (select count(*) from fills) as fills,
               (select count(*) from orders o join intents i using (client_order_id)
                 where i.status in ('sending', 'unknown', 'acknowledged')
                   and {orders_store.MAY_FILL}) as open_orders,
               (select count(*) from intents where status in ('released', 'sending', 'unknown')) as unsettled_intents,
               (select count(*) from intents where status = 'unknown') as unknown
        """  # noqa: S608 - a constant
    )
    rejects = await connection.fetch(
        "select reason, count(*) as count from intents where reason <> '' group by reason order by reason"
    )
    return {**dict(row), "rejects": {each["reason"]: each["count"] for each in rejects}}


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
                           order by trigger desc limit 1) d on true
        left join lateral (select * from intents where decision = d.sequence and status = 'refused'
                           and reason <> 'halted' order by position limit 1) b on true
        where e.scope like 'strategy:%' order by e.holder, e.scope
        """  # noqa: S608 - a constant
    )
    return [dict(row) for row in rows]


def _time(value: Any) -> str:
    return "" if value is None else value.isoformat().replace("+00:00", "Z")
