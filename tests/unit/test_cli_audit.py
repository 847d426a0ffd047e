"""``tradeplane audit`` and ``why`` where nothing runs, where one environment runs, and what they refuse."""

import json
import os
from pathlib import Path

import pytest

from support import audit_trails
from tradeplane_cli import __main__ as command_line
from tradeplane_cli.local import ports, process_table, up
from tradeplane_workers import artifacts, messages
from tradeplane_workers.audit import chain, heads, trail


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which nothing runs."""
    monkeypatch.setattr(up, "HOME", tmp_path)
    return tmp_path


def written(path: Path, entries: list[chain.Entry]) -> Path:
    """Write an export."""
    path.write_bytes(b"".join(map(trail.line, entries)))
    return path


@pytest.mark.parametrize(
    "words, option",
    [
        (["audit", "verify"], "--database or --export"),
        (["audit", "export", "trail.jsonl"], "--database"),
        (["why", "order/a"], "--gateway"),
    ],
)
@pytest.mark.usefixtures("home")
def test_without_an_environment_the_option_is_named(
    words: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is guessed."""
    assert command_line.main(words) == 2
    assert f"{option}: must be given, 0 environments run in this checkout" in capsys.readouterr().err


def test_the_running_environment_is_found(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its gateway is asked, here one that does not answer."""
    own = process_table.read(os.getpid())
    assert own is not None
    state = {
        "version": 1,
        "id": "test",
        "supervisor": {"pid": own.pid, "started": own.started},
        "processes": {},
        "roots": [],
        "facts": {"gateway": f"http://127.0.0.1:{ports.free(1)[0]}"},
    }
    (home / "state.json").write_text(json.dumps(state))
    assert command_line.main(["why", "order/a"]) == 2
    assert "Connection refused" in capsys.readouterr().err


def test_an_export_is_verified_without_heads_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A chain alone does not show that its end was cut off."""
    path = written(tmp_path / "trail.jsonl", audit_trails.made(5))
    assert command_line.main(["audit", "verify", "--export", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "chain       whole\n" in shown
    assert "none was given: an end that was cut off is not seen" in shown


def test_heads_of_another_ledger_are_no_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trail that names another ledger than the heads that are there is not excused from them."""
    path = written(tmp_path / "trail.jsonl", audit_trails.made(5))
    log = tmp_path / "gateway.log"
    line = {"event": "audit head", "ledger": "other", "number": 5, "hash": "0" * 64}
    log.write_text(f"{json.dumps(line)}\n")
    assert command_line.main(["audit", "verify", "--export", str(path), "--log", str(log)]) == 1
    assert "none of 1 heads is of ledger without a name" in capsys.readouterr().out


def test_a_file_that_is_not_there_cannot_be_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which is not the same as being broken."""
    assert command_line.main(["audit", "verify", "--export", str(tmp_path / "nothing")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_log_is_read_past_what_is_no_head(tmp_path: Path) -> None:
    """Other lines, lines of other programs and one that was cut off."""
    log = tmp_path / "gateway.log"
    line = {"event": "audit head", "ledger": "l", "number": 5, "hash": "ab"}
    others = [
        "not JSON: audit head",
        '{"event": "audit head not kept"}',
        '["audit head"]',
        '{"event": "audit head", "num',
    ]
    log.write_text("\n".join([*others[:3], json.dumps(line), others[3]]))
    assert list(heads.logged(log)) == [chain.Head("l", 5, "ab", f"the log {log}")]


def test_the_store_keeps_every_head_of_each_ledger(tmp_path: Path) -> None:
    """By number, apart from those of other ledgers."""
    url = (tmp_path / "store").as_uri()
    store = artifacts.ArtifactStore(url)
    assert heads.stored(url, "one") == []
    for ledger, number in (("one", 10), ("one", 9), ("other", 1)):
        store.put_head(messages.AuditHead(ledger=ledger, number=number, hash=f"{number:064}"))
    found = heads.stored(url, "one")
    assert [(head.number, head.hash) for head in found] == [(9, f"{9:064}"), (10, f"{10:064}")]
    with pytest.raises(ValueError, match=r"ledger: must be letters, digits"):
        store.heads("../other")
