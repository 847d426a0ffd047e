"""The validator of bars, shared by the dataset reader and the live market data process.

1. :func:`bar` turns the provider's words into a :class:`~tradeplane_engine.domain.bars.Bar` or refuses it;
2. :func:`check_follows` refuses one that does not come after its predecessor;
3. :func:`batch` does both for many bars, finds the sessions they belong to, and counts every refusal.

A refused bar does not exist for anything downstream: its symbol has no bar in that session, so nothing orders it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times

_VOLUME_MAX = 10**15


class Refusal(StrEnum):
    """Why a bar is never traded; stable words that are counted."""

    BAD_NUMBER = "bad-number"
    NOT_POSITIVE = "not-positive"
    BAD_VOLUME = "bad-volume"
    HIGH_BELOW_LOW = "high-below-low"
    OUTSIDE_RANGE = "outside-range"
    NAIVE_TIME = "naive-time"
    BAD_TIME = "bad-time"
    END_BEFORE_START = "end-before-start"
    AVAILABLE_BEFORE_END = "available-before-end"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out-of-order"
    OVERLAP = "overlap"
    OUTSIDE_SESSION = "outside-session"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class RawBar:
    """A bar in the provider's words: decimal texts (or Decimals) and RFC 3339 times with an offset."""

    symbol: str
    start: str
    end: str
    available_at: str
    open: str | Decimal
    high: str | Decimal
    low: str | Decimal
    close: str | Decimal
    volume: str | int


@dataclass(frozen=True, slots=True)
class Session:
    """One interval in which bars are expected, such as a trading day from open to close."""

    start: times.Nanos
    end: times.Nanos


