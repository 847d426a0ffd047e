"""The market data process against the project's own simulator and a real Valkey that is killed and restarted."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx2
import pydantic
import pytest
import redis
from redis import exceptions as redis_exceptions

from support import engine_data, gateway, live_runs, minute_data, servers, simulator
from tradeplane_cli.local import valkey
from tradeplane_engine import declarative, live
from tradeplane_engine.data import aggregation
from tradeplane_engine.domain import orders, timeframes, times
from tradeplane_engine.features import sources
from tradeplane_workers import bar_messages, history_client, messages
from tradeplane_workers.strategy import __main__ as strategy_main
from tradeplane_workers.strategy import bar_stream, runner, stopping
from tradeplane_workers.strategy import figures as strategy_figures

SYMBOLS = ("AAPL", "IBM", "MSFT")
ENTRY: pydantic.TypeAdapter[messages.StreamEntry] = pydantic.TypeAdapter(messages.StreamEntry)


class World:
    """Simulator, Redis and the process."""

    def __init__(self, venue: simulator.Venue, redis_url: str, folder: Path, *, kube: servers.Kube) -> None:
        self.venue = venue
        self.redis: Any = redis.Redis.from_url(redis_url, decode_responses=True)
        key_file = folder / "data-key.json"
        key_file.write_text(json.dumps({"key_id": venue.data_key_id, "secret_key": venue.data_secret_key}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.listen = f"127.0.0.1:{free.getsockname()[1]}"
        self._log = folder / "market-data.log"
        self._env = {
            "TRADEPLANE_LISTEN": self.listen,
            "TRADEPLANE_REDIS_URL": redis_url,
            "TRADEPLANE_DATA_KEY_FILE": str(key_file),
            "TRADEPLANE_NAMESPACE": kube.namespace,
            "TRADEPLANE_ENVIRONMENT": "demo",
            "KUBECONFIG": str(kube.kubeconfig_for("market-data")),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tradeplane_workers.market_data"],
                env={**os.environ, **self._env},
                stdout=output,
                stderr=output,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def ready(self) -> None:
        """Await that bars come in and go out."""
        self.until(lambda: self.get("/healthz").status_code == 200)

    def get(self, path: str, **query: str) -> httpx2.Response:
        """Ask the process over HTTP; 599 while it does not listen."""
        try:
            return httpx2.get(f"http://{self.listen}{path}", params=query, timeout=20, trust_env=False)
        except httpx2.TransportError:
            return httpx2.Response(599)

    def until(self, holds: Callable[[], bool]) -> None:
        """Await a fact of another process."""
        started = time.monotonic()
        while not holds():
            assert time.monotonic() - started < 60, self.text[-3000:]
            time.sleep(0.02)

    def entries(self) -> list[messages.StreamEntry]:
        """Return the whole stream; empty while Redis is away."""
        try:
            return [ENTRY.validate_json(fields["message"]) for _, fields in self.redis.xrange("bars:1d")]
        except redis_exceptions.RedisError:
            return []

    def slices(self) -> list[messages.SliceMessage]:
        """Return the slices of the stream."""
        return [entry for entry in self.entries() if isinstance(entry, messages.SliceMessage)]

    def published(self, session: int) -> messages.SliceMessage:
        """Await a session's slice."""
        end = self.venue.sessions[session].close
        self.until(lambda: any(entry.end == end for entry in self.slices()))
        return next(entry for entry in self.slices() if entry.end == end)

    @property
    def text(self) -> str:
        """What was logged."""
        return self._log.read_text() if self._log.exists() else ""


def declare(kube: servers.Kube, venue: simulator.Venue) -> None:
    """Apply the Environment that names the simulator."""
    environment = {
        "apiVersion": "tradeplane.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": "demo"},
        "spec": gateway.environment_spec(venue),
    }
    kube.kubectl("apply", "-f", "-", stdin=json.dumps(environment))


