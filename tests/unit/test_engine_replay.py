"""A session is played by the oracle, with events as a gateway records them; its replay must give its orders again."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import engine_data, plain_desk
from tradeplane_engine import backtest, declarative, errors, record, replay, settings
from tradeplane_engine.core import limits
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.features import sources

COUNT = 100
FIRST = 62
UID = "0a0b"
BARS = [
    *(one for symbol in engine_data.SYMBOLS[:4] for one in engine_data.walk(symbol, range(COUNT))),
    *engine_data.walk("EEE", range(20, COUNT)),
]
DATA = engine_data.data(BARS)
POLICY: dict[str, Any] = {
    "order": {"maxNotional": "400000"},
    "position": {"allowShort": True},
    "portfolio": {"maxGross": "2"},
}
TIGHT: dict[str, Any] = {**POLICY, "order": {"maxNotional": "1000"}}


def translate(config: Mapping[str, Any]) -> settings.StrategySettings:
    """Make settings of what the session recorded."""
    return engine_data.strategy(
        uid=config["uid"],
        generation=config["generation"],
        top=config["spec"]["top"],
        bottom=config["spec"]["bottom"],
        capital=config["spec"]["capital"],
        allowed=limits.from_spec(config["policy"]["spec"]),
    )


def config(generation: int, *, top: int, bottom: int, capital: str = "300000") -> dict[str, Any]:
    """What a strategy event holds."""
    spec = {"top": top, "bottom": bottom, "capital": capital}
    return {"uid": UID, "generation": generation, "spec": spec, "policy": {"name": "prudent", "spec": POLICY}}


class Session:
    """Plays a session live: the strategy on its last bars, the oracle as gateway, and a record of what happened."""

    def __init__(self) -> None:
        self.desk = plain_desk.PlainDesk(replace(engine_data.account(), limits=limits.from_spec(POLICY)))
        self.events: list[dict[str, Any]] = []
        self.slices = DATA.slices()
        self.note("environment", spec={}, policy={"name": "prudent", "hash": "1", "spec": POLICY})
        self.state("halted")
        self.start(1, top=2, bottom=1, at=FIRST)

    def note(self, kind: str, **fields: Any) -> None:
        """Give an event its place in the sequence."""
        self.events.append({"seq": len(self.events) + 1, "type": kind, **fields})

    def state(self, word: str) -> None:
        """Change the trading state."""
        self.desk.state = orders.State(word)
        self.note("state", state=word, causes=[])

    def policy(self, spec: Mapping[str, Any]) -> None:
        """Edit the policy."""
        self.desk.bind("prudent", limits.from_spec(spec))
        self.note("policy", name="prudent", hash="2", spec=dict(spec))

    def start(self, generation: int, *, top: int, bottom: int, at: int, capital: str = "300000") -> None:
        """Start a process for a generation, warm from the last bars before a session."""
        made = config(generation, top=top, bottom=bottom, capital=capital)
        declared = translate(made)
        self.desk.declare(declared)
        self.note("strategy", config=made)
        self.features = sources.LastBars(declared.features, declared.symbols)
        self.strategy = declarative.Declarative(declared, features=self.features, model=engine_data.LastReturn())
        for one in self.slices[at - 61 : at]:
            self.features.observe(one)

    def session(self, number: int, *, outcome: str = "traded") -> None:
        """Open and close a session, and decide on it."""
        one = self.slices[number]
        self.desk.open_session(one)
        self.features.observe(one)
        if outcome == "traded":
            self.desk.decide(UID, one, self.strategy.shown(one.bars.values()))
        self.note("decision", uid=UID, trigger=times.text(one.end), outcome=outcome)

    def cancel_all(self) -> None:
        """Cancel what is open, as a halt does."""
        for name in list(self.desk.waiting):
            del self.desk.waiting[name]
            self.note("cancelled", client_order_id=name)

    def stop_last(self) -> None:
        """Stop one intent at the last instant."""
        name = list(self.desk.waiting)[-1]
        del self.desk.waiting[name], self.desk.orders[name]
        self.note("not-sent", client_order_id=name, reason="halted")

    def document(self) -> dict[str, Any]:
        """Return the session record."""
        return {
            "version": 1,
            "environment": "test",
            "mode": "paper",
            "ledger": "k3j9x2ab",
            "venue_profile": "realistic",
            "starting_cash": "1000000",
            "sequence": self.events,
        }


def played() -> Session:
    """Play a session in which everything happens: halts, an edit, a missed bar, policy edits, stopped intents."""
    live = Session()
    live.session(62)
    live.state("enabled")
    for number in (63, 64, 65):
        live.session(number)
    live.start(2, top=1, bottom=1, at=66, capital="200000")
    live.session(66)
    live.policy(TIGHT)
    live.session(67)
    live.policy(POLICY)
    live.session(68)
    live.state("halted")
    live.cancel_all()
    live.session(69)
    live.session(70)
    live.state("reduce-only")
    live.session(71)
    live.state("enabled")
    live.session(72)
    live.stop_last()
    live.session(73, outcome="missed")
    for number in range(74, 95):
        live.session(number, outcome="missed" if number in {77, 81, 84, 85} else "traded")
    return live


@pytest.fixture(scope="module", name="live")
def _live() -> Session:
    return played()


def replayed(
    document: Mapping[str, Any], change: Callable[[record.Record], record.Record] | None = None
) -> backtest.Result:
    """Replay a record, perhaps changed."""
    session = record.parse(document)
    return replay.run(
        change(session) if change else session,
        DATA,
        predictors={engine_data.DIGEST: engine_data.LastReturn()},
        translate=translate,
    )


def by_trigger(found: backtest.Result) -> dict[times.Nanos, list[bytes]]:
    """Canonical orders of each decision."""
    grouped: dict[times.Nanos, list[bytes]] = {}
    for order in found.orders:
        grouped.setdefault(order.bar_end, []).append(record.canonical_order(order))
    return grouped


def test_the_replay_gives_the_sessions_orders_byte_for_byte(live: Session) -> None:
    """Halts, edits, missed bars, cancellations and all."""
    again = replayed(live.document())
    assert again.order_bytes == live.desk.order_bytes
    assert len(again.orders) > 20
    assert again.unmatched == ()


def test_the_replay_gives_the_sessions_money(live: Session) -> None:
    """Fills, equity, refusals and cash too."""
    again, once = replayed(live.document()), live.desk
    assert again.fills == tuple(once.fills)
    assert [(one.trigger, one.symbol, one.reason) for one in again.rejects] == once.rejects
    assert (again.cash, again.positions) == (once.ledger.cash, once.ledger.quantities)
    assert (again.fees, again.realised) == (once.ledger.fees_booked, once.ledger.realised)
    assert again.equity == tuple(once.equity)


def test_the_session_refused_for_each_reason(live: Session) -> None:
    """The comparison above covers refusals: halted ones and those of the edited policy."""
    assert {reason for _, _, reason in live.desk.rejects} >= {"halted", "order-notional"}


def test_without_the_halt_it_would_have_ordered_in_that_window(live: Session) -> None:
    """Dropping the halt's events gives orders where there were none."""
    with_halt, without = (by_trigger(replayed(live.document(), change)) for change in (None, record.without_halts))
    window = {engine_data.ending(number) for number in (69, 70, 71)}
    assert not window & set(with_halt)
    assert window & set(without)


