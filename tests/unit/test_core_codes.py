"""The constants that compiled modules see are those of the Python modules."""

import re
from pathlib import Path

import pytest

from tradeplane_engine import core
from tradeplane_engine.core import agenda, log, order, risk, tradable, venue_settings

_MODULES = (order, log, agenda, tradable, venue_settings, risk)
_DECLARED = (Path(core.__file__).parent / "codes.pxd").read_text()
_NUMBERS = {name: int(value) for name, value in re.findall(r"^    ([A-Z_]+) = (\d+)$", _DECLARED, re.MULTILINE)}
_NUMBERS |= {name: int(value) for name, value in re.findall(r'([A-Z_]+) "(\d+)LL"', _DECLARED)}


def test_there_are_constants() -> None:
    """The pattern below finds what is declared."""
    assert len(_NUMBERS) > 40


@pytest.mark.parametrize("name", sorted(_NUMBERS))
def test_a_constant_is_what_every_module_that_has_it_says(name: str) -> None:
    """One number per name, in C and in Python."""
    found = {vars(module)[name] for module in _MODULES if name in vars(module)}
    assert found == {_NUMBERS[name]}
