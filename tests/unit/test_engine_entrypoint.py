"""A manifest's class is imported, made and named, or refused with the field that is wrong."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradeplane_engine import entrypoint, errors, strategy

EXAMPLES = Path(__file__).parents[2] / "examples" / "strategies"


NEEDS_A_TABLE = """
from tradeplane_engine import strategy

class A(strategy.Strategy):
    def __init__(self):
        raise RuntimeError("no table")
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder on the Python path whose modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    yield tmp_path
    for name in ("made", "crossing"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("modules")
def test_an_example_is_made_with_its_parameters() -> None:
    """The class's own model validates them."""
    made = entrypoint.load("crossing:Crossing", {"fast": 5, "slow": 9})
    assert type(made).__name__ == "Crossing"
    assert (made.parameters.fast, made.parameters.slow, made.parameters.shares) == (5, 9, 100)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "source, named, parameters, parts",
    [
        ("", "absent:A", {}, ("signal.code.entrypoint", "can be imported", "No module named 'absent'")),
        ("raise OSError('no licence')", "made:A", {}, ("signal.code.entrypoint", "OSError: no licence")),
        ("", "made:A", {}, ("signal.code.entrypoint", "a strategy.Strategy in made", "A")),
        ("A = 5", "made:A", {}, ("signal.code.entrypoint", "a strategy.Strategy in made")),
        ("class A: pass", "made:A", {}, ("signal.code.entrypoint", "a strategy.Strategy in made")),
        ("", "made", {}, ("signal.code.entrypoint", "package.module:Class", "made")),
        ("", ":A", {}, ("signal.code.entrypoint", "package.module:Class")),
        ("", "crossing:Crossing", {"fast": 0}, ("signal.code.parameters.fast", "greater than or equal to 1", "0")),
        ("", "crossing:Crossing", {"fsat": 2}, ("signal.code.parameters", "one of fast", "fsat")),
        (
            NEEDS_A_TABLE,
            "made:A",
            {},
            ("signal.code.entrypoint", "can be made", "RuntimeError: no table"),
        ),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(
    modules: Path, source: str, named: str, parameters: dict[str, object], parts: tuple[str, ...]
) -> None:
    """Field, limit and what the code itself said are in the message."""
    (modules / "made.py").write_text(source)
    with pytest.raises(errors.ValueRefused) as refused:
        entrypoint.load(named, parameters)
    for part in parts:
        assert part in str(refused.value)


@pytest.mark.usefixtures("modules")
def test_the_digest_is_of_the_file_that_defines_the_class() -> None:
    """An edit of the file gives another one; a class of no file has none."""
    kind = entrypoint.found("crossing:Crossing")
    source = (EXAMPLES / "crossing.py").read_bytes()
    assert entrypoint.digest(kind) == f"sha256:{hashlib.sha256(source).hexdigest()}"
    made = type("Made", (strategy.Strategy,), {"__module__": "nowhere"})
    assert entrypoint.digest(made) == ""
