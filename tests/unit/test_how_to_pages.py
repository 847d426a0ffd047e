"""The pages on sweeps and on comparing runs print what they say."""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tradeplane_cli import __main__ as command_line

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"```(\w+) ?(\S*)\n(.*?)```", re.DOTALL)


def console(body: str) -> str:
    """What the last of some commands prints."""
    shown = io.StringIO()
    for line in body.splitlines():
        program, *words = shlex.split(line.removeprefix("$ "))
        assert program == "tradeplane"
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            command_line.main(words)
    return shown.getvalue()


@pytest.mark.parametrize("name", ["sweep", "compare-runs"])
def test_the_page_prints_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are written and run in an empty folder; every command and block prints the text below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cross", raising=False)
    names: dict[str, Any] = {"__name__": "__how_to__"}
    printed: str | None = None
    for kind, file, body in BLOCK.findall((PAGES / f"{name}.md").read_text(encoding="utf-8")):
        if kind == "text":
            assert printed == body
            printed = None
        elif kind == "console":
            printed = console(body)
        else:
            if file:
                Path(file).write_text(body, encoding="utf-8")
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                exec(compile(body, file or name, "exec"), names)  # noqa: S102 - the page's own code
            printed = shown.getvalue() or None
    assert not printed
    monkeypatch.delitem(sys.modules, "cross", raising=False)
