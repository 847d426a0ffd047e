"""Prometheus metrics of a process: its own registry, and ``/metrics`` over HTTP.

A process creates one :class:`prometheus_client.CollectorRegistry`, registers its metrics in it (names start with
``tradeplane_<folder>_``) and either answers with :func:`exposition` in the HTTP server it already has, or calls
:func:`serve`.
"""

from dataclasses import dataclass
from socketserver import BaseServer
from threading import Thread

import prometheus_client
from prometheus_client import exposition as prometheus_exposition

from tradeplane_engine import errors

CONTENT_TYPE = prometheus_exposition.CONTENT_TYPE_PLAIN_0_0_4
_PORT_MAX = 65535


def registry() -> prometheus_client.CollectorRegistry:
    """Return a registry that already holds the process's own figures (memory, CPU, open files)."""
    created = prometheus_client.CollectorRegistry(auto_describe=True)
    prometheus_client.ProcessCollector(registry=created)
    return created


def exposition(source: prometheus_client.CollectorRegistry) -> bytes:
    """Return the text form of ``source``, to be sent as :data:`CONTENT_TYPE`."""
    return prometheus_exposition.generate_latest(source)


@dataclass(frozen=True, slots=True)
class Served:
    """A running ``/metrics`` server; ``port`` is the real one when 0 was asked for."""

    port: int
    server: BaseServer
    thread: Thread

    def stop(self) -> None:
        """Stop serving and wait for the thread."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def serve(source: prometheus_client.CollectorRegistry, listen: str) -> Served:
    """Serve ``source`` at ``http://<listen>/metrics`` from a thread, for processes without an HTTP server."""
    host, port = address(listen, field="TRADEPLANE_METRICS_LISTEN")
    server, thread = prometheus_client.start_http_server(port, addr=host, registry=source)
    return Served(port=server.server_port, server=server, thread=thread)


def address(listen: str, *, field: str) -> tuple[str, int]:
    """Split ``host:port``; raises ValueRefused naming ``field``."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _PORT_MAX:
        raise errors.ValueRefused(field, "of the form host:port", listen)
    return host.strip("[]"), int(port)
