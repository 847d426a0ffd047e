import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-backtest.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def test_the_tutorial_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of the page runs, in an empty folder and in order, and prints the text below it."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__tutorial__"}
    printed: str | None = None
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert {kind for kind, _ in blocks} == {"console", "python", "text"}
    for kind, body in blocks:
        if kind == "python":
            assert not printed, "what was printed stands below no block"
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                exec(compile(body, str(PAGE), "exec"), names)  # noqa: S102 - the page's own code
            printed = shown.getvalue()
        elif kind == "text":
            assert printed == body
            printed = None
    assert not printed
    assert "<h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")
