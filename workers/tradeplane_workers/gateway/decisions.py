"""Decisions: one row and one transaction each, with everything that it was judged by.

1. Both fences are checked in the transaction: the gateway's epoch and the strategy's token.
2. A repeated decision returns the first receipt and changes nothing; a different one under its key, trigger and
   part, is refused, and so is a part that is not the next one.
3. What it is judged by is in the ledger's sequence before it: Environment, policies, state, and what limits on losses
   are measured from.
4. The engine's gate judges, with the strategy's policy on its sub-ledger and the Environment's on the account, at the
   trigger's time: a backtest of the sequence gives the same verdicts.
5. A strategy that is halted by itself (suspended, deleting, absent) is refused after the gate, and each intent that
   the gate had passed is recorded as ``not-sent``.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tradeplane_engine import errors, record
from tradeplane_engine.core import gate
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times
from tradeplane_workers import messages, translate
from tradeplane_workers.gateway import books, core, door, fence, manifests, prices, standings, state, together
from tradeplane_workers.stores import database, epochs, journal
from tradeplane_workers.stores import decisions as decisions_store
from tradeplane_workers.stores import orders as orders_store

_PRICES_TIMEOUT_S = 5.0
_NOTHING = (0, numbers.Money(0))
_MOST = 2**63 - 1
_TOGETHER = 8  # decisions; the ledger is locked for as long as they take
_NOT_SAID = frozenset({"token", "attempt", "generation", "detail", "heard", "rung"})
# Which prices an order of a type has: one of these sets.
_PRICES: Mapping[str, tuple[set[str], ...]] = {
    "market": (set(),),
    "limit": ({"limit_price"},),
    "stop": ({"stop_price"},),
    "stop_limit": ({"limit_price", "stop_price"},),
    "trailing_stop": ({"trail_price"}, {"trail_bps"}),
}


class NotReady(Exception):  # noqa: N818 - named for what happened
    """Not leading, not reconciled, or no prices yet: post again."""


class Conflict(Exception):  # noqa: N818 - named for what happened
    """Another decision stands under this key; ``receipt`` is the first one's."""

    def __init__(self, receipt: messages.DecisionReceipt) -> None:
        super().__init__("a different decision stands under this key")
        self.receipt = receipt


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What one decision is judged by, read at one instant, so that the ledger records exactly that."""

    state: state.State
    environment: manifests.Environment | None
    account: manifests.Policy | None
    policy: manifests.Policy | None


@dataclass(frozen=True, slots=True)
class _Judged:
    intent: orders.Intent
    client_order_id: str
    reason: str
    detail: str
    passed_gate: bool
    notional: numbers.Money


@dataclass(frozen=True, slots=True)
class _Passed:
    """What the gate let pass of decisions after a session's open: how many intents and their worth, by strategy."""

    opened: times.Nanos
    counts: Mapping[str, tuple[int, numbers.Money]]

    def plus(self, uid: str, notional: Sequence[numbers.Money]) -> "_Passed":
        """Return it with intents of one more decision."""
        count, worth = self.counts.get(uid, _NOTHING)
        more = (count + len(notional), numbers.Money(min(worth + sum(notional), _MOST)))
        return _Passed(self.opened, {**self.counts, uid: more})


@dataclass(slots=True)
class _Memory:
    """What transactions of ours recorded in one turn of leading, in which nobody else records decisions.

    token : of the epoch; under another one everything is read anew
    state : that was recorded last, as the ledger's row says while it is held
    recorded : the last event of a kind and key
    configs : of a strategy's fence, by its token
    left_s : when orders passed the door within the last second, by scope, in the machine's time
    passed : of the newest session that a limit asked about; None before
    """

    token: str
    state: str = ""
    recorded: dict[tuple[str, str], Any] = field(default_factory=dict)
    configs: dict[str, messages.StrategyConfig] = field(default_factory=dict)
    left_s: dict[str, tuple[float, ...]] = field(default_factory=dict)
    passed: _Passed | None = None

    def copy(self) -> "_Memory":
        """Return a memory that may be thrown away with its transaction."""
        return replace(self, recorded=dict(self.recorded), configs=dict(self.configs), left_s=dict(self.left_s))


