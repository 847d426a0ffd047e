"""A real simulator in a subprocess, on free loopback ports, serving a tiny dataset that the test writes.

::

    with simulator.running(tmp_path) as venue:      # or simulator.threaded: faster, cannot be killed
        client = TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)
        venue.to_open(0)      # the first session opens
        venue.to_bars(0)      # its bars are published

The clock starts one hour before the first open; a symbol is listed (can be ordered) from its first open on, because
before that nobody knows a price. ``kill`` ends it with SIGKILL, ``start`` starts it again on the same ports with the
same state file.
"""

import asyncio
import contextlib
import datetime as dt
import json
import pathlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import exchange_calendars
import httpx2

from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_simulator import __main__, server

# A start imports for seconds, and many tests may share two cores.
START_PATIENCE_S = 90
FIRST = "2012-03-02"
# Bars become known this long after the close.
PUBLICATION_DELAY = dt.timedelta(minutes=15)
Prices = Mapping[str, Sequence[tuple[str, str] | None]]
PRICES: Prices = {
    "AAPL": [("500", "510"), ("512.5", "505"), ("504", "520"), ("521.25", "519"), ("518", "530"), ("531", "528")],
    "IBM": [("200", "199"), ("198.5", "201"), ("201", "202"), ("203", "200.5"), ("199", "198"), ("197", "196")],
    "MSFT": [("32", "32.5"), None, ("33", "32.75"), ("32.5", "33.25"), ("33.5", "34"), ("34.25", "34")],
}


@dataclass(frozen=True)
class Session:
    """One session of the dataset, as RFC 3339 texts."""

    date: str
    open: str
    close: str
    published: str


@dataclass(frozen=True)
class Action:
    """A split, (2, 1) for two new shares per old one, or a dividend in USD, from session number ``session`` on."""

    symbol: str
    session: int
    split: tuple[int, int] = (1, 1)
    dividend: str = "0"


def sessions(count: int, *, first: str = FIRST) -> list[Session]:
    """Return the exchange's own sessions from a date on."""
    start = dt.date.fromisoformat(first)
    calendar = exchange_calendars.get_calendar("XNYS", start=start, end=start + dt.timedelta(days=2 * count + 10))
    return [
        Session(
            date=label.date().isoformat(),
            open=_text(opened),
            close=_text(closed),
            published=_text(closed + PUBLICATION_DELAY),
        )
        for label, opened, closed in zip(calendar.sessions, calendar.opens, calendar.closes, strict=True)
    ][:count]


def write_dataset(
    folder: pathlib.Path, prices: Prices = PRICES, *, actions: Sequence[Action] = (), first: str = FIRST
) -> list[Session]:
    """Write a dataset folder; ``prices`` are (open, close) per session, None where a symbol does not trade."""
    days = sessions(max(len(rows) for rows in prices.values()), first=first)
    found = [
        bars.Bar(
            symbol=symbol,
            start=times.instant(day.open),
            end=times.instant(day.close),
            available_at=times.instant(day.published),
            open=numbers.price(pair[0]),
            high=numbers.price(max(pair, key=float)),
            low=numbers.price(min(pair, key=float)),
            close=numbers.price(pair[1]),
            volume=1000 + number,
        )
        for symbol, rows in prices.items()
        for number, (day, pair) in enumerate(zip(days, rows, strict=False))
        if pair is not None
    ]
    happened = [
        bars.CorporateAction(
            symbol=action.symbol,
            ex_start=times.instant(days[action.session].open),
            split=action.split,
            dividend=numbers.money(action.dividend),
        )
        for action in actions
    ]
    manifest = {"name": "tiny", "timeframe": "1d", "origin": "made by a test", "licence": "none"}
    dataset.write(folder, manifest=manifest, found=found, actions=happened)
    return days


def write_minutes(
    folder: pathlib.Path, found: Sequence[bars.Bar], *, actions: Sequence[bars.CorporateAction] = (), first: str = FIRST
) -> list[Session]:
    """Write a dataset folder of minutes; the sessions are those from ``first`` to the last minute's."""
    manifest = {"name": "tiny", "timeframe": "1m", "origin": "made by a test", "licence": "none"}
    dataset.write(folder, manifest=manifest, found=found, actions=actions)
    last = times.text(max(one.end for one in found))
    return [day for day in sessions(10, first=first) if day.open < last]


