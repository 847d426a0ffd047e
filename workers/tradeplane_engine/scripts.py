"""Strategies and families where their authors have them: ``path/to/file.py:Name``, ``package.module:Name``.

A file gets a module name that follows from its path, so that a worker process that loads the same file finds the same
names. Its folder joins the Python path, as when Python runs it.
"""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from tradeplane_engine import errors, strategy

_FIELD = "strategy"


def load(where: str) -> Any:
    """Return what is named; without ``:Name`` the one strategy that the file defines. Raises ValueRefused.

    What the import raises is in the refusal, with the line of the file.
    """
    place, _, name = where.rpartition(":")
    if not place:
        place, name = where, ""
    module = _module(place)
    if name:
        if not hasattr(module, name):
            raise errors.ValueRefused(_FIELD, f"a name of {place} ({_listed(module) or 'it has no strategy'})", name)
        return getattr(module, name)
    found = _strategies(module)
    if len(found) != 1:
        raise errors.ValueRefused(_FIELD, f"{place}:NAME, as it has not just one strategy", _listed(module) or "none")
    return found[0]


def is_file(where: str) -> bool:
    """Whether a name is that of a file, not of a module on the Python path."""
    return where.endswith(".py") or ".py:" in where


def line_of(error: BaseException, file: str | Path) -> int | None:
    """Return the last line of a file that an error passed through, None where it did not."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((one.lineno for one in reversed(frames) if Path(one.filename) == Path(file)), None)


def files() -> tuple[str, ...]:
    """Return the files that were loaded, for another process to run."""
    return tuple(_files)


def modules() -> tuple[ModuleType, ...]:
    """Return what was loaded from these files."""
    return tuple(_files.values())


def run(file: str) -> ModuleType:
    """Run a file, once per process; raises ValueRefused."""
    return _module(file)


_files: dict[str, ModuleType] = {}


def _module(place: str) -> ModuleType:
    if not is_file(place):
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(place)
        except Exception as error:
            raise errors.ValueRefused(
                _FIELD, "FILE.py:NAME or a module that can be imported", _told(error, place)
            ) from error
    path = Path(place).resolve()
    if not path.is_file():
        raise errors.ValueRefused(_FIELD, "a file", place)
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if str(path) in _files:
        return _files[str(path)]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise errors.ValueRefused(_FIELD, "a Python file", place)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise errors.ValueRefused(_FIELD, "a file that Python can run", _told(error, path)) from error
    _files[str(path)] = module
    return module


def _strategies(module: ModuleType) -> list[type[strategy.Strategy]]:
    return [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, strategy.Strategy) and one.__module__ == module.__name__
    ]


def _listed(module: ModuleType) -> str:
    return ", ".join(one.__name__ for one in _strategies(module))


def _told(error: Exception, file: str | Path) -> str:
    line = error.lineno if isinstance(error, SyntaxError) else line_of(error, file)
    where = f"{Path(file).name}, line {line}: " if line is not None else ""
    return f"{where}{type(error).__name__}: {error}"