_Asked = tuple[messages.DecisionMessage, times.Nanos]
_Taken = tuple[messages.DecisionReceipt, Sequence[decisions_store.Intent]]


class Desk:
    """Takes decisions, one after the other; those that come while others commit, in one transaction."""

    def __init__(
        self,
        shared: core.Core,
        fills: books.Fills,
        *,
        known: manifests.Known,
        reference: prices.Prices,
        entrance: door.Door,
    ) -> None:
        self._ledger = shared.ledger
        self._pool = shared.pool
        self._fills = fills
        self._leadership = shared.leadership
        self._guard = shared.guard
        self._known = known
        self._prices = reference
        self._door = entrance
        self._one_at_a_time = asyncio.Lock()
        self._together = together.Together(self._take, most=_TOGETHER)
        self._channels: dict[tuple[str, int], str] = {}
        self._memory = _Memory("")

    async def decide(self, message: messages.DecisionMessage, *, dry_run: bool = False) -> _Taken:
        """Record a decision and judge its intents; return its receipt, and the intents as they are recorded.

        Raises NotReady, Conflict and Fenced. With ``dry_run`` everything is done but the commit.
        """
        trigger = _checked(message)
        if message.intents or self._known.measures_losses:
            read = await self._prices.wait_for(
                trigger, timeout_s=_PRICES_TIMEOUT_S, channel=await self.channel_of(message)
            )
            if message.intents and not read:
                raise NotReady(f"no bars that end at {message.trigger} have been read yet")
        if self._known.allows_shorts:
            await self._door.learn(intent.symbol for intent in message.intents if intent.side == orders.Side.SELL.value)
        if not self._leadership.is_valid() or not self._guard.inputs.is_hearing:
            raise NotReady("not leading, or not reconciled with the broker yet")
        if dry_run:
            return (await self._take([(message, trigger)], keep=False))[0]
        return await self._together.do((message, trigger))

    async def _take(self, asked: Sequence[_Asked], *, keep: bool = True) -> list[_Taken]:
        """Record decisions in one transaction, each judged with those before it; a refused one undoes them all."""
        async with self._one_at_a_time:
            lead = self._leadership.epoch
            if lead is None or not self._leadership.is_valid():
                raise NotReady("not leading")
            memory = self._memory.copy() if self._memory.token == lead.token else _Memory(lead.token)
            async with database.transaction(self._pool, keep=keep) as connection:
                memory.state = await journal.hold(connection)
                if not await epochs.holds(connection, epochs.GATEWAY, lead.token):
                    self._leadership.lose()
                    raise NotReady("another gateway leads")
                taken = [
                    await self._take_one(connection, message, trigger, epoch_number=lead.number, memory=memory)
                    for message, trigger in asked
                ]
            if keep:
                self._memory = memory
                return taken
        return [
            (receipt if receipt.repeated else receipt.model_copy(update={"sequence": 0, "dry_run": True}), ())
            for receipt, _ in taken
        ]

    async def _take_one(
        self,
        connection: Any,
        message: messages.DecisionMessage,
        trigger: times.Nanos,
        *,
        epoch_number: int,
        memory: _Memory,
    ) -> _Taken:
        holder = await fence.check(connection, message.uid, message.token)
        if (message.generation, message.attempt) != (holder.generation, holder.attempt):
            raise fence.Fenced(f"the fence is for {(holder.generation, holder.attempt)}")
        repeated = await _repeated(connection, message, trigger)
        if repeated is not None:
            return repeated, await decisions_store.intents_of(connection, repeated.sequence)
        return await self._record(connection, message, trigger, epoch_number=epoch_number, memory=memory)

    async def order_events(self, uid: str, *, after: int) -> messages.OrderEvents:
        """Return what happened to a strategy's orders behind a place in the ledger's sequence."""
        async with database.transaction(self._pool) as connection:
            rows = await orders_store.events(connection, uid, after=after)
            fees = await self._fills.fees(connection, uid, [row["sequence"] for row in rows if row["executed"]])
        return messages.OrderEvents(
            events=tuple(_event(row, fee=fees.get(row["sequence"], numbers.Money(0))) for row in rows),
            more=len(rows) == orders_store.EVENTS_AT_ONCE,
        )

    async def save(self) -> None:
        """Save where the books stand, if a new process would have much to read."""
        lead = self._leadership.epoch
        if lead is None or not self._fills.is_worth_saving:
            return
        async with self._one_at_a_time:
            async with database.transaction(self._pool) as connection:
                await journal.hold(connection)
                if not await epochs.holds(connection, epochs.GATEWAY, lead.token):
                    return
                await self._fills.advance(connection)
                place = await self._fills.save(connection)
            self._fills.saved(place)

    async def channel_of(self, message: messages.DecisionMessage) -> str:
        """Return the bars that a decision's Strategy trades on, by the configuration that its fence was granted for."""
        generation = (message.uid, message.generation)
        if generation not in self._channels:
            async with self._pool.acquire(timeout=2) as connection:
                config = await fence.configuration(connection, message.uid)
            if config is None or config.generation != message.generation:
                return timeframes.DAY  # of nobody: the fence will refuse it
            self._channels[generation] = translate.channel(config)
        return self._channels[generation]

    async def _record(
        self,
        connection: Any,
        message: messages.DecisionMessage,
        trigger: times.Nanos,
        *,
        epoch_number: int,
        memory: _Memory,
    ) -> _Taken:
        config = memory.configs.get(message.token) or await fence.configuration(connection, message.uid)
        if config is None:
            raise fence.Fenced("no configuration is recorded for this fence")
        memory.configs[message.token] = config
        given = self._circumstances(config)
        await _record_circumstances(connection, given, policy_name=config.policy.name, memory=memory)
        judged = await self._judge(connection, message, config, trigger=trigger, given=given, memory=memory)
        if memory.passed is not None and trigger > memory.passed.opened:
            passing = [one.notional for one in judged if one.passed_gate]
            memory.passed = memory.passed.plus(message.uid, passing)
        sequence = await journal.take_places(connection, 1 + len(judged))
        intents = [
            _intent(one, sequence=sequence, position=position, uid=message.uid, trigger=trigger)
            for position, one in enumerate(judged)
        ]
        await decisions_store.insert(
            connection,
            decisions_store.Decision(
                sequence=sequence,
                strategy_uid=message.uid,
                strategy=config.name,
                generation=message.generation,
                attempt=message.attempt,
                trigger=trigger,
                outcome=message.outcome,
                detail=message.detail[:1000],
                model_digest=message.model_digest,
                feature_set=feature_set(config),
                policy_hash="" if given.policy is None else given.policy.hash,
                account_policy_hash="" if given.account is None else given.account.hash,
                epoch=epoch_number,
                digest=content_digest(message),
                owner=config.owner,
                git_revision=config.git_revision,
                part=message.part,
                heard=message.heard,
                rung=times.instant(message.rung, field="rung") if message.rung else None,
            ),
            signals=[_signal(signal) for signal in message.signals],
            intents=intents,
        )
        if message.cancels:
            await decisions_store.want_cancelled(connection, message.uid, message.cancels, decision=sequence)
        for one in judged:
            if one.reason and one.passed_gate:
                await journal.record(
                    connection, "not-sent", {"client_order_id": one.client_order_id, "reason": one.reason}
                )
        verdicts = tuple(
            _verdict(one.client_order_id, one.reason, one.detail, quantity=one.intent.quantity) for one in judged
        )
        return messages.DecisionReceipt(sequence=sequence, repeated=False, verdicts=verdicts), intents

    def _circumstances(self, config: messages.StrategyConfig) -> _Circumstances:
        environment, policies = self._known.environment, self._known.policies
        return _Circumstances(
            state=self._guard.state(),
            environment=environment,
            account=None if environment is None else policies.get(environment.policy_name),
            policy=policies.get(config.policy.name),
        )

    async def _judge(
        self,
        connection: Any,
        message: messages.DecisionMessage,
        config: messages.StrategyConfig,
        *,
        trigger: times.Nanos,
        given: _Circumstances,
        memory: _Memory,
    ) -> list[_Judged]:
        intents = [_engine_intent(intent) for intent in message.intents]
        if not intents and not self._known.measures_losses:
            return []
        await self._fills.advance(connection)
        known = self._prices.at(trigger, channel=translate.channel(config))
        scopes = await self._scopes(connection, config, trigger=trigger, given=given, known=known, memory=memory)
        verdicts = gate.judge(intents, state=given.state.state, now=trigger, scopes=scopes)
        room = None
        if scopes:
            opposed = door.opposed(intents, scopes)
            working = await orders_store.working(connection, opposed) if opposed else ()
            room = self._door.room(message.uid, scopes, working=working, left_s=memory.left_s)
        own = self._guard.strategy(message.uid)
        if given.policy is None:
            own = own or f"the Strategy's RiskPolicy {config.policy.name} is absent"
        elif given.policy.refusal:
            own = own or f"the Strategy's {given.policy.refusal}"
        judged = [self._judged(verdict, message, trigger, own=own, halted=given.state.message) for verdict in verdicts]
        return [_at_the_door(one, room) for one in judged]

    async def _scopes(
        self,
        connection: Any,
        config: messages.StrategyConfig,
        *,
        trigger: times.Nanos,
        given: _Circumstances,
        known: Mapping[str, bars.Bar],
        memory: _Memory,
    ) -> Sequence[gate.Scope]:
        policy, account = given.policy, given.account
        if policy is None or policy.limits is None or account is None or account.limits is None:
            return ()
        exposures = await orders_store.exposures(connection)
        fills = self._fills
        capital = numbers.money(config.spec["portfolio"]["capital"], field="portfolio.capital")
        own = books.strategy_book(fills, exposures, known, uid=config.uid, capital=capital)
        whole = books.account_book(fills, exposures, known)
        if policy.limits.counts_days or account.limits.counts_days:
            passed = await _passed(connection, standings.opened_before(trigger), memory=memory)
            own = _spent(own, {config.uid: passed.get(config.uid, _NOTHING)})
            whole = _spent(whole, passed)
        if policy.limits.measures_losses:
            losses = fills.sub_ledger(config.uid).losses
            own = await _standing(connection, own, config.uid, capital=capital, losses=losses, trigger=trigger)
        if account.limits.measures_losses:
            starting, losses = fills.starting, fills.account.losses
            whole = await _standing(
                connection, whole, standings.ACCOUNT, capital=starting, losses=losses, trigger=trigger
            )
        return (
            gate.Scope("strategy", policy.limits, own, symbols=frozenset(config.spec["universe"]["symbols"])),
            gate.Scope("account", account.limits, whole),
        )

    def _judged(
        self,
        verdict: gate.Verdict,
        message: messages.DecisionMessage,
        trigger: times.Nanos,
        *,
        own: str,
        halted: str,
    ) -> _Judged:
        key = orders.OrderKey(
            ledger=self._ledger,
            uid=message.uid,
            trigger=trigger,
            symbol=verdict.intent.symbol,
            role=verdict.intent.role,
            number=orders.number(message.part, verdict.intent.number),
        )
        reason, detail = verdict.reason, verdict.detail
        if reason == state.HALTED and (halted or own):
            detail = halted or own
        if verdict.accepted and own:
            reason, detail = state.HALTED, own
        return _Judged(
            verdict.intent, orders.client_order_id(key), reason, detail[:1000], verdict.accepted, verdict.notional
        )


