"""Bring a database to the current schema, by Alembic, one process at a time."""

import asyncpg
import sqlalchemy
from alembic import command, config
from sqlalchemy import exc
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio

_LOCK = 7_346_112_905_518  # any constant of our own: two gateways may start at once


async def upgrade(url: str) -> None:
    """Apply all missing versions in one transaction; raises one of database.FAILURES."""

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(url, timeout=5, command_timeout=60)

    engine = sqlalchemy_asyncio.create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, poolclass=sqlalchemy.NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(sqlalchemy.text(f"select pg_advisory_xact_lock({_LOCK})"))
            await connection.run_sync(_run)
    except exc.DBAPIError as error:  # of what asyncpg raised, whatever it was, SQLAlchemy makes its own
        raise OSError(f"schema: {error}") from error
    finally:
        await engine.dispose()


def _run(connection: sqlalchemy.Connection) -> None:
    settings = config.Config()
    settings.set_main_option("script_location", "tradeplane_workers.stores:migrations")
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
