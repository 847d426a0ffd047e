"""Backtests from Python: data and a strategy class in, a result out.

```python
found = simulation.Backtest("bars/", Cross, cash=100_000, parameters={"fast": 20}).run()
found.trades, found.equity, found.measures(["sharpe"])
```

The run is the same kernel that the bench, the sweeps and the manifests use. The same data, code and settings give the
same hash in every process, whatever the order of the symbols and however the rows were divided into files.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tradeplane_engine import detectors, errors, strategy
from tradeplane_engine.core import costs as venue_costs
from tradeplane_engine.core import kernel, risk, table, venue_settings
from tradeplane_engine.core import limits as risk_limits
from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.data import columns, quotes, readers, renames, resampling, series
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.results import benchmark as benchmarks
from tradeplane_engine.results import result
from tradeplane_engine.venue import accounts, brokers, events
from tradeplane_engine.venue import actions as venue_actions

Usd = int | str | Decimal
Span = int | str
Watch = Callable[[kernel.Kernel], AbstractContextManager[object]]

_AUDITED_BELOW_S = 10.0
_TYPES: Mapping[str, tuple[Any, str]] = {
    "name": (str, "text"),
    "parameters": (Mapping, "a mapping of names to values"),
    "limits": (risk_limits.Limits, "limits.Limits"),
    "costs": (venue_costs.Costs, "costs.Costs"),
    "venue": (venue_settings.Venue, "venue_settings.Venue"),
    "account": (accounts.Account | None, "accounts.Account, or None"),
    "actions": (Sequence, "a sequence of actions"),
    "timeframes": (Sequence, "a sequence of ns or text"),
}


@dataclass(frozen=True, slots=True)
class Allocation:
    """A strategy with capital of its own: one of several on an account.

    Parameters
    ----------
    strategy : its class
    capital : USD
    name : of the strategy in the run; turns are taken in the order of names
    parameters : of its ``Parameters`` model
    limits : of its own policy
    """

    strategy: type[strategy.Strategy]
    _: KW_ONLY
    capital: Usd
    name: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    limits: risk_limits.Limits = field(default_factory=risk_limits.Limits)

    def __post_init__(self) -> None:
        """Refuse what is no strategy's class: an object would carry one run into the next."""
        _check_types(self)
        if not (isinstance(self.strategy, type) and issubclass(self.strategy, strategy.Strategy)):
            raise errors.ValueRefused("strategy", "a subclass of strategy.Strategy", self.strategy)

    @property
    def called(self) -> str:
        """The name that was given, else that of the class."""
        return self.name or self.strategy.name or self.strategy.__name__


