"""A build of one program from Go modules, whose versions and checksums `tools/control-plane` pins."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROGRESS_EVERY_S: Final = 10.0
TAIL_LINES: Final = 20


class BuildFailed(Exception):  # noqa: N818 - named for what happened, not for being an exception
    """The program cannot be had this way; carries the end of what Go said."""


@dataclass(frozen=True, slots=True)
class Source:
    """One main package.

    Parameters
    ----------
    module : folder of the wrapper module that pins it
    package : import path
    variables : (name, value) of package variables to set, such as the version
    """

    module: Path
    package: str
    variables: tuple[tuple[str, str], ...] = ()


def build(source: Source, target: Path, *, say: Callable[[str], None]) -> None:
    """Build a program to ``target``, saying how many packages are done while it runs.

    Raises
    ------
    BuildFailed : Go is missing or the build failed
    """
    go = shutil.which("go")
    if go is None:
        raise BuildFailed(f"{source.package}: go must be on PATH to build it (https://go.dev/dl/)")
    flags = " ".join(("-s", "-w", *(f"-X {name}={value}" for name, value in source.variables)))
    name = source.package.rpartition("/")[2]
    say(f"building {source.package}, some minutes")
    started = time.monotonic()
    with subprocess.Popen(
        [go, "build", "-v", "-trimpath", f"-ldflags={flags}", "-o", str(target), source.package],
        cwd=source.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(child.stderr or ()), daemon=True)
        try:
            reader.start()
            while reader.is_alive():
                reader.join(PROGRESS_EVERY_S)
                if reader.is_alive():
                    now = lines[-1].strip() if lines else "reading modules"
                    say(f"{name}: {time.monotonic() - started:.0f} s, {len(lines)} packages, {now}")
        except BaseException:
            child.terminate()
            raise
    if child.returncode != 0:
        raise BuildFailed(f"{source.package}: go build ended with {child.returncode}\n" + "".join(lines[-TAIL_LINES:]))
