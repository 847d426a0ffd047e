"""Typed verbs on one namespace of an API server. Every request has a time limit; nothing is retried here."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from urllib import parse

import aiohttp

from tradeplane_kube import credentials, errors, resources

Object = dict[str, Any]

DEFAULT_TIMEOUT_S = 10.0
# The server sends a bookmark about once a minute, so a stream that is silent for longer is dead.
WATCH_SILENCE_S = 90.0
WATCH_LENGTH_S = 240
PAGE = 500

_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: dict[str, str]
    body: Object | None = None
    content_type: str = _JSON

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Client:
    """Reads and writes objects of one namespace.

    Parameters
    ----------
    kubeconfig : path of the kubeconfig; it and the files it names are read again when they change
    namespace : of every object
    """

    def __init__(self, kubeconfig: str | pathlib.Path, namespace: str) -> None:
        self.namespace = namespace
        self._credentials = credentials.Credentials(pathlib.Path(kubeconfig))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._credentials.close()

    async def get(self, kind: str, name: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Object | None:
        """Read one object from etcd (no resourceVersion is sent, so no cache answers); None when it is absent."""
        path = resources.resource(kind).path(self.namespace, name)
        try:
            return await self._send(_Request("GET", path, {}), timeout_s)
        except errors.NotFound:
            return None

    async def list(self, kind: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> tuple[list[Object], str]:
        """Read all objects of a kind, and the resourceVersion that a watch continues from."""
        resource = resources.resource(kind)
        path = resource.path(self.namespace)
        items: list[Object] = []
        query = {"limit": str(PAGE)}
        while True:
            answer = await self._send(_Request("GET", path, query), timeout_s)
            # Items of a list carry neither kind nor apiVersion.
            items += [{"apiVersion": resource.api_version, "kind": kind, **item} for item in answer.get("items") or ()]
            metadata = answer["metadata"]
            if not metadata.get("continue"):
                return items, metadata["resourceVersion"]
            query = {"limit": str(PAGE), "continue": metadata["continue"]}

    async def watch(
        self, kind: str, *, name: str | None = None, resource_version: str | None = None
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (type, object) until the server ends the stream.

        Types are ADDED, MODIFIED, DELETED and BOOKMARK (which carries only a resourceVersion). Raises Expired when
        ``resource_version`` is too old and Unreachable when the stream breaks or is silent for 90 s.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_LENGTH_S)}
        if name is not None:
            query["fieldSelector"] = f"metadata.name={name}"
        if resource_version is not None:
            query["resourceVersion"] = resource_version
        request = _Request("GET", resources.resource(kind).path(self.namespace), query)
        limit = aiohttp.ClientTimeout(total=None, sock_connect=DEFAULT_TIMEOUT_S, sock_read=WATCH_SILENCE_S)
        async with self._answer(request, limit) as response:
            async for line in response.content:
                event = _decoded(line, request)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise errors.from_status(status.get("code", 500), status, request=str(request))
                yield event["type"], event["object"]

    async def create(self, manifest: Object, *, manager: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Object:
        """Create an object; raises AlreadyExists."""
        path = resources.of(manifest).path(self.namespace)
        return await self._send(_Request("POST", path, _write(manager), manifest), timeout_s)

    async def apply(self, manifest: Object, manager: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Object:
        """Server-side apply of the fields in ``manifest``, which then belong to ``manager``.

        Put ``metadata.uid`` in, so that a deleted object is not created anew, and ``metadata.resourceVersion`` when the
        write must not overtake another; both raise Conflict.
        """
        return await self._apply(manifest, manager, subresource=None, timeout_s=timeout_s)

    async def apply_status(self, manifest: Object, manager: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Object:
        """Server-side apply on the status subresource; preconditions as in ``apply``."""
        return await self._apply(manifest, manager, subresource="status", timeout_s=timeout_s)

    async def patch(
        self, kind: str, name: str, changes: Object, *, manager: str, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Object:
        """Merge patch; uid and resourceVersion in the ``metadata`` of ``changes`` are preconditions (Conflict)."""
        path = resources.resource(kind).path(self.namespace, name)
        return await self._send(_Request("PATCH", path, _write(manager), changes, _MERGE_PATCH), timeout_s)

    async def delete(
        self,
        kind: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Delete an object, if its uid and resourceVersion are still these; raises NotFound and Conflict."""
        preconditions = {
            key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value is not None
        }
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        await self._send(_Request("DELETE", resources.resource(kind).path(self.namespace, name), {}, body), timeout_s)

    async def _apply(self, manifest: Object, manager: str, *, subresource: str | None, timeout_s: float) -> Object:
        path = resources.of(manifest).path(self.namespace, manifest["metadata"]["name"], subresource=subresource)
        query = {**_write(manager), "force": "true"}
        return await self._send(_Request("PATCH", path, query, manifest, _APPLY_PATCH), timeout_s)

    async def _send(self, request: _Request, timeout_s: float) -> Object:
        """One request; the limit covers reading the credentials, connecting and the whole answer."""
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._answer(request, aiohttp.ClientTimeout(total=timeout_s)) as response,
            ):
                return _decoded(await response.read(), request)
        except TimeoutError as problem:
            raise errors.Unreachable(f"{request}: no answer within {timeout_s} s") from problem

    @contextlib.asynccontextmanager
    async def _answer(self, request: _Request, limit: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield a good answer with its body unread; every other one is raised."""
        async with self._credentials.session() as api:
            headers = {"Accept": _JSON, "Content-Type": request.content_type, "User-Agent": "tradeplane"}
            token = await api.configuration.get_api_key_with_prefix("BearerToken")
            if token:
                headers["Authorization"] = token
            url = f"{api.configuration.host}{request.path}?{parse.urlencode(request.query)}"
            try:
                answer = await api.rest_client.request(
                    request.method, url, headers=headers, body=request.body, _request_timeout=limit
                )
                async with answer.response as response:
                    if response.status >= _FIRST_ERROR:
                        body = _decoded(await response.read(), request, status=response.status)
                        raise errors.from_status(
                            response.status, body, request=str(request), retry_after=response.headers.get("Retry-After")
                        )
                    yield response
            except (aiohttp.ClientError, OSError) as problem:
                raise errors.Unreachable(f"{request}: {problem!r}") from problem


def _write(manager: str) -> dict[str, str]:
    # A field that the schema does not know would be dropped in silence.
    return {"fieldManager": manager, "fieldValidation": "Strict"}


def _decoded(content: bytes, request: _Request, *, status: int = 200) -> Object:
    try:
        decoded = json.loads(content)
    except ValueError as problem:
        raise errors.Unreachable(f"{request}: {status}, the answer is not JSON: {content[:200]!r}", status) from problem
    if not isinstance(decoded, dict):
        raise errors.Unreachable(f"{request}: {status}, the answer is not an object: {content[:200]!r}", status)
    return decoded
