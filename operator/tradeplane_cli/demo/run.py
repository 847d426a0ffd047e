"""The main job, phase by phase. Everything a person would do is done by `kubectl` and shown.

1. Start the environment; the simulator's clock stands before the holdout.
2. Apply; the operator trains, serves and starts the strategy. Nothing trades yet: the switch was created halted.
3. A person enables trading. Sessions are replayed as fast as the system decides.
4. At a held bar the Strategy is edited; the next bar is decided by the new generation.
5. After a close with an order waiting for the next open, the switch is halted; then some sessions pass, then the lift.
6. The session is run again as a backtest from its record alone, and everything is checked and reported.
"""

import bisect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import orjson

from tradeplane_cli.demo import checks, evidence, gather, person, phases, replay, report
from tradeplane_cli.demo import facts as f
from tradeplane_cli.local import demo_data, environment, processes, progress
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import times

HOLDOUT = "2012-03-02"
EDIT_AFTER = 80
HALT_AFTER = 160
HALTED_SESSIONS = 8
READY_PATIENCE_S = 240.0
STEP_PATIENCE_S = 120.0


@dataclass(slots=True)
class Trading:
    """The replayed sessions: which ones passed, and when each one's bars were released."""

    driver: replay.Driver
    sessions: Sequence[replay.Session]
    released_ns: dict[str, int] = field(default_factory=dict)

    @property
    def position(self) -> int:
        """How many sessions passed."""
        return len(self.released_ns)

    @property
    def last_end(self) -> str:
        """End of the last session that passed."""
        return self.sessions[self.position - 1].end

    def next(self, *, disturb: Callable[[], None] = lambda: None) -> None:
        """Trade one session; ``disturb`` runs while its bars are out and its decisions are not in."""
        session = self.sessions[self.position]
        self.driver.move(session.open)
        self.driver.wait_for_fills(session.open)
        released = time.monotonic_ns()
        self.driver.move(session.available_at)
        disturb()
        self.driver.wait_for_decisions(session.end)
        self.released_ns[session.end] = released

    def until(self, position: int, phase: phases.Phase) -> None:
        """Trade until so many sessions passed."""
        while self.position < position:
            self.next()
            phase.advance(note=self.last_end[:10])


