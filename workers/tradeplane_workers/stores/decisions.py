"""Decisions, their signals and their intents; written once, in one transaction."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders, times

_NOTHING = numbers.Money(0)
TERMS = ", ".join(orders.Terms.__slots__)  # columns of intents and orders


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of ``decisions``; ``digest`` tells a repeated decision from a different one.

    heard, rung : order event (place in the sequence) and timer that it may be an answer to; None where nobody said so
    """

    sequence: int
    strategy_uid: str
    strategy: str
    generation: int
    attempt: int
    trigger: times.Nanos
    outcome: str
    detail: str
    model_digest: str
    feature_set: str
    policy_hash: str
    account_policy_hash: str
    epoch: int
    digest: str
    owner: str = ""
    git_revision: str = ""
    part: int = 0
    heard: int | None = None
    rung: int | None = None

    @property
    def key(self) -> tuple[times.Nanos, int]:
        """Trigger and part, by which a strategy's decisions are ordered."""
        return self.trigger, self.part


@dataclass(frozen=True, slots=True)
class Intent:
    """One row of ``intents``; ``reason`` and ``detail`` say why it was refused or not sent.

    notional : what it was worth at its symbol's last close when the gate let it pass; nothing where it did not
    """

    sequence: int
    client_order_id: str
    decision: int
    position: int
    strategy_uid: str
    trigger: times.Nanos
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    terms: orders.Terms
    role: str
    status: str
    reason: str = ""
    detail: str = ""
    notional: numbers.Money = _NOTHING


async def insert(
    connection: Any, decision: Decision, *, signals: Sequence[orders.Signal], intents: Sequence[Intent]
) -> None:
    """Write a decision with everything that belongs to it."""
    await connection.execute(
        "insert into decisions (sequence, strategy_uid, strategy, generation, attempt, trigger, outcome, detail,"
        " model_digest, feature_set, policy_hash, account_policy_hash, epoch, digest, owner, git_revision, part,"
        " heard, rung) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        *(getattr(decision, name) for name in decision.__slots__),
    )
    if signals:
        await connection.executemany(
            "insert into signals"
            " (decision, position, symbol, score, features, direction, confidence, horizon, model_digest)"
            " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                (decision.sequence, position, *(getattr(signal, name) for name in signal.__slots__))
                for position, signal in enumerate(signals)
            ],
        )
    if intents:
        await connection.executemany(
            "insert into intents (sequence, client_order_id, decision, position, strategy_uid, trigger, symbol, side,"  # noqa: S608
            f" quantity, role, status, reason, detail, notional, {TERMS})"
            " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
            [
                (*(getattr(intent, name) for name in intent.__slots__ if name != "terms"), *astuple(intent.terms))
                for intent in intents
            ],
        )


async def find(connection: Any, uid: str, trigger: times.Nanos, part: int) -> Decision | None:
    """Return the decision under a key."""
    row = await connection.fetchrow(
        "select * from decisions where strategy_uid = $1 and trigger = $2 and part = $3", uid, trigger, part
    )
    return None if row is None else _decision(row)


async def last(connection: Any, uid: str) -> Decision | None:
    """Return a strategy's latest decision."""
    row = await connection.fetchrow(
        "select * from decisions where strategy_uid = $1 order by trigger desc, part desc limit 1", uid
    )
    return None if row is None else _decision(row)


async def intents_of(connection: Any, decision: int) -> tuple[Intent, ...]:
    """Return a decision's intents in their order."""
    rows = await connection.fetch("select * from intents where decision = $1 order by position", decision)
    return tuple(intent(row) for row in rows)


async def passed_since(connection: Any, opened: times.Nanos) -> dict[str, tuple[int, numbers.Money]]:
    """Return how many intents the gate let pass since a session opened, and what they were worth, per strategy."""
    rows = await connection.fetch(
        "select strategy_uid, count(*) as orders, least(sum(notional), 9223372036854775807)::bigint as notional"
        " from intents where trigger > $1 and notional > 0 group by strategy_uid",
        opened,
    )
    return {row["strategy_uid"]: (row["orders"], numbers.Money(row["notional"])) for row in rows}


async def in_flight(connection: Any) -> tuple[Intent, ...]:
    """Return every intent that is released, being sent or unknown, in ledger sequence."""
    rows = await connection.fetch(
        "select * from intents where status in ('released', 'sending', 'unknown') order by sequence"
    )
    return tuple(intent(row) for row in rows)