@pytest.fixture
def world(redis_url: str, kube: servers.Kube, tmp_path: Path) -> Iterator[World]:
    """Run simulator and process; the first session's bars are known, and the Environment comes after the process."""
    actions = [simulator.Action("IBM", 2, split=(2, 1)), simulator.Action("AAPL", 2, dividend="2.65")]
    with simulator.running(tmp_path, actions=actions) as venue:
        made = World(venue, redis_url, tmp_path, kube=kube)
        venue.to_bars(0)
        made.redis.sadd("subscriptions:1d", *SYMBOLS)
        made.start()
        try:
            made.until(lambda: "waiting for the environment" in made.text)
            declare(kube, venue)
            made.ready()
            yield made
        finally:
            if made.process is not None and made.process.poll() is None:
                made.process.kill()
                made.process.wait()
            with contextlib.suppress(redis_exceptions.RedisError):
                made.redis.close()


def test_each_session_is_one_slice_in_order(world: World) -> None:
    """Sessions of the venue arrive exactly, absent symbols named, actions with the session they act before."""
    for session in range(1, 4):
        world.venue.to_bars(session)
        world.published(session)
    found = world.slices()
    assert [entry.end for entry in found] == [world.venue.sessions[session].close for session in range(4)]
    second = found[1]
    assert [(bar.symbol, bar.open, bar.close) for bar in second.bars] == [
        ("AAPL", "512.5", "505"),
        ("IBM", "198.5", "201"),
    ]
    assert second.absent == ("MSFT",)
    assert [(action.symbol, action.split, action.dividend) for action in found[2].actions] == [
        ("AAPL", "1/1", "2.65"),
        ("IBM", "2/1", "0"),
    ]
    assert not any(entry.backfilled for entry in found[1:])


def test_history_is_what_is_known(world: World) -> None:
    """By span, by count, and a refusal for what the venue's clock has not reached, though the machine's has."""
    world.venue.to_bars(1)
    days = world.venue.sessions
    query = {"symbols": "AAPL,IBM", "timeframe": "1d", "start": days[0].open}
    known = messages.History.model_validate_json(world.get("/v1/history", **query, end=days[1].close).content)
    assert [(bar.symbol, bar.end) for bar in known.bars] == [
        (symbol, days[session].close) for session in (0, 1) for symbol in ("AAPL", "IBM")
    ]
    later = world.get("/v1/history", **query, end=days[2].close)
    assert (later.status_code, later.json()["reason"]) == (409, "not-known-yet")
    assert days[2].close in later.json()["detail"]
    newest = world.get("/v1/history", symbols="AAPL", timeframe="1d", last="1")
    assert [bar["end"] for bar in newest.json()["bars"]] == [days[1].close]
    world.venue.to_bars(2)
    actions = world.get("/v1/history", **query).json()["actions"]
    assert [(action["symbol"], action["ex_start"]) for action in actions] == [
        ("AAPL", days[2].open),
        ("IBM", days[2].open),
    ]


def test_a_killed_provider_costs_no_bar(world: World) -> None:
    """Sessions that end while the process cannot connect are back-filled in order behind a gap marker."""
    world.venue.kill()
    world.until(lambda: world.get("/healthz").status_code == 503)
    world.venue.start()
    world.venue.to_bars(2)
    world.published(2)
    world.ready()
    world.venue.to_bars(3)
    world.published(3)
    ends = [entry.end for entry in world.slices()]
    assert ends == [world.venue.sessions[session].close for session in range(4)]
    assert any(isinstance(entry, messages.GapMessage) for entry in world.entries())


def test_a_killed_process_continues(world: World) -> None:
    """Its next life publishes what it missed, once."""
    world.stop(signal.SIGKILL)
    world.venue.to_bars(2)
    world.start()
    world.published(2)
    ends = [entry.end for entry in world.slices()]
    assert ends == [world.venue.sessions[session].close for session in range(3)]
    assert [entry.backfilled for entry in world.slices()[1:]] == [True, True]


def test_a_stop_is_clean_and_logs_hold_no_secret(world: World) -> None:
    """SIGTERM ends it with 0; every line is JSON; metrics are served; the key's secret is nowhere."""
    line = 'tradeplane_market_data_slices_published_total{backfilled="true",timeframe="1d"} 1.0'
    world.until(lambda: line in world.get("/metrics").text)  # counted once Redis has confirmed the slice
    figures = world.get("/metrics").text
    assert world.stop() == 0
    assert world.venue.data_secret_key not in world.text + figures
    assert {json.loads(line)["process"] for line in world.text.splitlines()} == {"market_data"}


