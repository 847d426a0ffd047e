"""Corporate actions as events of a run: each acts on ledgers and open orders before the bars of its instant open."""

from collections.abc import Iterable
from dataclasses import dataclass

from tradeplane_engine import errors
from tradeplane_engine.core import actions as books
from tradeplane_engine.core import agenda, kernel
from tradeplane_engine.venue import actions


@dataclass(frozen=True, slots=True)
class Happening:
    """One action in a run."""

    action: actions.Action

    def act(self, run: kernel.Kernel) -> None:
        """Let it act on what is held and open now."""
        action = self.action
        symbol = run.table.ids[action.symbol]
        if isinstance(action, actions.Split):
            run.split(action.symbol, action.new, action.old)
        elif isinstance(action, actions.Dividend):
            amounts = books.owed(run.flow, symbol, action.per_share)
            payment = Payment(symbol, tuple(amounts))
            if action.pay_at > action.at:
                run.agenda.add(action.pay_at, agenda.ACTION, payment)
            else:
                payment.act(run)
        elif isinstance(action, actions.Delisting):
            books.delist(run.flow, symbol, _price(action, run.table.digits[symbol]))


@dataclass(frozen=True, slots=True)
class Payment:
    """A dividend on its pay date: what each strategy, by number, was owed on the ex-date."""

    symbol: int
    amounts: tuple[int, ...]

    def act(self, run: kernel.Kernel) -> None:
        """Book it."""
        books.pay(run.flow, self.symbol, list(self.amounts), "dividend")


def schedule(run: kernel.Kernel, happening: Iterable[actions.Action]) -> None:
    """Put actions of the run's symbols on its agenda; raises ValueRefused, and DataRefused for what a run cannot do."""
    for action in happening:
        if action.symbol not in run.table.ids:
            raise errors.ValueRefused("action.symbol", "a symbol of the data", action.symbol)
        if isinstance(action, actions.Rename):
            raise errors.DataRefused("rename", f"{action.symbol}: give both names' bars as one series, under one name")
        run.agenda.add(action.at, agenda.ACTION, Happening(action))


def _price(action: actions.Delisting, digits: int) -> int:
    per_share: int = action.per_share
    price, finer = divmod(per_share * int(10**digits), 10**9)
    if finer:
        raise errors.ValueRefused(f"delisting of {action.symbol}", f"at most {digits} decimals", action.per_share)
    return price
