"""A session of a class, replayed from its record, gives its orders again."""

import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import engine_runs, live_runs
from tradeplane_engine import backtest, entrypoint, errors, live, replay, settings, strategy
from tradeplane_engine import record as records
from tradeplane_engine.core import kernel
from tradeplane_engine.data import dataset, quality, series
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times

COUNT = 120
WARM = 20
SYMBOLS = ("AAA", "BBB")
POLICY: dict[str, Any] = {"position": {"allowShort": True}}
SOURCE = """
from tradeplane_engine import strategy

class Counts(strategy.Strategy):
    '''Buys and sells by what it has heard, twice per bar, so that a different word gives other orders.'''

    def on_start(self, ctx):
        self.rate = ctx.indicator("ema", 3)
        self.heard = 0

    def on_bar(self, ctx, bar):
        if self.rate < bar.close / bar.unit:
            ctx.order(bar.symbol, "buy", 1 + self.heard % 3)
            ctx.order(bar.symbol, "buy", 2, "limit", "gtc", limit=bar.close - 200)
            ctx.order(bar.symbol, "sell", 1, "stop", "gtc", stop=bar.close - 900)
        elif ctx.position(bar.symbol) > 0:
            ctx.target(bar.symbol, shares=0)

    def on_order_update(self, ctx, update):
        self.heard += update.event == "fill"
"""


CANCELS = """
from tradeplane_engine import strategy

class Counts(strategy.Strategy):
    '''Rests one order at a time, wants it no more at the next bar, and hears that before the next.'''

    def on_start(self, ctx):
        self.mine = None

    def on_bar(self, ctx, bar):
        if bar.symbol == "AAA":
            if self.mine is None or self.mine.ended:
                self.mine = ctx.order("AAA", "buy", 3, "limit", "gtc", limit=bar.close - 3000)
            else:
                ctx.cancel(self.mine)
"""


BETWEEN = """
from tradeplane_engine import strategy

class Counts(strategy.Strategy):
    '''Protects what it buys, buys again when it was sold, and orders by a timer, all of it between the bars.'''

    def on_start(self, ctx):
        self.has_timer = False

    def on_bar(self, ctx, bar):
        if not self.has_timer:
            self.has_timer = True
            ctx.timer(ctx.now + 7 * 60 * 10**9 + 20 * 10**9, "turn")
        if not ctx.position(bar.symbol) and not ctx.open_orders(bar.symbol) and bar.volume % 3:
            ctx.order(bar.symbol, "buy", 4)

    def on_order_update(self, ctx, update):
        symbol = ctx.symbols[update.order.symbol]
        if update.quantity and update.order.side > 0:
            stop = ctx.close(symbol) - 700
            ctx.order(symbol, "sell", update.quantity // 10**9, "stop", "gtc", stop=stop)
        elif update.event == "fill" and update.price % 3:
            ctx.order(symbol, "buy", 1 + update.price % 2, "limit", "gtc", limit=ctx.close(symbol) + 300)

    def on_timer(self, ctx, name):
        ctx.order("BBB", "buy", 1)
        ctx.timer(ctx.now + 7 * 60 * 10**9 + 20 * 10**9, name)
"""


