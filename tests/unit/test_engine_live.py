"""A strategy's class decides live what it decides in a backtest, to the last bit; what cannot leave is refused."""

import random
from typing import Any

import pytest

from support import engine_runs, honest_strategies, live_runs
from tradeplane_engine import errors, live, strategy
from tradeplane_engine.core import context, kernel, table
from tradeplane_engine.core import live as core_live
from tradeplane_engine.data import series
from tradeplane_engine.domain import bars, numbers, orders, times

REFUSED = {"Brackets": "bracket", "CleansUp": "on_stop"}
SAME = [name for name in honest_strategies.MAKERS if name not in REFUSED]


def walks(rows: int = 400, *, gaps: bool = True) -> list[series.Series]:
    """Three symbols whose minutes differ."""
    return [engine_runs.walk(name, rows + 50 * at, seed=40 + at, gaps=gaps) for at, name in enumerate("ABC")]


@pytest.mark.parametrize("name", [*SAME, "Cross"])
def test_live_gives_the_backtests_orders_fills_and_equity(name: str) -> None:
    """Bar by bar, with the kernel as broker, the log of the run is the backtest's, and so is the equity at each bar."""
    make = engine_runs.Cross if name == "Cross" else honest_strategies.MAKERS[name]
    tested = live_runs.run(walks(), make())
    lived, broker = live_runs.through_broker(walks(), make())
    assert len(tested.orders) > 0
    assert lived.log.rows().tolist() == tested.log.rows().tolist()
    assert all(account == own for account, own in broker.equities)
    keys = [(one.trigger, one.part) for one in broker.decisions]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("name, field", REFUSED.items())
def test_what_cannot_leave_is_refused_by_name(name: str, field: str) -> None:
    """At the call, so that the strategy's author sees the line."""
    with pytest.raises(errors.ValueRefused, match=field):
        live_runs.through_broker(walks(), honest_strategies.MAKERS[name]())


def test_a_table_that_grows_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever room there is at first, decisions are the same, and a bar that was kept keeps its values."""

    class Keeps(engine_runs.Cross):
        def __init__(self) -> None:
            super().__init__()
            self.kept: list[tuple[table.Bar, int, int]] = []

        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
            super().on_bar(ctx, bar)
            self.kept.append((bar, bar.close, bar.end))

    tested = live_runs.run(walks(), Keeps())
    monkeypatch.setattr(core_live, "_ROOM", 3)
    hosted = Keeps()
    lived, _ = live_runs.through_broker(walks(), hosted)
    assert lived.log.rows().tolist() == tested.log.rows().tolist()
    assert hosted.kept
    assert all((bar.close, bar.end) == (close, end) for bar, close, end in hosted.kept)


@pytest.mark.parametrize("name", ["sma", "highest", "linearreg", "hma", "weighted", "median", "Bands", "Volumes"])
def test_a_warm_up_stands_for_the_bars_before(name: str) -> None:
    """With as many bars of history as it asks for, indicators are what they are with all of them."""
    data = walks(300, gaps=False)
    make = honest_strategies.MAKERS[name]
    warm = 150
    whole, all_of_it = live_runs.through_broker(data, make(), warm=warm)
    _, broker = live_runs.through_broker(data, make())
    reach = broker.host.warm_up
    cut = [cut_off(one, warm - reach) for one in data]
    assert 0 < reach < warm
    later, some_of_it = live_runs.through_broker(cut, make(), warm=reach)
    assert all_of_it.decisions == some_of_it.decisions
    assert len(whole.orders) == len(later.orders) > 0


def cut_off(one: series.Series, rows: int) -> series.Series:
    """Return a series without its first rows."""
    names = ("start", "end", "available_at", "open", "high", "low", "close", "volume")
    return series.Series(one.symbol, *(getattr(one, name)[rows:].copy() for name in names))


END = times.Nanos(engine_runs.START)


def minute(number: int, symbols: str = "A", **changed: Any) -> bars.BarSlice:
    """Return a minute's slice; prices are those of one bar."""
    end = times.Nanos(END + number * engine_runs.MINUTE)
    price = numbers.price("100")
    one = {"open": price, "high": price, "low": price, "close": price, "volume": 5, "available_at": end} | changed
    start = times.Nanos(end - engine_runs.MINUTE)
    return bars.BarSlice("1m", end, {name: bars.Bar(name, start, end, **one) for name in symbols})


