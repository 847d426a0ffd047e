"""What commands share that ask a gateway: where it is, its pages, tables, and how its refusals read."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx2
import orjson

from tradeplane_cli import running
from tradeplane_cli.local import processes

Row = dict[str, Any]

_TIMEOUT_S = 30.0
_PAGE = 1000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that all of them have."""
    parser.add_argument("--gateway", metavar="URL", help="default: that of the running environment")
    parser.add_argument("-o", dest="output", choices=("table", "json"), default="table", help="default %(default)s")


def filters(parser: argparse.ArgumentParser) -> None:
    """Declare which rows a list has."""
    parser.add_argument("--strategy", default="", metavar="NAME", help="only of this strategy")
    parser.add_argument("--symbol", default="", help="only of this symbol")


def asked(command: str, options: argparse.Namespace, ask: Callable[[httpx2.Client], str]) -> int:
    """Print what a question to the gateway gives; the exit status is 1 where it refuses, 2 where it does not answer."""
    try:
        url = options.gateway or running.fact("gateway", "--gateway")
        with httpx2.Client(base_url=url.rstrip("/"), timeout=_TIMEOUT_S, trust_env=False) as client:
            sys.stdout.write(ask(client))
    except httpx2.HTTPStatusError as error:
        sys.stderr.write(f"tradeplane {command}: {_detail(error.response)}\n")
        return 1
    except (processes.LocalError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        sys.stderr.write(f"tradeplane {command}: {error}\n")
        return 2
    return 0


def pages(client: httpx2.Client, path: str, query: Mapping[str, str]) -> Iterator[Row]:
    """Yield all rows of a list; raises httpx2.HTTPError."""
    after = 0
    while True:
        answer = client.get(path, params={**query, "after": str(after), "limit": str(_PAGE)}).raise_for_status()
        rows: list[Row] = orjson.loads(answer.content)
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1]["sequence"]


def wanted(options: argparse.Namespace) -> dict[str, str]:
    """Return the filters that were given, as the gateway takes them."""
    return {name: value for name in ("strategy", "symbol") if (value := getattr(options, name))}


def shown(rows: Sequence[Row], columns: Sequence[str], output: str) -> str:
    """Return rows as JSON, or as a table of some of their columns."""
    if output == "json":
        return orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode() + "\n"
    lines = [[name.replace("_", " ").upper() for name in columns]]
    lines += [[str(row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _detail(answer: httpx2.Response) -> str:
    try:
        return str(orjson.loads(answer.content)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"HTTP {answer.status_code}: {answer.text[:500]}"
