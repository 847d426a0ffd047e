"""``tradeplane orders``, ``positions``, ``fills`` and ``cancel`` against a gateway on a real socket."""

import asyncio
import json
import pathlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from support import gateway, simulator
from tradeplane_cli import __main__ as cli

FAR = [("AAPL", "buy", "10", ("type", "limit"), ("time_in_force", "gtc"), ("limit_price", "1"))]


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue after its first session."""
    with simulator.threaded(tmp_path) as found:
        found.to_bars(0)
        yield found


@pytest.fixture
async def bench(venue: simulator.Venue, postgres_url: str, redis_url: str) -> AsyncIterator[gateway.Bench]:
    """A gateway that may trade."""
    async with gateway.running(venue, postgres_url, redis_url) as found:
        await found.enabled()
        yield found


async def test_what_trades_is_shown_and_cancelled(bench: gateway.Bench) -> None:
    """A fill, its position, and a limit order that a person ends; tables have a header, JSON has all there is."""
    token = await bench.fence()
    await bench.decide(token, 0, [("IBM", "buy", "5")])
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].published)
    await bench.until(lambda s: s["counts"]["fills"] == 1, "filled")
    receipt = await bench.decide(token, 1, FAR)
    name = receipt["verdicts"][0]["client_order_id"]
    await bench.settled(1)

    async with gateway.served(bench.gateway) as url:

        async def told(*words: str) -> tuple[int | None, str, str]:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tradeplane_cli", *words, f"--gateway={url}"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            out, err = await child.communicate()
            return child.returncode, out.decode(), err.decode()

        status, out, _ = await told("orders")
        header, row = out.splitlines()
        assert (status, header.split()[:3], row.split()[:3]) == (
            0,
            ["CLIENT", "ORDER", "ID"],
            [name, "momentum", "AAPL"],
        )
        _, out, _ = await told("orders", "--all", "-o", "json")
        assert [one["symbol"] for one in json.loads(out)] == ["IBM", "AAPL"]
        _, out, _ = await told("positions", "--strategy=momentum")
        assert out.splitlines()[1].split() == ["momentum", "IBM", "5"]
        _, out, _ = await told("fills", "--symbol=IBM")
        assert out.splitlines()[1].split()[1:5] == ["IBM", "buy", "5", "198.5199"]

        status, out, err = await told("cancel", "--order=nobody", "--reason=x")
        assert (status, out) == (1, "")
        assert err == "tradeplane cancel: orders: must be open orders of this ledger, got ['nobody']\n"
        status, out, _ = await told("cancel", "--strategy=momentum", "--reason=wrong model", "--by=ada")
        assert (status, out.splitlines()[1]) == (0, name)
        await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")
        _, out, _ = await told("orders")
        assert len(out.splitlines()) == 1


def test_no_gateway_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """With exit status 2, and the reason."""
    assert cli.main(["positions", "--gateway=http://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.startswith("tradeplane positions: ")


@pytest.mark.parametrize("words", [["cancel", "--reason=x"], ["cancel", "--all"], ["cancel", "--all", "--order=x"]])
def test_a_cancel_says_which_and_why(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Else nothing is asked."""
    with pytest.raises(SystemExit):
        cli.main(words)
    assert "required" in (err := capsys.readouterr().err) or "not allowed" in err
