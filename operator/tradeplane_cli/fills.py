"""``tradeplane fills``: every execution that is booked."""

import argparse

from tradeplane_cli import asking

_COLUMNS = ("at", "symbol", "side", "quantity", "price", "client_order_id")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    asking.arguments(parser)
    asking.filters(parser)


def run(options: argparse.Namespace) -> int:
    """Print them."""
    query = asking.wanted(options)
    return asking.asked(
        "fills",
        options,
        lambda client: asking.shown(list(asking.pages(client, "/v1/fills", query)), _COLUMNS, options.output),
    )
