"""Which provider and calendar the Environment names; read once, because both never change in an Environment's life."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from tradeplane_api import names
from tradeplane_kube import errors as kube_errors

log = structlog.get_logger(__name__)
_TIMEOUT_S = 2.0
_AGAIN_S = 1.0


class Cluster(Protocol):
    """The part of :class:`tradeplane_kube.client.Client` that reading needs."""

    async def get(self, kind: str, name: str, *, timeout_s: float) -> dict[str, Any] | None:
        """Read one object; None when it is absent."""
        ...


@dataclass(frozen=True, slots=True)
class Provider:
    """The Environment's provider of bars: REST base URL, stream URL, and the exchange whose sessions count."""

    url: str
    stream_url: str
    calendar: str


async def provider(cluster: Cluster, environment: str) -> Provider:
    """Wait for the Environment and return its provider."""
    while True:
        try:
            found = await cluster.get(names.ENVIRONMENT, environment, timeout_s=_TIMEOUT_S)
        except kube_errors.KubeError as error:
            log.warning("environment not readable", environment=environment, error=str(error))
        else:
            if found is not None:
                spec = found["spec"]
                urls = spec["broker"]["urls"]
                return Provider(url=urls["data"], stream_url=urls["dataStream"], calendar=spec["calendar"])
            log.info("waiting for the environment", environment=environment)
        await asyncio.sleep(_AGAIN_S)
