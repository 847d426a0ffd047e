"""Credentials from a kubeconfig whose files may be replaced at any time.

Before each request the files' identities are compared with those last loaded. A rotated certificate gives a new
connection pool; requests that are under way end on the old one, which is closed after the last of them.
"""

import contextlib
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import yaml
from kubernetes.aio import client as aio_client
from kubernetes.aio import config as aio_config

from tradeplane_kube import errors

Fingerprint = tuple[tuple[str, int, int, int], ...]

_FILE_FIELDS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class _Session:
    """One connection pool and the credentials it was made with."""

    def __init__(self, api: Any, fingerprint: Fingerprint) -> None:
        self.api = api
        self.fingerprint = fingerprint
        self.users = 0
        self.retired = False

    async def close_if_unused(self) -> None:
        if self.retired and self.users == 0:
            await self.api.close()


class Credentials:
    """Gives out the current connection pool.

    Parameters
    ----------
    kubeconfig : path; relative files in it are relative to its folder
    """

    def __init__(self, kubeconfig: pathlib.Path) -> None:
        self._kubeconfig = kubeconfig
        self._session: _Session | None = None

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """Yield a kubernetes.aio ApiClient made from the files as they are now; raises Unreachable if unreadable."""
        session = await self._current()
        session.users += 1
        try:
            yield session.api
        finally:
            session.users -= 1
            await session.close_if_unused()

    async def close(self) -> None:
        """Close the pool when its last request ends."""
        if self._session is not None:
            session, self._session = self._session, None
            session.retired = True
            await session.close_if_unused()

    async def _current(self) -> _Session:
        try:
            fingerprint = _fingerprint(self._kubeconfig)
            if self._session is not None and self._session.fingerprint == fingerprint:
                return self._session
            configuration = aio_client.Configuration()
            # The callers decide what is tried again: a retried write must be a decision.
            configuration.retries = None
            load: Any = aio_config.load_kube_config  # untyped
            await load(config_file=str(self._kubeconfig), client_configuration=configuration, persist_config=False)
            session = _Session(aio_client.ApiClient(configuration), fingerprint)
        except (OSError, ValueError, yaml.YAMLError, aio_config.ConfigException) as problem:
            raise errors.Unreachable(f"kubeconfig {self._kubeconfig}: {problem}") from problem
        await self.close()
        self._session = session
        return session


def _fingerprint(kubeconfig: pathlib.Path) -> Fingerprint:
    """Identity of the kubeconfig and of each file that it names."""
    content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    entries = [entry.get("cluster") or {} for entry in content.get("clusters") or ()]
    entries += [entry.get("user") or {} for entry in content.get("users") or ()]
    named = [kubeconfig.parent / entry[field] for entry in entries for field in _FILE_FIELDS if field in entry]
    return tuple(_identity(path) for path in (kubeconfig, *named))


def _identity(path: pathlib.Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return (str(path), status.st_ino, status.st_mtime_ns, status.st_size)
