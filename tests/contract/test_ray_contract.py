"""The stand-in of Ray's REST interface and a real Ray answer alike, as far as the operator can see."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import ray as ray_support
from tradeplane_operator import render
from tradeplane_operator.ray import external, port

REAL = pytest.param("real", marks=[pytest.mark.ray, pytest.mark.xdist_group("ray")])
PATIENCE_S = 90.0


@pytest.fixture(params=["stand-in", REAL])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ray_support.Endpoint]:
    """Yield a Ray of each sort."""
    if request.param == "real":
        yield ray_support.shared_ray()
        return
    token_file = tmp_path / "token"
    token_file.write_text("t0ken\n")
    with ray_support.StandIn(token="t0ken").serving() as address:
        yield ray_support.Endpoint(address, token_file, "http://127.0.0.1:1")


@pytest.fixture
async def ray(endpoint: ray_support.Endpoint) -> AsyncIterator[external.ExternalRay]:
    """Yield the adapter."""
    adapter = external.ExternalRay(endpoint.address, token_file=endpoint.token_file)
    yield adapter
    await adapter.close()


async def eventually(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Read until it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds(found := await read()):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.1)
    return found


def application(name: str, *, answer: str = "a", module: str = "support.ray_application") -> dict[str, Any]:
    """One application as the operator renders it, but for its import path."""
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": f"{module}:build",
        "args": {},
        "runtime_env": {"env_vars": {"TRADEPLANE_NAMESPACE": "contract"}},
        "deployments": [
            {
                "name": "Predictor",
                "num_replicas": 1,
                "ray_actor_options": {"num_cpus": 0.1},
                "user_config": {"answer": answer},
            }
        ],
    }


def job(submission_id: str, code: str, **variables: str) -> port.Submission:
    """Describe a job that runs Python code."""
    return port.Submission(submission_id, f'{sys.executable} -c "{code}"', variables, "contract")


def running(name: str, config: dict[str, Any]) -> Callable[[port.Serve], bool]:
    """Say whether an application runs with a configuration."""

    def holds(found: port.Serve) -> bool:
        it = found.applications.get(name)
        return (
            it is not None and it.status == "RUNNING" and it.deployments_healthy and render.is_part(config, it.config)
        )

    return holds


@pytest.mark.timeout(400)
async def test_serve_life(ray: external.ExternalRay, endpoint: ray_support.Endpoint) -> None:
    """An empty PUT starts Serve; each replaces everything: applications come up, change in place, fail late, leave."""
    await ray.serve(render.serve_config([], serve_url=endpoint.serve_url))
    await eventually(ray.serving, lambda it: it.listening == endpoint.serve_url.removeprefix("http://"))
    one, two = application("model-one"), application("model-two")
    await ray.serve(render.serve_config([one, two], serve_url=endpoint.serve_url))
    found = await eventually(ray.serving, lambda it: running("model-one", one)(it) and running("model-two", two)(it))
    assert found.applications["model-one"].replicas == 1
    assert found.listening == endpoint.serve_url.removeprefix("http://")

    changed = application("model-one", answer="b")
    broken = application("model-broken", module="missing_module")
    await ray.serve(render.serve_config([changed, broken], serve_url=endpoint.serve_url))
    found = await eventually(
        ray.serving,
        lambda it: (
            running("model-one", changed)(it)
            and "model-two" not in it.applications
            and it.applications["model-broken"].status == "DEPLOY_FAILED"
        ),
    )
    assert found.applications["model-broken"].message

    await ray.serve(render.serve_config([], serve_url=endpoint.serve_url))
    await eventually(ray.serving, lambda it: not it.applications)


async def test_a_job_gets_its_variables_and_is_listed_with_its_namespace(
    ray: external.ExternalRay, tmp_path: Path
) -> None:
    """A job runs with its environment variables and ends as SUCCEEDED."""
    target = tmp_path / "out"
    code = "import os, pathlib; pathlib.Path(os.environ['TARGET']).write_text(os.environ['TRADEPLANE_CONFIG'])"
    await ray.submit(job("strategy-a-1-1", code, TARGET=str(target), TRADEPLANE_CONFIG='{"a":"ä b"}'))
    found = await eventually(ray.jobs, lambda jobs: jobs["strategy-a-1-1"].status == "SUCCEEDED")
    assert found["strategy-a-1-1"].namespace == "contract"
    assert not found["strategy-a-1-1"].alive
    assert target.read_text() == '{"a":"ä b"}'


async def test_a_repeated_submission_is_the_same_job(ray: external.ExternalRay, tmp_path: Path) -> None:
    """The second submission of an id starts nothing."""
    target = tmp_path / "out"
    code = "import os; open(os.environ['TARGET'], 'a').write('x')"
    for _ in range(2):
        await ray.submit(job("strategy-b-1-1", code, TARGET=str(target)))
    await eventually(ray.jobs, lambda jobs: jobs["strategy-b-1-1"].status == "SUCCEEDED")
    assert target.read_text() == "x"


async def test_a_job_that_exits_with_an_error_has_failed_and_says_so(ray: external.ExternalRay) -> None:
    """The exit shows as FAILED with a message."""
    await ray.submit(job("strategy-c-1-1", "raise SystemExit(3)"))
    found = await eventually(ray.jobs, lambda jobs: not jobs["strategy-c-1-1"].alive)
    assert found["strategy-c-1-1"].status == "FAILED"
    assert "3" in found["strategy-c-1-1"].message


async def test_a_job_can_be_stopped_and_stopping_nothing_is_no_error(ray: external.ExternalRay) -> None:
    """A stopped job is STOPPED; a second stop and an unknown id do no harm."""
    await ray.submit(job("strategy-d-1-1", "import time; time.sleep(600)"))
    await eventually(ray.jobs, lambda jobs: jobs["strategy-d-1-1"].status == "RUNNING")
    await ray.stop("strategy-d-1-1")
    found = await eventually(ray.jobs, lambda jobs: not jobs["strategy-d-1-1"].alive)
    assert found["strategy-d-1-1"].status == "STOPPED"
    await ray.stop("strategy-d-1-1")
    await ray.stop("strategy-never-1-1")


async def test_a_wrong_token_is_refused(endpoint: ray_support.Endpoint, tmp_path: Path) -> None:
    """Every request carries the token of the file, as it stands at that moment."""
    token_file = tmp_path / "own-token"
    token_file.write_text("wrong")
    adapter = external.ExternalRay(endpoint.address, token_file=token_file)
    with pytest.raises(port.RayRefused, match="403"):
        await adapter.jobs()
    token_file.write_text(endpoint.token_file.read_text())
    await adapter.jobs()
    await adapter.close()


async def test_no_token_is_refused(endpoint: ray_support.Endpoint) -> None:
    """An operator without a token file gets nothing from a Ray that asks for one."""
    adapter = external.ExternalRay(endpoint.address, token_file=None)
    with pytest.raises(port.RayRefused, match="401"):
        await adapter.jobs()
    await adapter.close()


async def test_a_malformed_configuration_is_refused(ray: external.ExternalRay) -> None:
    """A PUT that breaks Serve's schema answers 400."""
    with pytest.raises(port.RayRefused, match="400"):
        await ray.serve({"applications": [{"name": "x"}]})


async def test_nobody_at_the_address_is_unreachable() -> None:
    """A refused connection is not an answer."""
    adapter = external.ExternalRay("http://127.0.0.1:9", token_file=None)
    with pytest.raises(port.RayUnreachable):
        await adapter.jobs()
    await adapter.close()
