"""The supervisor, on real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradeplane_cli.local import process_table, processes, supervisor

SLEEPER = "import time; time.sleep(600)"


class Quiet:
    """Progress that remembers instead of printing."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def waiting(self, name: str, missing: str) -> None:
        """Remember what is missing."""
        self.events.append(("waiting", f"{name}: {missing}"))

    def ready(self, name: str, seconds: float) -> None:
        """Remember that a process is ready."""
        assert seconds >= 0
        self.events.append(("ready", name))

    def ending(self, name: str) -> None:
        """Remember that a process is being ended."""
        self.events.append(("ending", name))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[supervisor.Supervisor]:
    """Yield a supervisor that ends what the test started."""
    with supervisor.Supervisor(tmp_path / "state.json", progress=Quiet()) as one:
        yield one


def _spec(
    tmp_path: Path, code: str = SLEEPER, *, name: str = "one", ready: Callable[[], str | None] = lambda: None
) -> processes.Spec:
    return processes.Spec(
        name=name,
        argv=(sys.executable, "-c", textwrap.dedent(code)),
        log=tmp_path / f"{name}.log",
        ready=ready,
        ready_timeout_s=20.0,
        stop_grace_s=5.0,
    )


def _writes(path: Path) -> Callable[[], str | None]:
    return lambda: None if path.exists() else f"{path.name} is missing"


