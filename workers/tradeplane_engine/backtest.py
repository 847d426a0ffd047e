"""A backtest of a manifest: its strategy over a dataset, on the core's kernel."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tradeplane_engine import declarative, desk, journal, record, settings
from tradeplane_engine.core import kernel
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor

_Orders = tuple[orders.Order, ...]  # aliases, because a field of Result has the module's name
_Fills = tuple[orders.Fill, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run led to; two runs of the same inputs are equal.

    orders : sent to the market, in the order of sending
    ran : the kernel, for whoever wants more of it: round trips, exposure
    unmatched : client order ids that a session record names and this run did not have open
    dividends_not_paid : what the positions would have received; neither venue nor backtest pays them
    """

    orders: _Orders
    fills: _Fills
    decisions: tuple[journal.Decided, ...]
    rejects: tuple[journal.Reject, ...]
    equity: tuple[desk.EquityPoint, ...]
    expired: tuple[str, ...]
    positions: Mapping[str, numbers.Quantity]
    cash: numbers.Money
    fees: numbers.Money
    realised: numbers.Money
    dividends_not_paid: numbers.Money
    unmatched: tuple[str, ...] = ()
    ran: kernel.Kernel | None = field(default=None, compare=False, repr=False)

    @property
    def order_bytes(self) -> tuple[bytes, ...]:
        """Each order in canonical form, in the order of sending."""
        return tuple(record.canonical_order(order) for order in self.orders)

    @property
    def pnl(self) -> numbers.Money | None:
        """Last equity less the first, which has no position yet; None without any."""
        if not self.equity:
            return None
        return numbers.Money(self.equity[-1].equity - self.equity[0].equity)


def run(
    data: dataset.Dataset,
    strategy: settings.StrategySettings,
    *,
    model: predictor.Predictor,
    account: desk.Account,
    start: times.Nanos,
    end: times.Nanos,
) -> Result:
    """Trade the slices that end in [start, end]; those before warm the features up; trading is enabled throughout.

    The dataset's bars may be shorter than the strategy's: orders fill on the dataset's, decisions come per bar of the
    strategy, which are made from them. Raises ValueRefused where they are longer.
    """
    slices = data.triggers(strategy.symbols, timeframe=strategy.timeframe, session=strategy.session)
    features = sources.precompute(slices, symbols=strategy.symbols, features=strategy.features, start=start)
    traded = slices if data.timeframe == strategy.timeframe else data.slices(strategy.symbols)
    keeper = desk.Desk(
        account,
        [one for one in traded if start <= one.end <= end],
        state=orders.State.ENABLED,
        days=data.trading(),
    )
    keeper.declare(strategy)
    declared = declarative.Declarative(strategy, features=features, model=model)
    for one in slices:
        if start <= one.end <= end:
            keeper.decide(strategy.uid, one, declared.shown(one.bars.values()))
    return result(keeper)


def result(keeper: desk.Desk, *, unmatched: tuple[str, ...] = ()) -> Result:
    """Collect what a desk kept, after checking that its ledgers add up; raises LedgerBroken."""
    keeper.check()
    told = keeper.journal
    return Result(
        orders=tuple(told.orders.values()),
        fills=tuple(told.fills),
        decisions=tuple(told.decided),
        rejects=tuple(told.rejects),
        equity=keeper.equity,
        expired=tuple(told.expired),
        positions=keeper.positions,
        cash=numbers.Money(keeper.ledger.cash),
        fees=numbers.Money(keeper.ledger.fees),
        realised=numbers.Money(keeper.ledger.realised),
        dividends_not_paid=keeper.dividends_not_paid,
        unmatched=unmatched,
        ran=keeper.finished(),
    )
