"""What the gateway shows: ``/v1/state``, the account, the session record, whether a trigger is settled."""

import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import Any

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import breaker, core, decisions, manifests, reconcile, sweep
from tradeplane_workers.gateway import state as trading_state
from tradeplane_workers.stores import database, journal, listing
from tradeplane_workers.stores import orders as orders_store

_LIMIT = re.compile(r" allows (?P<limit>.*), got (?P<value>.*)$")
_NO_COUNTS: dict[str, Any] = {
    "decisions": 0,
    "intents": 0,
    "orders": 0,
    "fills": 0,
    "open_orders": 0,
    "unsettled_intents": 0,
    "unknown": 0,
    "rejects": {},
}


@dataclass(slots=True)
class Shown:
    """The last figures that the ledger gave; shown on while it is away."""

    counts: dict[str, Any] = field(default_factory=lambda: dict(_NO_COUNTS))
    totals: listing.Totals = field(default_factory=listing.Totals)
    strategies: list[dict[str, Any]] = field(default_factory=list)
    is_ledger_readable: bool = False


class Views:
    """Reads everything, changes nothing. ``shared`` and the others are set as the gateway gets them."""

    def __init__(self, environment: str, guard: trading_state.Guard, known: manifests.Known) -> None:
        self.shared: core.Core | None = None
        self.sweeper: sweep.Sweeper | None = None
        self.reconciler: reconcile.Reconciler | None = None
        self.circuit: breaker.Breaker | None = None
        self.broker: port.Broker | None = None
        self._environment = environment
        self._guard = guard
        self._known = known
        self._shown = Shown()

    async def state(self) -> dict[str, Any]:
        """Return the body of ``/v1/state``."""
        await self._read()
        current = self._guard.state()
        view = self._guard.switch.view(self._guard.clock())
        epoch = None if self.shared is None else self.shared.leadership.epoch
        is_leading = self.shared is not None and self.shared.leadership.is_valid()
        last = None if self.reconciler is None else self.reconciler.last
        return {
            "environment": self._environment,
            "ledger": "" if self.shared is None else self.shared.ledger,
            "listening": "loopback only, clients are not authenticated",
            "state": current.state.value,
            "causes": [_cause(cause) for cause in current.causes],
            "since": self._guard.changed_at,
            "switch": {
                "resource_version": str(view.resource_version) if view.resource_version else "",
                "uid": view.uid,
                "age_s": None if view.age_s is None else round(view.age_s, 3),
            },
            "halt": self.halt(current),
            "epoch": {
                "number": epoch.number if epoch is not None else 0,
                "holder": epoch.holder if epoch is not None else "",
                "valid": is_leading,
            },
            "reconciliation": {
                "clean": last is not None and last.is_clean and self._guard.inputs.is_hearing,
                "at": "" if last is None else last.at,
                "differences": [] if last is None else list(last.differences),
            },
            "broker": self._of_broker(),
            "counts": self._shown.counts,
            "strategies": [self._strategy(row, current) for row in self._shown.strategies],
            "ledger_readable": self._shown.is_ledger_readable,
        }

    def _of_broker(self) -> dict[str, Any]:
        circuit, budget = self.circuit, None if self.broker is None else self.broker.budget()
        return {
            "circuit": breaker.Circuit.CLOSED.value if circuit is None else circuit.circuit.value,
            "since": "" if circuit is None else circuit.since,
            "failures": 0 if circuit is None else circuit.failures,
            "last_failure": "" if circuit is None else circuit.last_failure,
            "budget": None
            if budget is None
            else {"limit": budget.limit, "remaining": budget.remaining, "reserve": budget.reserve},
        }

    def halt(self, current: trading_state.State) -> dict[str, Any]:
        """Return the proof of the halt that is on, or of the last one."""
        proof = sweep.Proof(seen="") if self.sweeper is None else self.sweeper.proof_of(current)
        return {
            "complete": proof.is_complete,
            "seen": proof.seen,
            "last_order_before": proof.last_order_before,
            "cancelled": proof.cancelled,
            "open": proof.open,
            "waiting_for": proof.waiting_for,
            "completed": proof.completed,
        }

    def trading(self) -> dict[str, Any]:
        """Return the part of the Environment's status that this gateway writes."""
        current = self._guard.state()
        halt = self.halt(current)
        last = None if self.reconciler is None else self.reconciler.last
        epoch = None if self.shared is None else self.shared.leadership.epoch
        kinds = sorted({cause.kind for cause in current.causes})
        switch = next((cause.message for cause in current.causes if cause.kind == "switch"), "")
        return {
            "state": current.state.value,
            # Ages are for metrics: a status that moved by itself would be written for ever.
            "cause": (switch or ", ".join(kinds))[:1024],
            "since": self._guard.changed_at,
            "proof": {
                "complete": halt["complete"],
                "seen": halt["seen"],
                "lastOrderBefore": halt["last_order_before"],
                "cancelled": halt["cancelled"][:500],
                "open": halt["open"][:500],
                "completed": halt["completed"],
            },
            "epoch": {"number": epoch.number if epoch else 0, "holder": epoch.holder if epoch else ""},
            "reconciliation": {
                "clean": last is not None and last.is_clean and self._guard.inputs.is_hearing,
                "differences": [] if last is None else [text[:512] for text in last.differences[:100]],
            },
        }

    async def waiting_for(self, trigger: times.Nanos) -> list[str]:
        """Name what is missing before everything about a trigger is settled."""
        if self.shared is None:
            return ["the ledger"]
        async with self.shared.pool.acquire(timeout=2) as connection:
            rows = await listing.strategies(connection)
            intents = await connection.fetch(
                "select client_order_id, status from intents where trigger <= $1"
                " and status in ('released', 'sending', 'unknown') order by sequence",
                trigger,
            )
        waiting = [
            f"decision of {row['holder']}"
            for row in rows
            if self._is_running(row["uid"]) and (row["trigger"] is None or row["trigger"] < trigger)
        ]
        return waiting + [f"intent {row['client_order_id']} is {row['status']}" for row in intents]

    async def account(self) -> dict[str, Any]:
        """Return the account by the ledger and, where it answers, by the broker."""
        if self.shared is None:
            raise decisions.NotReady("the ledger is not open yet")
        async with database.transaction(self.shared.pool) as connection:
            ledger = await connection.fetchrow("select account, starting_cash from ledger")
            _, fees = await orders_store.cash_flow(connection)
            cash = await reconcile.cash_of(connection)
            positions = await listing.positions(connection)
        broker = None if self.reconciler is None else await self.reconciler.standing()
        return {
            "account": ledger["account"] or "",
            "starting_cash": numbers.money_text(ledger["starting_cash"] or numbers.Money(0)),
            "cash": numbers.money_text(cash),
            "fees": numbers.money_text(fees),
            "positions": positions,
            "broker": broker,
        }

    async def session_record(self) -> dict[str, Any]:
        """Return the session record."""
        if self.shared is None:
            raise decisions.NotReady("the ledger is not open yet")
        async with database.transaction(self.shared.pool) as connection:
            await journal.hold(connection)
            row = await connection.fetchrow("select * from ledger")
            sequence = await listing.record_sequence(connection)
        return {
            "version": 1,
            "environment": row["environment"],
            "mode": row["mode"],
            "ledger": row["id"],
            "venue_profile": row["venue_profile"],
            "starting_cash": numbers.money_text(row["starting_cash"] or numbers.Money(0)),
            "sequence": sequence,
        }

    async def _read(self) -> None:
        self._shown.is_ledger_readable = False
        if self.shared is None:
            return
        with contextlib.suppress(*database.FAILURES, database.OtherHistory):
            totals = replace(self._shown.totals)
            async with self.shared.pool.acquire(timeout=1) as connection:
                self._shown.counts = await listing.counts(connection, totals)
                self._shown.totals = totals
                self._shown.strategies = await listing.strategies(connection)
            self._shown.is_ledger_readable = True

    def _is_running(self, uid: str) -> bool:
        known = (self._guard.inputs.strategies or {}).get(uid)
        return known is not None and not known.halted

    def _strategy(self, row: dict[str, Any], current: trading_state.State) -> dict[str, Any]:
        own = self._guard.strategy(row["uid"])
        causes = [_cause(cause) for cause in current.causes]
        if own:
            causes.insert(0, {"kind": "strategy", "state": orders.State.HALTED.value, "message": own, "since": ""})
        trigger = "" if row["trigger"] is None else times.text(row["trigger"])
        limit = _LIMIT.search(row["detail"] or "")
        return {
            "name": row["holder"],
            "uid": row["uid"],
            "generation": row["generation"],
            "attempt": row["attempt"],
            "running": self._is_running(row["uid"]),
            "last_trigger": trigger,
            "last_outcome": row["outcome"] or "",
            "open_orders": row["open_orders"],
            "state": orders.State.HALTED.value if causes else orders.State.ENABLED.value,
            "causes": causes,
            "breach": None
            if not row["reason"]
            else {
                "reason": row["reason"],
                "limit": limit["limit"] if limit else "",
                "value": limit["value"] if limit else row["detail"],
                "trigger": trigger,
            },
        }


def _cause(cause: trading_state.Cause) -> dict[str, str]:
    return {"kind": cause.kind, "state": cause.state.value, "message": cause.message, "since": cause.since}
