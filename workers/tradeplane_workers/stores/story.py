"""The story of one order: everything that led to it and everything that became of it, as JSON values."""

import json
from typing import Any

from tradeplane_engine import record
from tradeplane_engine.domain import numbers, times
from tradeplane_workers.audit import chain
from tradeplane_workers.stores import decisions

Row = dict[str, Any]


async def of_order(connection: Any, identifier: str) -> Row | None:
    """Return the story of an order, refused ones too, by our id or the broker's; None where there is none.

    The connection is in a transaction. ``steps`` are what the order was from its decision on, each with the number of
    its entry in the audit trail; ``entries`` all numbers that are about the order or its decision.
    """
    row = await connection.fetchrow(_ORDER, identifier)
    if row is None:
        return None
    entries = await connection.fetch(_ENTRIES, row["client_order_id"], str(row["decision"]))
    config = await _event(connection, "strategy", "config,uid", row["strategy_uid"], before=row["decision"])
    return {
        "order": _order(row),
        "strategy": {
            "name": row["strategy"],
            "uid": row["strategy_uid"],
            "owner": row["owner"],
            "generation": row["generation"],
            "attempt": row["decision_attempt"],
            "git_revision": row["git_revision"],
        },
        "decision": {
            "sequence": row["decision"],
            "trigger": times.text(row["trigger"]),
            "outcome": row["outcome"],
            "detail": row["decision_detail"],
            "epoch": row["epoch"],
            "recorded": chain.instant(row["decided"]),
        },
        "signal": await _signal(connection, row),
        "model": {
            "name": ((config.get("config") or {}).get("model") or {}).get("name", ""),
            "digest": row["model_digest"],
            "feature_set": row["feature_set"],
        },
        "risk": {
            "policy": await _policy(connection, row["policy_hash"], before=row["decision"]),
            "account_policy": await _policy(connection, row["account_policy_hash"], before=row["decision"]),
            "passed": row["status"] != "refused",
            "reason": row["reason"],
            "detail": row["detail"],
        },
        "steps": [_step(entry) for entry in entries if entry["kind"] == "intent"],
        "events": [
            {"at": times.text(event["at"]), "kind": event["kind"], "source": event["source"]}
            for event in await connection.fetch(
                "select at, kind, source from order_events where client_order_id = $1 order by id",
                row["client_order_id"],
            )
        ],
        "fills": [
            {
                "at": times.text(fill["at"]),
                "quantity": numbers.quantity_text(fill["quantity"]),
                "price": numbers.price_text(fill["price"]),
                "execution_id": fill["execution_id"],
            }
            for fill in await connection.fetch(
                "select * from fills where client_order_id = $1 order by cumulative_from", row["client_order_id"]
            )
        ],
        "entries": [entry["number"] for entry in entries],
    }


_ORDER = """
select i.*, o.broker_order_id, o.parent, coalesce(o.status, '') as order_status, coalesce(o.filled, 0) as filled,
       coalesce(o.irregular, '') as irregular, d.strategy, d.owner, d.git_revision, d.generation,
       d.attempt as decision_attempt, d.outcome, d.detail as decision_detail, d.epoch, d.recorded as decided,
       d.model_digest, d.feature_set, d.policy_hash, d.account_policy_hash
from intents i join decisions d on d.sequence = i.decision left join orders o using (client_order_id)
where i.client_order_id = $1 or o.broker_order_id = $1
"""

_ENTRIES = """
select number, recorded, kind, body from audit_entries
where (subject = $1 and kind in ('intent', 'order', 'order-event', 'fill')) or (subject = $2 and kind = 'decision')
order by number
"""


def _order(row: Any) -> Row:
    return {
        "client_order_id": row["client_order_id"],
        "broker_order_id": row["broker_order_id"] or "",
        "sequence": row["sequence"],
        "symbol": row["symbol"],
        "side": row["side"],
        "quantity": numbers.quantity_text(row["quantity"]),
        **record.described(decisions.terms(row)),
        "role": row["role"],
        "parent": row["parent"] or "",
        "status": row["status"],
        "order_status": row["order_status"],
        "filled": numbers.quantity_text(row["filled"]),
        "irregular": row["irregular"],
        "cancel_wanted_by": row["cancel_wanted"],
    }


def _step(entry: Any) -> Row:
    body = json.loads(entry["body"])
    return {
        "entry": entry["number"],
        "at": chain.instant(entry["recorded"]),
        **{key: body[key] for key in ("status", "reason", "detail")},
    }


async def _signal(connection: Any, row: Any) -> Row | None:
    found = await connection.fetchrow(
        "select score, direction, confidence, horizon, model_digest from signals where decision = $1 and symbol = $2",
        row["decision"],
        row["symbol"],
    )
    if found is None:
        return None
    return {
        "score": found["score"],
        "direction": found["direction"],
        "confidence": found["confidence"],
        "horizon_ns": found["horizon"],
        "model_digest": found["model_digest"],
    }


async def _policy(connection: Any, digest: str, *, before: int) -> Row:
    named = await _event(connection, "policy", "hash", digest, before=before)
    return {"name": named.get("name", ""), "hash": digest}


async def _event(connection: Any, kind: str, path: str, value: str, *, before: int) -> Row:
    """Return the last control event of a kind with a value at a path before a place; empty where there is none."""
    body = await connection.fetchval(
        "select body from control_events where type = $1 and body #>> $2::text::text[] = $3 and sequence < $4"
        " order by sequence desc limit 1",
        kind,
        f"{{{path}}}",
        value,
        before,
    )
    return {} if body is None else dict(json.loads(body))
