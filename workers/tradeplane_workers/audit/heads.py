"""Heads of a trail that were kept outside of the ledger: in a gateway's log, in the artifact store, by hand."""

import re
from collections.abc import Iterator
from pathlib import Path

import orjson

from tradeplane_engine import errors
from tradeplane_workers import artifacts
from tradeplane_workers.audit import chain

EVENT = "audit head"
_GIVEN = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


def logged(path: Path) -> Iterator[chain.Head]:
    """Yield every head that a gateway's log names, whatever else is in it; raises OSError."""
    with path.open("rb") as file:
        for text in file:
            if EVENT.encode() not in text:
                continue
            try:
                line = orjson.loads(text)
                if line["event"] == EVENT:
                    yield chain.Head(str(line["ledger"]), int(line["number"]), str(line["hash"]), f"the log {path}")
            except (ValueError, KeyError, TypeError):
                continue  # another process's line, or one that was cut off


def stored(url: str, ledger: str) -> list[chain.Head]:
    """Return every head of a ledger that the artifact store keeps; raises ValueRefused, ValueError and OSError."""
    found = artifacts.ArtifactStore(url).heads(ledger)
    return [chain.Head(each.ledger, each.number, each.hash, f"the artifact store {url}") for each in found]


def given(text: str, ledger: str) -> chain.Head:
    """Read ``NUMBER:HASH``; raises ValueRefused."""
    match = _GIVEN.fullmatch(text)
    if match is None:
        raise errors.ValueRefused("--head", "NUMBER:HASH, the hash in 64 hex digits", text)
    return chain.Head(ledger, int(match[1]), match[2], "--head")
