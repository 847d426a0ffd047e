"""``tradeplane simulator`` as a user starts it, and the official clients on what it prints."""

import asyncio
import contextlib
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import httpx2
import pytest
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.live import StockDataStream
from alpaca.data.requests import StockLatestTradeRequest
from alpaca.trading.client import TradingClient

from support import simulator
from support.conformance import flat, moment, send
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import dataset, pace, store
from tradeplane_simulator import simulator as venues

PATIENCE_S = 60


@contextlib.contextmanager
def started(home: pathlib.Path, *more: str) -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]"]]:
    """Start the command and read what it says to export."""
    command = [sys.executable, "-m", "tradeplane_cli", "simulator", "--home", str(home), "--port", "0", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            exports: dict[str, str] = {}
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("# the clock shows"):
                    exports["control"] = line.rpartition(" ")[2].strip()
                    break
                name, _, value = line.removeprefix("export ").strip().partition("=")
                exports[name] = value
            yield exports, process
        finally:
            process.kill()


def clients(exports: dict[str, str]) -> tuple[TradingClient, StockHistoricalDataClient]:
    """The official clients on what is to be exported."""
    key, secret = exports["APCA_API_KEY_ID"], exports["APCA_API_SECRET_KEY"]
    return (
        TradingClient(key, secret, url_override=exports["APCA_API_BASE_URL"]),
        StockHistoricalDataClient(key, secret, url_override=exports["APCA_API_DATA_URL"]),
    )


def test_a_stepped_clock_an_order_and_a_second_start(tmp_path: pathlib.Path) -> None:
    """The clock stands until it is moved; Ctrl-C ends it well, and the next start goes on with the same keys."""
    simulator.write_minutes(tmp_path / "data", flat("AAPL", "100", 10))
    with started(tmp_path / "home", "--data", str(tmp_path / "data"), "--stepped") as (exports, process):
        trading, data = clients(exports)
        assert trading.get_clock().timestamp.isoformat() == "2012-03-02T09:25:00-05:00"
        assert trading.get_account().cash == "100000"
        move(exports, moment("09:31:30"))
        sent = send(trading)
        move(exports, moment("09:32:30"))
        assert trading.get_order_by_id(sent["id"]).status.value == "filled"
        assert data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"].price == 100
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert (tmp_path / "home" / "accounts.json").stat().st_mode & 0o077 == 0
    with started(tmp_path / "home", "--data", str(tmp_path / "data"), "--stepped") as (again, _):
        assert again["APCA_API_KEY_ID"] == exports["APCA_API_KEY_ID"]
        assert clients(again)[0].get_open_position("AAPL").qty == "10"


async def test_a_fast_clock_on_the_demos_bars(tmp_path: pathlib.Path) -> None:
    """Without any data given, two days in seconds: the official stream hears them."""
    with started(tmp_path, "--speed", "40000") as (exports, _):
        days: asyncio.Queue[Any] = asyncio.Queue()
        stream = StockDataStream(
            exports["APCA_API_KEY_ID"],
            exports["APCA_API_SECRET_KEY"],
            url_override=exports["APCA_API_DATA_STREAM_URL"],
        )
        stream.subscribe_daily_bars(days.put, "*")
        task = asyncio.ensure_future(stream._run_forever())
        try:
            found = await asyncio.wait_for(days.get(), PATIENCE_S)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await stream.close()
        assert found.timestamp.isoformat() >= "2012-03-02"
        assert len(await asyncio.to_thread(clients(exports)[0].get_all_assets)) >= 4


def test_what_cannot_be_served_is_said(tmp_path: pathlib.Path) -> None:
    """In one line, with exit status 1."""
    command = [sys.executable, "-m", "tradeplane_cli", "simulator", "--home", str(tmp_path / "h"), "--port", "0"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path / "none")], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "tradeplane simulator: unreadable: bars.csv: No such file or directory\n"


class Nobody:
    """An audience that does not listen."""

    def trade_updates(self, account: str, updates: Any) -> None:
        """Hear nothing."""

    async def market_data(self, after: times.Nanos, until: times.Nanos) -> None:
        """Hear nothing."""

    async def flush(self) -> None:
        """Wait for nobody."""


async def test_a_clock_runs_so_many_times_as_fast(tmp_path: pathlib.Path) -> None:
    """Exactly, from where it stands; and it waits where something has moved it further."""
    simulator.write_minutes(tmp_path / "data", flat("AAPL", "100", 10))
    with contextlib.closing(store.Store(tmp_path / "state.sqlite")) as state:
        setup = venues.Setup(dataset.read(tmp_path / "data"), profile.named("paper"), state, Nobody())
        start = times.instant(moment("09:30:00"))
        venue = venues.Simulator(setup, clock=start)
        venue.open_account("demo", numbers.money("1"))
        machine = iter([0, *(number * times.SECOND for number in (1, 2, 3))])
        seen: list[int] = []

        async def wait(_: float) -> None:
            seen.append((venue.clock - start) // times.SECOND)
            if len(seen) == 3:
                await venue.advance(times.Nanos(start + 600 * times.SECOND))
            if len(seen) == 4:
                raise EOFError

        with pytest.raises(EOFError):
            await pace.run(venue, Fraction(60), now=lambda: next(machine), wait=wait)
    assert seen == [0, 60, 120, 600]


def move(exports: dict[str, str], to: str) -> None:
    """Move the clock."""
    httpx2.post(f"{exports['control']}/control/clock", json={"to": to}, trust_env=False, timeout=PATIENCE_S)