RESTS = """
from tradeplane_engine import strategy

class Counts(strategy.Strategy):
    '''Keeps one order that never fills.'''

    def on_bar(self, ctx, bar):
        if bar.symbol == "AAA" and not ctx.open_orders("AAA"):
            ctx.order("AAA", "buy", 1, "limit", "gtc", limit=1000)
"""
REMEMBERS = """
from tradeplane_engine import strategy

class Counts(strategy.Strategy):
    '''Orders by the close that was the last one when a timer rang between two bars.'''

    def on_start(self, ctx):
        self.seen = 0

    def on_bar(self, ctx, bar):
        if bar.symbol == "AAA":
            ctx.order("AAA", "buy", 1 + self.seen % 9)
            ctx.timer(ctx.now + 20 * 10**9, "look")

    def on_timer(self, ctx, name):
        self.seen = ctx.close("AAA")
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the class on the path, and forget it afterwards."""
    (tmp_path / "counts.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("counts", None)


def walks() -> list[series.Series]:
    """Minutes of two symbols."""
    return [engine_runs.walk(symbol, COUNT, seed=at) for at, symbol in enumerate(SYMBOLS)]


def data() -> dataset.Dataset:
    """The same as a dataset."""
    names = series.COLUMNS
    found = {
        one.symbol: tuple(
            bars.Bar(one.symbol, **{name: int(getattr(one, name)[row]) for name in names}) for row in range(len(one))
        )
        for one in walks()
    }
    hours = timeframes.Hours(times.Nanos(int(walks()[0].start[0])), times.Nanos(int(walks()[0].end[-1])))
    return dataset.Dataset(
        name="made",
        timeframe="1m",
        digest="",
        origin="",
        licence="",
        history=found,
        actions=(),
        report=quality.Report(accepted=sum(map(len, found.values()))),
        hours={timeframes.REGULAR: (hours,)},
    )


def translate(_: Mapping[str, Any]) -> settings.CodeSettings:
    """Make settings of what was recorded."""
    told = live_runs.told(SYMBOLS)
    return settings.CodeSettings(
        **{name: getattr(told, name) for name in ("name", "uid", "generation", "timeframe", "capital", "limits")},
        symbols=SYMBOLS,
        policy="prudent",
        entrypoint="counts:Counts",
    )


def replayed(
    decisions: list[orders.Decision],
    *,
    restart: int | None = None,
    missed: frozenset[int] = frozenset(),
    policy: Mapping[str, Any] = POLICY,
    seen: Mapping[int, tuple[str, str]] = {},
    ended: Mapping[int, tuple[str, str]] = {},
    submitted: list[int] | None = None,
    changed: Mapping[int, Mapping[str, Any]] = {},
) -> backtest.Result:
    """Replay a session with these triggers; before one of them another attempt starts.

    seen : peak of equity of a scope that was seen at a decision, by its number
    ended : client order id and status of an order that the broker ended before a decision, by its number
    submitted : when each decision was made, where the record says what it had heard
    changed : what the record says otherwise of decisions, by their number
    """
    started = {"type": "strategy", "config": {"uid": "0a-0b", "generation": 1}}
    events: list[dict[str, Any]] = [
        {"type": "environment", "spec": {}, "policy": {"name": "prudent", "hash": "1", "spec": policy}},
        {"type": "state", "state": "enabled", "causes": []},
        started,
    ]
    for at, one in enumerate(decisions):
        if at == restart:
            events.append(started)
        if at in ended:
            name, status = ended[at]
            events.append({"type": "cancelled", "client_order_id": name, "status": status})
        if at in seen:
            scope, peak = seen[at]
            money = {"capital": "10000000", "equity": "10000000", "session_equity": "10000000", "peak": peak}
            events.append({"type": "standing", "scope": scope, "at": times.text(one.trigger), **money, "losses": 0})
        outcome = "missed" if at in missed else one.outcome.value
        event = {"type": "decision", "uid": "0a-0b", "trigger": times.text(one.trigger), "outcome": outcome}
        if submitted is not None:
            event |= {"part": one.part, "heard": one.heard, "at": times.text(times.Nanos(submitted[at]))}
            event |= {"rung": times.text(one.rung)} if one.rung else {}
        events.append(event | changed.get(at, {}))
    document = {
        "version": 1,
        "environment": "demo",
        "mode": "paper",
        "ledger": "abc",
        "venue_profile": "realistic",
        "starting_cash": "10000000",
        "sequence": [{"seq": seq, **event} for seq, event in enumerate(events, 1)],
    }
    return replay.run(records.parse(document), data(), predictors={}, translate=translate)


def lived() -> list[orders.Decision]:
    """Decide live on the same bars, with a kernel as broker."""
    return through_broker()[1].decisions


def through_broker() -> tuple[kernel.Kernel, live_runs.Broker]:
    """Return that kernel and the broker."""
    hosted: strategy.Strategy = entrypoint.load("counts:Counts", {})
    return live_runs.through_broker(walks(), hosted, warm=WARM)


def sent(decisions: list[orders.Decision]) -> list[tuple[int, str, str, int]]:
    """Every order by its trigger."""
    return [
        (one.trigger, intent.symbol, intent.side.value, intent.quantity) for one in decisions for intent in one.intents
    ]


def test_a_replay_gives_the_orders_of_the_session() -> None:
    """With several orders of a symbol in a decision, and orders that depend on what was heard and on all history."""
    decisions = lived()
    found = replayed(decisions)
    again = [(one.bar_end, one.symbol, one.side.value, one.quantity) for one in found.orders]
    assert again == sent(decisions)
    assert len(again) > 50
    assert len(found.fills) > 50
    assert {name.split("-")[5] for name in (one.client_order_id for one in found.orders)} == {"0", "1", "2"}
    assert {(one.terms.type, one.terms.time_in_force) for one in found.orders} >= {("limit", "gtc"), ("stop", "gtc")}
    assert any(b'"limit_price":' in one for one in found.order_bytes)
    assert replayed(decisions).order_bytes == found.order_bytes


def ids(broker: live_runs.Broker) -> list[str]:
    """Client order ids of what was sent, under the record's ledger."""
    return [name.replace("made", "abc", 1) for name in broker.sent]


def fills(broker: live_runs.Broker) -> list[tuple[str, int, int]]:
    """Every execution: whose, when, how much."""
    return [
        (one.client_order_id.replace("made", "abc", 1), one.at, one.executed)
        for one in broker.events
        if one.event is live.Happened.FILL
    ]


@pytest.fixture
def between(tmp_path: Path) -> live_runs.Broker:
    """A session of a class that orders between the bars."""
    return session(tmp_path, BETWEEN)


def session(folder: Path, source: str) -> live_runs.Broker:
    """Put another class in the place of the first, and trade with it."""
    (folder / "counts.py").write_text(source)
    sys.modules.pop("counts", None)
    return through_broker()[1]


def test_another_attempt_knows_the_orders_that_rest(tmp_path: Path) -> None:
    """Nothing has happened to them since they were sent, and they count as working."""
    broker = session(tmp_path, RESTS)
    found = replayed(broker.decisions, submitted=broker.submitted, restart=10)
    assert [one.client_order_id for one in found.orders] == ids(broker)
    assert len(found.orders) == 1


def test_a_timer_between_bars_rings_before_the_next_one(tmp_path: Path) -> None:
    """Though it orders nothing, so that no part tells of it."""
    broker = session(tmp_path, REMEMBERS)
    found = replayed(broker.decisions, submitted=broker.submitted)
    assert [(one.client_order_id, one.quantity) for one in found.orders] == [
        (name, quantity) for name, (_, _, _, quantity) in zip(ids(broker), sent(broker.decisions), strict=True)
    ]
    assert not any(one.part for one in broker.decisions)


def test_another_attempt_hears_the_rest_of_an_instant(between: live_runs.Broker) -> None:
    """Two orders filled at one open, and the process was killed when it had answered the first."""
    made, at = between.decisions, between.submitted
    second = next(
        n
        for n in range(20, len(made))
        if (made[n - 1].part, made[n].part) == (1, 2) and at[n - 1] == at[n] > made[n].trigger
    )
    whole = replayed(made, submitted=at)
    found = replayed(made[: second + 1], submitted=at, restart=second)
    assert found.unmatched == ()
    assert found.orders == tuple(
        one for one in whole.orders if one.client_order_id in {o.client_order_id for o in found.orders}
    )
    assert found.orders[-1].client_order_id == ids(between)[len(found.orders) - 1]


def test_a_replay_gives_the_orders_between_bars(between: live_runs.Broker) -> None:
    """Under their ids, in their places, with the fills that they led to at the same instants."""
    found = replayed(between.decisions, submitted=between.submitted)
    assert found.unmatched == ()
    assert [one.client_order_id for one in found.orders] == ids(between)
    assert [(one.client_order_id, one.at, one.quantity) for one in found.fills] == fills(between)
    parts = [one for one in between.decisions if one.part]
    assert len(parts) > 50
    assert {one.part for one in parts} >= {1, 2}
    assert any(one.rung and one.rung % engine_runs.MINUTE for one in parts)
    assert {intent.terms.type for one in parts for intent in one.intents} == {"market", "limit", "stop"}
    assert [(one.decision.trigger, one.decision.part) for one in found.decisions] == [
        (one.trigger, one.part) for one in between.decisions
    ]


def test_parts_are_judged_by_the_bar_before_them(between: live_runs.Broker) -> None:
    """By its close, whose age is that at its own end: what the gateway let pass passes again, however late it was."""
    policy = POLICY | {"data": {"maxBarAge": "1s"}}
    found = replayed(between.decisions, submitted=between.submitted, policy=policy)
    assert [one.client_order_id for one in found.orders] == ids(between)
    late = [at for at, one in zip(between.submitted, between.decisions, strict=True) if at > one.trigger + times.SECOND]
    assert len(late) > 20


def test_what_was_not_yet_heard_is_not_told() -> None:
    """A bar's decision that had heard less than had happened is made on that."""
    _, broker = through_broker()
    found = replayed(broker.decisions, submitted=broker.submitted)
    assert [one.client_order_id for one in found.orders] == ids(broker)
    heard = [one.heard or 0 for one in broker.decisions]
    at = next(at for at in range(20, COUNT) if heard[at] > heard[at - 1] and broker.decisions[at].intents)
    later = replayed(broker.decisions, submitted=broker.submitted, changed={at: {"heard": heard[at - 1]}})
    trigger = broker.decisions[at].trigger
    before = [one for one in found.orders if one.bar_end < trigger]
    assert [one for one in later.orders if one.bar_end < trigger] == before
    assert later.orders[: len(before) + 1] != found.orders[: len(before) + 1]


@pytest.mark.parametrize("is_answered", [False, True])
def test_another_attempt_answers_what_was_not_answered(between: live_runs.Broker, *, is_answered: bool) -> None:
    """Where it begins before a part, it hears again what that part answers; where it begins after it, it does not."""
    made = between.decisions
    first = next(
        at
        for at in range(20, len(made))
        if (made[at].part, made[at + 1].part) == (1, 0) and made[at].rung == made[at - 1].rung
    )
    restart = first + is_answered
    whole = replayed(between.decisions, submitted=between.submitted)
    found = replayed(between.decisions[: first + 2], submitted=between.submitted, restart=restart)
    last = between.decisions[first]
    stops = [one.client_order_id for one in whole.orders if one.bar_end <= last.trigger]
    assert [one.client_order_id for one in found.orders if one.bar_end <= last.trigger] == stops
    assert found.unmatched == ()


def test_a_part_that_the_class_does_not_want_again_is_named(between: live_runs.Broker) -> None:
    """A record that says more than happened is not made true: the decision is in the list of what did not match."""
    at = next(at for at, one in enumerate(between.decisions) if not one.part and at > 20)
    extra = replace(between.decisions[at], part=1, intents=())
    decisions = [*between.decisions[: at + 1], extra]
    found = replayed(decisions, submitted=[*between.submitted[: at + 1], between.submitted[at]])
    (name,) = found.unmatched
    assert name == f"decision {at + 5}, part 1 of {times.text(extra.trigger)}"


def test_a_part_before_any_decision_is_refused(between: live_runs.Broker) -> None:
    """It has no bar."""
    with pytest.raises(errors.ValueRefused, match="parts that follow a decision"):
        replayed([replace(between.decisions[0], part=1)], submitted=[between.submitted[0]])


def test_another_attempt_begins_anew() -> None:
    """What the class kept in itself is gone, and what it holds is not."""
    decisions = lived()
    whole, cut = replayed(decisions), replayed(decisions, restart=40)
    at = decisions[40].trigger
    assert [one for one in whole.orders if one.bar_end < at] == [one for one in cut.orders if one.bar_end < at]
    assert whole.orders != cut.orders
    assert numbers.Quantity(0) not in cut.positions.values()


@pytest.mark.parametrize("scope", ["account", "0a-0b"])
def test_what_was_seen_of_losses_judges_again(scope: str) -> None:
    """A peak that only the session's gateway has seen stops what adds, until it saw another one."""
    policy = POLICY | {"loss": {"maxDrawdown": "0.5"}}
    decisions = lived()
    first, last = decisions[40].trigger, decisions[60].trigger
    found = replayed(decisions, policy=policy, seen={40: (scope, "30000000"), 60: (scope, "10000001")})
    bought = [one.bar_end for one in found.orders if one.side is orders.Side.BUY]
    assert [at for at in bought if first <= at < last] == []
    assert min(bought) < first
    assert max(bought) > last
    assert {one.reason for one in found.rejects} == {"drawdown"}
    assert replayed(decisions, policy=policy).rejects == ()


def test_what_expired_expires_by_itself_and_what_was_cancelled_does_not() -> None:
    """An order that the broker cancelled is gone from then on; one that expired is left to its own time."""
    decisions = lived()
    whole = replayed(decisions)
    filled = {one.client_order_id: one.at for one in whole.fills}
    waits = (one for one in whole.orders if filled.get(one.client_order_id, 0) > one.bar_end + 3 * engine_runs.MINUTE)
    late = next(one for one in waits if one.terms.type == "limit")
    before = 1 + [one.trigger for one in decisions].index(late.bar_end)
    expired = replayed(decisions, ended={before: (late.client_order_id, "expired")})
    assert (expired.order_bytes, expired.fills, expired.unmatched) == (whole.order_bytes, whole.fills, ())
    cancelled = replayed(decisions, ended={before: (late.client_order_id, "canceled")})
    assert late.client_order_id not in {one.client_order_id for one in cancelled.fills}
    assert cancelled.unmatched == ()


def test_a_cancel_of_the_strategy_acts_when_the_record_says_so(tmp_path: Path) -> None:
    """The wish alone ends nothing; with the broker's word at the same place the replay gives the session's orders."""
    (tmp_path / "counts.py").write_text(CANCELS)
    sys.modules.pop("counts", None)
    decisions = lived()
    wanted = {at + 1: one.cancels for at, one in enumerate(decisions) if one.cancels and at + 1 < len(decisions)}
    assert len(wanted) > 20
    ended = {
        at: (names[0].replace("made", "abc"), "canceled") for at, names in wanted.items()
    }  # of the record's ledger
    found = replayed(decisions, ended=ended)
    assert [(one.bar_end, one.symbol, one.side.value, one.quantity) for one in found.orders] == sent(decisions)
    assert found.unmatched == ()
    assert replayed(decisions).order_bytes != found.order_bytes


def test_what_was_seen_of_nobody_is_refused() -> None:
    """Every scope is the account, or a strategy that was declared."""
    with pytest.raises(errors.ValueRefused, match=r"standing\.scope: must be account, or the UID"):
        replayed(lived(), seen={3: ("0c", "1")})


def test_a_missed_trigger_is_not_shown() -> None:
    """No order has it, and the next decision is made with its bars behind it."""
    decisions = lived()
    found = replayed(decisions, missed=frozenset({30}))
    assert decisions[30].trigger not in {one.bar_end for one in found.orders}
    before = list(itertools.takewhile(lambda one: one.bar_end < decisions[30].trigger, found.orders))
    assert [one.bar_end for one in before] == [one[0] for one in sent(decisions[:30])]
    assert found.decisions[30].decision.outcome is orders.Outcome.MISSED
