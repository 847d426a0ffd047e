"""A strategy live, with a backtest's kernel as its broker: the same bars, the same venue, the same log."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from support import engine_runs
from tradeplane_engine import live, settings, strategy
from tradeplane_engine.core import agenda, context, costs, kernel, order, risk, table
from tradeplane_engine.data import series
from tradeplane_engine.domain import bars, numbers, orders, times


class Now:
    """Trading time that a test sets."""

    def __init__(self) -> None:
        self.at = times.Nanos(2**62)

    def now(self) -> times.Nanos:
        """Return it."""
        return self.at


def told(symbols: Sequence[str], timeframe: str = "1m") -> settings.CodeSettings:
    """Return settings of a strategy on some symbols with the made-up runs' capital."""
    return settings.CodeSettings(
        name="cross",
        uid="0a-0b",
        generation=1,
        symbols=tuple(symbols),
        timeframe=timeframe,
        policy="loose",
        limits=engine_runs.LOOSE,
        entrypoint="made:Up",
        capital=numbers.Money(engine_runs.CASH),
    )


def bar(one: table.Bar) -> bars.Bar:
    """Return the message form of a kernel's bar."""
    fields = ("symbol", "start", "end", "available_at", "open", "high", "low", "close", "volume")
    return bars.Bar(**{name: getattr(one, name) for name in fields})


class Venue:
    """Passes everything and says what a test wants.

    trigger : of the decision that wanted what happens
    """

    def __init__(self, trigger: int = 0) -> None:
        self.trigger = times.Nanos(trigger)
        self.decisions: list[orders.Decision] = []
        self.events: list[live.OrderEvent] = []
        self.refusals: list[str] = []
        self.clipped: numbers.Quantity | None = None
        self.decided_before = False

    def submit(self, decision: orders.Decision) -> list[live.Verdict] | None:
        """Keep it."""
        self.decisions.append(decision)
        if self.decided_before:
            return None
        names = (f"{decision.trigger}-{orders.number(decision.part, at)}" for at, _ in enumerate(decision.intents))
        return [
            live.Verdict(name, self.refusals.pop(0), "said")
            if self.refusals
            else live.Verdict(name, quantity=self.clipped)
            for name in names
        ]

    def order_events(self, after: int) -> list[live.OrderEvent]:
        """Return what a test put there."""
        return [event for event in self.events if event.sequence > after]

    def happen(self, event: live.Happened, client_order_id: str, **changed: Any) -> None:
        """Put an event of an order to buy ten at the end."""
        told = {
            "symbol": "A",
            "side": orders.Side.BUY,
            "quantity": numbers.quantity("10"),
            "trigger": self.trigger,
            "at": times.Nanos(self.trigger + 1),
        }
        self.events.append(
            live.OrderEvent(len(self.events) + 1, event, client_order_id, **(told | changed))  # type: ignore[arg-type]
        )


class Broker(strategy.Strategy):
    """Sits in a kernel: hands its bars to a live strategy, and that one's decisions to the kernel.

    What the kernel says of orders it says on at once, and it wakes for the live strategy's timers.

    hosted : the strategy that is live
    symbols : universe
    warm : instants whose bars are history
    """

    def __init__(self, hosted: strategy.Strategy, symbols: Sequence[str], *, warm: int = 0) -> None:
        super().__init__()
        self.hosted = hosted
        self.symbols = sorted(symbols)
        self.decisions: list[orders.Decision] = []
        self.equities: list[tuple[int, int]] = []
        self.left = warm
        self.events: list[live.OrderEvent] = []
        self.mine: dict[int, str] = {}
        self.sent: dict[str, order.Order] = {}
        self.now = Now()
        self.wakes: set[int] = set()
        self.submitted: list[int] = []
        self.is_submitting = False

    def on_start(self, ctx: context.Context) -> None:
        """Start the live strategy."""
        self.ctx = ctx
        self.host = live.Host(told(self.symbols), self.hosted, self, self.now)

    def on_bars(self, ctx: context.Context, bars_: table.Bars) -> None:
        """Show them, as history first."""
        one = bars.BarSlice("1m", times.Nanos(bars_[0].end), {each.symbol: bar(each) for each in bars_})
        if self.left:
            self.left -= 1
            self.host.warm([one])
            return
        self.now.at = times.Nanos(ctx.now)
        self.host.step(one)
        self.equities.append((ctx.equity, self.host.equity))
        self.go_on(ctx)

    def on_timer(self, ctx: context.Context, name: str) -> None:  # noqa: ARG002 - a hook
        """Wake the live strategy."""
        self.go_on(ctx)

    def go_on(self, ctx: context.Context) -> None:
        """Let the live strategy hear, and its timers ring, up to now."""
        self.now.at = times.Nanos(ctx.now)
        self.host.idle()
        at = self.host._core.agenda.next_at
        if at != agenda.NEVER and at not in self.wakes:
            self.wakes.add(at)
            ctx.timer(at)

    def on_stop(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Stop it."""
        self.host.stop()

    def submit(self, decision: orders.Decision) -> list[live.Verdict]:
        """Send the cancels and the intents to the kernel."""
        self.decisions.append(decision)
        self.submitted.append(self.ctx.now)
        self.is_submitting = True
        for name in decision.cancels:
            self.ctx.cancel(self.sent[name])
        found = []
        for intent in decision.intents:
            sent = live.want(self.ctx, intent)
            number = orders.number(decision.part, intent.number)
            key = orders.OrderKey("made", "0a0b", decision.trigger, intent.symbol, number=number)
            found.append(live.Verdict(orders.client_order_id(key)))
            self.mine[id(sent)] = found[-1].client_order_id
            self.sent[found[-1].client_order_id] = sent
        self.is_submitting = False
        return found

    def order_events(self, after: int) -> list[live.OrderEvent]:
        """Return what the kernel has said."""
        return [event for event in self.events if event.sequence > after]

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Say fills and ends on."""
        happened = live.Happened.FILL if update.quantity else live.Happened.ENDED
        if update.event == "new":
            return
        name = self.symbols[update.order.symbol]
        self.events.append(
            live.OrderEvent(
                sequence=len(self.events) + 1,
                event=happened,
                client_order_id=self.mine[id(update.order)],
                symbol=name,
                side=orders.Side.BUY if update.order.side > 0 else orders.Side.SELL,
                quantity=numbers.Quantity(update.order.quantity),
                trigger=times.Nanos(update.order.created),
                at=times.Nanos(ctx.now),
                executed=numbers.Quantity(update.quantity),
                price=numbers.Price(update.price),
                fee=numbers.Money(update.fee),
                status=order.STATUSES[update.order.status],
                reason=update.reason,
            )
        )
        if not self.is_submitting:
            self.go_on(ctx)


def run(data: list[series.Series], trader: strategy.Strategy, **given: Any) -> kernel.Kernel:
    """Run one strategy in a kernel."""
    policy = risk.Policy("loose", engine_runs.LOOSE)
    fees = costs.Costs(half_spread_bps=Fraction(1), commission_bps=Fraction(1))
    found = kernel.Kernel(table.Table(data), fees, engine_runs.CASH, policy, **given)
    found.add("cross", trader, engine_runs.CASH, policy)
    found.run()
    return found


def through_broker(data: list[series.Series], hosted: strategy.Strategy, **given: Any) -> tuple[kernel.Kernel, Broker]:
    """Run a strategy live on the same bars."""
    broker = Broker(hosted, [one.symbol for one in data], **given)
    return run(data, broker), broker