def _at_the_door(judged: _Judged, room: door.Room | None) -> _Judged:
    """Return what became of an intent that the gate let pass."""
    if judged.reason or room is None:
        return judged
    stopped = room.stops(judged.client_order_id, judged.intent)
    return judged if stopped is None else replace(judged, reason=stopped.reason, detail=stopped.detail[:1000])


def _event(row: Any, *, fee: numbers.Money) -> messages.OrderEventMessage:
    return messages.OrderEventMessage(
        sequence=row["sequence"],
        event=row["event"],
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        side=row["side"],
        quantity=numbers.quantity_text(row["quantity"]),
        trigger=times.text(row["trigger"]),
        at=times.text(row["at"]),
        executed=numbers.quantity_text(row["executed"]),
        price=numbers.price_text(row["price"]),
        fee=numbers.money_text(fee),
        status=row["status"],
        reason=row["reason"],
    )


def _checked(message: messages.DecisionMessage) -> times.Nanos:
    """Return a decision's trigger; raises ValueRefused for what it cannot say."""
    trigger = times.instant(message.trigger, field="trigger")
    keys = {(intent.symbol, intent.role, intent.number) for intent in message.intents}
    if len(keys) != len(message.intents):
        raise errors.ValueRefused("intents", "each (symbol, role, number) once", len(message.intents))
    if message.intents and orders.Outcome(message.outcome) is not orders.Outcome.TRADED:
        raise errors.ValueRefused("outcome", f"{orders.Outcome.TRADED}, because there are intents", message.outcome)
    for each in (0, *(intent.number for intent in message.intents)):
        orders.number(message.part, each)
    times.compact(trigger)
    return trigger


