"""The report's figures, each recomputed from the ledger's rows and the bars; pure."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tradeplane_cli.demo import facts as f
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.models import ranking
from tradeplane_engine.venue import fees as venue_fees
from tradeplane_engine.venue import profile

MIN_SCORES = 4
_VENUE = profile.named("realistic")


def rank_ics(facts: f.Facts) -> list[float]:
    """Spearman correlation of scores and forward returns across symbols, per session with at least 4 scores."""
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for signal in facts.ledger.signals:
        scores[signal.trigger][signal.symbol] = signal.score
    values = []
    for session in facts.sessions:
        returns = facts.forward_returns.get(session, {})
        symbols = sorted(scores[session].keys() & returns.keys())
        if len(symbols) >= MIN_SCORES:
            own = [scores[session][symbol] for symbol in symbols]
            values.append(ranking.spearman(own, [returns[symbol] for symbol in symbols]))
    return [value for value in values if value is not None]


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error (ddof 1); NaN where undefined."""
    if len(values) < 2:  # noqa: PLR2004 - a standard deviation needs two values
        return (math.nan, math.nan)
    return (statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)))


def order_differences(facts: f.Facts) -> list[str]:
    """Orders that were sent and are at the broker on one side only, or with other fields."""
    ledger = Counter((o.client_order_id, o.symbol, o.side, o.quantity) for o in facts.ledger.orders if o.sent)
    broker = Counter((o.client_order_id, o.symbol, o.side, o.quantity) for o in facts.broker.orders)
    return [f"order {row}" for row in (ledger - broker) + (broker - ledger)]


def fill_differences(facts: f.Facts) -> list[str]:
    """Executions that only one side holds."""
    ledger, broker = Counter(facts.ledger.fills), Counter(facts.broker.fills)
    return [f"fill {row}" for row in (ledger - broker) + (broker - ledger)]


def position_differences(facts: f.Facts) -> list[str]:
    """Symbols whose sum of fills, ledger's position and broker's position are not all the same."""
    of_fills, ledger, broker = positions(facts.ledger.fills), facts.ledger.positions, facts.broker.positions
    return [
        f"position {symbol}: fills {of_fills.get(symbol, 0)}, ledger {ledger.get(symbol, 0)}, "
        f"broker {broker.get(symbol, 0)}"
        for symbol in sorted(of_fills.keys() | ledger.keys() | broker.keys())
        if not of_fills.get(symbol, 0) == ledger.get(symbol, 0) == broker.get(symbol, 0)
    ]


def amounts(facts: f.Facts) -> dict[str, tuple[numbers.Money, numbers.Money, numbers.Money]]:
    """Cash, fees and last equity: recomputed here, the ledger's (which keeps no equity of its own), the broker's."""
    equity = equity_curve(facts)[-1]
    return {
        "cash": (cash(facts), facts.ledger.cash, facts.broker.cash),
        "fees": (fees(facts), facts.ledger.fees, facts.broker.fees),
        "equity": (equity, equity, facts.broker.equity),
    }


def differ(values: Sequence[int]) -> bool:
    """Say whether amounts differ by a cent or more."""
    return max(values) - min(values) >= numbers.ONE_CENT


def ledger_differences(facts: f.Facts) -> int:
    """Count everything in which ledger and broker do not agree."""
    listed = (*order_differences(facts), *fill_differences(facts), *position_differences(facts))
    return len(listed) + sum(differ(values) for values in amounts(facts).values())


def positions(fills: Iterable[f.Fill]) -> dict[str, int]:
    """Signed quantity by symbol, as the sum of fills."""
    sums: Counter[str] = Counter()
    for fill in fills:
        sums[fill.symbol] += orders.Side(fill.side).sign * fill.quantity
    return dict(sums)


def fees(facts: f.Facts) -> numbers.Money:
    """Fees of all fills: per day and kind, rounded up to the cent."""
    return numbers.Money(sum(_fees_by_day(facts.ledger.fills).values()))