def _gone(pid: int) -> bool:
    entry = process_table.read(pid)
    return entry is None or entry.zombie


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def test_run_waits_for_readiness(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """A process counts as started when its probe says so, not before."""
    flag = tmp_path / "flag"
    code = f"import pathlib, time; time.sleep(0.3); pathlib.Path({str(flag)!r}).touch(); time.sleep(600)"
    running.run(_spec(tmp_path, code, ready=_writes(flag)))
    assert flag.exists()


def test_process_that_ends_before_it_is_ready_shows_its_log(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """A failing start names the process, how it ended and the end of its log."""
    code = """
        import sys
        for n in range(100):
            print("line", n)
        sys.exit("cannot bind port 5")
    """
    with pytest.raises(processes.NotReady) as failure:
        running.run(_spec(tmp_path, code, ready=lambda: "nothing yet"))
    assert failure.value.name == "one"
    assert "exit status 1" in str(failure.value)
    assert "cannot bind port 5" in failure.value.log_tail
    assert "line 99" in failure.value.log_tail
    assert "line 1\n" not in failure.value.log_tail
    assert running.running == ()


def test_process_that_is_never_ready_is_ended(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """A process whose time is over is killed, and the error says what was missing."""
    spec = processes.Spec(
        name="slow",
        argv=(sys.executable, "-c", SLEEPER),
        log=tmp_path / "slow.log",
        ready=lambda: "the port is closed",
        ready_timeout_s=0.3,
    )
    with pytest.raises(processes.NotReady, match=r"slow: not ready after 0\.3 s: the port is closed"):
        running.run(spec)
    assert running.members("slow") == frozenset()


def test_check_reports_a_process_that_ended_by_itself(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """Nothing is restarted silently: an unexpected end is an error with the log's end."""
    code = f"""
        import pathlib, sys, time
        while not pathlib.Path({str(tmp_path / "fail")!r}).exists():
            time.sleep(0.01)
        sys.exit("out of memory")
    """
    running.run(_spec(tmp_path, code))
    running.check()
    pid = running.pid("one")
    (tmp_path / "fail").touch()
    _wait(lambda: _gone(pid))
    with pytest.raises(processes.NotReady, match=r"(?s)one: ended with exit status 1.*out of memory"):
        running.check()
    with pytest.raises(processes.LocalError, match="is not running"):
        running.pid("one")


def test_kill_takes_one_process_and_leaves_the_others(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """A SIGKILL goes to the named process only, and start brings it back as another process."""
    running.run(_spec(tmp_path, name="one"))
    running.run(_spec(tmp_path, name="two"))
    before, other = running.pid("one"), running.pid("two")
    running.kill("one")
    assert _gone(before)
    assert running.pid("two") == other
    running.check()
    running.start("one")
    assert running.pid("one") != before


def test_kill_takes_what_the_process_started(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """Daemons that left the session and dropped their environment end with their process."""
    pids = tmp_path / "pids"
    code = f"""
        import os, pathlib, subprocess, sys, time
        sleep = [sys.executable, "-c", {SLEEPER!r}]
        bare = subprocess.Popen(sleep, env={{}}, start_new_session=True)
        tagged = subprocess.Popen(sleep, start_new_session=True)
        pathlib.Path({str(pids)!r} + ".part").write_text(f"{{bare.pid}} {{tagged.pid}}")
        os.rename({str(pids)!r} + ".part", {str(pids)!r})
        time.sleep(600)
    """
    running.run(_spec(tmp_path, code, ready=_writes(pids)))
    children = [int(text) for text in pids.read_text().split()]
    running.kill("one")
    assert [_gone(pid) for pid in children] == [True, True]


def test_one_member_dies_alone(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """One child of a process can be killed by its command line, as a job of Ray, while the rest lives."""
    pids = tmp_path / "pids"
    code = f"""
        import pathlib, subprocess, sys, time
        children = [subprocess.Popen([sys.executable, "-c", {SLEEPER!r}, word]) for word in ("job-a", "job-b")]
        pathlib.Path({str(pids)!r}).write_text(" ".join(str(child.pid) for child in children))
        time.sleep(600)
    """
    running.run(_spec(tmp_path, code, ready=_writes(pids)))
    _wait(lambda: len(pids.read_text().split()) == 2 and len(running.members("one")) == 3)
    first, second = (int(text) for text in pids.read_text().split())
    # The parent's command line holds the words too, but not one after the other.
    child = "time.sleep(600) job-a"
    assert running.kill_members("one", child) == (first,)
    assert _gone(first)
    assert not _gone(second)
    running.check()
    with pytest.raises(processes.LocalError, match="none of its processes has"):
        running.kill_members("one", child)


def test_stop_finds_a_daemon_whose_parent_is_gone(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """A daemon in a session of its own, whose parent ended long ago, still carries the tag."""
    pids = tmp_path / "pids"
    code = f"""
        import os, pathlib, subprocess, sys, time
        middle = '''
        import pathlib, subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "{SLEEPER}"], start_new_session=True)
        pathlib.Path(sys.argv[1]).write_text(str(child.pid))
        '''
        import textwrap
        subprocess.run([sys.executable, "-c", textwrap.dedent(middle), {str(pids)!r}], start_new_session=True)
        time.sleep(600)
    """
    running.run(_spec(tmp_path, code, ready=_writes(pids)))
    _wait(lambda: pids.read_text() != "")
    running.stop("one")
    assert _gone(int(pids.read_text()))


def test_stop_asks_before_it_kills(running: supervisor.Supervisor, tmp_path: Path) -> None:
    """A process may finish what it does; one that refuses is killed after its grace."""
    flag = tmp_path / "flag"
    code = """
        import pathlib, signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path("{done}").touch(), {then}))
        pathlib.Path("{flag}").touch()
        time.sleep(600)
    """
    polite = code.format(done=tmp_path / "polite", flag=flag, then="sys.exit(0)")
    running.run(_spec(tmp_path, polite, ready=_writes(flag)))
    running.stop("one")
    assert (tmp_path / "polite").exists()
    flag.unlink()
    stubborn = code.format(done=tmp_path / "stubborn", flag=flag, then="time.sleep(600)")
    spec = processes.Spec(
        name="stubborn",
        argv=(sys.executable, "-c", textwrap.dedent(stubborn)),
        log=tmp_path / "stubborn.log",
        ready=_writes(flag),
        stop_grace_s=0.5,
    )
    running.run(spec)
    running.stop("stubborn")
    assert (tmp_path / "stubborn").exists()
    assert running.members("stubborn") == frozenset()


def test_end_goes_backwards_and_removes_the_state(tmp_path: Path) -> None:
    """What was started last is ended first, and nothing is left to say that something runs."""
    seen = Quiet()
    with supervisor.Supervisor(tmp_path / "state.json", progress=seen) as running:
        for name in ("one", "two", "three"):
            running.run(_spec(tmp_path, name=name))
        pids = [running.pid(name) for name in running.running]
    assert [name for kind, name in seen.events if kind == "ending"] == ["three", "two", "one"]
    assert all(_gone(pid) for pid in pids)
    assert not (tmp_path / "state.json").exists()


def test_children_do_not_inherit_the_callers_rights(
    running: supervisor.Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kubeconfig or an address in the caller's shell reaches no child."""
    monkeypatch.setenv("KUBECONFIG", "/somebody/else")
    monkeypatch.setenv("TRADEPLANE_DATABASE_URL", "postgresql://elsewhere")
    running.run(_spec(tmp_path))
    # Popen answers a moment before the kernel shows the new program's variables.
    while not (found := process_table.environment(running.pid("one"))):
        pass
    assert "KUBECONFIG" not in found
    assert {key for key in found if key.startswith("TRADEPLANE_")} == {process_table.TAG, process_table.NAME}


def test_another_process_with_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    """A process id that was given to somebody else since is not ended: the time of its start differs."""
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    try:
        entry = process_table.read(stranger.pid)
        assert entry is not None
        state = tmp_path / "state.json"
        state.write_text(
            json.dumps(
                {
                    "version": 1,
                    "id": "0123",
                    "supervisor": {"pid": stranger.pid, "started": entry.started - 1},
                    "processes": {"one": {"pid": stranger.pid, "started": entry.started - 1, "log": ""}},
                    "roots": [[stranger.pid, entry.started - 1]],
                    "facts": {},
                }
            )
        )
        found = supervisor.recorded(state)
        assert found is not None
        assert found.processes() == {"one": False}
        found.end()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


SUPERVISING = """
import pathlib, signal, sys, time
from tradeplane_cli.local import processes, progress, supervisor

# A test run in the background of a shell inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
home = pathlib.Path(sys.argv[1])
sleep = "import time; time.sleep(600)"
code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}], env={{}}).wait()"
try:
    with supervisor.terminable(), supervisor.Supervisor(home / "state.json", progress=progress.Lines()) as running:
        for name in ("one", "two"):
            running.run(processes.Spec(name=name, argv=(sys.executable, "-c", code), log=home / (name + ".log")))
        (home / "up").touch()
        time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def supervising(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Yield another process that supervises two processes, each with a child, and its directory."""
    other = subprocess.Popen([sys.executable, "-c", SUPERVISING, str(tmp_path)], start_new_session=True)
    try:
        _wait(lambda: (tmp_path / "up").exists() or other.poll() is not None)
        yield other, tmp_path
    finally:
        other.kill()
        other.wait()
        found = supervisor.recorded(tmp_path / "state.json")
        if found is not None:
            found.end()


def _members(home: Path) -> list[int]:
    found = supervisor.recorded(home / "state.json")
    assert found is not None
    roots = [(pid, started) for pid, started in found.document["roots"]]
    supervising = found.document["supervisor"]["pid"]

    def members() -> list[int]:
        entries = process_table.belonging(tag=found.document["id"], roots=roots)
        return [entry.pid for entry in entries if entry.pid != supervising]

    _wait(lambda: len(members()) == 4)
    return members()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_supervisor_leaves_nothing(
    supervising: tuple["subprocess.Popen[bytes]", Path], number: signal.Signals
) -> None:
    """Ctrl-C, a kill or a closed terminal ends every process before the supervisor ends."""
    other, home = supervising
    members = _members(home)
    os.kill(other.pid, number)
    assert other.wait(timeout=30) == 130
    assert all(_gone(pid) for pid in members)
    assert not (home / "state.json").exists()


def test_second_interrupt_does_not_stop_the_cleaning(supervising: tuple["subprocess.Popen[bytes]", Path]) -> None:
    """Ctrl-C pressed again and again still leaves no process behind."""
    other, home = supervising
    members = _members(home)
    while other.poll() is None:
        os.kill(other.pid, signal.SIGINT)
        time.sleep(0.01)
    assert all(_gone(pid) for pid in members)


def test_down_ends_what_a_killed_supervisor_left(supervising: tuple["subprocess.Popen[bytes]", Path]) -> None:
    """After a SIGKILL of the supervisor its processes run on, and the state file suffices to end them."""
    other, home = supervising
    members = _members(home)
    other.kill()
    other.wait()
    assert not any(_gone(pid) for pid in members)
    found = supervisor.recorded(home / "state.json")
    assert found is not None
    assert not found.supervisor_runs
    assert found.processes() == {"one": True, "two": True}
    found.end()
    assert all(_gone(pid) for pid in members)
    assert not (home / "state.json").exists()


def test_down_ends_a_running_supervisor_too(supervising: tuple["subprocess.Popen[bytes]", Path]) -> None:
    """`tradeplane down` from another terminal ends supervisor and processes."""
    other, home = supervising
    members = _members(home)
    found = supervisor.recorded(home / "state.json")
    assert found is not None
    assert found.supervisor_runs
    found.end()
    assert other.wait(timeout=30) == 130
    assert all(_gone(pid) for pid in members)
