"""The operator process when its neighbours are gone for a while, and what it tells machines about itself."""

import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support import operator as support
from support import servers, tcp_proxy
from tradeplane_cli.local import ports


@pytest.fixture
def bench(kube: servers.Kube, tmp_path: Path) -> Iterator[support.Bench]:
    """Yield the surroundings, trading enabled."""
    with support.bench(kube, tmp_path) as made:
        made.gateway.enable()
        yield made


def through(proxy: tcp_proxy.TcpProxy, kubeconfig: Path) -> Path:
    """Write a kubeconfig that reaches the API server through a proxy."""
    content = yaml.safe_load(kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    changed = kubeconfig.with_name("proxied.kubeconfig")
    changed.write_text(yaml.safe_dump(content))
    return changed


def test_an_api_server_that_was_away_is_caught_up_with(bench: support.Bench) -> None:
    """An edit made while the operator could not see it acts afterwards; the job runs on meanwhile."""
    original = bench.kube.kubeconfig_for("operator")
    server = yaml.safe_load(original.read_text())["clusters"][0]["cluster"]["server"]
    port = urllib.parse.urlsplit(server).port
    assert port is not None
    with tcp_proxy.TcpProxy(port).serving() as proxy:
        settings = {"KUBECONFIG": str(through(proxy, original))}
        with support.process(bench, **settings) as running:
            bench.apply_examples()
            support.eventually(bench.settled, what="everything Ready")
            (before,) = bench.living("strategy")
            proxy.cut()
            bench.patch("strategy", "momentum", {"portfolio": {"top": 1}})
            looks = iter(range(25))
            support.eventually(lambda: next(looks) >= 20, what="a while without the API server")
            assert bench.living("strategy") == [before]
            assert running.poll() is None
            proxy.mend()
            support.eventually(
                lambda: [job.config["spec"]["portfolio"]["top"] for job in bench.living("strategy")] == [1],
                what="the edit acts",
            )
            support.eventually(bench.settled, what="settled")


def test_a_ray_that_is_away_is_said_and_nothing_is_started_twice(bench: support.Bench) -> None:
    """Conditions say RayUnreachable; afterwards the same job is still the one."""
    with support.process(bench):
        bench.apply_examples()
        support.eventually(bench.settled, what="everything Ready")
        jobs = dict(bench.ray.jobs)
        bench.ray.down = True
        support.eventually(
            lambda: bench.condition("strategy", "momentum", "Degraded") == ("True", "RayUnreachable"), what="said"
        )
        assert bench.condition("strategy", "momentum", "Ready")[0] == "Unknown"
        bench.ray.down = False
        support.eventually(bench.settled, what="settled")
        assert bench.ray.jobs == jobs


def test_a_second_environment_is_told_that_it_is_none(bench: support.Bench) -> None:
    """One namespace is one installation."""
    with support.process(bench):
        bench.apply_examples()
        second = bench.environment()
        second["metadata"]["name"] = "second"
        bench.apply(second)
        support.eventually(
            lambda: bench.condition("environment", "second", "Ready") == ("False", "NotTheEnvironment"), what="told"
        )


def test_metrics_count_passes_and_logs_hold_no_token(bench: support.Bench) -> None:
    """/metrics answers; the token of Ray's interface appears in no line."""
    token = bench.directory / "ray.token"
    token.write_text("verysecrettoken")
    bench.ray.token = "verysecrettoken"
    listen = f"127.0.0.1:{ports.free(1)[0]}"
    variables = {"TRADEPLANE_METRICS_LISTEN": listen, "TRADEPLANE_RAY_TOKEN_FILE": str(token)}
    with support.process(bench, **variables):
        bench.apply_examples()
        support.eventually(bench.settled, what="everything Ready")
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    assert 'tradeplane_operator_reconciles_total{kind="Strategy",outcome="done"}' in text
    assert "tradeplane_operator_gateway_fresh 1.0" in text
    (log,) = bench.directory.glob("operator-*.log")
    assert "operator started" in log.read_text()
    assert "verysecrettoken" not in log.read_text() + text
