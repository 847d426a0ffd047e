"""One environment, one session: everything is killed in turn, and in the end everything adds up."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tradeplane_cli.demo import evidence, gather, person, replay, run
from tradeplane_cli.local import demo_data, environment, progress
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import numbers

SESSIONS = 60
SPARE = 20
READ_WINDOW_NS = 5_000_000_000
AWAY_NS = 30_000_000_000
EVERY = 5
EXAMPLES = environment.CHECKOUT / "examples"

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray"), pytest.mark.timeout(1200)]

SUPERVISED = ("operator", "gateway", "market-data", "simulator", "valkey", "postgres", "kube-apiserver", "etcd", "ray")
IN_RAY = {
    "strategy": "tradeplane_workers.strategy",
    "model replica": "ServeReplica:model-alpha",
}


@dataclass(frozen=True)
class Session:
    """A running environment with its examples applied, ready and enabled, and the sessions to trade."""

    env: environment.Environment
    client: httpx2.Client
    trading: run.Trading
    someone: person.Person

    @property
    def gateway(self) -> str:
        """Base URL of the gateway."""
        return self.env.addresses.url("gateway")

    @property
    def control(self) -> str:
        """Base URL of the simulator's control port."""
        return self.env.addresses.url("simulator_control")

    def open_at_broker(self) -> int:
        """Count the orders that the broker holds open."""
        accounts = gather.get(self.client, f"{self.control}/control/state")["accounts"]
        count: int = accounts[self.env.options.name]["open_orders"]
        return count

    def state(self) -> dict[str, Any]:
        """The gateway's state."""
        state: dict[str, Any] = gather.get(self.client, f"{self.gateway}/v1/state")
        return state

    def restart(self, name: str) -> None:
        """Kill a supervised process and everything it started, and start it again."""
        self.env.supervisor.kill(name)
        self.env.supervisor.start(name)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Start the environment, apply the examples, enable trading."""
    home = tmp_path_factory.mktemp("faults")
    folder = home / "dataset"
    demo_data.write(folder)
    data = dataset.read(folder)
    sessions = run.holdout(data)[: SESSIONS + SPARE]
    options = environment.Options(home=home, dataset=folder, clock=run.before(data, sessions[0]))
    with environment.opened(options, progress=progress.Lines()) as env, httpx2.Client() as client:
        env.start()
        driver = replay.Driver(
            client=client,
            control=env.addresses.url("simulator_control"),
            gateway=env.addresses.url("gateway"),
            account=options.name,
        )
        someone = person.Person(env, client, say=lambda _: None, note=lambda _: None)
        someone.apply(env.manifest, EXAMPLES)
        someone.wait_ready(run.READY_PATIENCE_S)
        someone.switch("enabled")
        someone.wait_state("enabled", run.not_enabled, run.STEP_PATIENCE_S)
        yield Session(env, client, run.Trading(driver, sessions), someone)


def test_everything_killed_in_turn_loses_and_doubles_nothing(
    session: Session, record_property: Callable[[str, object], None]
) -> None:
    """Each process is killed while a bar's decisions are on their way; no order is lost and none doubled."""
    victims: list[tuple[str, Callable[[], None]]] = [
        (name, lambda name=name: session.restart(name)) for name in SUPERVISED
    ]
    victims += [
        (name, lambda marker=marker: session.env.supervisor.kill_members("ray", marker))
        for name, marker in IN_RAY.items()
    ]
    trading = session.trading
    for name, kill in victims:
        while trading.position % EVERY:
            trading.next()
        record_property(f"killed at session {trading.position + 1}", name)
        trading.next(disturb=kill)
    while trading.position < SESSIONS:
        trading.next()

    ended = datetime.now(UTC)
    session.someone.wait_state("reconciled", lambda state: run.not_reconciled(state, ended), run.STEP_PATIENCE_S)
    ledger = gather.ledger(session.client, session.gateway)
    access = gather.BrokerAccess(session.env.addresses.url("simulator"), **session.env.keys.trading)
    broker = gather.broker(session.client, access)
    assert len(ledger.decisions) == SESSIONS
    assert sorted(o.client_order_id for o in ledger.orders if o.sent) == sorted(
        o.client_order_id for o in broker.orders
    )
    assert sorted(ledger.fills, key=repr) == sorted(broker.fills, key=repr)
    assert ledger.positions == broker.positions
    assert abs(ledger.cash - broker.cash) < numbers.ONE_CENT
    assert abs(ledger.fees - broker.fees) < numbers.ONE_CENT
    assert len(broker.fills) > SESSIONS
    document = session.client.get(f"{session.gateway}/v1/session-record", timeout=60).raise_for_status().content
    replayed = evidence.replays(
        session.env.options.home,
        document,
        data_folder=session.env.options.dataset,
        artifacts=session.env.layout.artifacts,
    )
    assert [o.canonical for o in ledger.orders if o.sent] == replayed.same


def test_without_the_api_server_nothing_leaves_and_trading_comes_back(session: Session) -> None:
    """Without the API server orders end within the read window, and trading comes back by itself after a good read."""
    trading, supervisor = session.trading, session.env.supervisor
    while not session.state()["counts"]["open_orders"]:
        trading.next()
    supervisor.kill("kube-apiserver")
    stopped_ns = time.monotonic_ns()
    session.someone.wait_state("stale", stale, run.STEP_PATIENCE_S)
    session.someone.wait("cancelled", lambda: "open orders" if session.open_at_broker() else "", patience_s=30.0)
    for _ in range(2):
        trading.next()
    while time.monotonic_ns() - stopped_ns < AWAY_NS:
        time.sleep(0.1)
    restarted_ns = time.monotonic_ns()
    supervisor.start("kube-apiserver")
    session.someone.wait_state("enabled", run.not_enabled, run.STEP_PATIENCE_S)
    for _ in range(3):
        trading.next()

    received = [one.received_ns for one in gather.received(session.client, session.control)]
    assert not [ns for ns in received if stopped_ns + READ_WINDOW_NS + 1_000_000_000 < ns < restarted_ns]
    assert [ns for ns in received if ns > restarted_ns]
    refused = [order for order in gather.ledger(session.client, session.gateway).orders if order.reason == "halted"]
    assert refused


def stale(state: Mapping[str, Any]) -> str:
    """Say that the gateway still trusts its last read of the switch."""
    return "" if state["state"] == "halted" else f"state {state['state']}"
