"""Fixtures that every tier shares: real servers, started once per run, with a fresh place for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from support import servers

# Two busy cores make single examples slow; pytest-timeout bounds the whole test.
hypothesis.settings.register_profile("shared-cores", deadline=None)
hypothesis.settings.load_profile("shared-cores")


def pytest_configure(config: pytest.Config) -> None:
    """Open the run that all workers of this pytest share."""
    if not hasattr(config, "workerinput"):
        servers.begin()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """URL of an empty PostgreSQL database (``postgresql://…?host=…``), dropped after the test."""
    with servers.fresh_database() as url:
        yield url


@pytest.fixture
def redis_url() -> str:
    """URL (``unix://…?db=N``) of an empty numbered database of a real Valkey that no other worker uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "master")
    url = servers.shared_valkey().url(servers.database_number(worker))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[servers.Kube]:
    """Yield a fresh namespace, with the project's Roles, on a real API server that has the project's CRDs."""
    directory = tmp_path / "kube"
    directory.mkdir(mode=0o700)
    with servers.fresh_namespace(directory) as namespace:
        yield namespace
