"""The artifact store as the operator reads it: results of runs, and whether an artifact is there."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import fsspec
import pydantic

from tradeplane_api import backtest


class ArtifactsUnreachable(Exception):  # noqa: N818 - named for what happened
    """The store gave no usable answer."""


class RunResult(pydantic.BaseModel):
    """``runs/<submission_id>.json``; ``error`` is empty on success."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    submission_id: str
    artifact: str = ""
    digest: str = ""
    error: str = ""
    rows: int = 0
    trials: int = 0
    last_label_end: str = ""
    metrics: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backtest's run left: its result, or why there is none; ``refused`` when the same again gives the same."""

    result: backtest.Result | None
    error: str = ""
    refused: bool = False


class Artifacts:
    """Reads one store; fsspec blocks, so a thread does it.

    Parameters
    ----------
    url : fsspec URL of the store's root
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def run(self, submission_id: str) -> RunResult | None:
        """Result of a training run; None while there is none."""
        document = await self._document(submission_id)
        try:
            return None if document is None else RunResult.model_validate(document)
        except ValueError as problem:
            raise ArtifactsUnreachable(f"runs/{submission_id}.json: {problem}") from problem

    async def backtest(self, submission_id: str) -> Outcome | None:
        """Outcome of a backtest's run; None while there is none."""
        document = await self._document(submission_id)
        try:
            return None if document is None else _outcome(document)
        except ValueError as problem:
            raise ArtifactsUnreachable(f"runs/{submission_id}.json: {problem}") from problem

    async def _document(self, submission_id: str) -> dict[str, Any] | None:
        content = await asyncio.to_thread(_read, f"{self._url}/runs/{submission_id}.json")
        if content is None:
            return None
        try:
            return dict(json.loads(content))
        except (TypeError, ValueError) as problem:
            raise ArtifactsUnreachable(f"runs/{submission_id}.json: {problem}") from problem

    @staticmethod
    async def exists(uri: str) -> bool:
        """Whether something is at this URI."""
        return await asyncio.to_thread(_exists, uri)


def _outcome(document: dict[str, Any]) -> Outcome:
    """Take what the status holds; raises ValueError for a result that it cannot hold."""
    if document.get("error"):
        return Outcome(None, str(document["error"]), document.get("refused") is True)
    kept = {name: document[name] for name in backtest.Result.model_fields if name in document}
    return Outcome(backtest.Result.model_validate(kept))


def _read(uri: str) -> bytes | None:
    try:
        filesystem, path = fsspec.url_to_fs(uri)
        # Listings may be cached by the filesystem; a result that has just been written must be seen.
        filesystem.invalidate_cache()
        content: bytes = filesystem.cat_file(path)
    except FileNotFoundError:
        return None
    except Exception as problem:  # every fsspec backend has errors of its own
        raise ArtifactsUnreachable(f"{uri}: {problem!r}") from problem
    return content


def _exists(uri: str) -> bool:
    try:
        filesystem, path = fsspec.url_to_fs(uri)
        return bool(filesystem.exists(path))
    except Exception as problem:  # as above
        raise ArtifactsUnreachable(f"{uri}: {problem!r}") from problem
