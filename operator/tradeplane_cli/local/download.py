"""A checksummed download of one program from its project's release site.

The published checksum comes over the same authenticated connection as the file: it proves that what was published
arrived whole, which is what a build from the module proxy's checksums proves as well.
"""

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1024 * 1024
PROGRESS_BYTES: Final = 20 * CHUNK_BYTES
LARGEST_CHECKSUMS_BYTES: Final = 64 * 1024
TIMEOUT_S: Final = 10.0


class DownloadFailed(Exception):  # noqa: N818 - named for what happened, not for being an exception
    """The program cannot be had this way; nothing of it is left behind."""


@dataclass(frozen=True, slots=True)
class Release:
    """One published file.

    Parameters
    ----------
    url : of the program, or of the archive that holds it
    checksums : URL of its sha256: the digest alone, or lines of digest and file name
    member : path of the program inside the archive; nothing where the file is the program
    """

    url: str
    checksums: str
    member: str | None = None


def fetch(release: Release, target: Path, *, say: Callable[[str], None]) -> None:
    """Download a program to ``target``.

    Raises
    ------
    DownloadFailed : unreachable, truncated, or of another checksum than published
    """
    arrived = target.with_name(f"{target.name}.download")
    try:
        expected = _published(release)
        _save(release.url, arrived, say=say)
        actual = _digest(arrived)
        if actual != expected:
            raise DownloadFailed(f"{release.url}: sha256 must be {expected}, got {actual}")
        if release.member is None:
            arrived.rename(target)
        else:
            _extract(arrived, release.member, target)
    except (OSError, http.client.HTTPException, tarfile.TarError) as error:
        raise DownloadFailed(f"{release.url}: {error}") from error
    finally:
        arrived.unlink(missing_ok=True)


def _published(release: Release) -> str:
    with _opened(release.checksums) as answer:
        text = answer.read(LARGEST_CHECKSUMS_BYTES).decode("ascii", errors="replace")
    name = release.url.rpartition("/")[2]
    for line in text.splitlines():
        digest, _, file = line.strip().partition(" ")
        if file.strip().lstrip("*") in {"", name} and len(digest) == hashlib.sha256().digest_size * 2:
            return digest.lower()
    raise DownloadFailed(f"{release.checksums}: must hold the sha256 of {name}, got {text[:80]!r}")


def _save(url: str, target: Path, *, say: Callable[[str], None]) -> None:
    name = url.rpartition("/")[2]
    with _opened(url) as answer, target.open("wb") as stream:
        length = int(answer.headers.get("Content-Length", "0"))
        arrived = 0
        while chunk := answer.read(CHUNK_BYTES):
            stream.write(chunk)
            if arrived // PROGRESS_BYTES != (arrived + len(chunk)) // PROGRESS_BYTES:
                say(f"{name}: {(arrived + len(chunk)) >> 20} of {length >> 20} MB")
            arrived += len(chunk)
    if length and arrived != length:
        raise DownloadFailed(f"{url}: must have {length} bytes, got {arrived}")


def _opened(url: str) -> http.client.HTTPResponse:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname != "127.0.0.1":
        raise DownloadFailed(f"{url}: must be https")
    answer: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=TIMEOUT_S)  # noqa: S310 - checked above
    return answer


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _extract(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as files:
        found = files.extractfile(files.getmember(member)) if member in files.getnames() else None
        if found is None:
            raise DownloadFailed(f"{archive.name}: must hold the file {member}")
        with found, target.open("wb") as stream:
            while chunk := found.read(CHUNK_BYTES):
                stream.write(chunk)
