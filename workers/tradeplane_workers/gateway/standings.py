"""What limits on losses are measured from, kept in the ledger's sequence.

Each decision under a policy with such a limit is preceded by a ``standing`` event per scope that the limit judges. A
restart goes on from the last one, and a backtest of the session record is judged by the same.
"""

import dataclasses
import functools
import json
from typing import Any

from tradeplane_engine.core import sessions, standing
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.venue import calendars
from tradeplane_workers.stores import journal

ACCOUNT = "account"
KIND = "standing"


async def look(
    connection: Any,
    scope: str,
    *,
    capital: numbers.Money,
    equity: numbers.Money | None,
    losses: int,
    trigger: times.Nanos,
) -> standing.Standing:
    """Look at a scope (:data:`ACCOUNT` or a Strategy's UID) at a decision, and record what is seen.

    An equity that cannot be known changes nothing but the losses in a row, which are counted without it; the gate
    refuses what needs it. Neither does an older trigger, of another strategy of the account: positions of now at closes
    of then were never worth anything.
    """
    last = await _last(connection, scope)
    before = standing.Standing.first(capital, trigger) if last is None else last.funded(capital)
    if equity is None or trigger < before.at:
        return dataclasses.replace(before, losses=losses)
    opened = trigger > before.at and _opens_between(before.at, trigger)
    found = before.seen(equity, losses, trigger, opened=opened)
    await journal.record_if_new(connection, KIND, "scope", _body(scope, found))
    return found


async def _last(connection: Any, scope: str) -> standing.Standing | None:
    text = await connection.fetchval(
        "select body from control_events where type = $1 and body ->> 'scope' = $2 order by sequence desc limit 1",
        KIND,
        scope,
    )
    if text is None:
        return None
    body = json.loads(text)
    capital, equity, session_equity, peak = (
        numbers.money(body[name], field=name) for name in ("capital", "equity", "session_equity", "peak")
    )
    at = times.instant(body["at"], field="at")
    return standing.Standing(at, capital, equity, session_equity, peak, int(body["losses"]))


def _body(scope: str, found: standing.Standing) -> dict[str, Any]:
    money = {name: numbers.money_text(getattr(found, name)) for name in ("capital", "equity", "session_equity", "peak")}
    return {"scope": scope, "at": times.text(found.at), **money, "losses": found.losses}


def opened_before(trigger: times.Nanos) -> times.Nanos:
    """Return when the session opened in which a decision at ``trigger`` belongs; one at an open comes before it."""
    known = _sessions(times.utc_day(trigger)[:4])
    return times.Nanos(known.opens[known.opening(trigger) - 1])


def _opens_between(before: times.Nanos, now: times.Nanos) -> bool:
    """Say whether a session opens after one decision and before another; one at the open itself comes before it."""
    known = _sessions(times.utc_day(now)[:4])
    return known.opening(before) != known.opening(now)


@functools.lru_cache(maxsize=4)
def _sessions(year: str) -> sessions.Sessions:
    """Return the sessions of a year and of the one before it."""
    return calendars.new_york(f"{int(year) - 1}-01-01", f"{year}-12-31")
