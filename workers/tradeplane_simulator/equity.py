"""The worth of accounts over time: kept whenever it changes, and shown as Alpaca's portfolio history."""

import bisect
import datetime as dt
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tradeplane_engine.domain import numbers, timeframes, times
from tradeplane_simulator import errors, sessions

STEPS = {"1Min": times.MINUTE, "5Min": 5 * times.MINUTE, "15Min": 15 * times.MINUTE, "1H": times.HOUR}
TIMEFRAMES = (*STEPS, "1D")
_UNITS = {"D": 1, "W": 7, "M": 30, "A": 365}
_WEEK, _MONTH = dt.timedelta(days=7), dt.timedelta(days=30)


class Equity:
    """Equity by account and instant, in the state file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last: dict[str, int] = {}

    def keep(self, worth: Mapping[str, int], *, at: times.Nanos) -> None:
        """Write down what has changed; a row stands until the next one."""
        if not self._last:
            rows = self._connection.execute("SELECT account, worth, max(at) FROM equity GROUP BY account")
            self._last = {account: amount for account, amount, _ in rows}
        changed = [(account, at, amount) for account, amount in worth.items() if self._last.get(account) != amount]
        self._connection.executemany("INSERT OR REPLACE INTO equity VALUES (?, ?, ?)", changed)
        self._last.update({account: amount for account, _, amount in changed})

    def forget(self) -> None:
        """Read anew what is in the file, after a write that failed."""
        self._last.clear()

    def of(self, account: str, until: times.Nanos) -> tuple[list[int], list[int]]:
        """Return instants and amounts up to an instant, oldest first."""
        rows = self._connection.execute(
            "SELECT at, worth FROM equity WHERE account = ? AND at <= ? ORDER BY at", (account, until)
        ).fetchall()
        return [row[0] for row in rows], [row[1] for row in rows]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A history that somebody wants.

    first, last : dates in New York, both included
    timeframe : one of ``TIMEFRAMES``
    hours : market_hours, extended_hours or continuous
    resets : whether the profit of a day starts at zero
    """

    first: dt.date
    last: dt.date
    timeframe: str
    hours: str = "market_hours"
    resets: bool = True


def wanted(
    *, period: str, start: dt.date | None, end: dt.date | None, timeframe: str, today: dt.date, **more: Any
) -> Wanted:
    """Return what the parameters ask for; raises Refused. Two of period, start and end say all."""
    if period and start and end:
        raise errors.Refused(errors.malformed("only two of start, end and period are accepted"))
    length = _length(period or "1M")
    last = end or (min(start + length, today) if start and period else today)
    first = start or last - length
    if first > last:
        raise errors.Refused(errors.malformed(f"start must not be after end, got {first} and {last}"))
    span = last - first
    default = "1Min" if span < _WEEK else "15Min" if span < _MONTH else "1D"
    chosen = timeframe or default
    if chosen != "1D" and span > _MONTH:
        raise errors.Refused(errors.malformed(f"timeframe must be 1D for more than 30 days, got {chosen}"))
    return Wanted(first, last, chosen, **more)


def _length(period: str) -> dt.timedelta:
    count, unit = period[:-1], period[-1:]
    if unit not in _UNITS or not count.isascii() or not count.isdigit() or not 0 < int(count) <= 999:  # noqa: PLR2004
        raise errors.Refused(errors.malformed(f"period must be a number and one of D, W, M, A, got {period!r}"))
    return dt.timedelta(days=int(count) * _UNITS[unit])


def history(
    asked: Wanted, known: tuple[Sequence[int], Sequence[int]], calendar: sessions.Sessions, *, now: times.Nanos
) -> dict[str, Any]:
    """Shape a portfolio history.

    Parameters
    ----------
    known : instants and amounts of the account's equity
    now : until which there is one
    """
    ats, amounts = known

    def worth(at: int) -> int:
        return amounts[max(bisect.bisect_right(ats, at) - 1, 0)]

    days = [day for day in calendar.days if asked.first <= day.date <= asked.last and day.close > ats[0]]
    labels: list[int] = []
    equity: list[int] = []
    profit: list[int] = []
    bases: list[int] = []
    first = worth(days[0].open - 1) if days else amounts[0]
    for day in days:
        base = worth(day.open - 1) if asked.resets and asked.timeframe != "1D" else first
        for label, end in _buckets(asked, day):
            if label <= now and end > ats[0]:
                labels.append(label // times.SECOND)
                equity.append(worth(min(end - 1, now) if asked.timeframe != "1D" else min(end, now)))
                profit.append(equity[-1] - base)
                bases.append(base)
    return {
        "timestamp": labels,
        "equity": [_number(amount) for amount in equity],
        "profit_loss": [_number(amount) for amount in profit],
        "profit_loss_pct": [_ratio(gain, base) for gain, base in zip(profit, bases, strict=True)],
        "base_value": _number(first),
        "base_value_asof": asked.first.isoformat(),
        "timeframe": asked.timeframe,
        "cashflow": {},
    }


def _buckets(asked: Wanted, day: sessions.Session) -> list[tuple[int, int]]:
    """Return start and end of each point of a day."""
    if asked.timeframe == "1D":
        return [(day.open, day.close)]
    hours = timeframes.Hours(day.open, day.close)
    if asked.hours == "extended_hours":
        hours = sessions.extended(day)
    elif asked.hours == "continuous":
        midnight = sessions.midnight(day.date)
        hours = timeframes.Hours(midnight, sessions.midnight(day.date + dt.timedelta(days=1)))
    step = STEPS[asked.timeframe]
    return [(label, label + step) for label in range(hours.start, hours.end, step)]


def _number(amount: int) -> orjson.Fragment:
    return orjson.Fragment(numbers.money_text(numbers.Money(amount)))


def _ratio(gain: int, base: int) -> orjson.Fragment | None:
    if not base:
        return None
    return orjson.Fragment(numbers.money_text(numbers.Money(numbers.divide_half_even(gain * 10**9, base))))
