"""Results of configurations: by the kernel where it can express them, by the event engine where it cannot.

1. Rules of one batch become columns of targets together, sharing windows and whatever else they share.
2. Where the target changes there may be an order; the kernel turns those rows into fills and cash.
3. Bounds of that run are held against the limits. Where one could bind, the event engine runs the configuration anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core import kernel, log, risk, sweep_kernel, venue_settings
from tradeplane_engine.core.table import Table
from tradeplane_engine.rules import columns
from tradeplane_engine.rules.function import Function
from tradeplane_engine.rules.rule import Rule
from tradeplane_engine.rules.strategies import ColumnStrategy
from tradeplane_engine.sweep import coded, plain
from tradeplane_engine.sweep.settings import Settings

IntArray = npt.NDArray[np.int64]
Configuration = Rule | Function | coded.Coded

_SHARE = 1_000_000_000
_BATCH = 32  # rules evaluated together: their numbers fit a processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one configuration came to; money is 1e-9 USD.

    Attributes
    ----------
    equity, fees : at the end
    fills, orders, open_orders : counts; an open order is one that was decided on a symbol's last row
    reason : why the event engine ran it, empty where the kernel did
    curve : equity at the ends that were asked for, int64
    """

    equity: int
    fees: int
    fills: int
    orders: int
    open_orders: int
    reason: str
    curve: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Fills of one configuration by symbol and row, as the kernel gives them."""

    rows: IntArray
    shares: IntArray
    flows: IntArray
    fees: IntArray
    held: IntArray
    waiting: IntArray


class Evaluator:
    """One table under one set of settings.

    Parameters
    ----------
    table, settings : the bars and what configurations run under
    ends : instants (ns, ascending) at which equity is wanted, such as session closes
    """

    def __init__(self, table: Table, settings: Settings, ends: IntArray | None = None) -> None:
        if table.base_rows < table.rows:
            raise errors.ValueRefused("data", "with one timeframe per symbol in a sweep", sorted(set(table.labels)))
        self.table = table
        self.settings = settings
        self.costs = settings.costs()
        self.inputs = columns.Inputs(table)
        self.market = plain.market(table)
        self.refused = plain.refuses_table(table, settings)
        self.ends = np.zeros(0, dtype=np.int64) if ends is None else ends
        self._checkpoints = _Checkpoints(table, self.ends)

    def outcomes(self, configurations: Sequence[Configuration]) -> list[Outcome]:
        """Return what each configuration came to, in their order."""
        if self.refused is not None:
            return [self._by_events(one, self.refused) for one in configurations]
        found: list[Outcome] = []
        for start in range(0, len(configurations), _BATCH):
            batch = configurations[start : start + _BATCH]
            rules = [one for one in batch if isinstance(one, Rule)]
            codes = iter(columns.codes(rules, self.inputs))
            for one in batch:
                if isinstance(one, coded.Coded):
                    found.append(self._by_events(one, coded.REASON))
                    continue
                points, targets, first, opening = self._turns(one, next(codes) if isinstance(one, Rule) else None)
                trades = self._trade(points, targets, first, opening)
                found.append(self._outcome(one, trades, _sizes(one, targets, opening)))
        return found

    def event_log(self, configuration: Configuration) -> log.Log:
        """Return the event log of a configuration, the one that the event engine writes."""
        if self.refused is not None or isinstance(configuration, coded.Coded):
            return self._run(configuration).log
        codes = columns.codes([configuration], self.inputs)[0] if isinstance(configuration, Rule) else None
        points, targets, first, opening = self._turns(configuration, codes)
        trades = self._trade(points, targets, first, opening)
        outcome = self._outcome(configuration, trades, _sizes(configuration, targets, opening))
        if outcome.reason:
            return self._run(configuration).log
        return self._written(trades, outcome)

    def _turns(
        self, configuration: Rule | Function, codes: columns.Codes | None
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Rows at which the target changes, the targets from there on, and per symbol the first row and target."""
        starts, stops = self.table.starts[:-1], self.table.starts[1:]
        if isinstance(configuration, Rule) and codes is not None:
            choices = np.array(configuration.choices(), dtype=np.int64)
            points = np.flatnonzero(codes[1:] != codes[:-1]) + 1
            first = self.inputs.first(configuration)
            reached = np.minimum(first, stops - 1)
            opening = choices[codes[np.maximum(reached, 0)]] if len(codes) else np.zeros(len(starts), dtype=np.int64)
            return points, choices[codes[points]], first, opening
        wish = configuration.wish(self.table)  # type: ignore[union-attr]  # the other kind is above
        points = np.flatnonzero(wish[1:] != wish[:-1]) + 1
        opening = wish[np.minimum(starts, len(wish) - 1)] if len(wish) else np.zeros(len(starts), dtype=np.int64)
        return points, wish[points], np.ascontiguousarray(starts), opening

    def _trade(self, points: IntArray, targets: IntArray, first: IntArray, opening: IntArray) -> Trades:
        room = 2 * (len(points) + len(first))
        rows, shares, flows, fees = (np.empty(room, dtype=np.int64) for _ in range(4))
        held, waiting = (np.zeros(len(first), dtype=np.int64) for _ in range(2))
        written = sweep_kernel.Fills(rows.data, shares.data, flows.data, fees.data, held.data, waiting.data)
        opens = self.table.columns["open"].take(points + 1, mode="clip")
        count = sweep_kernel.trade(
            self.table, self.costs, points.data, targets.data, opens.data, first.data, opening.data, written
        )
        return Trades(rows[:count], shares[:count], flows[:count], fees[:count], held, waiting)

    def _outcome(self, configuration: Rule | Function, trades: Trades, sizes: tuple[int, int]) -> Outcome:
        facts = self._facts(trades, *sizes)
        reason = plain.refuses_run(self.settings.limits, facts)
        if reason is not None:
            return self._by_events(configuration, reason)
        waiting = int(np.count_nonzero(trades.waiting))
        worth = sum(
            held * int(self.table.columns["close"][stop - 1]) * (_SHARE // unit)
            for held, stop, unit in zip(
                trades.held.tolist(), self.table.starts[1:].tolist(), self.market.unit, strict=True
            )
            if held
        )
        return Outcome(
            equity=self.settings.cash + int(trades.flows.sum()) + worth,
            fees=int(trades.fees.sum()),
            fills=len(trades.rows),
            orders=len(trades.rows) + waiting,
            open_orders=waiting,
            reason="",
            curve=self.settings.cash + self._checkpoints.equity(trades),
        )

    def _facts(self, trades: Trades, most: int, least: int) -> plain.Facts:
        gross = self.market.worth(most)
        lowest, highest, size = self._flows(trades)
        short = self.market.worth(max(-least, 0))
        return plain.Facts(
            most=most,
            least=least,
            low=self.settings.cash + lowest - short,
            high=self.settings.cash + highest + gross,
            gross=gross,
            single=self.market.largest(most),
            flow=size,
            fills=len(trades.rows),
            symbols=len(self.table.symbols),
            oldest=self.market.oldest,
        )

    def _flows(self, trades: Trades) -> tuple[int, int, int]:
        """Sums over the symbols of the lowest and highest change of cash so far, and a bound of all sizes together."""
        flows = trades.flows
        if not len(flows):
            return 0, 0, 0
        size = len(flows) * max(abs(int(flows.min())), abs(int(flows.max())))
        if size >= 2**62:
            return -size, size, size
        begins = np.searchsorted(trades.rows, self.table.starts[:-1])
        traded = np.flatnonzero(np.diff(np.append(begins, len(flows))))
        begins = begins[traded]
        sums = np.cumsum(flows)
        before = sums[begins] - flows[begins]
        lowest = np.minimum(np.minimum.reduceat(sums, begins) - before, 0)
        highest = np.maximum(np.maximum.reduceat(sums, begins) - before, 0)
        return int(lowest.sum()), int(highest.sum()), size

    def _by_events(self, configuration: Configuration, reason: str) -> Outcome:
        run = self._run(configuration)
        ledger = run.account.book.ledger
        at = np.searchsorted(run.equity_at[: run.instants], self.ends, "right")
        curve = np.concatenate(([self.settings.cash], run.equity[: run.instants]))[at]
        return Outcome(
            equity=ledger.equity(),
            fees=ledger.fees,
            fills=ledger.fills,
            orders=len(run.orders),
            open_orders=sum(not order.ended for order in run.orders),
            reason=reason,
            curve=curve,
        )

    def _run(self, configuration: Configuration) -> kernel.Kernel:
        settings = self.settings
        policy = risk.Policy("sweep", settings.limits)
        venue = venue_settings.Venue(latency=settings.latency)
        run = kernel.Kernel(self.table, self.costs, settings.cash, policy, venue)
        own = configuration.made() if isinstance(configuration, coded.Coded) else ColumnStrategy(configuration)
        run.add("sweep", own, settings.cash, policy)
        run.run()
        return run

    def _written(self, trades: Trades, outcome: Outcome) -> log.Log:
        """Write the log of a kernel's run: orders and fills in the order of the loop."""
        table = self.table
        last = np.flatnonzero(trades.waiting)
        decided = np.concatenate((trades.rows - 1, table.starts[1:][last] - 1))
        shares = np.concatenate((trades.shares, trades.waiting[last]))
        symbols = np.searchsorted(table.starts, decided, "right") - 1
        at = table.columns["available_at"][decided]
        order = np.lexsort((table.rank[symbols], at))
        numbers = np.empty(len(order), dtype=np.int64)
        numbers[order] = np.arange(1, len(order) + 1)
        count = len(trades.rows)
        rows = np.zeros((len(decided) + count, log.WIDTH), dtype=np.int64)
        placed, filled = rows[: len(decided)], rows[len(decided) :]
        placed[:, 0], filled[:, 0] = log.ORDER, log.FILL
        placed[:, 1], filled[:, 1] = at, table.columns["start"][trades.rows]
        placed[:, 3], filled[:, 3] = symbols, symbols[:count]
        placed[:, 4], filled[:, 4] = numbers, numbers[:count]
        placed[:, 5], filled[:, 5] = shares * _SHARE, trades.shares * _SHARE
        filled[:, 6] = self._prices(trades)
        filled[:, 7] = trades.fees
        rows = rows[np.lexsort((rows[:, 4], rows[:, 0] == log.FILL, rows[:, 1]))]
        found = log.Log()
        found.extend(rows)
        known = table.columns["available_at"]
        cash = self.settings.cash + int(trades.flows.sum())
        found.write(log.END, int(known.max()) if len(known) else 0, -1, -1, -1, cash, outcome.equity, outcome.fills)
        return found

    def _prices(self, trades: Trades) -> IntArray:
        opens = self.table.columns["open"][trades.rows]
        if self.costs.spread == 0:
            return opens
        sides = np.sign(trades.shares).tolist()
        priced = [self.costs.price(side, price) for side, price in zip(sides, opens.tolist(), strict=True)]
        return np.array(priced, dtype=np.int64)


class _Checkpoints:
    """Which rows and fills count at each wanted instant: those of the last instant of the equity curve until then."""

    def __init__(self, table: Table, ends: IntArray) -> None:
        known, start = table.columns["available_at"], table.columns["start"]
        parts = list(zip(table.starts[:-1].tolist(), table.starts[1:].tolist(), strict=True))
        last = np.full(len(ends), -1, dtype=np.int64)
        for first, stop in parts:
            seen = np.searchsorted(known[first:stop], ends, "right")
            some = seen > 0
            last[some] = np.maximum(last[some], known[first:stop][seen[some] - 1])
        self.first = table.starts[:-1]
        self.filled = np.zeros((len(parts), len(ends)), dtype=np.int64)  # last row whose open counts
        self.worth = np.zeros((len(parts), len(ends)), dtype=np.int64)  # of one share, money
        for symbol, (first, stop) in enumerate(parts):
            row = first + np.searchsorted(known[first:stop], last, "right") - 1
            following = np.minimum(row + 1, stop - 1)
            started = (row + 1 < stop) & (start[following] < last) if stop > first else np.zeros(len(ends), dtype=bool)
            self.filled[symbol] = row + started
            unit = 10 ** table.digits[symbol]
            close = table.columns["close"][np.maximum(row, 0)] if stop > first else 0
            self.worth[symbol] = np.where(row >= first, close, 0) * (_SHARE // unit)

    def equity(self, trades: Trades) -> IntArray:
        """Change of equity since the start at each wanted instant."""
        if not self.worth.size:
            return np.zeros(self.worth.shape[1], dtype=np.int64)
        flows, shares = (np.concatenate(([0], np.cumsum(part))) for part in (trades.flows, trades.shares))
        begin = np.searchsorted(trades.rows, self.first)[:, None]
        upto = np.searchsorted(trades.rows, self.filled, "right")
        found: IntArray = (flows[upto] - flows[begin] + (shares[upto] - shares[begin]) * self.worth).sum(axis=0)
        return found


def evaluate(
    table: Table, configurations: Sequence[Rule | Function], settings: Settings, ends: IntArray | None = None
) -> list[Outcome]:
    """Return what each configuration came to on a table; see :class:`Evaluator`."""
    return Evaluator(table, settings, ends).outcomes(configurations)


def log_of(table: Table, configuration: Rule | Function, settings: Settings) -> log.Log:
    """Return the event log of one configuration."""
    return Evaluator(table, settings).event_log(configuration)


def _sizes(configuration: Rule | Function, targets: IntArray, opening: IntArray) -> tuple[int, int]:
    """Largest size and smallest signed target of a configuration, shares."""
    if isinstance(configuration, Rule):
        choices = configuration.choices()
    else:
        ends = [(int(part.min()), int(part.max())) for part in (targets, opening) if len(part)]
        choices = [value for pair in ends for value in pair] or [0]
    return max(abs(value) for value in choices), min(choices)
