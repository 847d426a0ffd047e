"""The core: the hot path of every run, from a bar to the ledger.

The modules are ordinary Python with a ``.pxd`` beside each that gives the C types (Cython's pure-Python mode). The same
files run compiled where extension modules were built, and interpreted everywhere else, with the same results to the
last bit. ``TRADEPLANE_INTERPRETED=1`` runs the Python files although extension modules are there; so does an extension
module that is older than its sources, because two versions of one engine must never meet.

Nothing here knows a cluster, a network, a file or a wall clock; prices, quantities and money are scaled integers.
"""

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parent


class _Interpreted:
    """Finds the core's Python files before the extension modules that lie beside them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of the core, from its source."""
        del path, target
        package, _, module = name.rpartition(".")
        file = _FOLDER / f"{module}.py"
        if package != __name__ or not file.exists():
            return None
        return importlib.util.spec_from_file_location(name, file)


def _stale() -> bool:
    """Say whether a source is newer than the extension module that was built from it, or only some were built."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    sources = {declared: declared.with_suffix(".py") for declared in _FOLDER.glob("*.pxd")}
    shared = max((one.stat().st_mtime for one, source in sources.items() if not source.exists()), default=0.0)
    built = {source: source.with_name(source.stem + suffix) for source in sources.values() if source.exists()}
    if not any(module.exists() for module in built.values()):
        return False
    return any(
        not module.exists()
        or module.stat().st_mtime < max(shared, source.stat().st_mtime, source.with_suffix(".pxd").stat().st_mtime)
        for source, module in built.items()
    )


if os.environ.get("TRADEPLANE_INTERPRETED") == "1" or _stale():
    sys.meta_path.insert(0, _Interpreted)


def compiled() -> bool:
    """Say whether the core runs as extension modules in this process."""
    from tradeplane_engine.core import kernel  # noqa: PLC0415 - the switch above must be set before any of them loads

    return not kernel.__file__.endswith(".py")
