"""A sweep on the one real Ray finds what it finds in one process, of code that no other machine has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import bar_files
from support import ray as ray_support

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray"), pytest.mark.timeout(400)]

SCRIPT = """\
from tradeplane_engine import strategy


class Cross(strategy.Strategy):
    class Parameters(strategy.Strategy.Parameters):
        fast: int
        slow: int

    def on_start(self, ctx):
        self.fast, self.slow = ctx.indicator("sma", self.parameters.fast), ctx.indicator("sma", self.parameters.slow)

    def on_bar(self, ctx, bar):
        if self.parameters.fast == 99:
            raise RuntimeError("as the author wrote it")
        ctx.target(bar.symbol, shares=10 if self.fast > self.slow else 0)
"""


def sweep(folder: Path, *words: str, endpoint: ray_support.Endpoint) -> subprocess.CompletedProcess[str]:
    """Run the command on the folder's script, in a process that may connect to the Ray."""
    code = "import sys; from tradeplane_cli import __main__ as c; sys.exit(c.main(sys.argv[1:]))"
    arguments = ["sweep", f"{folder / 'mine.py'}:Cross", f"--data={folder / 'bars'}", *words]
    variables = {
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
        # As the head of the tests, which listens on loopback only.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(endpoint.token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
    )


def test_tasks_of_a_ray_find_the_same(tmp_path: Path) -> None:
    """Byte for byte, in the same cache; what a strategy raises there is told here."""
    endpoint = ray_support.shared_ray()
    columns = bar_files.walk(400, seed=1)
    columns["ts"] = columns["ts"][0] + (columns["ts"] - columns["ts"][0]) * 300
    bar_files.write(tmp_path / "bars", "A", columns)
    (tmp_path / "mine.py").write_text(SCRIPT, encoding="utf-8")
    space = ("--space", "fast=2,4,6", "slow=15,20")
    for name, options in (("ray", (f"--ray={endpoint.cluster}",)), ("here", ())):
        done = sweep(
            tmp_path,
            *space,
            *options,
            f"--cache={tmp_path / name}",
            f"--out={tmp_path / f'{name}-out'}",
            endpoint=endpoint,
        )
        assert done.returncode == 0, done.stderr
        assert "tried 6 here, 0 known before, 6 ever" in done.stdout
    files = [tmp_path / f"{name}-out" / "sweep.json" for name in ("ray", "here")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(json.loads(files[0].read_text(encoding="utf-8"))["configurations"]["score"]) == 6
    failed = sweep(
        tmp_path, "--space", "fast=99", "--parameters", "slow=100", f"--cache={tmp_path / 'ray'}",
        f"--ray={endpoint.cluster}", endpoint=endpoint,
    )  # fmt: skip
    assert failed.returncode == 1
    assert "strategy 'sweep' at Bar(A" in failed.stderr
    assert "as the author wrote it" in failed.stderr