def main(home: Path, examples: Path) -> int:
    """Run the main job under ``home`` and return the exit status; the report says what passed."""
    show = phases.Phases()
    data_folder = home / "dataset"
    try:
        with show.phase("dataset"):
            demo_data.write(data_folder)
            data = dataset.read(data_folder)
        sessions = holdout(data)
        options = environment.Options(home=home, dataset=data_folder, clock=before(data, sessions[0]))
        lines = progress.Lines(show.console)
        with environment.opened(options, progress=lines) as env, httpx2.Client() as client:
            facts, document = _session(env, client, show, data=data, sessions=sessions, examples=examples)
        with show.phase("report"):
            results = checks.run(facts)
            summary = report.as_json(facts, results, show.seconds)
            (home / "session.json").write_bytes(document)
            (home / "report.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
            (home / "report.html").write_text(report.as_html(facts, summary), encoding="utf-8")
    except (processes.LocalError, replay.ReplayStuck) as error:
        show.say(f"failed: {error}")
        return 1
    for name, result in results.items():
        if not result.passed:
            show.say(f"  FAILED {name}: {result.value} (limit: {result.limit})")
    passed = sum(result.passed for result in results.values())
    show.say(f"{passed} of {len(results)} checks passed; P&L {summary['pnl']} USD after costs")
    show.say(f"report: {home / 'report.html'}")
    return 0 if summary["passed"] else 1


def _session(
    env: environment.Environment,
    client: httpx2.Client,
    show: phases.Phases,
    *,
    data: dataset.Dataset,
    sessions: Sequence[replay.Session],
    examples: Path,
) -> tuple[f.Facts, bytes]:
    """Run phases 1 to 6 and return what they left behind, with the session record's bytes."""
    gateway, control = env.addresses.url("gateway"), env.addresses.url("simulator_control")
    driver = replay.Driver(client=client, control=control, gateway=gateway, account=env.options.name)
    trading = Trading(driver, sessions)
    with show.phase("start the environment"):
        env.start()
    with show.phase("apply, train, serve") as phase:
        someone = person.Person(env, client, say=show.say, note=phase.note)
        someone.apply(env.manifest, examples)
        resources = someone.wait_ready(READY_PATIENCE_S)
    with show.phase("enable trading") as phase:
        someone = person.Person(env, client, say=show.say, note=phase.note)
        someone.switch("enabled")
        someone.wait_state("enabled", not_enabled, STEP_PATIENCE_S)
    with show.phase("trade", EDIT_AFTER) as phase:
        trading.until(EDIT_AFTER, phase)
    with show.phase("edit the Strategy") as phase:
        edit = _edit(person.Person(env, client, say=show.say, note=phase.note), trading)
    with show.phase("trade, edited", HALT_AFTER - EDIT_AFTER) as phase:
        trading.until(HALT_AFTER, phase)
        while not gather.get(client, f"{gateway}/v1/state")["counts"]["open_orders"]:
            trading.until(trading.position + 1, phase)
    with show.phase("halt") as phase:
        halt = _halt(person.Person(env, client, say=show.say, note=phase.note), trading, phase)
    with show.phase("trade, lifted", len(sessions) - trading.position) as phase:
        trading.until(len(sessions), phase)
    ended = datetime.now(UTC)
    document = client.get(f"{gateway}/v1/session-record", timeout=60).raise_for_status().content
    with show.phase("backtest from the record"):
        replays = evidence.replays(
            env.options.home, document, data_folder=env.options.dataset, artifacts=env.layout.artifacts
        )
    with show.phase("reconcile") as phase:
        # The last day's fees were booked by the broker at the close; the periodic reconciliation brings them in.
        someone = person.Person(env, client, say=show.say, note=phase.note)
        someone.wait_state("reconciled", lambda state: not_reconciled(state, ended), STEP_PATIENCE_S)
    with show.phase("gather"):
        ledger = gather.ledger(client, gateway)
        access = gather.BrokerAccess(env.addresses.url("simulator"), **env.keys.trading)
        broker = gather.broker(client, access)
        received = gather.received(client, control)
        training = evidence.training(env.layout.artifacts, examples)
        recomputed = evidence.scores(env.layout.artifacts, ledger)
    ends = [session.end for session in sessions]
    return f.Facts(
        sessions=ends,
        closes=gather.closes(data, ends),
        released_ns=trading.released_ns,
        forward_returns=gather.forward_returns(data, ends),
        unpaid_dividends=gather.unpaid_dividends(data, ledger.fills, ends),
        resources=resources,
        ledger=ledger,
        broker=broker,
        received=received,
        halt=halt,
        edit=edit,
        replays=replays,
        training=training,
        recomputed_scores=recomputed,
    ), document


def _edit(someone: person.Person, trading: Trading) -> f.Edit:
    """Edit the Strategy while the clock stands, and wait until the new generation runs."""
    held = trading.last_end
    someone.edit("momentum", {"portfolio": {"top": 1, "bottom": 2}})

    def missing(state: Mapping[str, Any]) -> str:
        running = [row for row in state["strategies"] if row["running"] and row["generation"] > 1]
        return "" if running else "the new generation to take its fence"

    someone.wait_state("the edit", missing, STEP_PATIENCE_S)
    someone.wait_ready(STEP_PATIENCE_S)
    return f.Edit(held_trigger=held, next_trigger=trading.sessions[trading.position].end)


def _halt(someone: person.Person, trading: Trading, phase: phases.Phase) -> f.Halt:
    """Halt with an order open, let sessions pass, and lift."""
    halted = someone.switch("halted")
    state = someone.wait_state(
        "the halt",
        lambda state: "" if (state["halt"] or {}).get("complete") else "the halt to be complete",
        STEP_PATIENCE_S,
    )
    first = trading.position
    trading.until(first + HALTED_SESSIONS, phase)
    lifted = someone.switch("enabled")
    someone.wait_state("the lift", not_enabled, STEP_PATIENCE_S)
    return f.Halt(
        answered_ns=halted.answered_ns,
        lift_sent_ns=lifted.sent_ns,
        first_trigger=trading.sessions[first].end,
        last_trigger=trading.last_end,
        proof=state["halt"],
    )


def not_reconciled(state: Mapping[str, Any], ended: datetime) -> str:
    """Say that no clean reconciliation began after the session; one takes less than the five seconds allowed here."""
    last = state["reconciliation"] or {"at": "never", "clean": False}
    if last["clean"] and datetime.fromisoformat(last["at"]) > ended + timedelta(seconds=5):
        return ""
    return f"a clean reconciliation after the session; the last was at {last['at']}, clean: {last['clean']}"


def not_enabled(state: Mapping[str, Any]) -> str:
    """Say what keeps trading from being enabled; empty when it is."""
    return "" if state["state"] == "enabled" else f"state {state['state']}: {state['causes']}"


def holdout(data: dataset.Dataset) -> list[replay.Session]:
    """Return the holdout's sessions, in order."""
    return [
        replay.Session(
            open=times.text(min(bar.start for bar in one.bars.values())),
            end=times.text(one.end),
            available_at=times.text(max(bar.available_at for bar in one.bars.values())),
        )
        for one in data.slices()
        if times.text(one.end) >= HOLDOUT
    ][: checks.SESSIONS]


def before(data: dataset.Dataset, first: replay.Session) -> str:
    """Return the instant at which the last bar before the holdout was known."""
    known = [bar.available_at for history in data.history.values() for bar in history]
    known.sort()
    return times.text(known[bisect.bisect_left(known, times.instant(first.open)) - 1])
