"""``tradeplane positions``: what each strategy holds by the ledger."""

import argparse

import httpx2
import orjson

from tradeplane_cli import asking

_COLUMNS = ("strategy", "symbol", "quantity")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    asking.arguments(parser)
    asking.filters(parser)


def run(options: argparse.Namespace) -> int:
    """Print them."""

    def ask(client: httpx2.Client) -> str:
        answer = client.get("/v1/positions", params=asking.wanted(options)).raise_for_status()
        return asking.shown(orjson.loads(answer.content), _COLUMNS, options.output)

    return asking.asked("positions", options, ask)
