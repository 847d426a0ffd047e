"""A strategy's fence: one process per Strategy may decide, the one with the highest (generation, attempt).

An equal one gets it only after the holder has been silent; a lower one never, because it was deposed on purpose.
"""

import json
from dataclasses import dataclass
from typing import Any

import asyncpg

from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_workers import messages
from tradeplane_workers.stores import database, decisions, epochs, journal

SILENCE_S = 10.0


class Fenced(Exception):  # noqa: N818 - named for what happened
    """Another process holds the fence, or this one no longer does; whoever gets this exits."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A fenced strategy with the configuration it was granted for."""

    epoch: epochs.Epoch
    config: messages.StrategyConfig


async def take(pool: asyncpg.Pool, config: messages.StrategyConfig) -> messages.FenceGranted:
    """Grant the fence; raises Fenced, and ValueRefused for a configuration that cannot be used."""
    if not config.uid or config.generation < 1 or config.attempt < 1:
        limit = "a uid, a generation of at least 1 and an attempt of at least 1"
        raise errors.ValueRefused("config", limit, f"{config.uid!r}, {config.generation}, {config.attempt}")
    scope = epochs.strategy_scope(config.uid)
    async with database.transaction(pool) as connection:
        await journal.hold(connection)
        current = await epochs.read(connection, scope)
        if current is not None:
            wanted, held = (config.generation, config.attempt), (current.generation, current.attempt)
            if wanted < held or (wanted == held and await epochs.silence_s(connection, scope) < SILENCE_S):
                raise Fenced(f"generation and attempt must be above {held}, got {wanted}")
        taken = await epochs.take(
            connection,
            scope,
            holder=config.name,
            expected=current,
            generation=config.generation,
            attempt=config.attempt,
        )
        if taken is None:
            raise Fenced("somebody else was faster")
        await _record(connection, config)
        last = await decisions.last(connection, config.uid)
    if last is None:
        return messages.FenceGranted(token=taken.token)
    return messages.FenceGranted(
        token=taken.token, last_trigger=times.text(last.trigger), last_part=last.part, last_heard=last.heard
    )


async def check(connection: Any, uid: str, token: str) -> epochs.Epoch:
    """Return the holder's row, locked until the transaction ends; raises Fenced. Counts as a sign of life."""
    current = await epochs.renew(connection, epochs.strategy_scope(uid), token)
    if current is None:
        raise Fenced("the token is not the holder's")
    return current


async def configuration(connection: Any, uid: str) -> messages.StrategyConfig | None:
    """Return the configuration that a strategy's fence was last granted for."""
    body = await connection.fetchval(
        "select body from control_events where type = 'strategy' and body -> 'config' ->> 'uid' = $1"
        " order by sequence desc limit 1",
        uid,
    )
    return None if body is None else messages.StrategyConfig.model_validate(json.loads(body)["config"])


async def _record(connection: Any, config: messages.StrategyConfig) -> None:
    # A further attempt at the same configuration decides the same, so it is no event of the session; but what code
    # keeps in itself ends with its process.
    last = await configuration(connection, config.uid)
    if last is None or config.model is None or last.model_copy(update={"attempt": config.attempt}) != config:
        await journal.record(connection, "strategy", {"config": config.model_dump(mode="json")})
