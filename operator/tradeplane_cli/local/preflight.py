"""What the machine must have before anything is installed; names the line that installs what is missing.

Runs as a script by the system's Python, before `.venv` exists: standard library only, and syntax that an old Python
can still read, because a too old Python is one of the findings.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
OLDEST_GO = (1, 26)
LARGEST_WAIT_S = 3.0
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def machine() -> str | None:
    """Say what is wrong with the machine itself, or nothing."""
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        return None
    return f"Linux on x86-64 is needed, this is {platform.system()} on {platform.machine()}"


def python() -> str | None:
    """Say what is wrong with this Python, or nothing."""
    if sys.version_info >= OLDEST_PYTHON:
        return None
    found = platform.python_version()
    return f"Python 3.11 or newer is needed, {sys.executable} is {found}: make PYTHON=/path/to/python3.11 …"


def virtual_environments() -> str | None:
    """Say what is missing for `python -m venv`, or nothing."""
    if all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        return None
    return "python's venv is missing: sudo apt-get install python3-venv"


def programs() -> str | None:
    """Say which programs are missing, or nothing."""
    missing = [name for name in ("make", "git") if shutil.which(name) is None]
    return "{0} missing: sudo apt-get install {0}".format(" ".join(missing)) if missing else None


def openmp() -> str | None:
    """Say what is missing for LightGBM, or nothing."""
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return "libgomp.so.1 is missing (LightGBM needs it): sudo apt-get install libgomp1"
    return None


def control_plane() -> str | None:
    """Say what is missing to get the control plane's programs, or nothing."""
    if _cached() or _go() or _reachable("dl.k8s.io"):
        return None
    return (
        "the Kubernetes control plane cannot be had: neither is Go 1.26 or newer on PATH (https://go.dev/dl/), "
        "nor can dl.k8s.io be reached, nor does KUBEBUILDER_ASSETS name a folder with " + ", ".join(PROGRAMS)
    )


def _cached() -> bool:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and all(os.access(Path(assets) / name, os.X_OK) for name in PROGRAMS):
        return True
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "tradeplane" / "control-plane"
    return all(any(folder.glob(name + "-v*")) for name in PROGRAMS)


def _go() -> bool:
    program = shutil.which("go")
    if program is None:
        return False
    answer = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", answer)
    return found is not None and (int(found.group(1)), int(found.group(2))) >= OLDEST_GO


def _reachable(host: str) -> bool:
    try:
        socket.create_connection((host, 443), timeout=LARGEST_WAIT_S).close()
    except OSError:
        return False
    return True


CHECKS = (machine, python, virtual_environments, programs, openmp, control_plane)


def findings() -> list[str]:
    """Return everything that is missing, so that one round of installing suffices."""
    return [finding for finding in (check() for check in CHECKS) if finding]


def main() -> int:
    """Print the findings and say by the exit status whether there are any."""
    missing = findings()
    for line in missing:
        sys.stderr.write(f"preflight: {line}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
