"""Events become keys. kopf is the source and nothing more: it writes no annotation, no finalizer and no Event.

kopf runs in a thread and a loop of its own, because it takes over signal handlers and, when it ends, cancels every task
that began while it ran.

An event is a hint: the pass it leads to reads everything anew. An edit of one object is a reason to look at those that
refer to it, so every event also wakes the kinds that depend on its kind.
"""

import asyncio
import itertools
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import kopf
import structlog
import yaml

from tradeplane_api import kinds, names
from tradeplane_operator import queueing, reconciler

log = structlog.get_logger(__name__)

_LEAVE_S = 5.0

# Who looks at whom: a changed object wakes all objects of these kinds.
_DEPENDENTS = {
    names.ENVIRONMENT: (names.STRATEGY, names.MODEL, names.BACKTEST),
    names.MODEL: (names.STRATEGY, names.MODEL, names.BACKTEST),
    names.RISK_POLICY: (names.STRATEGY, names.ENVIRONMENT, names.BACKTEST),
    names.STRATEGY: (names.MODEL, names.RISK_POLICY, names.BACKTEST),
    names.BACKTEST: (),
}


class _Forever:
    """Back-offs of kopf's requests: never the last one, because an API server that restarts comes back."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.2, 0.5), itertools.repeat(1.0))


class Watch:
    """Feeds a queue from the events of the kinds in one namespace.

    Parameters
    ----------
    queue : takes the keys
    kubeconfig : credentials, read again at each login
    """

    def __init__(self, queue: queueing.Queue, kubeconfig: pathlib.Path, namespace: str) -> None:
        self._queue = queue
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._known: dict[str, set[str]] = {kind: set() for kind in kinds.KINDS}
        self._seen: dict[tuple[str, str], Any] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=(loop, stop), name="watch", daemon=True)
        thread.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stop.set()
            await asyncio.to_thread(thread.join, _LEAVE_S)

    def _watch(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """Run kopf until told to stop, and start it again whenever it gives up."""
        while not stop.is_set():
            try:
                asyncio.run(
                    kopf.operator(
                        registry=self._registry(loop),
                        settings=_settings(),
                        standalone=True,
                        namespaces=[self._namespace],
                        stop_flag=stop,
                    )
                )
            except Exception as problem:  # noqa: BLE001 - whatever ended it, events must come again
                log.warning("watch ended", problem=repr(problem))
            stop.wait(1.0)

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        async def on_event(*, type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's way
            for key in self._keys(type, body):
                asyncio.run_coroutine_threadsafe(self._queue.add(key), loop)

        registry = kopf.OperatorRegistry()
        for kind in kinds.KINDS.values():
            handler: Any = on_event
            kopf.on.event(names.GROUP, names.VERSION, kind.plural, id=kind.short, registry=registry)(handler)
        login: Any = self._login
        kopf.on.login(registry=registry)(login)
        return registry

    def _keys(self, event: str | None, body: kopf.Body) -> Iterator[reconciler.Key]:
        """Keys that an event makes worth a look; called in kopf's thread only."""
        kind, metadata = str(body["kind"]), body["metadata"]
        name = str(metadata["name"])
        yield reconciler.Key(kind, name)
        # A status of our own makes its object look once more; only what others can see wakes the others.
        seen = _visible(body)
        if event == "DELETED":
            self._known[kind].discard(name)
            self._seen.pop((kind, name), None)
        elif self._seen.get((kind, name)) == seen:
            return
        else:
            self._known[kind].add(name)
            self._seen[kind, name] = seen
        yield reconciler.Key(reconciler.SWEEP)
        for dependent in _DEPENDENTS[kind]:
            for other in sorted(self._known[dependent]):
                yield reconciler.Key(dependent, other)

    def _login(self, **_: Any) -> kopf.ConnectionInfo:
        return connection(self._kubeconfig)


def _visible(body: kopf.Body) -> Any:
    """What an object's dependents decide by."""
    status = body.get("status") or {}
    return (
        body["metadata"]["uid"],
        body["metadata"].get("generation"),
        body["metadata"].get("deletionTimestamp"),
        status.get("active"),
        status.get("serving"),
    )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Kinds and namespaces are known; discovering them needs rights that this operator does not have.
    settings.scanning.disabled = True
    settings.networking.error_backoffs = _Forever()
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 5.0
    settings.process.ultimate_exiting_timeout = None
    settings.watching.server_timeout = 240
    settings.watching.reconnect_backoff = 0.2
    return settings


def connection(kubeconfig: pathlib.Path) -> kopf.ConnectionInfo:
    """Credentials of the current context, for kopf."""
    content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))

    def entry(section: str, name: str, part: str) -> dict[str, Any]:
        return next(dict(each[part]) for each in content[section] if each["name"] == name)

    context = entry("contexts", content["current-context"], "context")
    cluster = entry("clusters", context["cluster"], "cluster")
    user = entry("users", context["user"], "user")
    folder = kubeconfig.parent

    def path(block: dict[str, Any], field: str) -> str | None:
        return str(folder / block[field]) if field in block else None

    token_file = path(user, "tokenFile")
    return kopf.ConnectionInfo(
        server=cluster["server"],
        ca_path=path(cluster, "certificate-authority"),
        ca_data=cluster.get("certificate-authority-data"),
        certificate_path=path(user, "client-certificate"),
        certificate_data=user.get("client-certificate-data"),
        private_key_path=path(user, "client-key"),
        private_key_data=user.get("client-key-data"),
        token=pathlib.Path(token_file).read_text(encoding="utf-8").strip() if token_file else user.get("token"),
    )