async def _repeated(
    connection: Any, message: messages.DecisionMessage, trigger: times.Nanos
) -> messages.DecisionReceipt | None:
    """Return the first receipt of a decision that is recorded; raises Conflict, and ValueRefused for a part too far."""
    last = await decisions_store.last(connection, message.uid)
    if last is None or last.key < (trigger, message.part):
        allowed = 1 + last.part if last is not None and last.trigger == trigger else 0
        if message.part != allowed:
            raise errors.ValueRefused("part", f"{allowed}, the next one of {message.trigger}", message.part)
        return None
    first = await decisions_store.find(connection, message.uid, trigger, message.part) or last
    receipt = await receipt_of(connection, first)
    if first.key != (trigger, message.part) or first.digest != content_digest(message):
        raise Conflict(receipt)
    return receipt


async def _passed(connection: Any, opened: times.Nanos, *, memory: _Memory) -> Mapping[str, tuple[int, numbers.Money]]:
    """Return what the gate let pass since a session opened; that of the newest session is asked for once."""
    if memory.passed is not None and memory.passed.opened == opened:
        return memory.passed.counts
    found = await decisions_store.passed_since(connection, opened)
    if memory.passed is None or memory.passed.opened < opened:
        memory.passed = _Passed(opened, found)
    return found


