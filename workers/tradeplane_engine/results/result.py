"""What a user gets back from a backtest.

Frames are polars where it is installed, else a dict of numpy arrays; both have ``to_pandas()``. A trade is a round trip
from flat to flat (:mod:`.round_trips`); a position's cost is the average cost of the ledger.
"""

import functools
import html
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import detectors, errors
from tradeplane_engine.core import kernel
from tradeplane_engine.core import log as logs
from tradeplane_engine.data import columns, readers, series
from tradeplane_engine.measures import inputs, periods, registry
from tradeplane_engine.results import benchmark as benchmarks
from tradeplane_engine.results import frames, tables

_NANO = 10**9


class Result:
    """A finished run; what costs time is computed when it is first asked for.

    Attributes
    ----------
    name : of the run
    hash : sha256 over settings and event log, the run's identity
    settings : the canonical settings that are part of the hash
    data : the bars, and what reading them counted
    findings : what the honesty detectors found; None where the run was not examined
    seconds : what reading the data (``prepare``) and the run took
    benchmark : what measures and report compare the run with; None for nothing
    start : instant with which they begin, ns UTC; 0 for that of the first bar
    """

    findings: detectors.Findings | None = None
    seconds: Mapping[str, float] = MappingProxyType({})
    benchmark: benchmarks.Source | None = None
    start: int = 0

    def __init__(self, name: str, run: kernel.Kernel, data: readers.Loaded, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.data = data
        self.settings = dict(settings)
        self.hash: str = run.log.digest(self.settings)
        self._tables = tables.Tables(run, data.series)
        self._ledger = run.account.book.ledger

    @property
    def orders(self) -> Any:
        """Orders in the order of their acceptance."""
        return self.frame("orders")

    @property
    def refused(self) -> Any:
        """Orders that a risk chain did not let out."""
        return self.frame("refused")

    @property
    def fills(self) -> Any:
        """Executions in their order."""
        return self.frame("fills")

    @property
    def trades(self) -> Any:
        """Round trips that ended, in the order of their ends; ``mae`` and ``mfe`` are before fees."""
        return self.frame("trades")

    @property
    def positions(self) -> Any:
        """What each strategy holds at the end, at average cost and at the last close."""
        return self.frame("positions")

    @property
    def equity(self) -> Any:
        """Equity of the account at each instant at which bars became known."""
        return self.frame("equity")

    @property
    def strategies(self) -> Any:
        """Equity of each strategy's sub-ledger at the same instants."""
        return self.frame("strategies")

    @property
    def flagged(self) -> Any:
        """What happened that a reader should know, such as a rename, or a spin-off of a symbol that nobody held."""
        return self.frame("flagged")

    def frame(self, name: str, *, numbers: frames.Numbers = "float") -> Any:
        """Return one of :data:`.tables.FRAMES`; raises ValueRefused.

        Parameters
        ----------
        name : which
        numbers : money, prices and quantities as ``float``, or exactly as ``text`` or ``decimal``
        """
        if name not in tables.FRAMES:
            raise errors.ValueRefused("frame", f"one of {tables.FRAMES}", name)
        if numbers not in frames.NUMBERS:
            raise errors.ValueRefused("numbers", f"one of {frames.NUMBERS}", numbers)
        return frames.frame(frames.arrays(getattr(self._tables, name)(), numbers))

    @property
    def log(self) -> npt.NDArray[np.int64]:
        """Rows of the event log, shape (n, 8); :mod:`tradeplane_engine.core.log` says what they mean."""
        return self._tables.log

    @property
    def names(self) -> list[str]:
        """Names of the strategies, by their numbers in the event log."""
        return list(self._tables.names)

    @property
    def words(self) -> list[str]:
        """Reasons and scopes, by their numbers in the event log."""
        return list(self._tables.run.log.reasons)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of orders, refusals, fills and trades."""
        found = self._tables
        refused = int(np.count_nonzero(found.log[:, 0] == logs.REFUSED))
        return {
            "orders": len(found.run.orders),
            "refused": refused,
            "fills": len(found.executions),
            "trades": len(found.trips),
        }

    @property
    def final_equity(self) -> Decimal:
        """Equity of the account at the last closes, exact, USD."""
        return _usd(self._ledger.equity())

    @property
    def cash(self) -> Decimal:
        """Cash of the account at the end, exact, USD."""
        return _usd(self._ledger.cash)

    @property
    def fees(self) -> Decimal:
        """All fees, exact, USD."""
        return _usd(self._ledger.fees)

    @property
    def profit(self) -> Decimal:
        """Final equity less the starting cash, exact, USD."""
        return _usd(self._ledger.equity() - self._ledger.starting)

    @property
    def detectors_s(self) -> float:
        """Seconds that the honesty detectors took."""
        return 0.0 if self.findings is None else self.findings.detectors_s

    def measures(self, names: Iterable[str] | None = None) -> dict[str, float | None]:
        """Return the named measures, or all of them; what is undefined is None."""
        return registry.compute(self.run, names)

    @functools.cached_property
    def run(self) -> inputs.Run:
        """The run as measures and report see it: equity at the end of each New York day.

        A year has 252 days, or 365 where there are bars on weekends.
        """
        names = self._tables.names
        path = self._curve()
        days = periods.days(path.at)
        several = len(names) > 1
        return inputs.Run(
            curve=days.sampled(path),
            trades=_trades(self._tables),
            fills=_fills(self._tables),
            periods_per_year=days.per_year,
            benchmark=None if self.benchmark is None else self.benchmark.compared(days),
            path=path,
            strategies={name: days.sampled(self._curve(name)) for name in names} if several else {},
            charges={kind: amount / _NANO for kind, amount in self._tables.charges().items()},
        )

    def report(self, path: str | Path) -> Path:
        """Write the report as one HTML file that needs no network, and return its path."""
        from tradeplane_engine.report import page  # noqa: PLC0415 - most runs are never printed

        target = Path(path)
        target.write_text(page.write(self._content), encoding="utf-8")
        return target

    def report_json(self) -> str:
        """Return the report as canonical JSON."""
        from tradeplane_engine.report import document  # noqa: PLC0415 - as above

        return document.write(self._content)

    def save(self, folder: str | Path) -> Path:
        """Write the run into a folder (:mod:`.saved` names the files), and return its path; raises ValueRefused."""
        from tradeplane_engine.results import saved  # noqa: PLC0415 - as above

        return saved.write(self, Path(folder))

    @functools.cached_property
    def _content(self) -> Any:
        """What the report says."""
        from tradeplane_engine.report import content  # noqa: PLC0415 - as above

        rows, symbols = self._tables.run.table.rows, len(self._tables.symbols)
        facts = {"Result": self.hash, "Bars": f"{rows:,}", "Symbols": f"{symbols:,}", **self._counted()}
        return content.build(self.run, content.Options(title=self.name, facts=facts))

    def _counted(self) -> dict[str, str]:
        """What reading the data had to count, where there is any."""
        found = {
            "Bars with a wrong high or low": self.data.high_low_errors,
            "Prices rounded": self.data.rounded_prices,
            "Volumes that are none, taken as 0": self.data.volume_errors,
        }
        return {name: f"{count:,}" for name, count in found.items() if count}

    def _curve(self, strategy: str | None = None) -> inputs.Curve:
        found = self._tables.worth(strategy)
        starting = self._ledger.starting
        if strategy is not None:
            starting = self._tables.run.slots[self._tables.names.index(strategy)].scope.book.ledger.starting
        equity = found.equity / _NANO
        gross, net = (
            np.divide(one / _NANO, equity, out=np.zeros(len(equity)), where=equity > 0)
            for one in (found.gross, found.net)
        )
        whole = inputs.Curve(self._tables.instants().copy(), equity, starting / _NANO, gross=gross, net=net)
        return whole.part(int(np.searchsorted(whole.at, self.start, side="right")), len(whole.at))

    def __repr__(self) -> str:
        equity = frames.plain(self.final_equity)
        return f"Result({self.name}, equity={equity}, fills={self._ledger.fills}, hash={self.hash[:12]})"

    def _repr_html_(self) -> str:
        found, counts = self._tables, self.counts
        rows = {
            "Equity": f"{self.final_equity:,.2f} USD",
            "Profit": f"{self.profit:,.2f} USD",
            "Fees": f"{self.fees:,.2f} USD",
            "Orders, fills, trades": ", ".join(f"{counts[one]:,}" for one in ("orders", "fills", "trades")),
            "Bars, symbols": f"{found.run.table.rows:,}, {len(found.symbols):,}",
            "Result": self.hash[:16],
        }
        rows |= self._counted()
        cells = "".join(f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in rows.items())
        return f"<table><caption>{html.escape(self.name)}</caption>{cells}</table>"


def of(run: kernel.Kernel) -> Result:
    """Return the result of a kernel that others have led, from its own table."""
    made = {}
    for number, symbol in enumerate(run.table.symbols):
        rows = slice(int(run.table.starts[number]), int(run.table.starts[number + 1]))
        bars: dict[str, Any] = {name: column[rows] for name, column in run.table.columns.items()}
        made[symbol] = columns.Imported(series.Series(symbol=symbol, digits=run.table.digits[number], **bars))
    return Result("", run, readers.Loaded(made), {})


def _usd(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-9)


def _trades(found: tables.Tables) -> inputs.Trades:
    columns = frames.arrays(found.trades(), "float")
    columns |= {key: columns[key].view(np.int64) for key in ("entry_at", "exit_at")}
    return inputs.Trades(**columns)


def _fills(found: tables.Tables) -> inputs.Fills:
    columns = frames.arrays(found.fills(), "float")
    del columns["order"]
    spread, slippage = (np.array(one, dtype=np.float64) / _NANO for one in found.paid())
    sides = np.array([1 if one.signed > 0 else -1 for one in found.executions], np.int64)
    columns |= {"at": columns["at"].view(np.int64), "side": sides}
    return inputs.Fills(**columns, spread=spread, slippage=slippage)