class Tells(strategy.Strategy):
    """Wants ten shares from the first bar on, and keeps what it is told."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Begin."""
        self.said: list[tuple[str, str, int]] = []
        self.shown: list[tuple[int, int]] = []

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Want them."""
        self.shown.append((bar.end, ctx.position(bar.symbol)))
        ctx.target(bar.symbol, shares=10)

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Keep it, with the instant that the context gives."""
        assert ctx.now == update.at
        self.said.append((update.event, update.reason, update.order.filled // 10**9))


def hosted(
    one: strategy.Strategy, *, symbols: str = "A", now: live_runs.Now | None = None
) -> tuple[live.Host, live_runs.Venue]:
    """Return a strategy that is live, and its venue."""
    venue = live_runs.Venue(END)
    return live.Host(live_runs.told(symbols), one, venue, now or live_runs.Now(), "sha256:code"), venue


def test_every_trigger_has_one_decision_with_the_codes_digest() -> None:
    """It names its orders once; wanting the same again orders nothing, while one is on its way."""
    host, venue = hosted(Tells())
    for number in range(3):
        host.step(minute(number))
    assert [(one.outcome.value, len(one.intents), one.model_digest) for one in venue.decisions] == [
        ("traded", 1, "sha256:code"),
        ("traded", 0, "sha256:code"),
        ("traded", 0, "sha256:code"),
    ]


def test_a_strategy_hears_what_becomes_of_its_orders() -> None:
    """New with the verdict; parts, fill and cash with the ledger's word, in its order."""
    told = Tells()
    host, venue = hosted(told)
    host.step(minute(0))
    first = f"{END}-0"
    venue.happen(live.Happened.SENT, first)
    half = {"executed": numbers.quantity("4"), "price": numbers.price("100.5"), "fee": numbers.money("0.25")}
    venue.happen(live.Happened.FILL, first, **half)
    host.step(minute(1))
    venue.happen(live.Happened.FILL, first, **half | {"executed": numbers.quantity("6")})
    host.idle()
    assert told.said == [("new", "", 0), ("partial_fill", "", 4), ("fill", "", 10)]
    assert told.shown == [(END, 0), (END + engine_runs.MINUTE, 4 * 10**9)]
    assert host.equity == engine_runs.CASH - 5 * 10**9 - 5 * 10**8
    host.idle()
    assert len(told.said) == 3


def test_a_refused_order_and_one_that_ends_are_wanted_again() -> None:
    """What the gate refused, and what the broker ended, does not count as working."""
    told = Tells()
    host, venue = hosted(told)
    venue.refusals = ["order-notional"]
    host.step(minute(0))
    host.step(minute(1))
    venue.happen(live.Happened.ENDED, f"{END + engine_runs.MINUTE}-0", status="expired", reason="")
    host.step(minute(2))
    assert [len(one.intents) for one in venue.decisions] == [1, 1, 1]
    assert told.said == [("refused", "said", 0), ("new", "", 0), ("expired", "", 0), ("new", "", 0)]


def test_what_the_gate_made_smaller_works_as_such() -> None:
    """The strategy wants the rest again."""
    told = Tells()
    host, venue = hosted(told)
    venue.clipped = numbers.quantity("7")
    host.step(minute(0))
    venue.clipped = None
    host.step(minute(1))
    assert [one.intents[0].quantity for one in venue.decisions] == [numbers.quantity("10"), numbers.quantity("3")]
    assert told.said == [("new", "", 0), ("new", "", 0)]


def test_a_fill_after_the_end_is_booked() -> None:
    """A broker's late execution moves the position and nothing that works."""
    told = Tells()
    host, venue = hosted(told)
    host.step(minute(0))
    venue.happen(live.Happened.ENDED, f"{END}-0", status="canceled", reason="")
    late = {"executed": numbers.quantity("4"), "price": numbers.price("100"), "fee": numbers.money("0")}
    venue.happen(live.Happened.FILL, f"{END}-0", **late)
    host.step(minute(1))
    (intent,) = venue.decisions[-1].intents
    assert intent.quantity == numbers.quantity("6")
    assert told.shown[-1] == (END + engine_runs.MINUTE, 4 * 10**9)


def test_a_new_process_knows_what_the_one_before_has_traded() -> None:
    """Fills and open orders of earlier attempts count, and are not told."""
    told = Tells()
    host, venue = hosted(told)
    done = {"executed": numbers.quantity("3"), "price": numbers.price("90"), "fee": numbers.money("1")}
    venue.happen(live.Happened.SENT, "a", quantity=numbers.quantity("3"))
    venue.happen(live.Happened.FILL, "a", quantity=numbers.quantity("3"), **done)
    venue.happen(live.Happened.SENT, "b", quantity=numbers.quantity("5"))
    venue.happen(live.Happened.SENT, "gone", symbol="ZZZ")
    host.warm([minute(0)])
    host.step(minute(1))
    (intent,) = venue.decisions[-1].intents
    assert intent.quantity == numbers.quantity("2")
    assert told.said == [("new", "", 0)]
    assert host.equity == engine_runs.CASH + 3 * 10 * 10**9 - 10**9


def test_history_and_missed_bars_are_taken_in_and_not_shown() -> None:
    """They fill history; a missed trigger is recorded as such."""

    class Reads(Tells):
        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
            self.rows = len(ctx.history(bar.symbol, 10))
            super().on_bar(ctx, bar)

    told = Reads()
    host, venue = hosted(told)
    host.warm([minute(0), minute(1)])
    missed = minute(2)
    host.missed(missed.end, detail="late", one=missed)
    host.missed(minute(3).end, detail="no bars")
    host.step(minute(4))
    assert told.rows == 4
    assert len(told.shown) == 1
    assert [(one.outcome.value, one.detail) for one in venue.decisions] == [
        ("missed", "late"),
        ("missed", "no bars"),
        ("traded", ""),
    ]


def test_before_its_indicators_are_defined_there_is_no_signal() -> None:
    """The decision says what is missing."""
    host, venue = hosted(engine_runs.Cross())
    host.step(minute(0))
    assert venue.decisions[0].outcome is orders.Outcome.NO_SIGNAL
    assert "50 bars" in venue.decisions[0].detail


class Reacts(strategy.Strategy):
    """Orders at random on bars, and at random again on what it hears: stops, limits, at the market, and cancels."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draws = random.Random(seed)  # noqa: S311 - test data
        self.reacted = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Buy or sell now and then."""
        if self.draws.random() < 0.1:
            ctx.order(bar.symbol, self.draws.choice(("buy", "sell")), self.draws.randint(1, 9))

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Answer some of the words."""
        if update.event not in {"fill", "new", "expired"} or self.draws.random() < 0.4:
            return
        self.reacted += update.event == "fill"
        symbol, side = ctx.symbols[update.order.symbol], "sell" if update.order.side > 0 else "buy"
        price, away = ctx.close(symbol), self.draws.randint(1, 5) * update.order.side
        match self.draws.randint(0, 5) if update.event == "fill" else self.draws.randint(5, 12):
            case 0 | 1:
                ctx.order(symbol, side, self.draws.randint(1, 5), "stop", "gtc", stop=price - 200 * away)
            case 2:
                ctx.order(symbol, side, self.draws.randint(1, 5), "limit", "day", limit=price + 150 * away)
            case 3:
                ctx.target(symbol, shares=self.draws.randint(-5, 5))
            case 4:
                for order in ctx.open_orders(symbol)[:1]:
                    ctx.cancel(order)
            case 5:
                ctx.order(symbol, side, 1)
                ctx.order(symbol, side, 2, "limit", "ioc", limit=price)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_wanted_between_bars_is_the_backtests(seed: int) -> None:
    """The same orders at the same instants, judged in the same sequence, with the same fills and equity."""
    tested = live_runs.run(walks(), Reacts(seed))
    hosted = Reacts(seed)
    lived, broker = live_runs.through_broker(walks(), hosted)
    assert lived.log.rows().tolist() == tested.log.rows().tolist()
    assert all(account == own for account, own in broker.equities)
    assert hosted.reacted > 50
    parts = [one for one in broker.decisions if one.part]
    assert len(parts) > 50
    assert all(one.intents or one.cancels for one in parts)
    ids = list(broker.sent)
    assert len(ids) == len(set(ids)) == sum(len(one.intents) for one in broker.decisions)


def test_a_timer_between_bars_orders_at_once() -> None:
    """As the next part of the last bar's decision, with its own instant; the bar after it begins with part 0 again."""

    class Timed(strategy.Strategy):
        def on_start(self, ctx: context.Context) -> None:
            ctx.timer(END + 5, "early")
            self.rung: list[tuple[int, str]] = []

        def on_timer(self, ctx: context.Context, name: str) -> None:
            self.rung.append((ctx.now, name))
            ctx.order("A", "buy", 1)
            ctx.order("A", "buy", 2)

    told, now = Timed(), live_runs.Now()
    host, venue = hosted(told, now=now)
    now.at = times.Nanos(END + 4)
    host.step(minute(0))
    host.idle()
    assert (told.rung, len(venue.decisions)) == ([], 1)
    now.at = times.Nanos(END + 6)
    host.idle()
    assert told.rung == [(END + 5, "early")]
    now.at = times.Nanos(2**62)
    host.step(minute(1))
    assert [(one.trigger, one.part, one.rung) for one in venue.decisions] == [
        (END, 0, 0),
        (END, 1, END + 5),
        (END + engine_runs.MINUTE, 0, END + 5),
    ]
    assert [(one.number, one.quantity // 10**9) for one in venue.decisions[1].intents] == [(0, 1), (1, 2)]


class Protects(Tells):
    """Buys ten shares once, and wants a stop for what was bought as soon as it hears of that."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Buy, where nothing is held or on its way."""
        if not ctx.position(bar.symbol) and not ctx.open_orders(bar.symbol):
            ctx.order(bar.symbol, "buy", 10)

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Place it."""
        super().on_order_update(ctx, update)
        if update.quantity and update.order.side > 0:
            ctx.order("A", "sell", update.quantity // 10**9, "stop", "gtc", stop=update.price - 10_000)


BOUGHT = {"executed": numbers.quantity("10"), "price": numbers.price("100"), "fee": numbers.money("0")}


def test_a_stop_leaves_when_its_entry_is_filled() -> None:
    """Each decision says up to which event it may be an answer to; nothing leaves twice."""
    host, venue = hosted(Protects())
    host.step(minute(0))
    venue.happen(live.Happened.SENT, f"{END}-0")
    host.idle()
    venue.happen(live.Happened.FILL, f"{END}-0", **BOUGHT)
    host.idle()
    host.idle()
    host.step(minute(1))
    assert [(one.part, one.heard, [intent.terms.type for intent in one.intents]) for one in venue.decisions] == [
        (0, 0, ["market"]),
        (1, 2, ["stop"]),
        (0, 2, []),
    ]


def test_events_are_answered_one_by_one() -> None:
    """Two fills that come together give two parts, each with the event that it answers."""
    host, venue = hosted(Protects())
    host.step(minute(0))
    for shares in ("4", "6"):
        venue.happen(live.Happened.FILL, f"{END}-0", **BOUGHT | {"executed": numbers.quantity(shares)})
    host.idle()
    assert [(one.part, one.heard, one.intents[0].quantity // 10**9) for one in venue.decisions[1:]] == [
        (1, 1, 4),
        (2, 2, 6),
    ]


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_killed_process_is_followed_by_one_that_hears_what_was_not_answered(is_recorded: bool) -> None:
    """The fill is told again until an answer to it is recorded, and never after that."""
    _, venue = first = hosted(Protects())
    first[0].step(minute(0))
    venue.happen(live.Happened.SENT, f"{END}-0")
    venue.happen(live.Happened.FILL, f"{END}-0", **BOUGHT)
    if is_recorded:
        first[0].idle()
    told = Protects()
    later = live.Host(live_runs.told("A"), told, venue, live_runs.Now(), "sha256:code")
    last = venue.decisions[-1]
    later.warm([minute(0)], live.Place(last.trigger, last.part, last.heard))
    later.idle()
    later.step(minute(1))
    stops = [one for one in venue.decisions for intent in one.intents if intent.terms.type == "stop"]
    assert [(one.trigger, one.part) for one in stops] == [(END, 1)]
    assert [word for word, _, _ in told.said] == ([] if is_recorded else ["fill", "new"])
    assert later.equity == engine_runs.CASH


def test_a_missed_bar_answers_nothing() -> None:
    """What was heard before it is answered with the next decision, and heard again if that is never made."""
    host, venue = hosted(Protects())
    host.step(minute(0))
    venue.happen(live.Happened.FILL, f"{END}-0", **BOUGHT)
    one = minute(1)
    host.missed(one.end, detail="late", one=one)
    host.step(minute(2))
    assert [(one.outcome.value, one.part, one.heard, len(one.intents)) for one in venue.decisions] == [
        ("traded", 0, 0, 1),
        ("missed", 0, 0, 0),
        ("traded", 0, 1, 1),
    ]


def test_a_missed_bar_after_a_restart_answers_nothing_either() -> None:
    """It says what the attempt before it had heard; else all of that would be heard, and answered, again."""
    _, venue = hosted(Protects())
    for name in ("a", "b"):
        venue.happen(live.Happened.FILL, name, **BOUGHT)
    later = live.Host(live_runs.told("A"), Protects(), venue, live_runs.Now())
    later.warm([minute(0)], live.Place(END, 1, 1))
    one = minute(1)
    later.missed(one.end, detail="late", one=one)
    later.step(minute(2))
    assert [(one.outcome.value, one.heard, len(one.intents)) for one in venue.decisions] == [
        ("missed", 1, 0),
        ("traded", 2, 1),
    ]


def test_what_is_wanted_at_the_word_of_a_new_order_leaves_behind_it() -> None:
    """Nothing need happen in between."""

    class Pairs(Protects):
        def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
            if update.event == "new" and update.order.side > 0:
                ctx.order("A", "sell", 1, "limit", "gtc", limit=2_000_000)

    host, venue = hosted(Pairs())
    host.step(minute(0))
    assert [(one.part, one.heard, one.intents[0].side.value) for one in venue.decisions] == [
        (0, 0, "buy"),
        (1, 0, "sell"),
    ]


def test_what_is_wanted_before_the_first_decision_waits_for_it() -> None:
    """There is no bar by whose prices it could be judged."""

    class Early(strategy.Strategy):
        def on_start(self, ctx: context.Context) -> None:
            ctx.timer(END - 5)

        def on_timer(self, ctx: context.Context, name: str) -> None:  # noqa: ARG002 - a hook
            ctx.order("A", "buy", 1)

    host, venue = hosted(Early())
    host.idle()
    assert venue.decisions == []
    host.step(minute(0))
    assert [len(one.intents) for one in venue.decisions] == [1]


def test_after_the_last_part_the_rest_waits_for_the_next_bar() -> None:
    """A hook that answers itself for ever stops there; what it wanted leaves, and is answered for, with the bar."""

    class Endless(strategy.Strategy):
        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
            ctx.order(bar.symbol, "buy", 1)

        def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:  # noqa: ARG002 - a hook
            ctx.order("A", "buy", 2)

    host, venue = hosted(Endless())
    host.step(minute(0))
    venue.happen(live.Happened.FILL, f"{END}-0", **BOUGHT | {"executed": numbers.quantity("1")})
    host.idle()
    assert [one.part for one in venue.decisions] == list(range(orders.MOST_PARTS + 1))
    host.step(minute(1))
    following = next(one for one in venue.decisions if one.trigger > END)
    assert [intent.quantity // 10**9 for intent in following.intents] == [2, 2, 1]
    assert (venue.decisions[orders.MOST_PARTS].heard, following.heard) == (0, 1)


def test_a_split_acts_between_the_fills_before_and_after_it() -> None:
    """Position, price and what is open are on the new basis, so that the wish is right."""
    told = Tells()
    host, venue = hosted(told)
    host.step(minute(0))
    fill = {"executed": numbers.quantity("4"), "price": numbers.price("100"), "fee": numbers.money("0")}
    venue.happen(live.Happened.FILL, f"{END}-0", **fill)
    one = minute(1)
    action = bars.CorporateAction("A", times.Nanos(END + 10), (2, 1), numbers.money("0"))
    half = numbers.price("50")
    halved = minute(1, open=half, high=half, low=half, close=half)
    host.step(bars.BarSlice("1m", one.end, halved.bars, (action,)))
    assert told.shown[-1] == (one.end, 8 * 10**9)
    assert host.equity == engine_runs.CASH
    (intent,) = venue.decisions[-1].intents
    assert (intent.side, intent.quantity) == (orders.Side.SELL, numbers.quantity("8"))


def test_a_decision_that_stands_already_leaves_no_order_working() -> None:
    """What an earlier attempt recorded has acted; this attempt's wish has not."""
    told = Tells()
    host, venue = hosted(told)
    venue.decided_before = True
    host.step(minute(0))
    venue.decided_before = False
    host.step(minute(1))
    assert told.said[0][0] == "refused"
    assert len(venue.decisions[1].intents) == 1


def test_bars_of_the_future_of_another_timeframe_or_out_of_order_are_refused() -> None:
    """As for every loop."""
    now = live_runs.Now()
    host, _ = hosted(Tells(), now=now)
    now.at = times.Nanos(END - 1)
    with pytest.raises(errors.DataRefused, match="not-yet-available"):
        host.step(minute(0))
    now.at = END
    host.step(minute(0))
    with pytest.raises(errors.DataRefused, match="out-of-order"):
        host.step(minute(0))
    with pytest.raises(errors.DataRefused, match="wrong-timeframe"):
        host.step(bars.BarSlice("5m", times.Nanos(END + 1), {}))


def test_code_that_fails_is_named_with_its_bar() -> None:
    """The cause is kept, whichever hook raised."""

    class Fails(strategy.Strategy):
        def on_bars(self, ctx: context.Context, bars_: table.Bars) -> None:  # noqa: ARG002 - a hook
            raise KeyError("left")

    host, _ = hosted(Fails())
    with pytest.raises(errors.StrategyFailed, match="KeyError: 'left'"):
        host.step(minute(0))


@pytest.mark.parametrize(
    "asks",
    [
        lambda ctx: ctx.follow(lambda bars_: bars_),
        lambda ctx: ctx.order("A", "buy", 1, "limit"),
        lambda ctx: ctx.order("A", "buy", notional=5),
        lambda ctx: ctx.bracket("A", "buy", 1, take_profit=9, stop_loss=5),
        lambda ctx: ctx.oco("A", "sell", 1, take_profit=9, stop_loss=5),
        lambda ctx: ctx.replace(ctx.order("A", "buy", 1), limit=5),
        lambda ctx: ctx.indicator("sma", 5),
        lambda ctx: ctx.target("B", shares=1),
    ],
)
def test_what_a_backtest_can_and_live_cannot_is_refused(asks: Any) -> None:
    """By the name of the method or the field."""

    class Asks(strategy.Strategy):
        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:  # noqa: ARG002 - a hook
            asks(ctx)

    host, venue = hosted(Asks())
    with pytest.raises(errors.ValueRefused):
        host.step(minute(0))
    assert venue.decisions == []


class Cancels(strategy.Strategy):
    """Buys one, and wants it no more at the next bar."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Nothing is wanted yet."""
        self.mine: Any = None

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:  # noqa: ARG002 - a hook
        """Want three and at once no more; say twice that the one is not wanted."""
        ctx.cancel(ctx.order("A", "buy", 3))
        if self.mine is None:
            self.mine = ctx.order("A", "buy", 1)
        else:
            ctx.cancel(self.mine)
            ctx.cancel(self.mine)


def test_a_cancel_leaves_once_by_the_name_of_its_order() -> None:
    """An order that has not left ends at once, without a word to the venue."""
    traded = Cancels()
    host, venue = hosted(traded)
    for at in range(3):
        host.step(minute(at))
    name = f"{venue.decisions[0].trigger}-0"
    assert [one.quantity for one in venue.decisions[0].intents] == [numbers.quantity("1")]
    assert [one.cancels for one in venue.decisions] == [(), (name,), ()]
    venue.happen(live.Happened.ENDED, name, quantity=numbers.quantity("1"), status="canceled", reason="cancel")
    host.step(minute(3))
    assert (traded.mine.ended, venue.decisions[-1].cancels) == (True, ())


def test_a_fill_comes_before_the_end_that_was_asked_for() -> None:
    """The cancel was late: the order is filled, and that is its end."""
    traded = Cancels()
    host, venue = hosted(traded)
    host.step(minute(0))
    host.step(minute(1))
    one = numbers.quantity("1")
    name = venue.decisions[1].cancels[0]
    venue.happen(live.Happened.FILL, name, quantity=one, executed=one, price=numbers.price("10"))
    host.step(minute(2))
    assert (traded.mine.filled, traded.mine.ended) == (one, True)


def test_a_cancel_of_an_attempt_that_came_too_late_is_none() -> None:
    """Another attempt decided the trigger: the order works on, and can be cancelled later."""
    host, venue = hosted(Cancels())
    host.step(minute(0))
    venue.decided_before = True
    host.step(minute(1))
    venue.decided_before = False
    host.step(minute(2))
    assert venue.decisions[1].cancels == venue.decisions[2].cancels != ()


def test_more_history_than_market_data_gives_is_refused() -> None:
    """Before the first bar."""

    class Long(strategy.Strategy):
        warm_up = 9_000

    with pytest.raises(errors.ValueRefused, match="10000"):
        hosted(Long())
