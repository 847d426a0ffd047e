"""What the embedded environment hands to its processes, without starting any."""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tradeplane_api import environment as api
from tradeplane_cli import __main__ as command_line
from tradeplane_cli.local import binaries, environment, layout, ports, processes, supervisor


class Quiet:
    """Progress that nobody sees."""

    def waiting(self, name: str, missing: str) -> None:
        """Say nothing."""

    def ready(self, name: str, seconds: float) -> None:
        """Say nothing."""

    def ending(self, name: str) -> None:
        """Say nothing."""


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[environment.Environment]:
    """Yield an environment that is prepared but not started."""
    monkeypatch.setattr(binaries, "all_found", lambda: {name: Path("/bin/true") for name in binaries.PROGRAMS})
    monkeypatch.setattr(layout, "runtime_base", lambda: tmp_path / "r")
    options = environment.Options(home=tmp_path / "home", dataset=tmp_path, clock="2012-03-02T00:00:00Z")
    with environment.opened(options, progress=Quiet()) as found:
        yield found


def _specs(composed: environment.Environment) -> dict[str, processes.Spec]:
    found = (composed.simulator(), composed.market_data(), composed.gateway(), composed.operator(), composed.ray.spec())
    return {spec.name: spec for spec in found}


def _secrets(composed: environment.Environment) -> dict[str, str]:
    return {"trading": composed.keys.trading["secret_key"], "data": composed.keys.data["secret_key"]}


def test_no_secret_is_in_a_command_line_or_environment(composed: environment.Environment) -> None:
    """Other users see command lines, and Ray shows its environment: keys travel in files only."""
    for spec in _specs(composed).values():
        shown = " ".join((*spec.argv, *spec.env.values()))
        assert not any(secret in shown for secret in _secrets(composed).values())


def test_no_secret_is_in_the_facts(composed: environment.Environment) -> None:
    """The state file, which `tradeplane status` prints, holds no key."""
    text = composed.layout.state.read_text() + repr(composed.keys)
    assert not any(secret in text for secret in _secrets(composed).values())


def test_credentials_are_closed_to_others(composed: environment.Environment) -> None:
    """Everything below the credentials directory is for the owner only."""
    composed.kubeconfig("trader")
    files = [path for path in composed.layout.credentials.rglob("*") if path.is_file()]
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(composed.layout.credentials.stat().st_mode) == 0o700


def test_only_the_gateway_knows_the_ledger(composed: environment.Environment) -> None:
    """The ledger's address is given to one process."""
    knowing = [name for name, spec in _specs(composed).items() if "TRADEPLANE_DATABASE_URL" in spec.env]
    assert knowing == ["gateway"]


def test_only_what_reads_the_api_server_has_an_identity(composed: environment.Environment) -> None:
    """No other process gets a kubeconfig, and each gets its own."""
    given = {name: spec.env["KUBECONFIG"] for name, spec in _specs(composed).items() if "KUBECONFIG" in spec.env}
    assert set(given) == {"operator", "gateway", "market-data"}
    assert len(set(given.values())) == 3


def test_market_data_holds_the_data_key_only(composed: environment.Environment) -> None:
    """The key file of market data holds a key whose scope at the broker is data."""
    held = json.loads(Path(composed.market_data().env["TRADEPLANE_DATA_KEY_FILE"]).read_text())
    (account,) = json.loads(composed.keys.accounts_file.read_text())
    scopes = {key["key_id"]: key["scope"] for key in account["keys"]}
    assert scopes[held["key_id"]] == "data"
    assert sorted(scopes.values()) == ["data", "trading"]


def test_everything_listens_on_loopback(composed: environment.Environment) -> None:
    """No address of any process is another interface's."""
    specs = [*_specs(composed).values(), composed.plane.etcd(), composed.plane.apiserver()]
    text = " ".join(word for spec in specs for word in (*spec.argv, *spec.env.values()))
    # The range of service addresses, which nothing listens on, is followed by a slash.
    assert set(re.findall(r"\b\d+(?:\.\d+){3}\b(?!/)", text)) == {"127.0.0.1"}
    assert "--bind-address=127.0.0.1" in text
    assert "listen_addresses=" in composed.postgres.spec().argv


def test_jobs_run_on_this_environments_python(composed: environment.Environment) -> None:
    """Ray finds `python`, with which a job's entry point begins, where the supervisor's own is."""
    first = composed.ray.spec().env["PATH"].split(os.pathsep)[0]
    assert Path(first) == Path(sys.executable).parent


def test_ports_are_all_different(composed: environment.Environment) -> None:
    """No two listeners share a port, Ray's workers included."""
    plane = composed.plane.ports
    own = composed.addresses
    used = [plane.etcd, plane.etcd_peer, plane.apiserver, plane.controller_manager, *composed.ray.chosen]
    used += [own.gateway, own.market_data, own.operator, own.simulator, own.simulator_control, own.serve]
    assert len(used) == len(set(used))
    assert all(ports.LOWEST <= port <= ports.HIGHEST for port in used)


def test_rendered_environment_is_a_valid_one(composed: environment.Environment) -> None:
    """The API's own types accept the rendered manifest."""
    composed.render()
    document = yaml.safe_load(composed.manifest.read_text())
    spec = api.EnvironmentSpec.model_validate(document["spec"])
    assert spec.address("execution") == composed.ray.address
    assert spec.broker.secret_ref == environment.BROKER_CREDENTIALS


def test_second_environment_at_the_same_place_is_refused(composed: environment.Environment) -> None:
    """Two supervisors never share a home; the message names the way out."""
    with (
        pytest.raises(processes.LocalError, match="tradeplane down"),
        environment.opened(composed.options, progress=Quiet()),
    ):
        pass


def test_homes_have_runtime_directories_of_their_own(tmp_path: Path) -> None:
    """Two checkouts, or `up` and the demo, do not meet; and sockets fit their directory."""
    one, two = layout.of(tmp_path / "one"), layout.of(tmp_path / "two")
    assert one.runtime != two.runtime
    assert len(str(one.runtime)) <= layout.LONGEST_RUNTIME_DIRECTORY
    assert layout.of(tmp_path / "one") == one


def test_long_base_gives_a_short_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long temporary directory does not make socket paths too long."""
    monkeypatch.setattr(layout, "runtime_base", lambda: Path("/tmp") / ("long" * 20))  # noqa: S108 - not used
    assert len(str(layout.of(tmp_path).runtime)) <= layout.LONGEST_RUNTIME_DIRECTORY


def test_every_subcommand_can_be_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name in the table of commands leads to a module with arguments and a function."""
    for command in command_line.COMMANDS:
        with pytest.raises(SystemExit) as ended:
            command_line.main([command.name, "--help"])
        assert ended.value.code == 0
        assert command.summary.split()[0] in capsys.readouterr().out


def test_state_of_another_version_is_refused(tmp_path: Path) -> None:
    """A state file that this version did not write is not guessed at."""
    (tmp_path / "state.json").write_text('{"version": 99}')
    with pytest.raises(processes.LocalError, match="version must be 1, got 99"):
        supervisor.recorded(tmp_path / "state.json")
