"""setuptools as the build backend, with ziglang as a compiler where the machine has none (PEP 517)."""

import os
import shutil

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - the hooks of the backend, unchanged but for the two below

_ZIG = "ziglang>=0.15"


def _compiler() -> list[str]:
    return [] if os.environ.get("CC") or shutil.which("cc") else [_ZIG]


def get_requires_for_build_wheel(config_settings: dict[str, str] | None = None) -> list[str]:
    """What building a wheel needs beyond pyproject.toml."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler()]


def get_requires_for_build_editable(config_settings: dict[str, str] | None = None) -> list[str]:
    """What an editable installation needs beyond pyproject.toml."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler()]
