"""A backtest: the loop over a dataset, behind the same gate as in live, on the venue's market model."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from tradeplane_engine import desk, execution, loop, record, settings
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor

_Orders = tuple[orders.Order, ...]  # aliases, because a field of Result has the module's name
_AVAILABLE = attrgetter("available_at")
_Fills = tuple[orders.Fill, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """An intent that the gate refused."""

    uid: str
    trigger: times.Nanos
    symbol: str
    scope: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a run led to; two runs of the same inputs are equal.

    orders : sent to the market, in the order of sending
    unmatched : client order ids that a session record names and this run did not have open
    dividends_not_paid : what the positions would have received; neither venue nor backtest pays them
    """

    orders: _Orders
    fills: _Fills
    decisions: tuple[desk.Decided, ...]
    rejects: tuple[Reject, ...]
    equity: tuple[desk.EquityPoint, ...]
    expired: tuple[str, ...]
    positions: Mapping[str, numbers.Quantity]
    cash: numbers.Money
    fees: numbers.Money
    realised: numbers.Money
    dividends_not_paid: numbers.Money
    unmatched: tuple[str, ...] = ()

    @property
    def order_bytes(self) -> tuple[bytes, ...]:
        """Each order in canonical form, in the order of sending."""
        return tuple(record.canonical_order(order) for order in self.orders)

    @property
    def pnl(self) -> numbers.Money | None:
        """Last equity less the first, which has no position yet; None where the last is unknown."""
        if not self.equity or self.equity[-1].equity is None or self.equity[0].equity is None:
            return None
        return numbers.Money(self.equity[-1].equity - self.equity[0].equity)


@dataclass(slots=True)
class SessionClock:
    """Trading time of a backtest: the instant from which the last slice was known."""

    at: times.Nanos = field(default=times.Nanos(0))

    def now(self) -> times.Nanos:
        """Return the current trading time."""
        return self.at

    def close(self, one: bars.BarSlice) -> None:
        """Move to the instant from which every bar of the slice is known."""
        known = max(map(_AVAILABLE, one.bars.values()), default=one.end)
        self.at = max(self.at, known, one.end)


@dataclass(frozen=True, slots=True)
class StrategyVenue:
    """One strategy's view of the desk."""

    desk: desk.Desk
    uid: str

    def book(self) -> Mapping[str, execution.Holding]:
        """Return position and working orders per symbol."""
        return self.desk.holdings(self.uid)

    def submit(self, decision: orders.Decision) -> None:
        """Hand over the decision."""
        self.desk.decide(self.uid, decision)


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
    keeper = desk.Desk(account, state=orders.State.ENABLED, days=data.trading())
    keeper.declare(strategy)
    clock = SessionClock()
    ports = loop.Ports(features=features, predictor=model, venue=StrategyVenue(keeper, strategy.uid), clock=clock)
    looped = loop.Loop(strategy, ports)
    traded = slices if data.timeframe == strategy.timeframe else data.slices(strategy.symbols)
    ahead = deque(one for one in traded if start <= one.end <= end)
    for one in slices:
        if start <= one.end <= end:
            while ahead and ahead[0].end <= one.end:
                keeper.open_session(ahead.popleft())
            keeper.quote(one)
            clock.close(one)
            looped.step(one)
    return result(keeper)


def result(keeper: desk.Desk, *, unmatched: tuple[str, ...] = ()) -> Result:
    """Collect what a desk kept, after checking that its ledgers add up; raises LedgerBroken."""
    keeper.check()
    rejects = tuple(
        Reject(
            uid=decided.uid,
            trigger=decided.decision.trigger,
            symbol=verdict.intent.symbol,
            scope=verdict.scope,
            reason=verdict.reason,
            detail=verdict.detail,
        )
        for decided in keeper.decided
        for verdict in decided.verdicts
        if not verdict.accepted
    )
    return Result(
        orders=tuple(keeper.orders.values()),
        fills=tuple(keeper.fills),
        decisions=tuple(keeper.decided),
        rejects=rejects,
        equity=tuple(keeper.equity),
        expired=tuple(keeper.expired),
        positions=keeper.ledger.quantities,
        cash=keeper.ledger.cash,
        fees=keeper.ledger.fees_booked,
        realised=keeper.ledger.realised,
        dividends_not_paid=keeper.dividends_not_paid,
        unmatched=unmatched,
    )