def test_without_the_edit_orders_differ_from_exactly_that_bar(live: Session) -> None:
    """Until the edit's first decision nothing changes; that decision does."""
    with_edit, without = (by_trigger(replayed(live.document(), change)) for change in (None, record.without_edits))
    edited = engine_data.ending(66)
    assert {at: found for at, found in with_edit.items() if at < edited} == {
        at: found for at, found in without.items() if at < edited
    }
    assert with_edit.get(edited) != without.get(edited)


@pytest.mark.parametrize("kind", ["cancelled", "not-sent", "policy", "state", "strategy"])
def test_each_kind_of_event_matters(live: Session, kind: str) -> None:
    """Leaving the last of any kind out gives other orders or fills: none of them is decoration."""
    events = list(live.events)
    drop = max(at for at, event in enumerate(events) if event["type"] == kind)
    changed = {**live.document(), "sequence": events[:drop] + events[drop + 1 :]}
    again, once = replayed(changed), replayed(live.document())
    assert (again.orders, again.fills, again.rejects) != (once.orders, once.fills, once.rejects)


def test_an_order_that_never_was_is_named(live: Session) -> None:
    """A cancellation of an unknown order is a difference, not an accident."""
    event = {"seq": len(live.events) + 1, "type": "cancelled", "client_order_id": "nobody"}
    again = replayed({**live.document(), "sequence": [*live.events, event]})
    assert again.unmatched == ("nobody",)


def test_other_bars_give_other_orders(live: Session) -> None:
    """The orders come from the data and not from the record."""
    other = engine_data.data(
        [one for symbol in engine_data.SYMBOLS for one in engine_data.walk(symbol, range(COUNT), seed=2)]
    )
    session = record.parse(live.document())
    again = replay.run(session, other, predictors={engine_data.DIGEST: engine_data.LastReturn()}, translate=translate)
    assert again.order_bytes != live.desk.order_bytes