async def statuses(connection: Any, client_order_ids: Sequence[str]) -> dict[str, str]:
    """Return the status of intents, locked until the transaction ends."""
    rows = await connection.fetch(
        "select client_order_id, status from intents where client_order_id = any($1::text[]) for update",
        client_order_ids,
    )
    return {row["client_order_id"]: row["status"] for row in rows}


async def want_cancelled(connection: Any, uid: str, client_order_ids: Sequence[str], *, decision: int) -> None:
    """Note that a strategy wants its orders no more; raises ValueRefused for one that is not its own."""
    rows = await connection.fetch(
        "update intents set cancel_wanted = coalesce(cancel_wanted, $3)"
        " where strategy_uid = $1 and client_order_id = any($2::text[]) returning client_order_id",
        uid,
        list(client_order_ids),
        decision,
    )
    foreign = set(client_order_ids) - {row["client_order_id"] for row in rows}
    if foreign:
        raise errors.ValueRefused("cancels", "orders of this strategy", sorted(foreign))


async def open_ids(connection: Any, *, strategy: str = "", client_order_ids: Sequence[str] = ()) -> list[str]:
    """Return our ids of what may still fill, of one strategy or among some ids; empty for all of them."""
    rows = await connection.fetch(
        "select i.client_order_id from intents i join decisions d on d.sequence = i.decision"
        " left join orders o using (client_order_id)"
        " where (i.status in ('released', 'sending', 'unknown') or i.status = 'acknowledged' and o.status not in"
        " ('filled', 'canceled', 'expired', 'replaced', 'rejected'))"
        " and ($1 = '' or d.strategy = $1) and (cardinality($2::text[]) = 0 or client_order_id = any($2::text[]))"
        " order by i.sequence",
        strategy,
        list(client_order_ids),
    )
    return [row["client_order_id"] for row in rows]


async def want_all_cancelled(connection: Any, client_order_ids: Sequence[str], *, place: int) -> None:
    """Note that a person wants orders no more, whosoever they are."""
    await connection.execute(
        "update intents set cancel_wanted = coalesce(cancel_wanted, $2) where client_order_id = any($1::text[])",
        list(client_order_ids),
        place,
    )


async def unwanted(connection: Any, client_order_id: str) -> None:
    """Note that the order of an intent that had been given up is wanted no more; its own decision stands for that."""
    await connection.execute(
        "update intents set cancel_wanted = coalesce(cancel_wanted, decision) where client_order_id = $1",
        client_order_id,
    )


async def mark(
    connection: Any, client_order_id: str, status: str, *, expected: Sequence[str], reason: str = "", detail: str = ""
) -> bool:
    """Move an intent on if it is still in one of the expected statuses; returns whether it was."""
    result: str = await connection.execute(
        "update intents set status = $2, reason = $4, detail = $5,"
        " answered = case when $2 in ('acknowledged', 'broker-refused', 'not-sent', 'unseen')"
        " then clock_timestamp() else answered end"
        " where client_order_id = $1 and status = any($3::text[])",
        client_order_id,
        status,
        list(expected),
        reason,
        detail,
    )
    return result == "UPDATE 1"


async def mark_sending(connection: Any, client_order_ids: Sequence[str]) -> set[str]:
    """Mark intents that are about to be handed to the broker; returns those that were not settled already.

    ``sending`` ones too: this process has not sent them, but the answer to an earlier mark may have been lost.
    """
    rows = await connection.fetch(
        "update intents set status = 'sending', reason = '', detail = '', sent = clock_timestamp()"
        " where client_order_id = any($1::text[]) and status in ('released', 'sending') returning client_order_id",
        client_order_ids,
    )
    return {row["client_order_id"] for row in rows}


def intent(row: Any) -> Intent:
    """Read a row of ``intents``."""
    return Intent(
        sequence=row["sequence"],
        client_order_id=row["client_order_id"],
        decision=row["decision"],
        position=row["position"],
        strategy_uid=row["strategy_uid"],
        trigger=times.Nanos(row["trigger"]),
        symbol=row["symbol"],
        side=orders.Side(row["side"]),
        quantity=numbers.Quantity(row["quantity"]),
        terms=terms(row),
        role=row["role"],
        status=row["status"],
        reason=row["reason"],
        detail=row["detail"],
        notional=numbers.Money(row["notional"]),
    )


def terms(row: Any) -> orders.Terms:
    """Read how an order is worked from a row of ``intents`` or ``orders``."""
    return orders.Terms(**{name: row[name] for name in orders.Terms.__slots__})


def _decision(row: Any) -> Decision:
    return Decision(**{name: row[name] for name in Decision.__slots__})
