"""``tradeplane why order/ID``: who wanted an order, what for, what judged it, and what became of it.

The exit status is 0, 1 where the ledger has no such order, 2 where the gateway cannot be asked.
"""

import argparse
import sys
from typing import Any
from urllib import parse

import httpx2
import orjson

from tradeplane_cli import asking

Json = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("subject", metavar="order/ID", help="client order id, or the broker's id of the order")
    asking.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask the gateway and print the story."""
    kind, _, identifier = options.subject.partition("/")
    if kind != "order" or not identifier:
        sys.stderr.write(f"tradeplane why: subject: must be order/ID, got {options.subject!r}\n")
        return 2

    def ask(client: httpx2.Client) -> str:
        answer = client.get(f"/v1/orders/{parse.quote(identifier, safe='')}/story").raise_for_status()
        story = orjson.loads(answer.content)
        return orjson.dumps(story).decode() + "\n" if options.output == "json" else table(story)

    return asking.asked("why", options, ask)


def table(story: Json) -> str:
    """Return a story as lines of what and its facts."""
    order, strategy, decision = story["order"], story["strategy"], story["decision"]
    model, risk = story["model"], story["risk"]
    prices = ", ".join(f"{name.replace('_', ' ')} {order[name]}" for name in _PRICES if order.get(name))
    lines = [
        ("order", order["client_order_id"], f"at the broker {order['broker_order_id'] or '-'}"),
        ("", f"{order['side']} {order['quantity']} {order['symbol']}", order["type"], order["time_in_force"], prices),
        ("status", order["status"], order["order_status"], f"filled {order['filled']}", order["irregular"]),
        ("strategy", strategy["name"], strategy["uid"], f"owner {strategy['owner'] or '-'}"),
        ("", f"generation {strategy['generation']}", f"attempt {strategy['attempt']}", _revision(strategy)),
        ("decision", f"{decision['sequence']} at {decision['trigger']}", decision["outcome"], decision["detail"]),
        ("signal", *_signal(story["signal"])),
        ("model", model["name"] or "-", model["digest"], model["feature_set"]),
        ("policy", _policy(risk["policy"]), f"account {_policy(risk['account_policy'])}"),
        ("risk", "passed" if risk["passed"] else "refused", risk["reason"], risk["detail"]),
    ]
    lines += [("step", step["at"], step["status"], step["reason"], step["detail"]) for step in story["steps"]]
    lines += [("event", event["at"], event["kind"], f"by {event['source']}") for event in story["events"]]
    lines += [("fill", fill["at"], f"{fill['quantity']} at {fill['price']}") for fill in story["fills"]]
    lines.append(("entries", ", ".join(map(str, story["entries"]))))
    return "".join(f"{name:<9} {', '.join(part for part in parts if part)}\n" for name, *parts in lines)


_PRICES = ("limit_price", "stop_price", "trail_price", "trail_bps")


def _revision(strategy: Json) -> str:
    return f"Git revision {strategy['git_revision'] or '-'}"


def _signal(signal: Json | None) -> tuple[str, ...]:
    if signal is None:
        return ("none",)
    confidence = signal["confidence"]
    return (f"score {signal['score']:.6g}", "" if confidence is None else f"confidence {confidence:.6g}")


def _policy(policy: Json) -> str:
    return f"{policy['name'] or '-'} {policy['hash'] or '-'}"
