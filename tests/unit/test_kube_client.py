"""The API server client against servers that misbehave: every answer becomes the error that callers react to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from tradeplane_kube import client, errors

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def write_kubeconfig(path: Path, server: str, **user: str) -> Path:
    """Write a kubeconfig without TLS."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(content))
    return path


@contextlib.asynccontextmanager
async def api(handler: Handler, directory: Path, **user: str) -> AsyncIterator[client.Client]:
    """Yield a client of a server that answers as told."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with client.Client(write_kubeconfig(directory / "kubeconfig", server, **user), "ns") as kube:
        yield kube
    await runner.cleanup()


def status(code: int, reason: str = "", **headers: str) -> Handler:
    """Answer with a Kubernetes Status."""

    async def handler(_: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "code": code, "reason": reason, "message": "because"}
        return web.json_response(body, status=code, headers=headers)

    return handler


@pytest.mark.parametrize(
    "code,reason,expected",
    [
        (400, "BadRequest", errors.Invalid),
        (401, "Unauthorized", errors.Forbidden),
        (403, "Forbidden", errors.Forbidden),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Expired),
        (418, "Teapot", errors.Refused),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.Throttled),
        (500, "InternalError", errors.Unreachable),
        (503, "ServiceUnavailable", errors.Unreachable),
    ],
)
async def test_each_status_is_one_error(
    tmp_path: Path, code: int, reason: str, expected: type[errors.KubeError]
) -> None:
    """The class says how to react, the message what was asked and answered."""
    async with api(status(code, reason), tmp_path) as kube:
        with pytest.raises(errors.KubeError, match=f"GET /api/v1/namespaces/ns/secrets/a: {code} .*because") as problem:
            await kube.get("Secret", "a")
    assert type(problem.value) is expected


async def test_an_absent_object_is_none(tmp_path: Path) -> None:
    """404 of a get is an answer, not an error."""
    async with api(status(404, "NotFound"), tmp_path) as kube:
        assert await kube.get("Model", "a") is None
        with pytest.raises(errors.NotFound):
            await kube.delete("Model", "a")


async def test_throttled_says_for_how_long(tmp_path: Path) -> None:
    """Retry-After is kept."""
    async with api(status(429, **{"Retry-After": "7"}), tmp_path) as kube:
        with pytest.raises(errors.Throttled) as problem:
            await kube.list("Model")
    assert problem.value.retry_after_s == pytest.approx(7)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe"])
async def test_an_answer_that_is_no_object_is_unreachable(tmp_path: Path, body: bytes) -> None:
    """A proxy's page is not the API server's word."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    async with api(handler, tmp_path) as kube:
        with pytest.raises(errors.Unreachable):
            await kube.get("Model", "a")