def test_a_decision_on_no_bar_is_refused(live: Session) -> None:
    """Another dataset's trigger names the decision."""
    events = [dict(event) for event in live.events]
    next(event for event in events if event["type"] == "decision")["trigger"] = "2020-03-03T12:00:00Z"
    with pytest.raises(errors.ValueRefused, match="end of a bar of dataset test"):
        replayed({**live.document(), "sequence": events})


def test_a_missing_artifact_is_refused(live: Session) -> None:
    """Every digest that a strategy names must be there."""
    with pytest.raises(errors.ModelRefused, match="none has the digest sha256:0000"):
        replay.run(record.parse(live.document()), DATA, predictors={}, translate=translate)


@pytest.mark.parametrize(
    "bad",
    [
        {"position": {"maxWeight": "3"}, "portfolio": {"maxGross": "1"}},
        {"onBreach": {"loss": "halted"}},
        {"onBreach": {"order": "flatten"}},
    ],
    ids=str,
)
def test_a_refused_policy_lets_nothing_leave(live: Session, bad: dict[str, Any]) -> None:
    """As in the gateway: a policy that contradicts itself, or cannot act, judges by refusing."""
    events = [event if event["type"] != "policy" else {**event, "spec": bad} for event in live.events]
    again = replayed({**live.document(), "sequence": events})
    assert max(order.bar_end for order in again.orders) == engine_data.ending(66)


def test_an_absent_policy_lets_nothing_leave(live: Session) -> None:
    """The gateway records a policy that was deleted without a hash."""
    events = [event if event["type"] != "policy" else {**event, "hash": "", "spec": {}} for event in live.events]
    again = replayed({**live.document(), "sequence": events})
    assert max(order.bar_end for order in again.orders) == engine_data.ending(66)


def test_the_replay_runs_in_a_process_without_addresses(live: Session, tmp_path: Path) -> None:
    """Record, bars and code are enough: an empty environment, and sockets that refuse."""
    dataset.write(
        tmp_path / "data",
        manifest={"name": "test", "timeframe": "1d", "origin": "random walk", "licence": "none"},
        found=BARS,
        actions=[],
    )
    (tmp_path / "record.json").write_text(json.dumps(live.document()))
    script = """
import json, socket, sys
from pathlib import Path

def refuse(*_):
    raise OSError("no network in a replay")

socket.socket.connect = refuse
sys.path[:0] = json.loads(sys.argv[2])
import test_engine_replay as test
from support import engine_data
from tradeplane_engine import record, replay
from tradeplane_engine.data import dataset
folder = Path(sys.argv[1])
found = replay.run(
    record.parse(json.loads((folder / "record.json").read_text())),
    dataset.read(folder / "data"),
    predictors={engine_data.DIGEST: engine_data.LastReturn()},
    translate=test.translate,
)
sys.stdout.buffer.write(b"\\n".join(found.order_bytes))
"""
    here = Path(__file__).resolve().parent
    paths = json.dumps([str(here), str(here.parent)])
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), paths], capture_output=True, check=True, env={}, cwd=tmp_path
    )
    assert tuple(answer.stdout.split(b"\n")) == live.desk.order_bytes


def test_an_action_of_the_session_changes_both_alike() -> None:
    """Splits in the window of a replayed session are adjusted in features and positions as in the backtest."""
    split = bars.CorporateAction("AAA", engine_data.opening(70), (2, 1), numbers.Money(0))
    strategy = engine_data.strategy()
    data = engine_data.data(BARS, [split])
    once = backtest.run(
        data,
        strategy,
        model=engine_data.LastReturn(),
        account=engine_data.account(),
        start=engine_data.ending(FIRST),
        end=engine_data.ending(90),
    )
    events: list[dict[str, Any]] = [
        {
            "type": "environment",
            "spec": {},
            "policy": {"name": "prudent", "hash": "1", "spec": {"position": {"allowShort": True}}},
        },
        {"type": "state", "state": "enabled", "causes": []},
        {"type": "strategy", "config": {"uid": UID, "generation": 1}},
        *(
            {
                "type": "decision",
                "uid": UID,
                "trigger": times.text(one.decision.trigger),
                "outcome": one.decision.outcome.value,
            }
            for one in once.decisions
        ),
    ]
    document = {**Session().document(), "sequence": [{"seq": n, **event} for n, event in enumerate(events)]}
    again = replay.run(
        record.parse(document),
        data,
        predictors={engine_data.DIGEST: engine_data.LastReturn()},
        translate=lambda _: strategy,
    )
    assert again.order_bytes == once.order_bytes
    assert again.fills == once.fills