def cash(facts: f.Facts) -> numbers.Money:
    """Cash after all fills and fees."""
    spent = sum(_cost(fill) for fill in facts.ledger.fills)
    return numbers.Money(numbers.checked(facts.ledger.starting_cash - spent - fees(facts), "cash"))


def equity_curve(facts: f.Facts) -> list[numbers.Money]:
    """Equity at each session's close: cash after that day's fills and fees, plus positions at the close."""
    by_day: dict[str, list[f.Fill]] = defaultdict(list)
    for fill in facts.ledger.fills:
        by_day[fill.day].append(fill)
    day_fees = _fees_by_day(facts.ledger.fills)
    balance: int = facts.ledger.starting_cash
    held: Counter[str] = Counter()
    last: dict[str, numbers.Price] = {}
    curve = []
    for session in facts.sessions:
        day = session[:10]
        for fill in by_day[day]:
            balance -= _cost(fill)
            held[fill.symbol] += orders.Side(fill.side).sign * fill.quantity
        balance -= day_fees.get(day, 0)
        last.update(facts.closes[session])
        value = sum(numbers.notional(last[symbol], numbers.Quantity(held[symbol])) for symbol in held if held[symbol])
        curve.append(numbers.Money(numbers.checked(balance + value, "equity")))
    return curve


def drawdowns(curve: Sequence[int], start: int) -> list[float]:
    """Fraction below the highest equity so far, the start included; at most 0."""
    peak = start
    result = []
    for value in curve:
        peak = max(peak, value)
        result.append(value / peak - 1)
    return result


def backtest_differences(facts: f.Facts) -> int:
    """Count the positions at which the ledger's sent orders and the backtest's differ, a missing one included."""
    ours = [order.canonical for order in facts.ledger.orders if order.sent]
    theirs = facts.replays.same
    differing = sum(1 for mine, its in zip(ours, theirs, strict=False) if mine != its)
    return differing + abs(len(ours) - len(theirs))


def orders_after_halt(facts: f.Facts) -> int:
    """Orders that the broker received between the answer to the halting patch and the sending of the lift."""
    return sum(1 for r in facts.received if facts.halt.answered_ns < r.received_ns < facts.halt.lift_sent_ns)


def halt_to_last_order_ms(facts: f.Facts) -> float:
    """How long after the answer to the halting patch the last order before the lift arrived; 0 when before it."""
    before_lift = [r.received_ns for r in facts.received if r.received_ns < facts.halt.lift_sent_ns]
    return max(0.0, (max(before_lift) - facts.halt.answered_ns) / 1e6) if before_lift else 0.0


def rejects(facts: f.Facts) -> dict[str, int]:
    """Refused intents by reason."""
    return dict(sorted(Counter(order.reason for order in facts.ledger.orders if order.reason).items()))


def latencies_ms(facts: f.Facts) -> dict[str, list[float]]:
    """Milliseconds from the release of a session's bars to each order's receipt, and the broker's answer time."""
    to_broker, at_broker = [], []
    for received in facts.received:
        trigger = orders.parse_client_order_id(received.client_order_id).trigger
        released = facts.released_ns.get(times.text(trigger))
        if released is not None:
            to_broker.append((received.received_ns - released) / 1e6)
        at_broker.append((received.answered_ns - received.received_ns) / 1e6)
    return {"bar to order at the broker": to_broker, "the broker's answer": at_broker}


def quantiles(values: Sequence[float]) -> Mapping[str, float]:
    """Median, 95th and 99th percentile (nearest rank) and maximum; empty for no values."""
    if not values:
        return {}
    ranked = sorted(values)
    return {
        name: ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)]
        for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def _cost(fill: f.Fill) -> int:
    return orders.Side(fill.side).sign * numbers.notional(fill.price, fill.quantity)


def _fees_by_day(fills: Iterable[f.Fill]) -> dict[str, int]:
    charges: dict[str, list[venue_fees.Charge]] = defaultdict(list)
    for fill in fills:
        charges[fill.day].extend(_VENUE.charges(orders.Side(fill.side), fill.price, fill.quantity, session=fill.day))
    return {day: sum(venue_fees.day_fees(day_charges).values()) for day, day_charges in charges.items()}