async def test_a_silent_server_is_unreachable_in_time(tmp_path: Path) -> None:
    """The limit covers headers and body alike."""

    async def headers_only(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"kind":')
        await asyncio.sleep(30)
        return response

    async with api(headers_only, tmp_path) as kube:
        async with asyncio.timeout(2):
            with pytest.raises(errors.Unreachable, match=r"within 0\.1 s"):
                await kube.get("Model", "a", timeout_s=0.1)


async def test_nobody_is_unreachable(tmp_path: Path) -> None:
    """A refused connection and a kubeconfig that cannot be read are no answers."""
    async with client.Client(write_kubeconfig(tmp_path / "k", "http://127.0.0.1:9"), "ns") as kube:
        with pytest.raises(errors.Unreachable):
            await kube.get("Model", "a")
    async with client.Client(tmp_path / "absent", "ns") as kube:
        with pytest.raises(errors.Unreachable, match="kubeconfig"):
            await kube.get("Model", "a")


async def test_a_rotated_token_is_used_for_the_next_request(tmp_path: Path) -> None:
    """Token files are read again; nobody restarts the process."""
    seen = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({})

    token = tmp_path / "token"
    token.write_text("one")
    async with api(handler, tmp_path, tokenFile="token") as kube:
        await kube.get("Model", "a")
        token.write_text("second")
        await kube.get("Model", "a")
    assert seen == ["Bearer one", "Bearer second"]


async def test_a_rotation_does_not_break_a_request_that_is_under_way(tmp_path: Path) -> None:
    """The old connections are closed after their last request."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/slow"):
            arrived.set()
            await go_on.wait()
        return web.json_response({"answered": request.path.rsplit("/", 1)[1]})

    token = tmp_path / "token"
    token.write_text("one")
    async with api(handler, tmp_path, tokenFile="token") as kube:
        slow = asyncio.create_task(kube.get("Model", "slow"))
        await arrived.wait()
        token.write_text("second")
        assert await kube.get("Model", "fast") == {"answered": "fast"}
        go_on.set()
        assert await slow == {"answered": "slow"}


async def test_a_get_asks_etcd_and_writes_are_strict(tmp_path: Path) -> None:
    """No resourceVersion in a get; fieldValidation=Strict and the manager in every write; apply takes its fields."""
    seen = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.path, dict(request.query), request.content_type, await request.text()))
        return web.json_response({})

    manifest = {"apiVersion": "tradeplane.dev/v1alpha1", "kind": "Model", "metadata": {"name": "a"}}
    async with api(handler, tmp_path) as kube:
        await kube.get("Model", "a")
        await kube.apply_status(manifest, "me")
        await kube.patch("Model", "a", {"metadata": {"resourceVersion": "5"}}, manager="me")
        await kube.delete("Model", "a", uid="u", resource_version="5")
    get, apply, patch, delete = seen
    base = "/apis/tradeplane.dev/v1alpha1/namespaces/ns/models/a"
    assert get[:3] == ("GET", base, {})
    assert apply[:4] == (
        "PATCH",
        f"{base}/status",
        {"fieldManager": "me", "fieldValidation": "Strict", "force": "true"},
        "application/apply-patch+yaml",
    )
    assert patch[2:4] == ({"fieldManager": "me", "fieldValidation": "Strict"}, "application/merge-patch+json")
    assert json.loads(delete[4])["preconditions"] == {"uid": "u", "resourceVersion": "5"}


async def test_a_list_is_read_page_by_page(tmp_path: Path) -> None:
    """All pages are one list, and its version is the last page's."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if "continue" not in request.query:
            first = {"metadata": {"resourceVersion": "7", "continue": "next"}, "items": [{"metadata": {"name": "a"}}]}
            return web.json_response(first)
        return web.json_response({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "b"}}]})

    async with api(handler, tmp_path) as kube:
        items, version = await kube.list("Model")
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]
    assert {item["kind"] for item in items} == {"Model"}
    assert version == "7"


def stream(*lines: bytes) -> Handler:
    """Answer a watch with these lines and end."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        return response

    return handler


async def test_a_watch_gives_events_until_the_stream_ends(tmp_path: Path) -> None:
    """Lines may arrive in any pieces."""
    lines = b'{"type":"ADDED","object":{"a":1}}\n{"type":"BOOKMARK","object":{"b":2}}\n'
    async with api(stream(lines[:20], lines[20:50], lines[50:]), tmp_path) as kube:
        assert [event async for event in kube.watch("Model")] == [("ADDED", {"a": 1}), ("BOOKMARK", {"b": 2})]


async def test_an_expired_watch_says_so(tmp_path: Path) -> None:
    """410 comes as an event inside a good answer."""
    line = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    async with api(stream(line), tmp_path) as kube:
        with pytest.raises(errors.Expired, match="too old"):
            async for _ in kube.watch("Model", resource_version="1"):
                pass


async def test_a_broken_watch_is_unreachable(tmp_path: Path) -> None:
    """A cut line is not an event."""
    async with api(stream(b'{"type":"ADD'), tmp_path) as kube:
        with pytest.raises(errors.Unreachable):
            async for _ in kube.watch("Model"):
                pass


async def test_a_silent_watch_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bookmarks come about once a minute, so a silent stream is dead."""
    monkeypatch.setattr(client, "WATCH_SILENCE_S", 0.1)

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(30)
        return response

    async with api(handler, tmp_path) as kube:
        with pytest.raises(errors.Unreachable):
            async for _ in kube.watch("Model"):
                pass