def _spent(book: gate.Book, passed: Mapping[str, tuple[int, numbers.Money]]) -> gate.Book:
    """Return a book with what left since the session opened."""
    worth = min(sum(notional for _, notional in passed.values()), _MOST)
    return replace(book, day_orders=sum(count for count, _ in passed.values()), day_notional=numbers.Money(worth))


async def _standing(
    connection: Any, book: gate.Book, scope: str, *, capital: numbers.Money, losses: int, trigger: times.Nanos
) -> gate.Book:
    """Return a book with what its limits on losses are measured from, which is recorded before the decision."""
    found = await standings.look(connection, scope, capital=capital, equity=book.equity, losses=losses, trigger=trigger)
    return replace(book, standing=found)


async def _record_circumstances(connection: Any, given: _Circumstances, *, policy_name: str, memory: _Memory) -> None:
    """Put what a decision is judged by before it in the sequence."""
    known = memory.recorded
    if given.environment is not None and given.account is not None:
        shown = {"name": given.account.name, "hash": given.account.hash, "spec": dict(given.account.spec)}
        seen = {"spec": dict(given.environment.spec), "policy": shown}
        await journal.record_if_new(connection, "environment", "", seen, known=known)
    for each in (given.account, given.policy):
        if each is not None:
            body = {"name": each.name, "hash": each.hash, "spec": dict(each.spec)}
            await journal.record_if_new(connection, "policy", "name", body, known=known)
    if given.policy is None:
        body = {"name": policy_name, "hash": "", "spec": {}}
        await journal.record_if_new(connection, "policy", "name", body, known=known)
    if await _record_state(connection, given.state, last=memory.state):
        memory.state = given.state.state.value


