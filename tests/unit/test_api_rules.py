"""The API types refuse in Python what the API server refuses, in the same words where a rule speaks."""

import datetime as dt

import pydantic
import pytest

from support import api_cases
from tradeplane_api import fields, kinds


@pytest.mark.parametrize("case", [*api_cases.RULES, *api_cases.SHAPES, *api_cases.UNKNOWN], ids=str)
def test_python_and_cel_agree(case: api_cases.Case) -> None:
    """A good object passes; a refusal names field, limit and value."""
    manifest = api_cases.edited(case)
    if not case.refused:
        kinds.spec_of(manifest)
        return
    with pytest.raises(pydantic.ValidationError) as refusal:
        kinds.spec_of(manifest)
    for words in case.refused:
        assert words in str(refusal.value)


@pytest.mark.parametrize("duration,expected", [("500ms", 0.5), ("2s", 2.0), ("5m", 300.0), ("1h", 3600.0)])
def test_durations_have_one_meaning(duration: str, expected: float) -> None:
    """Whole numbers with ms, s, m or h."""
    assert fields.seconds(duration) == pytest.approx(expected)


@pytest.mark.parametrize("duration", ["", "1", "1.5s", "-1s", "1d", "s"])
def test_other_durations_are_refused(duration: str) -> None:
    """Anything else raises, and says what came."""
    with pytest.raises(ValueError, match="duration: must be"):
        fields.seconds(duration)


def test_every_rule_has_a_case_that_breaks_it() -> None:
    """Each rule of each block refuses at least one object of the table, alone."""
    spoken = {words for case in api_cases.RULES for words in case.refused}
    for kind in kinds.KINDS.values():
        for block in _blocks(kind.spec):
            for rule in block.rules:
                text = rule.message.split("'")[1].split(":")[0] if rule.message else "pools universe.symbols"
                assert any(words in text for words in spoken), text


def _blocks(block: type[fields.Block]) -> list[type[fields.Block]]:
    found = [block]
    for field in block.model_fields.values():
        for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, fields.Block):
                found += _blocks(candidate)
    return found


def test_a_day_that_does_not_exist_is_refused() -> None:
    """The pattern alone would take the 31st of February."""
    assert dt.date(2000, 2, 29)
    with pytest.raises(pydantic.ValidationError):
        kinds.spec_of(api_cases.edited(api_cases.Case("Model", (("source.training.end", "2012-02-31"),))))
