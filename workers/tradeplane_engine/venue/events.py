"""Corporate actions as events of a run: each acts on ledgers and open orders before the bars of its instant open."""

from collections.abc import Iterable
from dataclasses import dataclass

from tradeplane_engine import errors
from tradeplane_engine.core import actions as books
from tradeplane_engine.core import agenda, kernel, log
from tradeplane_engine.domain import times
from tradeplane_engine.venue import actions

# Of one instant and symbol: a dividend is on the share basis after a split.
_SEQUENCE = (actions.Rename, actions.Split, actions.Other, actions.Dividend, actions.Delisting)


@dataclass(frozen=True, slots=True)
class Renamed:
    """A symbol that has another name from now on; its bars are one series."""

    symbol: int

    def act(self, run: kernel.Kernel) -> None:
        """Flag it, and cancel the orders that the broker does not take over."""
        run.log.write(log.FLAG, run.now, -1, self.symbol, -1, 0, run.log.reason("renamed"), 0)
        if run.flow.rules is not None:
            books.cancel(run.flow, self.symbol)


@dataclass(frozen=True, slots=True)
class Restated:
    """A split in a run."""

    symbol: str
    new: int
    old: int

    def act(self, run: kernel.Kernel) -> None:
        """Let it act on what is held and open now."""
        run.split(self.symbol, self.new, self.old)


@dataclass(frozen=True, slots=True)
class ExDate:
    """The begin of a dividend's ex-date: who holds now is owed it."""

    symbol: int
    per_share: int
    pay_at: int

    def act(self, run: kernel.Kernel) -> None:
        """Note what is owed, or pay it at once; one that is paid after the last bar is flagged."""
        payment = Payment(self.symbol, tuple(books.owed(run.flow, self.symbol, self.per_share)))
        if self.pay_at > run.now:
            run.agenda.add(self.pay_at, agenda.ACTION, payment)
            if any(payment.amounts) and self.pay_at > run.equity_at[-1]:
                run.log.write(log.FLAG, run.now, -1, self.symbol, -1, 0, run.log.reason("dividend-unpaid"), 0)
        else:
            payment.act(run)


@dataclass(frozen=True, slots=True)
class Payment:
    """A dividend on its pay date: what each strategy, by number, was owed on the ex-date."""

    symbol: int
    amounts: tuple[int, ...]

    def act(self, run: kernel.Kernel) -> None:
        """Book it."""
        books.pay(run.flow, self.symbol, list(self.amounts), "dividend")


@dataclass(frozen=True, slots=True)
class End:
    """A delisting in a run, at a price in the symbol's units."""

    symbol: int
    price: int

    def act(self, run: kernel.Kernel) -> None:
        """End what is held and open now."""
        books.delist(run.flow, self.symbol, self.price)


@dataclass(frozen=True, slots=True)
class Unknown:
    """An action that is not modelled."""

    symbol: int
    kind: str

    def act(self, run: kernel.Kernel) -> None:
        """Flag it; raises DataRefused where somebody has a part in it, who would hold the wrong shares from now on."""
        reason = self.kind.replace("_", "-")
        if books.touches(run.flow, self.symbol):
            name, at = run.table.symbols[self.symbol], times.text(times.Nanos(run.now))
            raise errors.DataRefused(reason, f"{name} at {at}: held or ordered, and a {reason} is not modelled")
        run.log.write(log.FLAG, run.now, -1, self.symbol, -1, 0, run.log.reason(reason), 0)


Event = Renamed | Restated | ExDate | End | Unknown


def schedule(run: kernel.Kernel, happening: Iterable[actions.Action]) -> None:
    """Put actions of the run's symbols on its agenda; raises ValueRefused naming the action and what is wrong with it.

    A renamed symbol has its new name from the first bar on (:func:`tradeplane_engine.data.renames.joined`). One that is
    given twice would act twice.
    """
    known = set()
    for action in sorted(happening, key=lambda one: (one.at, one.symbol, _SEQUENCE.index(type(one)))):
        if action in known:
            raise errors.ValueRefused("actions", "each given once", action)
        known.add(action)
        name = action.to if isinstance(action, actions.Rename) else action.symbol
        if name not in run.table.ids:
            raise errors.ValueRefused("action.symbol", "a symbol of the data", name)
        run.agenda.add(action.at, agenda.ACTION, _event(run, action, run.table.ids[name]))


def _event(run: kernel.Kernel, action: actions.Action, symbol: int) -> Event:
    if isinstance(action, actions.Rename):
        return Renamed(symbol)
    if isinstance(action, actions.Split):
        return Restated(action.symbol, action.new, action.old)
    if isinstance(action, actions.Dividend):
        return ExDate(symbol, action.per_share, action.pay_at)
    if isinstance(action, actions.Delisting):
        return End(symbol, _price(action, run.table.digits[symbol]))
    return Unknown(symbol, action.kind)


def _price(action: actions.Delisting, digits: int) -> int:
    per_share: int = action.per_share
    price, finer = divmod(per_share * int(10**digits), 10**9)
    if finer:
        raise errors.ValueRefused(f"delisting of {action.symbol}", f"at most {digits} decimals", action.per_share)
    return price