async def record_state(connection: Any, current: state.State) -> bool:
    """Record the state if it is not the one recorded last; returns whether it was recorded."""
    return await _record_state(connection, current, last=await journal.hold(connection))


async def _record_state(connection: Any, current: state.State, *, last: str) -> bool:
    if last == current.state.value:
        return False
    causes = [cause.message for cause in current.causes]
    await journal.record(connection, "state", {"state": current.state.value, "causes": causes})
    await connection.execute("update ledger set recorded_state = $1", current.state.value)
    return True


async def receipt_of(connection: Any, decision: decisions_store.Decision) -> messages.DecisionReceipt:
    """Return the receipt that a decision was first answered with."""
    found = []
    for intent in await decisions_store.intents_of(connection, decision.sequence):
        reason, detail = (intent.reason, intent.detail) if intent.status == "refused" else ("", "")
        found.append(_verdict(intent.client_order_id, reason, detail, quantity=intent.quantity))
    verdicts = tuple(found)
    return messages.DecisionReceipt(sequence=decision.sequence, repeated=True, verdicts=verdicts)


def _verdict(client_order_id: str, reason: str, detail: str, *, quantity: numbers.Quantity) -> messages.Verdict:
    may_leave = "" if reason else numbers.quantity_text(quantity)
    return messages.Verdict(client_order_id=client_order_id, reason=reason, detail=detail, quantity=may_leave)


def content_digest(message: messages.DecisionMessage) -> str:
    """Return the sha256 of what a decision says; who said it, in which attempt and why is no part of it."""
    content = message.model_dump(mode="json", exclude={*_NOT_SAID, *(() if message.part else ("part",))})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def feature_set(config: messages.StrategyConfig) -> str:
    """Return name and version of the feature set, ``alpha158/v1``; empty where code decides."""
    if config.model is None:
        return ""
    return f"{config.model.features.get('set', '')}/{config.model.features.get('version', '')}"


def _engine_intent(message: messages.IntentMessage) -> orders.Intent:
    return orders.Intent(
        symbol=message.symbol,
        side=orders.Side(message.side),
        quantity=numbers.quantity(message.quantity, field="quantity"),
        terms=_terms(message),
        role=orders.Role(message.role),
        number=message.number,
    )


def _terms(message: messages.IntentMessage) -> orders.Terms:
    """Read how an order is worked; raises ValueRefused naming a price that its type lacks or has not."""
    found = record.terms(message.model_dump())
    given = {name for name in ("limit_price", "stop_price", "trail_price", "trail_bps") if getattr(found, name)}
    needed = _PRICES[message.type]
    if given not in needed:
        wanted = " or ".join(" and ".join(sorted(each)) or "no price" for each in needed)
        raise errors.ValueRefused(f"intents, {message.type} order", f"with {wanted}", sorted(given))
    return found


def _signal(message: messages.SignalMessage) -> orders.Signal:
    features = tuple(float("nan") if value is None else value for value in message.features)
    return orders.Signal(
        message.symbol,
        message.score,
        features,
        message.direction,
        message.confidence,
        message.horizon_ns,
        message.model_digest,
    )


def _intent(judged: _Judged, *, sequence: int, position: int, uid: str, trigger: times.Nanos) -> decisions_store.Intent:
    intent = judged.intent
    return decisions_store.Intent(
        sequence=sequence + 1 + position,
        client_order_id=judged.client_order_id,
        decision=sequence,
        position=position,
        strategy_uid=uid,
        trigger=trigger,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        terms=intent.terms,
        role=intent.role.value,
        status="refused" if judged.reason else "released",
        reason=judged.reason,
        detail=judged.detail,
        notional=judged.notional,
    )
