"""The engine's core as extension modules where a C compiler and Python's headers are; elsewhere it runs interpreted.

The compiler is ``$CC``, else ``cc``, else the one of ``ziglang`` (``tools/build_backend.py`` asks for it only then).
A fixed baseline and no contraction of floating point: the same bits on every machine of one architecture.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = Path("workers/tradeplane_engine/core")
FLAGS = ["-O2", "-ffp-contract=off", "-fno-fast-math", "-fwrapv"]

if not os.environ.get("CC") and shutil.which("cc") is None:
    os.environ["CC"] = f"{shlex.quote(sys.executable)} -m ziglang cc -mcpu=baseline"
    os.environ["LDSHARED"] = f"{os.environ['CC']} -shared"

modules = cythonize(
    [
        Extension(
            f"tradeplane_engine.core.{declared.stem}",
            [str(declared.with_suffix(".py"))],
            include_dirs=[str(CORE)],
            depends=[str(CORE / "codes.pxd")],
            extra_compile_args=FLAGS,
        )
        for declared in sorted(CORE.glob("*.pxd"))
        if declared.with_suffix(".py").exists()  # codes.pxd declares constants only
    ],
    build_dir="build/cython",
    include_path=["workers"],
    language_level=3,
    compiler_directives={
        "annotation_typing": False,  # C types are in the .pxd files alone
        "boundscheck": False,
        "initializedcheck": False,
        "wraparound": False,
        "cdivision": True,
    },
)
for module in modules:
    module.optional = True  # without them the installation succeeds all the same; cythonize drops it from its templates

setup(options={"build_ext": {"parallel": os.cpu_count()}}, ext_modules=modules)
