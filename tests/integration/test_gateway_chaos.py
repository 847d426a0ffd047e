"""Seeds of chaos over a trading week: nothing lost, nothing doubled, and the ledger equals the broker."""

import asyncio
import pathlib

import pytest

from support import servers
from support.chaos import run

SEEDS = 50
_TOGETHER = 5


@pytest.mark.parametrize("first", range(0, SEEDS, _TOGETHER))
def test_nothing_is_lost_or_doubled(first: int, tmp_path: pathlib.Path, redis_url: str) -> None:
    """Whatever fails, wherever a gateway stands."""
    for seed in range(first, first + _TOGETHER):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with servers.fresh_database() as url:
            found = asyncio.run(run.run(seed, folder, postgres_url=url, redis_url=redis_url))
        assert found.violated == [], f"seed {seed}:\n" + "\n".join(found.trace)
