"""The strategy process as it runs on Ray: a subprocess, a real Valkey, and scripted HTTP peers."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from support import engine_data, live_runs, strategy_peers
from tradeplane_engine import declarative, live
from tradeplane_engine.domain import orders, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import lightgbm
from tradeplane_workers import artifacts, bar_messages, messages, translate
from tradeplane_workers.model import core

MARKET = engine_data.market(160)
FIRST = 150


class Process:
    """One attempt of a strategy."""

    def __init__(self, peers: strategy_peers.Peers, redis_url: str, config: Mapping[str, Any], log: Path) -> None:
        self.peers = peers
        self.redis: Any = redis.Redis.from_url(redis_url, decode_responses=True)
        self.config = dict(config)
        self._env = {
            "TRADEPLANE_GATEWAY_URL": peers.url,
            "TRADEPLANE_MARKET_DATA_URL": peers.url,
            "TRADEPLANE_REDIS_URL": redis_url,
        }
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **changed: Any) -> None:
        """Start an attempt, with fields of its configuration replaced."""
        env = {**os.environ, **self._env, "TRADEPLANE_CONFIG": json.dumps(self.config | changed)}
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tradeplane_workers.strategy"], env=env, stdout=output, stderr=output
            )

    def wait(self) -> int:
        """Return the exit code."""
        assert self.process is not None
        return self.process.wait(20)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def publish(self, number: int, stream: str = "bars:1d", **changed: Any) -> None:
        """Let the provider know a session, and publish it as market data does."""
        one = MARKET[number]
        self.peers.known = number + 1
        message = messages.SliceMessage(
            timeframe="1d",
            end=times.text(one.end),
            bars=tuple(bar_messages.bar_message(bar) for bar in one.bars.values()),
        ).model_copy(update=changed)
        self.redis.xadd(stream, {"message": message.model_dump_json()}, id=f"{one.end // 1_000_000}-0")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was logged; every line must be JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture(scope="module")
def artifact() -> bytes:
    """Train a small model on the first sessions."""
    training = lightgbm.Training(
        symbols=engine_data.SYMBOLS,
        features=engine_data.ALPHA,
        horizon=1,
        start=engine_data.opening(0),
        end=engine_data.ending(140),
        seed=3,
        parameters={"num_iterations": "20", "num_leaves": "4"},
    )
    return lightgbm.train(training, MARKET[:140]).artifact


@pytest.fixture
def world(artifact: bytes, redis_url: str, tmp_path: Path) -> Iterator[Process]:
    """Give a strategy that has not started yet."""
    store = artifacts.ArtifactStore(tmp_path.as_uri())
    digest = store.put(artifact)
    served = core.Core(store)
    features = {"set": "alpha158", "version": "v1"}
    served.load(
        {"model": "alpha", "artifact": store.url(digest), "digest": digest, "features": features, "max_batch": 64}
    )
    with strategy_peers.serving(strategy_peers.Peers(served, MARKET, FIRST)) as peers:
        config = {
            "environment": "demo",
            "name": "momentum",
            "uid": "0a-0b",
            "generation": 1,
            "attempt": 1,
            "spec": {
                "universe": {"symbols": list(engine_data.SYMBOLS)},
                "bars": {"timeframe": "1d"},
                "signal": {"models": [{"name": "alpha"}]},
                "portfolio": {"construct": "top-bottom-n", "top": 2, "bottom": 1, "capital": "300000"},
                "riskPolicyRef": "prudent",
            },
            "model": {
                "name": "alpha",
                "uid": "m",
                "generation": 1,
                "url": f"{peers.url}/models/alpha",
                "digest": digest,
                "artifact": store.url(digest),
                "features": features,
                "deadline": "2s",
            },
            "policy": {"name": "prudent", "hash": "sha256:0", "spec": {"position": {"allowShort": True}}},
        }
        process = Process(peers, redis_url, config, tmp_path / "strategy.log")
        try:
            yield process
        finally:
            if process.process is not None and process.process.poll() is None:
                process.process.kill()
                process.process.wait()
            process.redis.close()


def until(holds: Callable[[], bool]) -> None:
    """Await a fact of the process's output."""
    limit = times.SECOND * 20
    started = time.monotonic_ns()
    while not holds():
        assert time.monotonic_ns() - started < limit
        time.sleep(0.02)


def expected(world: Process, artifact: bytes, sessions: range) -> list[orders.Decision]:
    """Return what a host in this process decides on these sessions, from the artifact itself."""
    strategy = translate.recorded_strategy(world.config)
    features = sources.LastBars(strategy.features, strategy.symbols)
    declared = declarative.Declarative(strategy, features=features, model=lightgbm.load(artifact))
    host = live.Host(strategy, declared, live_runs.Venue(), live_runs.Now(), features=features)
    host.warm(MARKET[: sessions.start])
    return [host.step(MARKET[number]) for number in sessions]