@dataclass(frozen=True, slots=True)
class Refused:
    """One bar, or one missing bar, that is not traded."""

    symbol: str
    at: str
    reason: Refusal
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a batch of bars looked like."""

    accepted: int
    refused: tuple[Refused, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def require_clean(self) -> None:
        """Raise DataRefused with the first refusal when there is any."""
        if self.refused:
            first = self.refused[0]
            more = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
            raise errors.DataRefused(first.reason, f"{first.symbol} {first.at}: {first.message}{more}")


def bar(raw: RawBar) -> bars.Bar:
    """Return the exact bar, or raise DataRefused naming what is wrong with it."""
    start, end, available_at = (_instant(raw, name) for name in ("start", "end", "available_at"))
    if end <= start:
        raise errors.DataRefused(Refusal.END_BEFORE_START, f"start {raw.start}, end {raw.end}")
    if available_at < end:
        raise errors.DataRefused(Refusal.AVAILABLE_BEFORE_END, f"end {raw.end}, available_at {raw.available_at}")
    opened, high, low, close = (_price(raw, name) for name in ("open", "high", "low", "close"))
    if high < low:
        raise errors.DataRefused(Refusal.HIGH_BELOW_LOW, f"high {raw.high}, low {raw.low}")
    for name, value in (("open", opened), ("close", close)):
        if not low <= value <= high:
            limits = f"{numbers.price_text(low)} to {numbers.price_text(high)}"
            raise errors.DataRefused(Refusal.OUTSIDE_RANGE, f"{name} must be {limits}, got {numbers.price_text(value)}")
    return bars.Bar(
        symbol=raw.symbol,
        start=start,
        end=end,
        available_at=available_at,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=_volume(raw),
    )


def check_follows(bar: bars.Bar, previous: bars.Bar | None) -> None:
    """Refuse a bar that is not after the previous accepted bar of its symbol; raises DataRefused."""
    if previous is None:
        return
    if bar.start == previous.start and bar.end == previous.end:
        raise errors.DataRefused(Refusal.DUPLICATE, f"a bar that ends {times.text(bar.end)} was already there")
    if bar.end <= previous.end:
        raise errors.DataRefused(Refusal.OUT_OF_ORDER, f"{times.text(bar.end)} after {times.text(previous.end)}")
    if bar.start < previous.end:
        raise errors.DataRefused(
            Refusal.OVERLAP, f"starts {times.text(bar.start)}, the previous one ends {times.text(previous.end)}"
        )


def check_session(bar: bars.Bar, session: Session | None) -> None:
    """Refuse a bar whose times are not exactly those of an expected session; raises DataRefused."""
    if session is None or (bar.start, bar.end) != (session.start, session.end):
        raise errors.DataRefused(
            Refusal.OUTSIDE_SESSION, f"{times.text(bar.start)} to {times.text(bar.end)} is no session"
        )


def batch(
    raw_bars: Iterable[RawBar], *, sessions: Sequence[Session] | None = None, longest: times.Nanos | None = None
) -> tuple[dict[str, tuple[bars.Bar, ...]], Report]:
    """Validate bars in the order they came.

    Parameters
    ----------
    raw_bars : of any symbols; each symbol's must come oldest first
    sessions : the expected ones, oldest first; without them a session is what at least half of the symbols that trade
        around it agree on, so a single symbol cannot be checked for gaps
    longest : given for bars inside sessions: none may be longer, and none is expected, because an interval without a
        trade has no bar

    Returns
    -------
    Accepted bars per symbol, and the report that counts each refusal and each missing session.
    """
    refused: list[Refused] = []
    accepted: dict[str, list[bars.Bar]] = {}
    for raw in raw_bars:
        kept = accepted.setdefault(raw.symbol, [])
        try:
            parsed = bar(raw)
            check_follows(parsed, kept[-1] if kept else None)
        except errors.DataRefused as refusal:
            refused.append(_refused(raw.symbol, str(raw.end), refusal))
        else:
            kept.append(parsed)
    if longest is not None:
        return _inside_sessions(accepted, refused, longest)
    expected = _agreed_sessions(accepted) if sessions is None else {session.start: session for session in sessions}
    in_session: dict[str, tuple[bars.Bar, ...]] = {}
    for symbol, found in accepted.items():
        kept = []
        for one in found:
            try:
                check_session(one, expected.get(one.start))
            except errors.DataRefused as refusal:
                refused.append(_refused(symbol, times.text(one.end), refusal))
            else:
                kept.append(one)
        in_session[symbol] = tuple(kept)
        refused.extend(_gaps(symbol, kept, expected))
    return in_session, _report(in_session, refused)


def _inside_sessions(
    accepted: Mapping[str, Sequence[bars.Bar]], refused: list[Refused], longest: times.Nanos
) -> tuple[dict[str, tuple[bars.Bar, ...]], Report]:
    kept = {}
    for symbol, found in accepted.items():
        kept[symbol] = tuple(one for one in found if one.end - one.start <= longest)
        refused.extend(
            Refused(symbol, times.text(one.end), Refusal.OUTSIDE_SESSION, f"longer than {times.duration_text(longest)}")
            for one in found
            if one.end - one.start > longest
        )
    return kept, _report(kept, refused)


def _report(accepted: Mapping[str, Sequence[bars.Bar]], refused: Sequence[Refused]) -> Report:
    counts = Counter(item.reason.value for item in refused)
    total = sum(map(len, accepted.values()))
    return Report(accepted=total, refused=tuple(refused), counts=dict(sorted(counts.items())))


def _agreed_sessions(accepted: Mapping[str, Sequence[bars.Bar]]) -> dict[times.Nanos, Session]:
    spans = [(found[0].start, found[-1].end) for found in accepted.values() if found]
    votes = Counter(Session(one.start, one.end) for found in accepted.values() for one in found)
    return {
        session.start: session
        for session, count in votes.items()
        if 2 * count >= sum(1 for first, last in spans if first <= session.end and session.start <= last)
    }


def _gaps(symbol: str, found: Sequence[bars.Bar], expected: Mapping[times.Nanos, Session]) -> list[Refused]:
    if not found:
        return []
    have = {one.start for one in found}
    first, last = found[0].start, found[-1].start
    return [
        Refused(symbol, times.text(session.end), Refusal.GAP, "no bar in this session")
        for session in sorted(expected.values(), key=lambda session: session.start)
        if first < session.start < last and session.start not in have
    ]


def _refused(symbol: str, at: str, refusal: errors.DataRefused) -> Refused:
    return Refused(symbol, at, Refusal(refusal.reason), str(refusal).partition(": ")[2])


def _instant(raw: RawBar, name: str) -> times.Nanos:
    text: str = getattr(raw, name)
    try:
        return times.instant(text, field=name)
    except errors.ValueRefused as refusal:
        naive = _parses(lambda: times.instant(f"{text}Z", field=name))
        raise errors.DataRefused(Refusal.NAIVE_TIME if naive else Refusal.BAD_TIME, str(refusal)) from None


def _price(raw: RawBar, name: str) -> numbers.Price:
    text: str | Decimal = getattr(raw, name)
    try:
        return numbers.price(text, field=name)
    except errors.ValueRefused as refusal:
        zero_or_less = _parses(lambda: numbers.money(text, field=name)) and numbers.money(text, field=name) <= 0
        reason = Refusal.NOT_POSITIVE if zero_or_less else Refusal.BAD_NUMBER
        raise errors.DataRefused(reason, str(refusal)) from None


def _volume(raw: RawBar) -> int:
    try:
        volume = int(str(raw.volume))
    except ValueError:
        raise errors.DataRefused(Refusal.BAD_VOLUME, f"volume must be whole shares, got {raw.volume!r}") from None
    if not 0 <= volume <= _VOLUME_MAX:
        raise errors.DataRefused(Refusal.BAD_VOLUME, f"volume must be 0 to {_VOLUME_MAX}, got {volume}")
    return volume


def _parses(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except errors.ValueRefused:
        return False
    return True
