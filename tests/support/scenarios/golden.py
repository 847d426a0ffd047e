"""The stored golden scenarios: reading, comparing and writing them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support import scenarios
from support.scenarios import telling
from tradeplane_engine import core

FOLDER = Path(__file__).parents[2] / "golden" / "scenarios"
_HASHES = FOLDER / "hashes.txt"


@dataclass(frozen=True, slots=True)
class Difference:
    """One scenario that is not what it was.

    Parameters
    ----------
    before, now : its description and its events in words; before is empty for one that is new, now for one that is gone
    hash : of the run now, empty for one that is gone
    sentence : the first thing that differs, for people
    """

    name: str
    before: list[str]
    now: list[str]
    hash: str
    sentence: str


def engine() -> str:
    """Say which of the two forms of the core runs here."""
    return "compiled" if core.compiled() else "interpreted"


def hashes() -> dict[str, str]:
    """Stored hash by name of the scenario."""
    if not _HASHES.exists():
        return {}
    return dict(line.split() for line in _HASHES.read_text(encoding="utf-8").splitlines())


def stored(name: str) -> list[str]:
    """Stored lines of a scenario; none where there is no such."""
    path = FOLDER / f"{name}.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def now(name: str) -> tuple[str, list[str]]:
    """Run a scenario; return its hash and its lines."""
    scenario = scenarios.ALL[name]
    digest, lines = telling.told(scenario())
    return digest, [f"# {(scenario.__doc__ or '').strip()}", *lines]


def difference(name: str, before: str) -> Difference | None:
    """Compare a scenario with what is stored; ``before`` is its stored hash."""
    known = stored(name)
    if name not in scenarios.ALL:
        return Difference(name, known, [], "", f"{name}: stored, but no scenario any more")
    digest, lines = now(name)
    first = telling.first_difference(known, lines)
    if not known:
        return Difference(name, known, lines, digest, f"{name}: new")
    if first is not None:
        number, old, new = first
        return Difference(name, known, lines, digest, f"{name}, line {number}: was “{old}”, is “{new}”")
    if digest != before:
        sentence = f"{name}: the events read the same, the hash was {before[:12] or 'not stored'}, is {digest[:12]}"
        return Difference(name, known, lines, digest, sentence)
    return None


def differences(names: Iterable[str] | None = None) -> list[Difference]:
    """Compare scenarios, all of them unless some are named."""
    kept = hashes()
    files = {path.stem for path in FOLDER.glob("*.txt")} - {_HASHES.stem}
    wanted = sorted({*scenarios.ALL, *kept, *files}) if names is None else list(names)
    found = (difference(name, kept.get(name, "")) for name in wanted)
    return [one for one in found if one is not None]


def write(found: Iterable[Difference]) -> None:
    """Store what is now."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = hashes()
    for one in found:
        path = FOLDER / f"{one.name}.txt"
        if one.now:
            path.write_text("\n".join(one.now) + "\n", encoding="utf-8")
            kept[one.name] = one.hash
        else:
            path.unlink(missing_ok=True)
            kept.pop(one.name, None)
    _HASHES.write_text("".join(f"{name} {kept[name]}\n" for name in sorted(kept)), encoding="utf-8")