@dataclass(frozen=True, slots=True)
class Backtest:
    """One run on one account.

    Parameters
    ----------
    data : any source of :mod:`tradeplane_engine.data.readers`; a mapping of timeframes gives several of them
    strategy : a strategy's class, or allocations of several, whose capital must add up to ``cash``
    cash : of the account, USD; with allocations their sum unless given
    parameters : of the one strategy
    limits : of the account's policy; without it there is no limit, but shorts are refused
    costs : of the venue; none unless given
    venue : how it fills: at which price, along which path, how late, how much of the volume, in which sessions, and
        whose rules orders must obey
    account : at the venue: how far it lends and what that costs; None lends without end, for nothing. With rules and
        without an account it is a margin account
    quotes : per symbol a frame, file or mapping of columns (:mod:`tradeplane_engine.data.quotes`), with a venue whose
        orders fill at ``book``; a strategy does not see them
    actions : splits, dividends, renames and delistings of the data's symbols, which are raw prices
    name : of the run
    symbol : of a frame without a column ``symbol``
    digits : decimals that a price keeps, for all symbols or by symbol
    timeframe : length of a bar, ns or text such as ``"1d"``; the smallest difference of a symbol's starts unless given
    timeframes : longer ones that are made of the shortest bars of each symbol, within the sessions
    delay : from a bar's end to its publication, ns or text
    barrier : how long ``on_bars`` waits for missing bars after the first one that ended then; later ones are late
    start : first instant that strategies are shown, ns UTC; earlier bars warm indicators and history up, and measures
        begin with it. None for the first bar
    benchmark : what measures and report compare the run with: a symbol of the data, or a source of one symbol's bars
    examine : whether the honesty detectors examine the run; what they find is the result's ``findings``
    audit : whether they repeat the whole run too, twice; None: where it took less than ten seconds
    seed : of the points that the detectors look at
    """

    data: Any
    strategy: type[strategy.Strategy] | Sequence[Allocation]
    _: KW_ONLY
    cash: Usd | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    limits: risk_limits.Limits = field(default_factory=risk_limits.Limits)
    costs: venue_costs.Costs = field(default_factory=venue_costs.Costs)
    venue: venue_settings.Venue = field(default_factory=venue_settings.Venue)
    account: accounts.Account | None = None
    quotes: Mapping[str, Any] | None = None
    actions: Sequence[venue_actions.Action] = ()
    name: str = ""
    symbol: str | None = None
    digits: int | Mapping[str, int] = 4
    timeframe: Span | None = None
    timeframes: Sequence[Span] = ()
    delay: Span = 0
    barrier: Span = 0
    start: int | None = None
    benchmark: Any = None
    examine: bool = True
    audit: bool | None = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings of another type."""
        _check_types(self)
        for one in self.actions:
            if not isinstance(one, venue_actions.Action):
                raise errors.ValueRefused("actions", "of the classes of venue.actions", one)
        if numbers.whole(self.seed, "an int of 0 or more", field="seed") < 0:
            raise errors.ValueRefused("seed", "an int of 0 or more", self.seed)

    def run(
        self, *, watch: Watch = contextlib.nullcontext, clock: Callable[[], float] = time.perf_counter
    ) -> result.Result:
        """Run from the first bar to the last; raises EngineError.

        Parameters
        ----------
        watch : called with the kernel before it runs; what it returns is entered while it runs, to show progress
        clock : seconds that only grow; they are in the result's ``seconds``
        """
        began = clock()
        prepared = self.prepare()
        ready = clock()
        with watch(prepared.kernel):
            found = prepared.run()
        took = clock() - ready
        found.seconds = {"prepare": ready - began, "run": took}
        if self.examine:
            audit = took < _AUDITED_BELOW_S if self.audit is None else self.audit
            found.findings = prepared.examine(seed=self.seed, audit=audit, clock=clock)
        return found

    def prepare(self) -> "Prepared":
        """Read the data and make the strategies, without running; raises EngineError."""
        allocations, cash = self._allocations()
        made = [strategy.made(one.strategy, one.parameters, one.called) for one in allocations]
        timeframe = None if self.timeframe is None else _span(self.timeframe, "timeframe")
        reading = columns.Settings(self.digits, timeframe, _span(self.delay, "delay"))
        loaded, happening = _renamed(readers.load(self.data, reading, symbol=self.symbol), self.actions)
        loaded = self._on_sessions(loaded)
        policy = risk.Policy("account", self.limits)
        barrier = _span(self.barrier, "barrier")
        digits = {name: one.series.digits for name, one in loaded.symbols.items()}
        quoted = None if self.quotes is None else quotes.load(self.quotes, digits).quotes
        run = kernel.Kernel(table.Table(loaded.series), self.costs, cash, policy, self.venue, barrier, quoted)
        trading = {}
        for one, own in zip(allocations, made, strict=True):
            capital = _money(one.capital, "capital")
            run.add(one.called, own, capital, risk.Policy(one.called, one.limits))
            parameters = own.parameters.model_dump(mode="json")
            trading[one.called] = {"capital": str(capital), "limits": _limits(one.limits), "parameters": parameters}
        if self.start is not None:
            _begin(run, self.start)
        events.schedule(run, happening)
        ruled = self.venue.rules is not None
        account = accounts.Account() if self.account is None and ruled else self.account
        if account is not None:
            brokers.install(run, account, ruled=ruled)
        settings: dict[str, Any] = {
            "cash": str(cash),
            "costs": _costs(self.costs),
            "limits": _limits(self.limits),
            "symbols": digits,
            "strategies": trading,
            "venue": _venue(self.venue),
            "actions": sorted(map(repr, self.actions)),
        }
        if barrier:
            settings["barrier"] = barrier
        if self.start is not None:
            settings["start"] = self.start
        if quoted is not None:
            settings["quotes"] = quoted.digest()
        if loaded.longer:
            settings["timeframes"] = [[one.symbol, one.length] for one in loaded.series]
        if account is not None:
            settings["account"] = account.described()
        compared = None if self.benchmark is None else self._benchmark(loaded, happening)
        name = self.name or ", ".join(trading)
        return Prepared(name, run, loaded, settings, self._again, self.venue, self.start or 0, compared)

    def _benchmark(self, loaded: readers.Loaded, happening: Sequence[venue_actions.Action]) -> benchmarks.Source:
        """Return what the run is compared with; raises ValueRefused."""
        if isinstance(self.benchmark, str) and self.benchmark in loaded.symbols:
            return benchmarks.Source(loaded.symbols[self.benchmark].series, happening)
        given = Path(self.benchmark) if isinstance(self.benchmark, str) else self.benchmark
        if isinstance(given, Path) and not given.exists():
            limit = f"a file, or a symbol of the data ({', '.join(loaded.symbols)})"
            raise errors.ValueRefused("benchmark", limit, str(given))
        found = readers.load(given, symbol=None if isinstance(given, Path) else "benchmark").series
        if len(found) != 1:
            raise errors.ValueRefused("benchmark", "bars of one symbol", [one.symbol for one in found])
        return benchmarks.Source(found[0])

    def _again(self, data: Sequence[series.Series]) -> kernel.Kernel:
        """Make the same run, not yet run, of other bars of the same symbols."""
        again = dataclasses.replace(
            self, data=list(data), symbol=None, timeframe=None, timeframes=(), delay=0, benchmark=None
        )
        return again.prepare().kernel

    def _on_sessions(self, loaded: readers.Loaded) -> readers.Loaded:
        """Lay daily bars on the sessions of their days, and add the longer timeframes; raises ValueRefused."""
        lengths = [_span(one, "timeframes") for one in self.timeframes]
        hours = self.venue.sessions
        if hours is None and not lengths:
            return loaded
        found = [*loaded.symbols.values(), *loaded.longer]
        trading = None
        if hours is not None:
            _check_sessions(hours, loaded)
            trading = resampling.Trading(hours.opens, hours.closes)
            found = [dataclasses.replace(one, series=resampling.on_sessions(one.series, trading)) for one in found]
        shortest = found[: len(loaded.symbols)]
        made = [resampling.resampled(one.series, length, trading) for length in lengths for one in shortest]
        return readers.arranged([*found, *map(columns.Imported, made)])

    def _allocations(self) -> tuple[list[Allocation], int]:
        """Return who trades, by name, and the account's cash in money; raises ValueRefused."""
        if isinstance(self.strategy, type):
            cash = 100_000 if self.cash is None else self.cash
            own = risk_limits.Limits(allow_short=self.limits.allow_short)  # it has no policy beside the account's
            one = Allocation(self.strategy, capital=cash, parameters=self.parameters, limits=own)
            return [one], _money(cash, "cash")
        given = list(self.strategy) if isinstance(self.strategy, Sequence) else []
        if not given or not all(isinstance(one, Allocation) for one in given):
            raise errors.ValueRefused("strategy", "a class, or allocations of several", self.strategy)
        if self.parameters:
            raise errors.ValueRefused("parameters", "in the allocations, where there are some", dict(self.parameters))
        names = [one.called for one in given]
        if len(set(names)) < len(names):
            raise errors.ValueRefused("name", "different for each allocation", sorted(names))
        total = sum(_money(one.capital, "capital") for one in given)
        cash_given = total if self.cash is None else _money(self.cash, "cash")
        if cash_given != total:
            raise errors.ValueRefused(
                "cash", f"the sum of capitals, {numbers.money_text(numbers.Money(total))}", self.cash
            )
        return sorted(given, key=lambda one: one.called), total


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A run that has everything but its events; it can be run once."""

    name: str
    kernel: kernel.Kernel
    data: readers.Loaded
    settings: Mapping[str, Any]
    again: detectors.Factory
    venue: venue_settings.Venue
    start: int = 0
    benchmark: benchmarks.Source | None = None

    def examine(
        self, *, seed: int = 0, audit: bool = False, clock: Callable[[], float] | None = None
    ) -> detectors.Findings:
        """Let the honesty detectors examine the run once it is over; ``audit`` costs two whole runs more."""
        options = detectors.Options(same_close=self.venue.allow_same_close, clock=clock, start=self.start)
        return detectors.examine(self.again, self.data.series, self.kernel, seed=seed, audit=audit, options=options)

    def run(self) -> result.Result:
        """Run from the first bar to the last; raises EngineError."""
        if self.kernel.started:
            raise errors.ValueRefused("run", "asked for once; prepare another one", self.name)
        self.kernel.run()
        check(self.kernel)
        found = result.Result(self.name, self.kernel, self.data, self.settings)
        found.benchmark, found.start = self.benchmark, self.start
        return found


def _check_sessions(hours: Sessions, loaded: readers.Loaded) -> None:
    """Refuse sessions that end before the bars or begin after them: orders would wait for one that never comes."""
    bars = [one for one in loaded.series if len(one)]
    if not bars or not len(hours):
        return
    first, last = min(int(one.start[0]) for one in bars), max(int(one.start[-1]) for one in bars)
    opens, closes = int(hours.opens[0]), int(hours.closes[-1])
    if first < opens - times.DAY or last > closes + times.DAY:
        limit, found = (
            f"{times.text(times.Nanos(one))[:10]} to {times.text(times.Nanos(other))[:10]}"
            for one, other in ((first, last), (opens, closes))
        )
        raise errors.ValueRefused("venue.sessions", f"those of all bars, {limit}", found)


def _begin(run: kernel.Kernel, start: int) -> None:
    """Show strategies no bar that starts before an instant; raises ValueRefused where that leaves none."""
    bars = run.table
    parts = zip(bars.starts[:-1].tolist(), bars.starts[1:].tolist(), strict=True)
    first = [row + int(np.searchsorted(bars.columns["start"][row:stop], start)) for row, stop in parts]
    if first == bars.starts[1:].tolist():
        raise errors.ValueRefused("start", "at or before the last bar's", times.text(times.Nanos(start)))
    for slot in run.slots:
        np.maximum(slot.first_row, np.array(first, dtype=np.int64), out=slot.first_row)


def check(run: kernel.Kernel) -> None:
    """Raise LedgerBroken unless the strategies' sub-ledgers add up to the account's."""
    account = run.account.book.ledger
    parts = [slot.scope.book.ledger for slot in run.slots]
    # What fees are rounded by is the account's alone.
    residue = 0 if run.flow.accrual is None else run.flow.accrual.residue
    own = {"fees": residue, "cash": -residue}
    for name in ("starting", "cash", "fees", "other", "fills"):
        whole = getattr(account, name)
        total = sum(getattr(part, name) for part in parts) + own.get(name, 0)
        if whole != total:
            raise errors.LedgerBroken(f"{name} of the account is {whole}, of its strategies {total}")
    for symbol, held in enumerate(account.quantities):
        total = sum(part.quantities[symbol] for part in parts)
        if held != total:
            raise errors.LedgerBroken(f"{run.table.symbols[symbol]}: account {held}, strategies {total} (1e-9 shares)")


def _renamed(
    loaded: readers.Loaded, given: Sequence[venue_actions.Action]
) -> tuple[readers.Loaded, list[venue_actions.Action]]:
    """Give renamed symbols their new name, in bars and actions."""
    happening = list(given)
    for one in sorted((one for one in given if isinstance(one, venue_actions.Rename)), key=lambda one: one.at):
        loaded = renames.joined(loaded, one.symbol, one.to, one.at)
        if one.to not in loaded.symbols:
            if one.symbol not in loaded.symbols:
                raise errors.ValueRefused("action.symbol", "a symbol of the data", one.symbol)
            happening.remove(one)  # the data end before it
            continue
        happening = [
            dataclasses.replace(each, symbol=one.to) if each.symbol == one.symbol and each.at < one.at else each
            for each in happening
        ]
    return loaded, happening


def _venue(venue: venue_settings.Venue) -> dict[str, Any]:
    """Name every setting of a venue; a hook by its name, sessions by their number and bounds."""
    found: dict[str, Any] = {one.name: getattr(venue, one.name) for one in dataclasses.fields(venue)}
    if venue.rules is None:
        del found["rules"]  # the identity of runs from before there were any
    for name in ("participation", "slippage_bps", "volume_share"):
        found[name] = None if found[name] is None else str(found[name])
    if venue.impact is not None:
        found["impact"] = f"{venue.impact.__module__}.{venue.impact.__qualname__}"
    if venue.sessions is not None:
        found["sessions"] = venue.sessions.digest()
    found["halts"] = {symbol: [list(one) for one in spans] for symbol, spans in sorted(venue.halts.items())}
    return found


def _check_types(settings: Allocation | Backtest) -> None:
    for one in dataclasses.fields(settings):
        kind, limit = _TYPES.get(one.name, (object, ""))
        value = getattr(settings, one.name)
        if not isinstance(value, kind):
            raise errors.ValueRefused(one.name, limit, value)


def _money(value: Usd, name: str) -> int:
    if isinstance(value, float):
        raise errors.ValueRefused(name, "an int, a Decimal or decimal text", value)
    found = numbers.money(str(value), field=name)
    if found <= 0:
        raise errors.ValueRefused(name, "more than 0 USD", str(value))
    return found


def _span(value: Span, name: str) -> int:
    if isinstance(value, str):
        return times.duration(value, field=name)
    if numbers.whole(value, "an int of ns, or text such as 1h", field=name) < 0:
        raise errors.ValueRefused(name, "0 or more ns", value)
    return int(value)


def _limits(limits: risk_limits.Limits) -> dict[str, Any]:
    """Return the limits that are set, as text that has one form only."""
    found: dict[str, Any] = {}
    for one in dataclasses.fields(limits):
        value = getattr(limits, one.name)
        if isinstance(value, Mapping):
            found[one.name] = {str(key): str(limit) for key, limit in value.items()}
        elif value is not None:
            found[one.name] = str(value)
    return found


def _costs(costs: venue_costs.Costs) -> dict[str, str]:
    return {
        "half_spread": str(Fraction(costs.spread, costs.spread_whole)),
        "commission": str(Fraction(costs.commission, costs.commission_whole)),
        "schedule": repr(costs.schedule),
    }
