"""A finished run's columns: orders, refusals, fills, round trips, positions and equity, in exact integers."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core import kernel
from tradeplane_engine.core import log as logs
from tradeplane_engine.core import order as core_orders
from tradeplane_engine.data import series
from tradeplane_engine.domain import numbers
from tradeplane_engine.results import curves, frames, round_trips

FRAMES = ("orders", "refused", "fills", "trades", "positions", "equity", "strategies", "flagged")
_NANO = 10**9
_CHARGES = frozenset({"interest", "borrow", "fees"})

Columns = dict[str, Any]


class Tables:
    """Reads one run; what costs time is read once, when it is first asked for.

    Parameters
    ----------
    run : finished
    data : its series, by symbol id
    """

    def __init__(self, run: kernel.Kernel, data: tuple[series.Series, ...]) -> None:
        self.run = run
        self.symbols: tuple[str, ...] = run.table.symbols
        self.digits = [one.digits for one in data]
        self.units = [10**digits for digits in self.digits]
        self.last = [int(one.close[-1]) if len(one) else 0 for one in data]
        self.names = [slot.name for slot in run.slots]

    @functools.cached_property
    def log(self) -> npt.NDArray[np.int64]:
        """Rows of the event log, shape (n, 8)."""
        return self.run.log.rows()

    @functools.cached_property
    def executions(self) -> list[round_trips.Fill]:
        """Fills in their order."""
        return [one for one in self.moves if isinstance(one, round_trips.Fill)]

    @functools.cached_property
    def trips(self) -> list[round_trips.Trip]:
        """Round trips that ended, in the order of their ends."""
        return round_trips.find(self.moves, self.run.table, self.units)

    @functools.cached_property
    def moves(self) -> list[round_trips.Fill | round_trips.Split]:
        """Fills and splits in their order."""
        early = set(self.run.early)
        found: list[round_trips.Fill | round_trips.Split] = []
        fills = 0
        for row in self.log[np.isin(self.log[:, 0], (logs.FILL, logs.SPLIT))].tolist():
            if row[0] == logs.SPLIT:
                found.append(round_trips.Split(row[1], row[3], row[5], row[6]))
            else:
                _, at, strategy, symbol, order, signed, price, fee = row
                found.append(round_trips.Fill(at, strategy, symbol, order, signed, price, fee, fills in early))
                fills += 1
        return found

    def paid(self) -> tuple[list[int], list[int]]:
        """Money that each fill lost by the spread, and by slippage and impact, against the price that it met."""
        spread, slippage = [0] * len(self.executions), [0] * len(self.executions)
        flow = self.run.flow
        for number, reference in flow.references.items():
            fill = self.executions[number]
            side = 1 if fill.signed > 0 else -1
            lost = side * (fill.price - reference)
            half = 0 if self.run.market.quoted else side * (flow.costs.price(side, reference) - reference)
            part = min(half, lost)
            unit, quantity = self.units[fill.symbol], abs(fill.signed)
            spread[number] = numbers.divide_half_even(part * quantity, unit)
            slippage[number] = numbers.divide_half_even((lost - part) * quantity, unit)
        return spread, slippage

    def charges(self) -> dict[str, int]:
        """Money that belongs to no fill and costs (interest, borrow, what a day's fees are rounded by), by kind."""
        words, found = list(self.run.log.reasons), dict[str, int]()
        for row in self._rows(logs.ENTRY):
            kind = words[row[6]]
            if kind in _CHARGES:
                found[kind] = found.get(kind, 0) - row[5]
        return found

    def flagged(self) -> Columns:
        """What happened to a symbol or to the account that a reader of the result should know."""
        rows, words = self._rows(logs.FLAG), list(self.run.log.reasons)
        return {
            "at": frames.times([row[1] for row in rows]),
            "symbol": frames.text(self.symbols[row[3]] if row[3] >= 0 else "" for row in rows),
            "reason": frames.text(words[row[6]] for row in rows),
        }

    def orders(self) -> Columns:
        """Orders in the order of their acceptance."""
        orders = self.run.orders
        digits = [self.digits[one.symbol] for one in orders]
        average = [numbers.divide_half_even(one.value * _NANO, one.filled) if one.filled else 0 for one in orders]
        return {
            "id": np.array([one.id for one in orders], np.int64),
            "at": frames.times([one.created for one in orders]),
            "strategy": frames.text(self.names[one.strategy] for one in orders),
            "symbol": frames.text(self.symbols[one.symbol] for one in orders),
            "side": _sides([one.side for one in orders]),
            "kind": frames.text(core_orders.KINDS[one.kind] for one in orders),
            "time_in_force": frames.text(core_orders.TIMES_IN_FORCE[one.time_in_force] for one in orders),
            "extended_hours": np.array([one.extended_hours for one in orders], np.bool_),
            "quantity": frames.Scaled([one.quantity for one in orders]),
            "notional": frames.Scaled([one.notional for one in orders]),
            "limit": frames.Scaled([one.limit for one in orders], digits),
            "stop": frames.Scaled([one.stop for one in orders], digits),
            "status": frames.text(core_orders.STATUSES[one.status] for one in orders),
            "filled": frames.Scaled([one.filled for one in orders]),
            "average_price": frames.Scaled(average),
            "reason": frames.text(one.reason for one in orders),
        }

    def refused(self) -> Columns:
        """Orders that a risk chain did not let out."""
        rows = self._rows(logs.REFUSED)
        words = list(self.run.log.reasons)
        return {
            "at": frames.times([row[1] for row in rows]),
            "strategy": frames.text(self.names[row[2]] for row in rows),
            "symbol": frames.text(self.symbols[row[3]] for row in rows),
            "side": _sides([row[5] for row in rows]),
            "quantity": frames.Scaled([abs(row[5]) for row in rows]),
            "reason": frames.text(words[row[6]] for row in rows),
            "scope": frames.text(words[row[7]] for row in rows),
        }

    def fills(self) -> Columns:
        """Executions in their order."""
        fills = self.executions
        return {
            "at": frames.times([one.at for one in fills]),
            "strategy": frames.text(self.names[one.strategy] for one in fills),
            "symbol": frames.text(self.symbols[one.symbol] for one in fills),
            "order": np.array([one.order for one in fills], np.int64),
            "side": _sides([one.signed for one in fills]),
            "quantity": frames.Scaled([abs(one.signed) for one in fills]),
            "price": frames.Scaled([one.price for one in fills], [self.digits[one.symbol] for one in fills]),
            "fee": frames.Scaled([one.fee for one in fills]),
        }

    def trades(self) -> Columns:
        """Round trips that ended; profit after fees, ``mae`` and ``mfe`` before."""
        trips = self.trips
        entries = [numbers.divide_half_even(one.entry_value * _NANO, one.entered) for one in trips]
        exits = [numbers.divide_half_even(one.exit_value * _NANO, one.left) for one in trips]
        return {
            "strategy": frames.text(self.names[one.strategy] for one in trips),
            "symbol": frames.text(self.symbols[one.symbol] for one in trips),
            "side": np.array([one.side for one in trips], np.int64),
            "entry_at": frames.times([one.entry_at for one in trips]),
            "exit_at": frames.times([one.exit_at for one in trips]),
            "quantity": frames.Scaled([one.quantity for one in trips]),
            "entry_price": frames.Scaled(entries),
            "exit_price": frames.Scaled(exits),
            "pnl": frames.Scaled([one.profit for one in trips]),
            "fees": frames.Scaled([one.fees for one in trips]),
            "mae": frames.Scaled([one.worst for one in trips]),
            "mfe": frames.Scaled([one.best for one in trips]),
            "bars": np.array([one.bars for one in trips], np.int64),
        }

    def positions(self) -> Columns:
        """What each strategy holds at the end: average cost, and worth at the symbol's last close."""
        rows = [
            (slot.name, symbol, held, slot.scope.book.ledger.costs[symbol])
            for slot in self.run.slots
            for symbol, held in enumerate(slot.scope.book.ledger.quantities)
            if held
        ]
        worth = [numbers.divide_half_even(self.last[symbol] * held, self.units[symbol]) for _, symbol, held, _ in rows]
        prices = [self.last[symbol] for _, symbol, *_ in rows]
        return {
            "strategy": frames.text(name for name, *_ in rows),
            "symbol": frames.text(self.symbols[symbol] for _, symbol, *_ in rows),
            "quantity": frames.Scaled([held for *_, held, _ in rows]),
            "cost": frames.Scaled([cost for *_, cost in rows]),
            "price": frames.Scaled(prices, [self.digits[symbol] for _, symbol, *_ in rows]),
            "value": frames.Scaled(worth),
            "unrealised": frames.Scaled([value - row[3] for value, row in zip(worth, rows, strict=True)]),
        }

    def instants(self) -> series.IntArray:
        """Instants at which bars became known, ns UTC."""
        found: series.IntArray = self.run.equity_at[: self.run.instants]
        return found

    def equity(self) -> Columns:
        """Equity of the account at each instant."""
        amounts = self.run.equity[: self.run.instants].tolist()
        return {"at": frames.times(self.instants()), "equity": frames.Scaled(amounts)}

    def strategies(self) -> Columns:
        """Equity of each strategy's sub-ledger at the same instants, one strategy after the other."""
        at = self.instants()
        amounts = [amount for name in self.names for amount in self.worth(name).equity.tolist()]
        return {
            "at": frames.times(np.tile(at, len(self.names))),
            "strategy": np.repeat(np.array(self.names, dtype=np.str_), len(at)),
            "equity": frames.Scaled(amounts),
        }

    def worth(self, strategy: str | None = None) -> curves.Worth:
        """Equity and exposure of a strategy's sub-ledger, or of the account, at each instant; raises ValueRefused."""
        number, ledger = -1, self.run.account.book.ledger
        if strategy is not None:
            if strategy not in self.names:
                raise errors.ValueRefused("strategy", f"one of {self.names}", strategy)
            number = self.names.index(strategy)
            ledger = self.run.slots[number].scope.book.ledger
        fills = [one for one in self.moves if isinstance(one, round_trips.Split) or number in {-1, one.strategy}]
        entries = [(row[1], row[5]) for row in self._rows(logs.ENTRY) if number == row[2]]
        moves = curves.Moves(ledger.starting, fills, entries)
        found = curves.worth(moves, self.run.table, self.units, self.instants())
        if strategy is None:  # recorded while the run went
            return curves.Worth(self.run.equity[: self.run.instants], found.gross, found.net)
        return found

    def _rows(self, kind: int) -> list[list[int]]:
        found: list[list[int]] = self.log[self.log[:, 0] == kind].tolist()
        return found


def _sides(signed: list[int]) -> npt.NDArray[np.str_]:
    return frames.text("buy" if one > 0 else "sell" for one in signed)
