"""A run on disk, to be looked at and compared when its process is gone.

==================  =========================================================================================
file                holds
==================  =========================================================================================
``run.json``        what the hash covers beside the events (settings, words), the bars' digests, a summary, what
                    the honesty detectors found, and the digest of all that
``events.npy``      the event log, int64 of shape (n, 8)
``frames/``         one Parquet file per frame of the result, amounts as float64
``report.html``     the report for people; ``report.json`` the same for programs
``seconds.json``    what the run and each detector took: the only file that another run writes differently
==================  =========================================================================================
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from tradeplane_engine import detectors, errors
from tradeplane_engine.core import log
from tradeplane_engine.data import readers, series
from tradeplane_engine.domain import times
from tradeplane_engine.results import frames, tables

FORMAT = 1
_RUN, _EVENTS = "run.json", "events.npy"


class Finished(Protocol):
    """What is asked of a :class:`~tradeplane_engine.results.result.Result`."""

    name: str
    hash: str
    settings: dict[str, Any]
    data: readers.Loaded
    findings: detectors.Findings | None
    seconds: Mapping[str, float]

    @property
    def names(self) -> list[str]:
        """Strategies by number."""

    @property
    def words(self) -> list[str]:
        """Reasons and scopes by number."""

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of what happened."""

    @property
    def log(self) -> npt.NDArray[np.int64]:
        """Events."""

    def frame(self, name: str) -> Any:
        """One of the frames."""

    def report(self, path: Path) -> Path:
        """Write the page."""

    def report_json(self) -> str:
        """Return the report for programs."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """What was read back.

    Parameters
    ----------
    label : the folder, as it was named
    document : ``run.json``; ``strategies``, ``symbols`` and ``words`` are by their numbers in the events
    rows : events, shape (n, 8); :mod:`tradeplane_engine.core.log` says what they mean
    """

    label: str
    document: Mapping[str, Any]
    rows: npt.NDArray[np.int64]


def write(result: Finished, folder: Path) -> Path:
    """Write a result in the place of an earlier run; raises ValueRefused for a folder that holds something else."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / _RUN).is_file())):
        raise errors.ValueRefused("out", "a folder that is new, empty or of an earlier run", str(folder))
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    # Removed first and written last: a folder with it is whole.
    (folder / _RUN).unlink(missing_ok=True)
    np.save(folder / _EVENTS, result.log.astype("<i8", copy=False))
    for name in tables.FRAMES:
        _frame(result.frame(name), folder / "frames" / name)
    result.report(folder / "report.html")
    (folder / "report.json").write_text(result.report_json(), encoding="utf-8")
    taken = {} if result.findings is None else dict(result.findings.seconds)
    (folder / "seconds.json").write_bytes(_json({**result.seconds, "detectors": taken}))
    found = document(result)
    (folder / _RUN).write_bytes(_json({**found, "digest": _digest(found)}))
    return folder


def document(result: Finished) -> dict[str, Any]:
    """Return ``run.json``: the same data, code and settings give the same document."""
    bars = result.data.series
    return {
        "format": FORMAT,
        "log": log.FORMAT,
        "name": result.name,
        "hash": result.hash,
        "settings": result.settings,
        "words": result.words,
        "strategies": result.names,
        "symbols": list(dict.fromkeys(one.symbol for one in bars)),
        "bars": {
            name: {"digest": f"sha256:{series.digest([one])}", "digits": one.digits, "rows": len(one)}
            for name, one in zip(_names(bars), bars, strict=True)
        },
        "first": times.text(times.Nanos(min((int(one.start[0]) for one in bars if len(one)), default=0))),
        "last": times.text(times.Nanos(max((int(one.end[-1]) for one in bars if len(one)), default=0))),
        "rounded_prices": result.data.rounded_prices,
        "high_low_errors": result.data.high_low_errors,
        "volume_errors": result.data.volume_errors,
        "summary": {
            **{name: frames.plain(getattr(result, name)) for name in ("final_equity", "cash", "fees", "profit")},
            **result.counts,
        },
        "examination": _examination(result.findings),
    }


def read(folder: Path) -> Saved:
    """Read a run back; raises DataRefused for what is no saved run, and for one that was changed since."""
    try:
        found = orjson.loads((folder / _RUN).read_bytes())
        rows = np.load(folder / _EVENTS, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise errors.DataRefused("unreadable", f"{folder}: is no saved run ({error})") from error
    formats = (found.get("format"), found.get("log")) if isinstance(found, dict) else ()
    if formats != (FORMAT, log.FORMAT):
        raise errors.DataRefused("unreadable", f"{folder}: was saved in formats {formats}, not {(FORMAT, log.FORMAT)}")
    if rows.dtype != np.int64 or rows.ndim != 2 or rows.shape[1] != log.WIDTH:  # noqa: PLR2004 - rows and columns
        raise errors.DataRefused("unreadable", f"{folder / _EVENTS}: holds {rows.dtype} of shape {rows.shape}")
    events = log.Log()
    for word in found["words"]:
        events.reason(word)
    events.extend(rows)
    if events.digest(found["settings"]) != found["hash"]:
        raise errors.DataRefused("changed", f"{folder}: its settings and events are not those of its hash")
    if _digest({name: value for name, value in found.items() if name != "digest"}) != found.get("digest"):
        raise errors.DataRefused("changed", f"{folder / _RUN}: is not what was written")
    return Saved(str(folder), found, rows)


def _names(bars: Sequence[series.Series]) -> list[str]:
    """Name series: by the symbol its shortest one, which comes first, and longer ones by their timeframe too."""
    symbols = list(dict.fromkeys(one.symbol for one in bars))
    longer = bars[len(symbols) :]
    return [*symbols, *(f"{one.symbol} {times.duration_text(one.length)}" for one in longer)]


def _examination(findings: detectors.Findings | None) -> dict[str, Any] | None:
    if findings is None:
        return None
    return {
        "audited": findings.audited,
        "honest": findings.honest,
        "found": [
            {"detector": one.detector, "strategy": one.strategy, "symbol": one.symbol, "sentence": one.sentence}
            for one in findings.found
        ],
        "notes": list(findings.notes),
    }


def _frame(frame: Any, path: Path) -> None:
    if isinstance(frame, frames.Columns):  # without polars
        np.savez(path.with_suffix(".npz"), **frame)  # type: ignore[arg-type]  # a column is no flag
    else:
        frame.write_parquet(path.with_suffix(".parquet"))


def _digest(document: Mapping[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(_json(document)).hexdigest()}"


def _json(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
