"""From ``signal.code`` of a manifest to the strategy that it names.

The module is imported like any other: it is on the Python path of the process that trades or tests. Importing runs it.
"""

import hashlib
import importlib
import inspect
import pathlib
from collections.abc import Mapping
from typing import Any

import pydantic

from tradeplane_engine import errors, strategy

_FIELD = "signal.code.entrypoint"


def load(entrypoint: str, parameters: Mapping[str, Any]) -> strategy.Strategy:
    """Return the strategy that ``package.module:Class`` and its parameters make; raises ValueRefused naming the field.

    What the import or the constructor raises is in the refusal, because the author of the class must see it.
    """
    kind = found(entrypoint)
    try:
        return kind(**parameters)
    except pydantic.ValidationError as problem:
        raise strategy.refused(kind, "signal.code.parameters", problem) from problem
    except Exception as problem:
        raise errors.ValueRefused(_FIELD, "a class that can be made", f"{entrypoint}: {_told(problem)}") from problem


def found(entrypoint: str) -> type[strategy.Strategy]:
    """Import the class; raises ValueRefused."""
    module_name, _, class_name = entrypoint.partition(":")
    if not module_name or not class_name.isidentifier():
        raise errors.ValueRefused(_FIELD, "package.module:Class", entrypoint)
    try:
        module = importlib.import_module(module_name)
    except Exception as problem:
        raise errors.ValueRefused(
            _FIELD, "a module that can be imported", f"{entrypoint}: {_told(problem)}"
        ) from problem
    kind = getattr(module, class_name, None)
    if not (isinstance(kind, type) and issubclass(kind, strategy.Strategy)):
        limit = f"the name of a strategy.Strategy in {module_name}"
        raise errors.ValueRefused(_FIELD, limit, class_name)
    return kind


def digest(kind: type[strategy.Strategy]) -> str:
    """Return ``sha256:…`` of the source file that defines a class, empty where there is none.

    It names that one file. What the module imports is not in it: for that, pin the image that the job runs in.
    """
    try:
        file = inspect.getsourcefile(kind)
    except TypeError:  # defined in no file
        file = None
    if file is None or not pathlib.Path(file).is_file():
        return ""
    return f"sha256:{hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()}"


def _told(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"
