"""The preflight names what is missing, with the line that installs it."""

import ast
import os
import sys
from pathlib import Path

import pytest

from tradeplane_cli.local import preflight


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a machine without programs, cache or network."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(preflight, "_reachable", lambda _host: False)
    (tmp_path / "bin").mkdir()
    return tmp_path


def _program(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)


def test_missing_programs_are_named_with_their_line(bare: Path) -> None:
    """One line installs everything that is missing from the distribution."""
    assert preflight.programs() == "make git missing: sudo apt-get install make git"
    _program(bare / "bin" / "make")
    assert preflight.programs() == "git missing: sudo apt-get install git"
    _program(bare / "bin" / "git")
    assert preflight.programs() is None


def test_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.10 is too old."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    assert "Python 3.11 or newer is needed" in (preflight.python() or "")


def test_missing_openmp_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """LightGBM's library has a line of its own."""

    def refuse(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(preflight.ctypes, "CDLL", refuse)
    assert "apt-get install libgomp1" in (preflight.openmp() or "")


@pytest.mark.parametrize("version,enough", [("go1.25.9", False), ("go1.26.0", True), ("go1.30.1", True), ("x", False)])
@pytest.mark.usefixtures("bare")
def test_go_must_be_new_enough(tmp_path: Path, version: str, enough: bool) -> None:
    """Without network and cache, only a recent Go gives a control plane."""
    _program(tmp_path / "bin" / "go", f"go version {version} linux/amd64")
    assert (preflight.control_plane() is None) == enough


def test_cache_makes_go_unnecessary(bare: Path) -> None:
    """With all programs in the cache nothing else is needed; three of four are not enough."""
    folder = bare / "cache" / "tradeplane" / "control-plane"
    for name in preflight.PROGRAMS[:-1]:
        _program(folder / f"{name}-v1.2.3")
    _program(folder / f".{preflight.PROGRAMS[-1]}-v1.2.3.lock")
    assert preflight.control_plane() is not None
    _program(folder / f"{preflight.PROGRAMS[-1]}-v1.2.3")
    assert preflight.control_plane() is None


def test_findings_come_together(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All findings are printed at once and the exit status is 1."""
    assert os.listdir(bare / "bin") == []  # noqa: PTH208 - names suffice
    assert preflight.main() == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "make git missing" in line]
    assert [line for line in lines if "control plane cannot be had" in line]


def test_runs_before_anything_is_installed() -> None:
    """The preflight imports nothing but the standard library, and an old Python can read it."""
    source = Path(preflight.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    names = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