def test_each_bar_gives_the_hosts_own_decision(world: Process, artifact: bytes) -> None:
    """Over HTTP and Redis the process decides what a host decides in one process, to the bit."""
    world.start()
    world.peers.await_fence()
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    for number in range(FIRST, FIRST + 4):
        world.publish(number)
        world.peers.await_decisions(number - FIRST + 1)
    posted = world.peers.posts
    wanted = expected(world, artifact, range(FIRST, FIRST + 4))
    assert [post.trigger for post in posted] == [times.text(one.trigger) for one in wanted]
    for post, decision in zip(posted, wanted, strict=True):
        assert post.outcome == "traded"
        assert [(one.symbol, one.score, one.features) for one in post.signals] == [
            (one.symbol, one.score, one.features) for one in decision.signals
        ]
        assert [(one.symbol, one.side, one.quantity) for one in post.intents] == [
            (one.symbol, one.side.value, str(one.quantity // 10**9)) for one in decision.intents
        ]
        assert post.model_digest == world.config["model"]["digest"]
    assert world.stop() == 0


def test_a_killed_process_is_continued_by_the_next_attempt(world: Process) -> None:
    """Bars that came in between are missed but for the newest; none is decided twice."""
    world.start()
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.publish(FIRST)
    world.peers.await_decisions(1)
    world.stop(signal.SIGKILL)
    for number in range(FIRST + 1, FIRST + 4):
        world.publish(number)
    world.start(attempt=2)
    found = world.peers.await_decisions(4)
    assert [one.outcome for one in found] == ["traded", "missed", "missed", "traded"]
    assert len(world.peers.posts) == 4


def test_timeframe_and_session_choose_the_stream(world: Process) -> None:
    """Bars of another timeframe, or of another session, are none of its triggers."""
    world.start(spec=world.config["spec"] | {"bars": {"timeframe": "5m", "session": "extended"}})
    until(lambda: world.redis.scard("subscriptions:5m:extended") == 5)
    world.publish(FIRST)
    world.publish(FIRST, stream="bars:5m", timeframe="5m")
    world.publish(FIRST + 1, stream="bars:5m:extended", timeframe="5m", session="extended")
    (decision,) = world.peers.await_decisions(1)
    assert (decision.trigger, decision.outcome) == (times.text(MARKET[FIRST + 1].end), "traded")
    assert world.redis.exists("subscriptions:1d") == 0


def test_outages_of_every_peer_only_delay(world: Process) -> None:
    """The gateway, history and model fail before they answer; the decision comes, once."""
    world.peers.trouble = {
        "fence": ["cut", 503],
        "history": [503, "cut", 500],
        "order-events": ["cut"],
        "decisions": [503, "cut"],
        "predict": [503, "cut"],
    }
    world.start()
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.publish(FIRST)
    (decision,) = world.peers.await_decisions(1)
    assert decision.outcome == "traded"
    assert all(not left for left in world.peers.trouble.values())


def test_a_redis_that_lost_everything_is_subscribed_again(world: Process) -> None:
    """The subscription comes back by itself, and so does the next bar."""
    world.start()
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.redis.flushdb()
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.publish(FIRST)
    world.peers.await_decisions(1)


def test_a_late_prediction_is_no_signal(world: Process) -> None:
    """A model beyond its deadline gives a recorded decision without intents; the next bar may trade."""
    world.peers.model_delay_s = 1.0
    world.start(model=world.config["model"] | {"deadline": "300ms"})
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.publish(FIRST)
    (late,) = world.peers.await_decisions(1)
    assert (late.outcome, late.intents) == ("prediction-late", ())
    world.peers.model_delay_s = 0.0
    world.publish(FIRST + 1)
    assert world.peers.await_decisions(2)[-1].outcome == "traded"


def test_a_wrong_digest_is_no_signal(world: Process) -> None:
    """Scores of another artifact than the declared one never become orders."""
    world.start(model=world.config["model"] | {"digest": "sha256:" + "0" * 64})
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.publish(FIRST)
    (decision,) = world.peers.await_decisions(1)
    assert (decision.outcome, decision.intents) == ("no-signal", ())
    assert "wrong-digest" in decision.detail


def test_a_fenced_start_exits(world: Process) -> None:
    """An equal or lower attempt ends with the documented code."""
    world.peers.trouble = {"fence": [403]}
    world.start()
    assert world.wait() == 3


def test_a_process_that_lost_its_fence_exits_while_idle(world: Process) -> None:
    """The heartbeat notices it without a bar."""
    world.start()
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.peers.token = "of another attempt"
    assert world.wait() == 3
    assert world.peers.posts == []


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"spec": {"universe": {"symbols": ["AAA"]}, "surprise": 1}}, "signal"),
        ({"generation": "one"}, "generation"),
        ({"uid": None}, "uid"),
    ],
)
def test_a_refused_configuration_exits(world: Process, changed: dict[str, Any], said: str) -> None:
    """The field is named in the log, and no fence was taken."""
    world.start(**changed)
    assert world.wait() == 2
    assert said in world.lines[-1]["error"]
    assert world.peers.fences == []


def test_a_stop_while_the_gateway_is_away_is_clean(world: Process) -> None:
    """SIGTERM ends every wait."""
    world.peers.trouble = {"fence": [503] * 1000}
    world.start()
    until(lambda: any(line["event"] == "gateway did not answer" for line in world.lines))
    assert world.stop() == 0


def test_metrics_and_logs_tell_what_happened(world: Process) -> None:
    """Every line is JSON with the strategy's name, no secret is in it, and the figures are served."""
    world.start()
    until(lambda: world.redis.scard("subscriptions:1d") == 5)
    world.publish(FIRST)
    world.peers.await_decisions(1)
    until(lambda: any(line["event"] == "decision recorded" for line in world.lines))
    port = next(line["port"] for line in world.lines if line["event"] == "metrics served")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        figures = answer.read().decode()
    assert re.search(r'tradeplane_strategy_decisions_total\{outcome="traded"\} 1\.0', figures)
    assert all(line["process"] == "strategy" for line in world.lines)
    with contextlib.closing(world._log.open()) as text:
        assert strategy_peers.TOKEN not in text.read()


def test_ray_is_not_imported() -> None:
    """The process is plain; what runs it is none of its business."""
    code = "import sys, tradeplane_workers.strategy.__main__; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
