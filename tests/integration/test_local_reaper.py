"""Shared test servers end with their run, whatever ends it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import servers
from tradeplane_cli.local import process_table

# A pytest main process with a worker that starts a server and says its id, then both wait to be killed.
MAIN = """
import os, subprocess, sys, time
from support import servers
servers.begin()
worker = '''
import os, sys, time
from support import servers
servers.shared_valkey()
with servers.current().state() as state:
    print(os.getpid(), state["roots"][0][0], servers.current().directory, flush=True)
time.sleep(600)
'''
subprocess.Popen([sys.executable, "-c", worker], start_new_session=True)
time.sleep(600)
"""


def _gone(pid: int) -> bool:
    entry = process_table.read(pid)
    return entry is None or entry.zombie


@pytest.fixture
def run() -> "subprocess.Popen[str]":
    """Start a main process with one worker."""
    paths = (servers.CHECKOUT / name for name in ("tests", "operator", "workers"))
    return subprocess.Popen(
        [sys.executable, "-c", MAIN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
    )


@pytest.mark.parametrize("worker_dies_first", [True, False])
def test_killed_run_leaves_no_server(run: "subprocess.Popen[str]", worker_dies_first: bool) -> None:
    """A killed worker takes no server with it; a killed pytest takes them all, and the run's directory."""
    assert run.stdout is not None
    with run, run.stdout:
        worker, server, directory = run.stdout.readline().split()
        if worker_dies_first:
            os.kill(int(worker), 9)
        assert not _gone(int(server))
        run.kill()
        run.wait()
        deadline = time.monotonic() + 20.0
        while not (_gone(int(server)) and not Path(directory).exists()):
            assert time.monotonic() < deadline, f"server {server} or {directory} is left"
            time.sleep(0.05)
        if not worker_dies_first:
            os.kill(int(worker), 9)
