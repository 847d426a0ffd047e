"""Where the control plane's programs come from; the first hit wins, per program.

1. ``KUBEBUILDER_ASSETS``, the folder that other Kubernetes test suites use
2. PATH, at the right minor version
3. the user's cache folder
4. a checksummed download from the project's official release site
5. a build from Go modules, `tools/control-plane`, under a file lock
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradeplane_cli.local import processes

KUBERNETES: Final = "v1.36.3"
ETCD: Final = "v3.6.8"


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the control plane."""

    name: str
    version: str


PROGRAMS: Final = {
    program.name: program
    for program in (
        Program("etcd", ETCD),
        Program("kube-apiserver", KUBERNETES),
        Program("kube-controller-manager", KUBERNETES),
        Program("kubectl", KUBERNETES),
    )
}


def cache() -> Path:
    """Return the folder that keeps programs for all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tradeplane" / "control-plane"


def find(program: Program) -> Path | None:
    """Return where a program is, or nothing when it must be downloaded or built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / program.name] if assets else []
    candidates.append(cache() / f"{program.name}-{program.version}")
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def all_found() -> dict[str, Path]:
    """Return every program's path.

    Raises
    ------
    processes.NotAvailable : one is missing
    """
    found = {name: find(program) for name, program in PROGRAMS.items()}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise processes.NotAvailable(f"control-plane programs {', '.join(missing)}: make setup")
    return {name: path for name, path in found.items() if path is not None}
