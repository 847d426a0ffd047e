"""The known feature sets: name and version to the ordered names of their columns."""

from dataclasses import dataclass

from tradeplane_engine import errors
from tradeplane_engine.features import alpha158


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """An ordered set of columns, computed from ``window`` rows of history; never changed once published."""

    name: str
    version: str
    columns: tuple[str, ...]
    window: int


_SETS = {
    (known.name, known.version): known
    for known in (FeatureSet(name="alpha158", version="v1", columns=alpha158.COLUMNS, window=alpha158.WINDOW),)
}


def named(name: str, version: str) -> FeatureSet:
    """Return the feature set; raises ValueRefused naming the known ones."""
    try:
        return _SETS[name, version]
    except KeyError:
        known = ", ".join(f"{one} {two}" for one, two in sorted(_SETS))
        raise errors.ValueRefused("features", f"one of: {known}", f"{name} {version}") from None
