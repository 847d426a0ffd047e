"""The artifact store: content-addressed files under an fsspec URL, and the results of runs.

``sha256/<64 hex digits>`` holds an artifact, ``runs/<submission id>.json`` a run's
:class:`~tradeplane_workers.messages.TrainingResult` or ``BacktestResult``, and ``audit/<ledger>/<number>.json`` a head
of a ledger's audit trail. A digest is written ``sha256:<64 hex digits>``. Reading verifies the digest; writing is
atomic: a reader sees a whole file or none.
"""

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Any

import fsspec
import orjson

from tradeplane_engine import errors
from tradeplane_workers import messages

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


def digest_of(content: bytes) -> str:
    """Return ``sha256:<hex>`` of ``content``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class ArtifactStore:
    """A folder of immutable files, addressed by their digest.

    Parameters
    ----------
    url : fsspec URL of the folder, such as ``file:///var/lib/tradeplane/artifacts`` or ``s3://bucket/prefix``
    """

    def __init__(self, url: str) -> None:
        if not url:
            raise errors.ValueRefused("TRADEPLANE_ARTIFACTS", "an fsspec URL", url)
        filesystem, root = fsspec.url_to_fs(url)
        self._filesystem: Any = filesystem
        self._root: str = root.rstrip("/")
        self._is_local = "file" in _protocols(filesystem)

    def url(self, digest: str) -> str:
        """Return the full URL of an artifact, to be named in a spec's ``artifact.uri``."""
        return str(self._filesystem.unstrip_protocol(self._path_of(digest)))

    def put(self, content: bytes) -> str:
        """Store ``content`` and return its digest; storing it again changes nothing."""
        digest = digest_of(content)
        path = self._path_of(digest)
        if self._read(path) != content:
            self._write(path, content)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the artifact, verified; raises ModelRefused when it is missing or its bytes do not match."""
        path = self._path_of(digest)
        content = self._read(path)
        if content is None:
            raise errors.ModelRefused(f"artifact: must be in the store, got {digest}, which is not")
        return verified(content, digest)

    def put_run(self, result: messages.TrainingResult | messages.BacktestResult) -> None:
        """Store what became of a run under its submission id."""
        self._write(self._path_of_run(result.submission_id), canonical(result))

    def run(self, submission_id: str) -> messages.TrainingResult | None:
        """Return the result of a training run, or nothing when it has none yet."""
        content = self._read(self._path_of_run(submission_id))
        return None if content is None else messages.TrainingResult.model_validate_json(content)

    def backtest(self, submission_id: str) -> messages.BacktestResult | None:
        """Return the result of a backtest's run, or nothing when it has none yet."""
        content = self._read(self._path_of_run(submission_id))
        return None if content is None else messages.BacktestResult.model_validate_json(content)

    def put_head(self, head: messages.AuditHead) -> None:
        """Store a head of an audit trail beside all earlier ones."""
        self._write(f"{self._root}/audit/{_name(head.ledger, 'ledger')}/{head.number:020}.json", canonical(head))

    def heads(self, ledger: str) -> list[messages.AuditHead]:
        """Return every head that was stored of a ledger's audit trail, by number; raises ValidationError."""
        paths = self._filesystem.glob(f"{self._root}/audit/{_name(ledger, 'ledger')}/*.json")
        return [messages.AuditHead.model_validate_json(self._filesystem.cat_file(path)) for path in sorted(paths)]

    def _path_of(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise errors.ModelRefused(f"digest: must be sha256:<64 hex digits>, got {digest!r}")
        return f"{self._root}/sha256/{digest.removeprefix('sha256:')}"

    def _path_of_run(self, submission_id: str) -> str:
        return f"{self._root}/runs/{_name(submission_id, 'submission_id')}.json"

    def _read(self, path: str) -> bytes | None:
        try:
            return bytes(self._filesystem.cat_file(path))
        except FileNotFoundError:
            return None

    def _write(self, path: str, content: bytes) -> None:
        if not self._is_local:
            # Object stores show an object only when it is complete.
            self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._filesystem.pipe_file(path, content)
            return
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = final.with_name(f".{final.name}.{secrets.token_hex(8)}")
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)


def _name(identifier: str, field: str) -> str:
    # It becomes the name of a file or folder: a slash or a leading dot would leave the store.
    if not _NAME.fullmatch(identifier):
        raise errors.ValueRefused(field, "letters, digits, '-', '_' and '.'", identifier)
    return identifier


def fetch(uri: str, digest: str) -> bytes:
    """Read an artifact from any fsspec URL and verify its digest; raises ModelRefused."""
    try:
        filesystem, path = fsspec.url_to_fs(uri)
        content = bytes(filesystem.cat_file(path))
    except (OSError, ValueError, ImportError) as error:
        raise errors.ModelRefused(f"artifact.uri: must be readable, got {uri!r} ({error})") from error
    return verified(content, digest)


def verified(content: bytes, digest: str) -> bytes:
    """Return ``content`` if it has ``digest``; raises ModelRefused."""
    actual = digest_of(content)
    if actual != digest:
        raise errors.ModelRefused(f"digest: must be {digest}, got {actual}")
    return content


def canonical(message: messages.Message) -> bytes:
    """Return the canonical JSON of a message: sorted keys, no spaces, so that equal content is equal bytes."""
    return orjson.dumps(message.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
