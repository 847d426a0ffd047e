"""The artifact store as the operator reads it: results of training runs, and whether an artifact is there."""

import asyncio
import json

import fsspec
import pydantic


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
        content = await asyncio.to_thread(_read, f"{self._url}/runs/{submission_id}.json")
        if content is None:
            return None
        try:
            return RunResult.model_validate(json.loads(content))
        except ValueError as problem:
            raise ArtifactsUnreachable(f"runs/{submission_id}.json: {problem}") from problem

    @staticmethod
    async def exists(uri: str) -> bool:
        """Whether something is at this URI."""
        return await asyncio.to_thread(_exists, uri)


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
