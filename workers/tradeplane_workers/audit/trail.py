"""Where the trail is read from: the ledger's database, or an export of it; and whether the ledger is as it says."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from tradeplane_engine import errors
from tradeplane_workers.audit import chain

_AT_ONCE = 2000
_NAMED = 10
_TYPES = {field.name: int if field.name == "number" else str for field in fields(chain.Entry)}
_COLUMNS = ", ".join(_TYPES)
# Texts of instants are the same as in the trail only in the zone of its triggers.
_SETTINGS = {"application_name": "tradeplane-audit", "timezone": "UTC", "default_transaction_read_only": "on"}


async def connect(url: str) -> asyncpg.Connection:
    """Open a connection that only reads; raises what the database raises, OSError and TimeoutError."""
    return await asyncpg.connect(url, timeout=5, server_settings=_SETTINGS)


async def entries(connection: Any) -> AsyncIterator[chain.Entry]:
    """Yield the whole trail of one instant by number; the connection is in a transaction."""
    query = f"select {_COLUMNS} from audit_entries order by number"  # noqa: S608 - names of fields
    async for row in connection.cursor(query, prefetch=_AT_ONCE):
        yield entry(row)


def entry(row: Any) -> chain.Entry:
    """Read a row of ``audit_entries``."""
    return chain.Entry(**{**dict(row), "recorded": chain.instant(row["recorded"])})


def line(one: chain.Entry) -> bytes:
    """Return an entry as a line of an export."""
    return orjson.dumps(asdict(one), option=orjson.OPT_APPEND_NEWLINE)


def exported(path: Path) -> Iterator[chain.Entry]:
    """Yield the entries of an export; raises ValueRefused naming the line that is none, and OSError."""
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            try:
                found = orjson.loads(text)
            except orjson.JSONDecodeError:
                found = None
            if not isinstance(found, dict) or {key: type(value) for key, value in found.items()} != _TYPES:
                raise errors.ValueRefused(f"{path}, line {number}", "an entry of a trail", text[:200])
            yield chain.Entry(**found)


async def differences(connection: Any) -> tuple[list[str], int]:
    """Compare each watched table with the last entries about its rows, and look whether all triggers act.

    Returns the first differences of every table in words, and how many rows were compared.
    """
    found, compared = [f"audit_entries: its trigger {name} does not act" for name in await _idle(connection)], 0
    kinds = {row["kind"] for row in await connection.fetch(_KINDS)}
    for watched in await connection.fetch(_WATCHED):
        kind, _, left_out = watched["arguments"].split("\\000")[:3]
        kinds.discard(kind)
        key = ", ".join(f"image -> '{column}'" for column in watched["key"])
        rows = await connection.fetch(
            _COMPARED.format(relation=watched["relation"], key=f"jsonb_build_array({key})"), kind, left_out
        )
        compared += rows[0]["compared"]
        found += [
            f"{watched['relation']} {row['key']}: {_words(row)}" for row in rows[:_NAMED] if row["key"] is not None
        ]
        if not watched["acts"]:
            found.append(f"{watched['relation']}: its trigger does not act, changes of it are not in the trail")
    return found + [f"{kind}: no table has the trigger that enters it" for kind in sorted(kinds)], compared


async def _idle(connection: Any) -> list[str]:
    rows = await connection.fetch(
        "select tgname from pg_trigger where tgrelid = 'audit_entries'::regclass and tgenabled in ('A', 'O')"
    )
    return sorted({"append_only", "audit_chain"} - {row["tgname"] for row in rows})


_KINDS = "select distinct kind from audit_entries where action <> 'record'"
_WATCHED = """
select t.tgrelid::regclass::text as relation, encode(t.tgargs, 'escape') as arguments,
       t.tgenabled in ('A', 'O') as acts,
       array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid
             and a.attnum = any(i.indkey) where i.indrelid = t.tgrelid and i.indisprimary order by a.attnum) as key
from pg_trigger t where t.tgname = 'audit' order by relation
"""

# Of each row, by its table's key: what the trail says last, and what there is. Columns that one of the two does not
# have were added or dropped in between.
_COMPARED = """
with told as (
    select distinct on ({key}) {key} as key, image, action from (
        select number, action, body::jsonb as image from audit_entries where kind = $1 and action <> 'record'
    ) as entries order by {key}, number desc
), held as (
    select {key} as key, image from (select to_jsonb(t) - $2::text::text[] as image from {relation} t) as rows
), odd as (
    select coalesce(held.key, told.key)::text as key, held.key is null as is_gone, told.key is null as is_new
    from held full join (select * from told where action <> 'delete') as told on told.key = held.key
    where held.image is distinct from told.image and (held.key is null or told.key is null or exists (
        select from jsonb_each(told.image) as said (name, value)
        where held.image ? said.name and held.image -> said.name <> said.value
    ))
)
select (select count(*) from held) as compared, odd.* from (select 1) as one left join odd on true order by odd.key
"""


def _words(row: Any) -> str:
    if row["is_gone"]:
        return "is in the trail and not in the ledger"
    if row["is_new"]:
        return "is in the ledger and not in the trail"
    return "is not what the trail says"


def ledger_of(entries: Iterable[chain.Entry]) -> str:
    """Return the id of the ledger that a trail is of, as its first entry of that kind says; empty without one."""
    body = next((one.body for one in entries if one.kind == "ledger"), None)
    try:
        return "" if body is None else str(orjson.loads(body)["id"])
    except (ValueError, KeyError, TypeError):
        return ""
