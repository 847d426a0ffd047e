"""Results kept by content: one line per configuration, appended at once, in a file per data set.

A key is the digest of the rule's canonical text (or the function's code), the data, the settings and the instants of
the curve. A line is written by one call, so a killed sweep leaves whole lines and at most one torn one at the end,
which is not read. Nothing is ever changed or removed.
"""

import base64
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from tradeplane_engine.sweep.evaluator import Configuration, Outcome
from tradeplane_engine.sweep.settings import Settings

IntArray = npt.NDArray[np.int64]


class Cache:
    """Outcomes by key, of one data set.

    Parameters
    ----------
    folder : where the files lie; made if absent
    data : the data set's digest, see :func:`tradeplane_engine.data.series.digest`
    """

    def __init__(self, folder: Path, data: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{data}.jsonl"
        self._known = _read(self.file)

    def get(self, key: str) -> Outcome | None:
        """Outcome that is known, or None."""
        return self._known.get(key)

    def put(self, results: Iterable[tuple[str, Outcome]]) -> None:
        """Keep outcomes: each is whole on disk or not there."""
        torn = self.file.exists() and self.file.stat().st_size > 0 and not _ends_whole(self.file)
        with self.file.open("ab", buffering=0) as out:
            if torn:
                out.write(b"\n")
            for key, outcome in results:
                if key not in self._known:
                    out.write(_line(key, outcome))
                    self._known[key] = outcome
            os.fsync(out.fileno())

    def __len__(self) -> int:
        """Number of configurations ever tried on this data with any settings: what a deflated Sharpe ratio needs."""
        return len(self._known)


def key_of(configuration: Configuration, data: str, settings: Settings, ends: IntArray) -> str:
    """Key of one configuration; raises ValueRefused for a function whose code cannot be told."""
    instants = hashlib.sha256(np.ascontiguousarray(ends, dtype="<i8").data).hexdigest()
    content = [type(configuration).__name__, str(configuration), data, settings.identity(), instants]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def _line(key: str, outcome: Outcome) -> bytes:
    curve = base64.b64encode(outcome.curve.astype("<i8").tobytes()).decode()
    content = {
        "key": key,
        "equity": outcome.equity,
        "fees": outcome.fees,
        "fills": outcome.fills,
        "orders": outcome.orders,
        "open_orders": outcome.open_orders,
        "reason": outcome.reason,
        "curve": curve,
    }
    return orjson.dumps(content) + b"\n"


def _read(file: Path) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    if not file.exists():
        return found
    for line in file.read_bytes().splitlines():
        try:
            content = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # torn by a kill: that configuration runs again
        curve = np.frombuffer(base64.b64decode(content.pop("curve")), dtype="<i8").astype(np.int64)
        key = content.pop("key")
        found[key] = Outcome(curve=curve, **content)
    return found


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as content:
        content.seek(-1, os.SEEK_END)
        return content.read(1) == b"\n"
