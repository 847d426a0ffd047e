"""What scenarios are made of: hand-made bars in USD, strategies that follow a plan, and settings that stay short."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np

from tradeplane_engine import simulation, strategy
from tradeplane_engine.core import agenda, context, control, kernel, limits, sessions, table, venue_settings
from tradeplane_engine.data import series
from tradeplane_engine.domain import times

MINUTE = 60_000_000_000
SHARE = 10**9
USD = 10**9
START = times.instant("2020-01-02T14:30:00Z")  # a Thursday, at the open in New York
FREE = limits.Limits(allow_short=True)

Do = Callable[[context.Context], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A backtest, and the control events (instant, what) that act in it."""

    backtest: simulation.Backtest
    _: KW_ONLY
    events: Sequence[tuple[int, control.StateChange]] = ()
    audit: bool = False

    def prepare(self) -> simulation.Prepared:
        """Make the run, as yet without its events."""
        prepared = self.backtest.prepare()
        for at, event in self.events:
            prepared.kernel.agenda.add(at, agenda.CONTROL, event)
        return prepared


Scenario = Callable[[], Case]


def collected(*modules: ModuleType) -> dict[str, Scenario]:
    """Return every public function of the modules that was written there and makes a case, by name."""
    found: dict[str, Scenario] = {}
    for module in modules:
        for name, one in vars(module).items():
            own = inspect.isfunction(one) and one.__module__ == module.__name__ and not name.startswith("_")
            if own and inspect.signature(one).return_annotation is Case:
                if name in found:
                    raise ValueError(f"two scenarios are called {name}")
                found[name] = one
    return found


def usd(price: str | float, digits: int = 4) -> int:
    """Price units of a price in USD, which must be exact."""
    units = Decimal(str(price)).scaleb(digits)
    assert units == int(units), price
    return int(units)


def minute(number: float) -> times.Nanos:
    """Instant of a minute after the first open."""
    return times.Nanos(START + int(number * MINUTE))


def bars(
    *rows: str,
    symbol: str = "S",
    minutes: Sequence[float] | None = None,
    starts: Sequence[str] | None = None,
    length: float = 1,
    late: float = 0,
    digits: int = 4,
) -> series.Series:
    """Bars of "open high low close volume" in USD; one price stands for a bar that does not move, volume is 1000.

    Parameters
    ----------
    minutes, starts : of each bar after the first open, or in RFC 3339; one a minute unless given
    length, late : minutes of a bar, and from its end until it is known
    digits : decimals of a price
    """
    cells = []
    for row in rows:
        words = row.split()
        prices = words[:4] if len(words) >= 4 else [words[0]] * 4
        volume = words[len(words) - 1] if len(words) in {2, 5} else "1000"
        cells.append([*(usd(price, digits) for price in prices), int(volume)])
    columns = np.array(cells, dtype=np.int64).reshape(-1, 5).T
    if starts is not None:
        start = np.array([times.instant(one) for one in starts], dtype=np.int64)
    else:
        start = np.array([minute(one) for one in (minutes or range(len(rows)))], dtype=np.int64)
    end = start + int(length * MINUTE)
    known = end + int(late * MINUTE)
    return series.Series(symbol, start, end, known, *np.ascontiguousarray(columns), digits=digits)


def walk(symbol: str, rows: int, seed: int, *, first: int = 1_000_000) -> series.Series:
    """Bars of a walk in integers alone, so that no library's random numbers or logarithms are in them."""
    state, close, cells = seed * 2_654_435_761 % 2**32, first, []
    for _ in range(rows):
        draws = []
        for _ in range(4):
            state = (1_664_525 * state + 1_013_904_223) % 2**32
            draws.append(state >> 16)
        opened = max(close + draws[0] % 601 - 300, 1)
        close = max(opened + draws[1] % 4001 - 2000, 1)
        high, low = max(opened, close) + draws[2] % 300, max(min(opened, close) - draws[3] % 300, 1)
        cells.append([opened, high, low, close, 1 + draws[2] % 5000])
    columns = np.ascontiguousarray(np.array(cells, dtype=np.int64).T)
    start = START + np.arange(rows, dtype=np.int64) * MINUTE
    return series.Series(symbol, start, start + MINUTE, start + MINUTE, *columns)


def trading(*pairs: tuple[float, float]) -> sessions.Sessions:
    """Sessions from (open, close) in minutes after the first open."""
    opens, closes = np.array([[minute(each) for each in pair] for pair in pairs], dtype=np.int64).T
    return sessions.Sessions(np.ascontiguousarray(opens), np.ascontiguousarray(closes))


def calendar(*pairs: tuple[str, str]) -> sessions.Sessions:
    """Sessions from (open, close) in RFC 3339."""
    opens, closes = np.array([[times.instant(each) for each in pair] for pair in pairs], dtype=np.int64).T
    return sessions.Sessions(np.ascontiguousarray(opens), np.ascontiguousarray(closes))


class Planned(strategy.Strategy):
    """Does what its plan says at the n-th bar that it sees, by number or by (symbol, number), and on words.

    A word is an event and the order's id, such as ``("fill", 1)``.
    """

    steps: Mapping[Any, Do] = {}
    on: Mapping[tuple[str, int], Do] = {}
    rings: Mapping[str, Do] = {}

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Have seen nothing."""
        self.seen: dict[str, int] = {}
        self.count = -1

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Follow the plan."""
        self.count += 1
        self.seen[bar.symbol] = self.seen.get(bar.symbol, -1) + 1
        for key in (self.count, (bar.symbol, self.seen[bar.symbol])):
            if key in self.steps:
                self.steps[key](ctx)

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Answer a word."""
        if (update.event, update.order.id) in self.on:
            self.on[update.event, update.order.id](ctx)

    def on_timer(self, ctx: context.Context, name: str) -> None:
        """Answer a timer."""
        self.rings[name](ctx)


def plan(
    steps: Mapping[Any, Do],
    on: Mapping[tuple[str, int], Do] | None = None,
    rings: Mapping[str, Do] | None = None,
    name: str = "plan",
) -> type[strategy.Strategy]:
    """Return a strategy's class that follows a plan."""
    return type(name, (Planned,), {"steps": steps, "on": on or {}, "rings": rings or {}, "name": name})


def trade(
    data: series.Series | Iterable[series.Series],
    steps: Mapping[Any, Do],
    *,
    on: Mapping[tuple[str, int], Do] | None = None,
    rings: Mapping[str, Do] | None = None,
    venue: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Case:
    """Return a plan's case with 100,000 USD; ``settings`` are the backtest's, shorts are allowed."""
    return run(data, plan(steps, on, rings), venue=venue, **settings)


def run(
    data: series.Series | Iterable[series.Series],
    what: type[strategy.Strategy] | Sequence[simulation.Allocation],
    *,
    venue: Mapping[str, Any] | None = None,
    states: Sequence[tuple[float, int, str | None]] = (),
    **settings: Any,
) -> Case:
    """Return a case of any strategy; ``states`` are (minute, state, strategy or None for the account)."""
    joined = [data] if isinstance(data, series.Series) else list(data)
    settings = {"limits": FREE, "examine": False, **settings}
    events = [(minute(at), control.StateChange(state, who, "scenario")) for at, state, who in states]
    venue_found = venue_settings.Venue(**(venue or {}))
    return Case(simulation.Backtest(joined, what, venue=venue_found, **settings), events=events)
