"""A strategy's class with parameters, as one configuration of a sweep: the event engine runs it.

Its identity is the source of the class and of every file of the user's that its module reaches, with the versions of
libraries that it names. What a strategy reads from elsewhere is not in it, and honest strategies read nothing.
"""

import hashlib
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tradeplane_engine import errors, strategy

REASON = "code of a class"
_LIBRARIES = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")})


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A class and its parameters; raises ValueRefused for parameters that its model refuses.

    Parameters
    ----------
    kind : the class
    parameters : by name
    """

    kind: type[strategy.Strategy]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let the class look at its parameters, before anything runs."""
        self.made()

    def made(self) -> strategy.Strategy:
        """Return a fresh strategy."""
        return strategy.made(self.kind, self.parameters, self.kind.__name__)

    def __str__(self) -> str:
        """Canonical text: the code and every parameter, those that were not given too."""
        parameters = orjson.dumps(self.made().parameters.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return f"{self.kind.__qualname__}({digest(self.kind)}, {parameters.decode()})"


def digest(kind: type[strategy.Strategy]) -> str:
    """Return a digest of the code that a class is made of; raises ValueRefused for a class that is in no file."""
    found: set[str] = set()
    waiting = [sys.modules[one.__module__] for one in kind.__mro__ if one.__module__ in sys.modules]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module.__name__ in seen or module.__name__.partition(".")[0] == "tradeplane_engine":
            continue
        seen.add(module.__name__)
        file = getattr(module, "__file__", None)
        if module.__name__ == kind.__module__ and not (file and Path(file).is_file()):
            raise errors.ValueRefused("strategy", "a class in a file, so that its results can be kept", kind.__name__)
        if file is None or any(Path(file).resolve().is_relative_to(one) for one in _LIBRARIES):
            found.add(f"{module.__name__} {getattr(module, '__version__', '')}")
            continue
        found.add(hashlib.sha256(Path(file).read_bytes()).hexdigest())
        waiting += _reached(module)
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _reached(module: types.ModuleType) -> Iterator[types.ModuleType]:
    """Modules that a module's own names lead to."""
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name in sys.modules:
            yield sys.modules[name]
