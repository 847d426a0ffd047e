"""What happened in a run, in words, one line an event: what a person compares when a golden scenario changes."""

from collections.abc import Iterator
from typing import Any

from support.scenarios import making
from tradeplane_engine import simulation
from tradeplane_engine.core import log, order, risk
from tradeplane_engine.domain import times
from tradeplane_engine.results import result

_NANO = 9


def told(case: making.Case) -> tuple[str, list[str]]:
    """Run a case; return its hash and its events in words."""
    prepared = case.prepare()
    found = prepared.run()
    lines = [*_Words(prepared).events(found), *_Words(prepared).ends(found)]
    if case.backtest.examine:
        answer = prepared.examine(audit=case.audit)
        lines += [f"found by {one.detector}: {one.sentence}" for one in answer.found]
        lines += [f"not examined: {note}" for note in answer.notes]
        lines += ["honest"] * answer.honest
    return found.hash, lines


class _Words:
    """Names of a run's symbols, strategies and reasons."""

    def __init__(self, prepared: simulation.Prepared) -> None:
        run = prepared.kernel
        self.run = run
        self.symbols = run.table.symbols
        self.digits = run.table.digits
        self.names = [slot.name for slot in run.slots]
        self.several = len(self.names) > 1

    def events(self, found: result.Result) -> Iterator[str]:
        """Each row of the log but the last, which says how it ended."""
        for row in found.log.tolist():
            if row[0] != log.END:
                who = f"{self.names[row[2]]}: " if row[2] >= 0 and (self.several or row[0] == log.STATE) else ""
                yield f"{times.text(row[1])} {who}{self._event(*row)}"

    def _event(  # noqa: PLR0911 - one return a kind of row reads best
        self, kind: int, at: int, strategy: int, symbol: int, number: int, *cells: int
    ) -> str:
        del at
        reasons = list(self.run.log.reasons)
        a, b, c = cells
        if kind == log.ORDER:
            return self._order(symbol, number, a, b, c)
        if kind == log.REFUSED:
            return f"refused {self._size(symbol, a)} by {reasons[c]}: {reasons[b]}"
        if kind == log.FILL and number < 0:
            return f"delisting, {self._size(symbol, a)} at {self._price(symbol, b)}"
        if kind == log.FILL:
            return f"fill of {number}, {self._size(symbol, a)} at {self._price(symbol, b)}, fee {scaled(c)}"
        if kind == log.STATUS:
            reason = f" ({reasons[b]})" if b else ""
            return f"{number} is {order.STATUSES[a]}{reason}" + (f", with {c}" if c else "")
        if kind == log.ENTRY:
            return f"{reasons[b]} of {scaled(a)} USD for {self.symbols[symbol] if symbol >= 0 else 'the account'}"
        if kind == log.SPLIT:
            return f"split of {self.symbols[symbol]}, {a} for {b}"
        if kind == log.STATE:
            return f"{'account: ' if strategy < 0 else ''}state {risk.STATES[a]} ({reasons[b]})"
        return f"kind {kind} of order {number}: {a} {b} {c}"

    def ends(self, found: result.Result) -> Iterator[str]:
        """What is open and held at the end, and what it is worth."""
        for one in self.run.open_orders:
            left = scaled(one.quantity - one.filled)
            yield f"open at the end: {one.id}, {order.STATUSES[one.status]}, {left} {self.symbols[one.symbol]}"
        for slot in self.run.slots:
            ledger = slot.scope.book.ledger
            who = f"{slot.name} " if self.several else ""
            for symbol, held in enumerate(ledger.quantities):
                if held:
                    yield f"{who}holds {scaled(held)} {self.symbols[symbol]} that cost {scaled(ledger.costs[symbol])}"
            if self.several:
                yield f"{who}has equity {scaled(ledger.equity())}"
        yield f"cash {found.cash.normalize():f}, equity {found.final_equity.normalize():f}, fees {scaled(self._fees())}"

    def _fees(self) -> int:
        fees: int = self.run.account.book.ledger.fees
        return fees

    def _order(self, symbol: int, number: int, signed: int, price: int, kind: int) -> str:
        name, time_in_force = order.KINDS[kind % 100 // 10], order.TIMES_IN_FORCE[kind % 10]
        if kind >= 1000:
            name = f"{name} for {scaled(self.run.orders[number - 1].notional)} USD"
        at = f" at {self._price(symbol, price)}" if price else ""
        return f"order {number}, {self._size(symbol, signed)} {name}{at} {time_in_force}"

    def _size(self, symbol: int, signed: int) -> str:
        return f"{'buy' if signed > 0 else 'sell'} {scaled(abs(signed))} {self.symbols[symbol]}"

    def _price(self, symbol: int, units: int) -> str:
        return scaled(units, self.digits[symbol])


def scaled(value: int, digits: int = _NANO) -> str:
    """Decimal text of a scaled integer, without zeros at its end."""
    whole, part = divmod(abs(value), 10**digits)
    text = f"{whole}.{part:0{digits}}".rstrip("0").rstrip(".") if digits else str(whole)
    return f"-{text}" if value < 0 else text


def first_difference(old: list[str], new: list[str]) -> Any:
    """Return (line number from 1, old, new) of the first line that differs; None for none."""
    for number, (before, after) in enumerate(zip(old, new, strict=False), start=1):
        if before != after:
            return number, before, after
    if len(old) == len(new):
        return None
    number = min(len(old), len(new)) + 1
    return number, *(lines[number - 1] if len(lines) >= number else "nothing more" for lines in (old, new))
