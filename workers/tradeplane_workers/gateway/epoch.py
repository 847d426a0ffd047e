"""The gateway's epoch: who leads, by a row that is renewed each second.

1. A free or new row is taken at once; a held one when no renewal was seen to change for 3 s of our own time.
2. Guard ``lease-ends-first``: the holder counts its epoch from the start of its last good renewal, and stops sending
   after 2 s, before anybody else may take over.
3. A holder whose token is gone exits: it must not find out by accident that somebody else leads.
"""

import asyncio

import asyncpg
import structlog

from tradeplane_workers.gateway import machine, state
from tradeplane_workers.stores import database, epochs

_log = structlog.get_logger(__name__)
_PERIOD_S = 1.0
TAKEOVER_S = 3.0
VALID_S = 2.0
FREE = ""


class Deposed(Exception):  # noqa: N818 - named for what happened
    """Another gateway leads; this process ends."""


class Leadership:
    """The turn of this process, if it has one.

    Parameters
    ----------
    holder : name of this process, for people
    clock : the machine's clocks
    """

    def __init__(self, *, holder: str, clock: machine.Clock) -> None:
        self.bell = machine.Bell()
        self.seen: epochs.Epoch | None = None
        """The row as this process last read or wrote it: who leads."""
        self._holder = holder
        self._clock = clock
        self._epoch: epochs.Epoch | None = None
        self._renewed_s = 0.0

    @property
    def epoch(self) -> epochs.Epoch | None:
        """The epoch this process took, valid or not."""
        return self._epoch

    def is_valid(self) -> bool:
        """Whether nobody else can have taken over yet."""
        return self._epoch is not None and self._clock().boot_s - self._renewed_s < VALID_S

    async def acquire(self, pool: asyncpg.Pool) -> epochs.Epoch:
        """Wait for our turn and take it."""
        seen: epochs.Epoch | None = None
        seen_s = self._clock().boot_s
        while True:
            try:
                async with database.transaction(pool) as connection:
                    started_s = self._clock().boot_s
                    current = await epochs.read(connection, epochs.GATEWAY)
                    self.seen = current
                    if seen is None or current is None or _life(current) != _life(seen):
                        seen, seen_s = current, started_s
                    is_silent = started_s - seen_s >= TAKEOVER_S
                    if current is None or current.holder == FREE or is_silent:
                        taken = await epochs.take(connection, epochs.GATEWAY, holder=self._holder, expected=current)
                    else:
                        taken = None
                if taken is not None:
                    self._epoch, self._renewed_s = taken, started_s
                    self.seen = taken
                    _log.info("epoch taken", number=taken.number, holder=self._holder)
                    self.bell.ring()
                    return taken
            except database.FAILURES as error:
                _log.warning("epoch not readable", error=str(error))
            await asyncio.sleep(_PERIOD_S / 2)

    async def keep(self, pool: asyncpg.Pool, guard: state.Guard) -> None:
        """Renew each second, for ever; raises Deposed."""
        while self._epoch is not None:
            started_s = self._clock().boot_s
            try:
                async with database.transaction(pool) as connection:
                    is_ours = await epochs.renew(connection, epochs.GATEWAY, self._epoch.token) is not None
            except database.FAILURES as error:
                _log.warning("epoch not renewed", error=str(error))
            else:
                if not is_ours:
                    self.lose()
                    raise Deposed(f"epoch {self._epoch.number}: another gateway leads")
                was_valid = self.is_valid()
                self._renewed_s = started_s
                if not was_valid:
                    guard.bell.ring()
            await asyncio.sleep(_PERIOD_S - min(_PERIOD_S / 2, self._clock().boot_s - started_s))

    def lose(self) -> None:
        """Count the epoch as gone, at once."""
        self._renewed_s = float("-inf")

    async def release(self, pool: asyncpg.Pool) -> None:
        """Let a standby take over without waiting; nothing leaves from here on."""
        self.lose()
        if self._epoch is None:
            return
        try:
            async with database.transaction(pool) as connection:
                await connection.execute(
                    "update epochs set holder = $1 where scope = $2 and token = $3",
                    FREE,
                    epochs.GATEWAY,
                    self._epoch.token,
                )
        except (*database.FAILURES, database.OtherHistory) as error:
            _log.warning("epoch not released", error=str(error))


def _life(epoch: epochs.Epoch) -> tuple[str, int]:
    return epoch.token, epoch.renewed
