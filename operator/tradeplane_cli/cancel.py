"""``tradeplane cancel``: end orders, some by their ids, all of a strategy, or all there are.

The gateway asks the broker until each has ended; until then it may still fill, and ``tradeplane orders`` shows it.
"""

import argparse
import getpass

import httpx2
import orjson

from tradeplane_cli import asking


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    asking.arguments(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--order", action="append", default=[], metavar="ID", help="client order id; may be repeated")
    which.add_argument("--strategy", default="", metavar="NAME", help="all orders of this strategy")
    which.add_argument("--all", action="store_true", help="all orders of the Environment")
    parser.add_argument("--reason", required=True, help="why, for the ledger")
    parser.add_argument("--by", default=getpass.getuser(), help="who wants it (default %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Ask for it, and print which orders that is."""
    body = {
        "orders": options.order,
        "strategy": options.strategy,
        "everything": options.all,
        "by": options.by,
        "reason": options.reason,
    }

    def ask(client: httpx2.Client) -> str:
        receipt = orjson.loads(client.post("/v1/cancels", json=body).raise_for_status().content)
        rows = [{"client_order_id": one} for one in receipt["orders"]]
        return asking.shown(rows, ("client_order_id",), options.output)

    return asking.asked("cancel", options, ask)