@dataclass
class Venue:
    """A simulator process and where to reach it."""

    folder: pathlib.Path
    sessions: list[Session]
    clock: str
    cash: str = "1000000"
    profile: str = "realistic"
    assets: Mapping[str, Any] | None = None
    options: Sequence[str] = ()
    account: str = "demo"
    key_id: str = "AKDEMO"
    secret_key: str = "secret-of-demo"
    oauth_token: str = "secret-token-of-demo"
    data_key_id: str = "AKDATA"
    data_secret_key: str = "secret-of-data"
    basic_key_id: str = "AKBASIC"
    basic_secret_key: str = "secret-of-basic"
    listen: str = "127.0.0.1:0"
    control: str = "127.0.0.1:0"
    process: "subprocess.Popen[str] | None" = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    reader: threading.Thread | None = None
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=30))

    @property
    def url(self) -> str:
        """Base address of REST, for trading and data."""
        return f"http://{self.listen}"

    @property
    def stream_url(self) -> str:
        """Address of the trade-updates stream."""
        return f"ws://{self.listen}/stream"

    @property
    def data_stream_url(self) -> str:
        """Address of the stream of bars."""
        return f"ws://{self.listen}/v2/iex"

    def feed_url(self, feed: str) -> str:
        """Address of the stream of a feed."""
        return f"ws://{self.listen}/v2/{feed}"

    def fault(self, **fault: Any) -> int:
        """Turn a fault on and return its number."""
        answer = self.client.post(f"{self.control_url}/control/faults", json=fault)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["number"])

    def faults(self) -> dict[str, Any]:
        """Return the faults that are on, and the record of what they met."""
        found: dict[str, Any] = self.client.get(f"{self.control_url}/control/faults").json()
        return found

    @property
    def control_url(self) -> str:
        """Address of the control port."""
        return f"http://{self.control}"

    @property
    def state_file(self) -> pathlib.Path:
        """The SQLite file."""
        return self.folder / "state.sqlite"

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [
            *(sys.executable, "-m", "tradeplane_simulator"),
            *("--data", str(self.folder / "data"), "--state", str(self.state_file)),
            *("--accounts", str(self.folder / "accounts.json")),
            *("--listen", self.listen, "--control", self.control),
            *("--clock", self.clock, "--profile", self.profile),
            *(("--assets", str(self.folder / "assets.json")) if self.assets is not None else ()),
            *self.options,
        ]

    def start(self) -> None:
        """Start the process and wait until it listens; ports stay the same after the first time."""
        self.lines.clear()
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        ready = threading.Event()
        self.reader = threading.Thread(target=self._read, args=(self.process, ready), daemon=True)
        self.reader.start()
        if not ready.wait(START_PATIENCE_S) or not any(line.get("event") == "listening" for line in self.lines):
            self.kill()
            raise RuntimeError(f"simulator did not start: {self.lines[-5:]}")

    def kill(self) -> None:
        """End the process with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self._ended()

    def stop(self) -> int:
        """End the process with SIGTERM; returns its exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        assert self.reader is not None
        status = self.process.wait(START_PATIENCE_S)
        # Only then is everything that it logged in ``lines``.
        self.reader.join(START_PATIENCE_S)
        self.process = None
        return status

    def state(self) -> dict[str, Any]:
        """Return the control port's state."""
        return self.client.get(f"{self.control_url}/control/state").json()

    def journal(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the requests after a number."""
        return self.client.get(f"{self.control_url}/control/journal", params={"after": after}).json()

    def move(self, to: str) -> dict[str, Any]:
        """Move the clock and return the state."""
        answer = self.client.post(f"{self.control_url}/control/clock", json={"to": to})
        answer.raise_for_status()
        return answer.json()

    def to_open(self, session: int) -> dict[str, Any]:
        """Move to the open of a session of the dataset."""
        return self.move(self.sessions[session].open)

    def to_close(self, session: int) -> dict[str, Any]:
        """Move to the close of a session, when fees are booked and orders have expired."""
        return self.move(self.sessions[session].close)

    def to_bars(self, session: int) -> dict[str, Any]:
        """Move to the publication of a session's bars."""
        return self.move(self.sessions[session].published)

    def wait_for_stream(self, stream: str, clients: int = 1) -> None:
        """Wait until this many clients listen to ``trading`` or subscribe to ``data``."""
        self.wait_for("stream_clients", clients, stream=stream)

    def wait_for(self, metric: str, count: int, *, stream: str) -> None:
        """Wait until one of the venue's own metrics has come to a count."""
        self.wait(lambda: self.measured(metric, stream=stream) == count, what=f"{metric} of {count}")

    def wait_for_more(self, metric: str, count: float, *, stream: str = "") -> None:
        """Wait until one that only grows has come to a count, or beyond it."""
        self.wait(lambda: self.measured(metric, stream=stream) >= count, what=f"{metric} of {count}")

    def measured(self, metric: str, *, stream: str = "") -> float:
        """Return one of the venue's metrics; venues in threads of one process count together."""
        label = f'{{stream="{stream}"}}' if stream else ""
        for line in self.client.get(f"{self.control_url}/metrics").text.splitlines():
            if line.startswith(f"tradeplane_simulator_{metric}{label} "):
                return float(line.rpartition(" ")[2])
        return 0

    def wait(self, happened: Callable[[], bool], *, what: str) -> None:
        """Wait until something can be seen."""
        deadline = time.monotonic() + START_PATIENCE_S
        while not happened():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not seen: {what}")
            time.sleep(0.01)

    def _read(self, process: "subprocess.Popen[str]", ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                self.lines.append(entry)
                if entry.get("event") == "listening":
                    self.listen, self.control = entry["listen"], entry["control"]
                    ready.set()
                continue
            self.lines.append({"event": "text", "text": line})
        ready.set()


def prepare(
    folder: pathlib.Path,
    prices: Prices = PRICES,
    *,
    actions: Sequence[Action] = (),
    cash: str = "1000000",
    first: str = FIRST,
    minutes: Sequence[bars.Bar] = (),
    profile: str = "realistic",
    assets: Mapping[str, Any] | None = None,
    options: Sequence[str] = (),
    rate: Mapping[str, int] | None = None,
    data_streams: int | None = None,
    recorded: Mapping[str, pathlib.Path] | None = None,
    notices: Sequence[Mapping[str, Any]] = (),
    names: Sequence[tuple[str, str, str]] = (),
) -> Venue:
    """Write accounts, assets and dataset, of ``minutes`` if given; the clock stands one hour before the first open.

    ``recorded`` are files of ticks by the name that they have in a folder of theirs; they are not copied.
    """
    if recorded:
        (folder / "data").mkdir()
        for name, file in recorded.items():
            (folder / "data" / name).symlink_to(file)
        days = sessions(10, first=first)
    elif minutes:
        days = write_minutes(folder / "data", minutes, first=first)
    else:
        days = write_dataset(folder / "data", prices, actions=actions, first=first)
    if names:
        (folder / "data" / "names.csv").write_text(
            "".join(f"{','.join(row)}\n" for row in [("date", "old", "new"), *names])
        )
    if notices:
        (folder / "data" / "notices.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in notices))
    clock = dt.datetime.fromisoformat(days[0].open) - dt.timedelta(hours=1)
    venue = Venue(folder=folder, sessions=days, clock=_text(clock), cash=cash, profile=profile, assets=assets)
    venue.options = options
    accounts = [
        {
            "name": venue.account,
            "cash": cash,
            "rate": rate,
            "data_streams": data_streams,
            "keys": [
                {
                    "key_id": venue.key_id,
                    "secret_key": venue.secret_key,
                    "scope": "trading",
                    "oauth_token": venue.oauth_token,
                },
                {"key_id": venue.data_key_id, "secret_key": venue.data_secret_key, "scope": "data"},
                {
                    "key_id": venue.basic_key_id,
                    "secret_key": venue.basic_secret_key,
                    "scope": "data",
                    "plan": "basic",
                },
            ],
        }
    ]
    (folder / "accounts.json").write_text(json.dumps(accounts))
    if assets is not None:
        (folder / "assets.json").write_text(json.dumps(assets))
    return venue


@contextlib.contextmanager
def running(folder: pathlib.Path, prices: Prices = PRICES, **settings: Any) -> Iterator[Venue]:
    """Run a simulator for the length of a test; the settings are those of :func:`prepare`."""
    venue = prepare(folder, prices, **settings)
    venue.start()
    try:
        yield venue
    finally:
        venue.kill()
        venue.client.close()


@contextlib.contextmanager
def threaded(folder: pathlib.Path, prices: Prices = PRICES, **settings: Any) -> Iterator[Venue]:
    """Run the same server on real sockets in a thread of the test, which saves the start of a process."""
    venue = prepare(folder, prices, **settings)
    chosen = __main__.settings(venue.command[3:])
    ready: queue.Queue[server.Addresses | Exception] = queue.Queue()
    stop: queue.Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def serve() -> None:
        ended = asyncio.Event()
        stop.put((asyncio.get_running_loop(), ended))
        try:
            await server.serve(chosen, stop=ended, listening=ready.put)
        except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
            ready.put(error)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    found = ready.get(timeout=START_PATIENCE_S)
    if isinstance(found, Exception):
        raise found
    venue.listen, venue.control = found.listen, found.control
    try:
        yield venue
    finally:
        loop, ended = stop.get()
        loop.call_soon_threadsafe(ended.set)
        thread.join(START_PATIENCE_S)
        venue.client.close()


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
