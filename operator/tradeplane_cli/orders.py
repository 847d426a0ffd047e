"""``tradeplane orders``: the orders that may still fill, or all that were ever wanted."""

import argparse

from tradeplane_cli import asking

_COLUMNS = (
    *("client_order_id", "strategy", "symbol", "side", "quantity", "filled", "type", "time_in_force"),
    *("status", "order_status", "reason"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    asking.arguments(parser)
    asking.filters(parser)
    parser.add_argument("--all", action="store_true", help="those too that have ended or were refused")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    query = asking.wanted(options) | ({} if options.all else {"open": "true"})
    return asking.asked(
        "orders",
        options,
        lambda client: asking.shown(list(asking.pages(client, "/v1/orders", query)), _COLUMNS, options.output),
    )
