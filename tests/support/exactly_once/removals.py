"""How each guard is taken out of the real code: one replaced function or setting, and everything else as it is."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tradeplane_workers.brokers import port, wire
from tradeplane_workers.gateway import booking, epoch, outcomes, reducer, sender
from tradeplane_workers.stores import database, decisions, epochs

REMOVALS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def _removes(guard: str) -> Callable[[Callable[[pytest.MonkeyPatch], None]], Callable[[pytest.MonkeyPatch], None]]:
    def keep(removal: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
        REMOVALS[guard] = removal
        return removal

    return keep


async def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


@_removes("epoch-locked")
def _read_without_lock(patch: pytest.MonkeyPatch) -> None:
    async def holds(connection: Any, scope: str, token: str) -> bool:
        found = await connection.fetchval("select 1 from epochs where scope = $1 and token = $2", scope, token)
        return found is not None

    patch.setattr(epochs, "holds", holds)


@_removes("token-not-number")
def _compare_numbers(patch: pytest.MonkeyPatch) -> None:
    take = epochs.take
    numbers: dict[str, int] = {}

    async def remembered(*given: Any, **named: Any) -> epochs.Epoch | None:
        taken = await take(*given, **named)
        if taken is not None:
            numbers[taken.token] = taken.number
        return taken

    async def holds(connection: Any, scope: str, token: str) -> bool:
        query = "select 1 from epochs where scope = $1 and number = $2 for share"
        return await connection.fetchval(query, scope, numbers[token]) is not None

    patch.setattr(epochs, "take", remembered)
    patch.setattr(epochs, "holds", holds)


@_removes("lock-time-outs")
def _wait_for_ever(patch: pytest.MonkeyPatch) -> None:
    settings = {name: value for name, value in database._SETTINGS.items() if not name.endswith("timeout")}
    patch.setattr(database, "_SETTINGS", settings)


@_removes("one-history")
def _go_on_in_another(patch: pytest.MonkeyPatch) -> None:
    async def same(_: object) -> tuple[str, int]:
        await asyncio.sleep(0)
        return "one", 1

    patch.setattr(database, "identity", same)


@_removes("lease-ends-first")
def _send_for_longer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epoch, "VALID_S", epoch.TAKEOVER_S + 10)


@_removes("check-with-first-byte")
def _check_before_connecting(patch: pytest.MonkeyPatch) -> None:
    class Early(wire.Dispatch):
        def __init__(self, permit: port.Permit | None = None) -> None:
            answer = "" if permit is None else permit()
            super().__init__(lambda: answer)

    patch.setattr(wire, "Dispatch", Early)


@_removes("marked-before-sent")
def _send_without_mark(patch: pytest.MonkeyPatch) -> None:
    async def mark(*_: object) -> bool:
        await asyncio.sleep(0)
        return True

    patch.setattr(sender.Sender, "_mark", mark)


@_removes("never-sent-again")
def _send_until_answered(patch: pytest.MonkeyPatch) -> None:
    original = sender.unsent

    def unsent(outcome: port.Outcome) -> str:
        return "unreachable" if isinstance(outcome, port.Unknown) else original(outcome)

    patch.setattr(sender, "unsent", unsent)


@_removes("unknown-written-first")
def _leave_sending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcomes, "_unknown", _nothing)


@_removes("sending-resolved-first")
def _send_at_once(patch: pytest.MonkeyPatch) -> None:
    async def at_once(self: sender.Sender, _: object) -> None:
        await asyncio.sleep(0)
        self.has_recovered = True

    patch.setattr(sender.Sender, "_resolve", at_once)


@_removes("attempt-grows-on-refusal")
def _take_silence_for_refusal(patch: pytest.MonkeyPatch) -> None:
    original = outcomes.refusal

    def refusal(outcome: port.Outcome) -> str:
        return outcome.detail if isinstance(outcome, port.Unknown) else original(outcome)

    patch.setattr(outcomes, "refusal", refusal)


@_removes("unseen-watched")
def _ignore_what_turns_up(patch: pytest.MonkeyPatch) -> None:
    kept = tuple(status for status in booking._ADOPTED_FROM if status not in booking._GIVEN_UP)
    patch.setattr(booking, "_ADOPTED_FROM", kept)


@_removes("late-cancel-written")
def _forget_the_wish(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decisions, "unwanted", _nothing)


@_removes("fills-after-terminal")
def _absorb_fills(patch: pytest.MonkeyPatch) -> None:
    original = reducer.apply

    def apply(order: reducer.Order, event: port.Event) -> reducer.Change:
        return original(order, event) if order.is_open else reducer.Change(order)

    patch.setattr(reducer, "apply", apply)


@_removes("cumulative-decides")
def _count_what_comes(patch: pytest.MonkeyPatch) -> None:
    def covered(order: reducer.Order, execution: port.Execution) -> tuple[int, int]:
        return order.filled, order.filled + execution.quantity

    patch.setattr(reducer, "covered", covered)
