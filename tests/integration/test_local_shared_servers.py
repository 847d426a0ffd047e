"""The shared fixtures give each test its own place on real servers."""

import asyncpg
import pytest
import redis


async def test_database_is_empty_and_takes_commits(postgres_url: str) -> None:
    """A fresh database holds no table and keeps what is committed."""
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.execute("CREATE TABLE t (x int)")
        await connection.execute("INSERT INTO t VALUES (1)")
        assert await connection.fetchval("SELECT x FROM t") == 1
    finally:
        await connection.close()


@pytest.mark.parametrize("_again", [1, 2])
def test_redis_starts_empty(redis_url: str, _again: int) -> None:
    """Each test finds an empty Redis, whatever the one before wrote."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