def test_a_redis_that_is_killed_and_comes_back_empty_is_filled_again(kube: servers.Kube, tmp_path: Path) -> None:
    """SIGKILL of a Valkey without persistence loses nothing for readers: subscriptions and slices come again."""
    own = _OwnValkey(tmp_path)
    own.start()
    try:
        with simulator.running(tmp_path) as venue:
            world = World(venue, own.url, tmp_path, kube=kube)
            venue.to_bars(0)
            world.redis.sadd("subscriptions:1d", *SYMBOLS)
            declare(kube, venue)
            world.start()
            try:
                world.ready()
                world.published(0)
                own.kill()
                venue.to_bars(1)
                own.start()
                world.redis.sadd("subscriptions:1d", *SYMBOLS)
                world.published(1)
                venue.to_bars(2)
                world.published(2)
                ends = [entry.end for entry in world.slices()]
                assert ends == sorted(set(ends))
                assert ends == [venue.sessions[session].close for session in range(3)]
                assert isinstance(world.entries()[0], messages.GapMessage)
            finally:
                assert world.stop() == 0
    finally:
        own.close()


class _OwnValkey:
    """A Valkey of one test, because it is killed; its directory is short, because socket paths are bounded."""

    def __init__(self, folder: Path) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="tpv"))
        self._server = valkey.Valkey(self._directory, folder / "valkey.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL of its socket."""
        return self._server.url()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._server.prepare()
        self._process = subprocess.Popen(self._server.spec().argv, stdout=subprocess.DEVNULL)
        started = time.monotonic()
        while (missing := self._server.missing()) is not None:
            assert time.monotonic() - started < 10, missing
            time.sleep(0.02)

    def kill(self) -> None:
        """End it with SIGKILL; a second time does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it and remove its directory."""
        self.kill()
        shutil.rmtree(self._directory)


#: Seven hours of one session, two symbols; the second one has no trade in some minutes, and in none of one bucket.
_DAY = timeframes.Hours(times.instant("2012-03-02T14:30:00Z"), times.instant("2012-03-02T21:00:00Z"))
_QUIET = (311, 313, *range(320, 325), 329, 333)
MINUTES = [*minute_data.walk("AAPL", _DAY), *minute_data.walk("IBM", _DAY, without=_QUIET)]
FIVE = timeframes.span("5m")


def after(minute: int) -> str:
    """Return the publication of a minute of the session, by its number."""
    return times.text(times.Nanos(_DAY.start + (minute + 1) * times.MINUTE + times.SECOND))


def entries_of(world: World, channel: str) -> list[messages.StreamEntry]:
    """Return the whole stream of a channel."""
    return [ENTRY.validate_json(fields["message"]) for _, fields in world.redis.xrange(f"bars:{channel}")]


def buckets(world: World, channel: str) -> dict[str, messages.SliceMessage]:
    """Return the slices of a channel by their end; none is there twice."""
    found = [entry for entry in entries_of(world, channel) if isinstance(entry, messages.SliceMessage)]
    assert len(found) == len({entry.end for entry in found})
    return {entry.end: entry for entry in found}


class Follower:
    """A declarative strategy on five minutes, in a thread: history, stream and host are the real ones."""

    def __init__(self, world: World) -> None:
        self.venue = live_runs.Venue()
        self._stop = stopping.Stop()
        made = engine_data.strategy(symbols=("AAPL", "IBM"), top=1, bottom=0)
        strategy = dataclasses.replace(made, timeframe="5m")
        counted = strategy_figures.Figures()
        clock = strategy_main.MachineClock()
        features = sources.LastBars(strategy.features, strategy.symbols)
        declared = declarative.Declarative(strategy, features=features, model=engine_data.LastReturn())
        host = live.Host(strategy, declared, self.venue, clock, features=features)
        stream = bar_stream.BarStream(
            world.redis, channel=strategy.channel, symbols=strategy.symbols, stop=self._stop, counted=counted
        )
        history = history_client.HistoryClient(f"http://{world.listen}", patience_s=0.0)
        origins = runner.Sources(history=history, stream=stream, heartbeat=lambda: None)
        self._runner = runner.Runner(
            strategy,
            host,
            origins,
            stop=self._stop,
            counted=counted,
            machine_now=clock.now,
        )
        self._runner.start(None)
        self._thread = threading.Thread(target=self._follow)

    def _follow(self) -> None:
        with contextlib.suppress(stopping.Stopped):
            self._runner.follow()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.request()
        self._thread.join()


def test_minutes_become_buckets_on_which_a_strategy_decides_once(
    redis_url: str, kube: servers.Kube, tmp_path: Path
) -> None:
    """From the simulator's minutes over the process and Valkey to a declarative strategy on five minutes."""
    with simulator.threaded(tmp_path, minutes=MINUTES) as venue:
        world = World(venue, redis_url, tmp_path, kube=kube)
        venue.move(after(309))
        for channel in ("1m", "5m"):
            world.redis.sadd(f"subscriptions:{channel}", "AAPL", "IBM")
        declare(kube, venue)
        world.start()
        try:
            world.ready()
            world.until(lambda: after_minute(309) in buckets(world, "5m") and after_minute(309) in buckets(world, "1m"))
            with Follower(world) as strategy:
                for number in range(310, 340):
                    venue.move(after(number))
                    if number % 5 == 4:
                        await_decision(world, strategy, after_minute(number))
            ends = [after_minute(number) for number in range(314, 340, 5)]
            assert [times.text(one.trigger) for one in strategy.venue.decisions] == ends
            assert {one.outcome for one in strategy.venue.decisions} == {orders.Outcome.TRADED}
            world.until(lambda: after_minute(339) in buckets(world, "1m"))
            check_buckets(world, ends)
            check_history(world)
        finally:
            assert world.stop() == 0
            world.redis.close()


def after_minute(number: int) -> str:
    """Return the end of a minute of the session, by its number."""
    return times.text(times.Nanos(_DAY.start + (number + 1) * times.MINUTE))


def await_decision(world: World, strategy: Follower, end: str) -> None:
    """Await the decision on a bucket."""
    world.until(lambda: end in {times.text(one.trigger) for one in strategy.venue.decisions})


def check_buckets(world: World, ends: list[str]) -> None:
    """Each slice is the exact sum of the dataset's minutes; what is missing is marked with its reason."""
    found = buckets(world, "5m")
    made = {
        (one.symbol, times.text(one.end)): bar_messages.bar_message(one)
        for symbol in ("AAPL", "IBM")
        for one in aggregation.aggregate([one for one in MINUTES if one.symbol == symbol], [_DAY], length=FIVE)
    }
    for end in ends:
        there = [made[symbol, end] for symbol in ("AAPL", "IBM") if (symbol, end) in made]
        assert list(found[end].bars) == there
        assert not found[end].backfilled
    quiet = found[after_minute(324)]
    marker = messages.MissingBar(symbol="IBM", start=after_minute(319), reason="no-trade", last_end=after_minute(319))
    assert (quiet.absent, quiet.missing) == (("IBM",), (marker,))
    absent = [end for end, entry in buckets(world, "1m").items() if entry.absent == ("IBM",)]
    assert absent == [after_minute(number) for number in _QUIET]
    figures = world.get("/metrics").text
    assert 'tradeplane_market_data_bars_missing_total{reason="no-trade",timeframe="1m"} 9.0' in figures
    assert 'tradeplane_market_data_bar_age_seconds{symbol="IBM",timeframe="5m"} 0.0' in figures


def check_history(world: World) -> None:
    """History says what the stream said, and the last half hour of the session is an hour's bar of its own."""
    answer = world.get("/v1/history", symbols="AAPL,IBM", timeframe="5m", last="5")
    streamed = [bar for entry in list(buckets(world, "5m").values())[-5:] for bar in entry.bars]
    assert messages.History.model_validate_json(answer.content).bars == tuple(streamed)
    hour = world.get("/v1/history", symbols="AAPL", timeframe="1h", last="1").json()["bars"]
    assert [(bar["start"], bar["end"]) for bar in hour] == [("2012-03-02T18:30:00Z", "2012-03-02T19:30:00Z")]
