"""Where the control plane's programs come from; the first hit wins, per program.

1. ``KUBEBUILDER_ASSETS``, the folder that other Kubernetes test suites use
2. PATH, at the right minor version
3. the user's cache folder
4. a checksummed download from the project's official release site
5. a build from Go modules, `tools/control-plane`

The last two write to the cache under a file lock, whole or not at all. ``python -m tradeplane_cli.local.binaries``
prepares all of them.
"""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradeplane_cli.local import download, go_build, processes, supervisor

KUBERNETES: Final = "v1.36.3"
ETCD: Final = "v3.6.8"
CHECKOUT: Final = Path(__file__).parents[3]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the control plane, and where it can be had."""

    name: str
    version: str
    release: download.Release
    source: go_build.Source

    @property
    def minor(self) -> tuple[int, int]:
        """The version without its patch."""
        major, minor, _ = self.version.removeprefix("v").split(".")
        return int(major), int(minor)


def _kubernetes(name: str) -> Program:
    stamp = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    return Program(
        name=name,
        version=KUBERNETES,
        release=download.Release(
            url=f"https://dl.k8s.io/release/{KUBERNETES}/bin/linux/amd64/{name}",
            checksums=f"https://dl.k8s.io/release/{KUBERNETES}/bin/linux/amd64/{name}.sha256",
        ),
        source=go_build.Source(
            module=CHECKOUT / "tools" / "control-plane" / "kubernetes",
            package=f"k8s.io/kubernetes/cmd/{name}",
            variables=(
                (f"{stamp}.gitVersion", KUBERNETES),
                (f"{stamp}.gitMajor", major),
                (f"{stamp}.gitMinor", minor),
            ),
        ),
    )


def _etcd() -> Program:
    archive = f"etcd-{ETCD}-linux-amd64"
    return Program(
        name="etcd",
        version=ETCD,
        release=download.Release(
            url=f"https://github.com/etcd-io/etcd/releases/download/{ETCD}/{archive}.tar.gz",
            checksums=f"https://github.com/etcd-io/etcd/releases/download/{ETCD}/SHA256SUMS",
            member=f"{archive}/etcd",
        ),
        source=go_build.Source(
            module=CHECKOUT / "tools" / "control-plane" / "etcd", package="go.etcd.io/etcd/server/v3"
        ),
    )


PROGRAMS: Final = {
    program.name: program
    for program in (
        _etcd(),
        _kubernetes("kubectl"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
    )
}


def cache() -> Path:
    """Return the folder that keeps programs for all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tradeplane" / "control-plane"


def find(program: Program) -> Path | None:
    """Return where a program is, or nothing when it must be downloaded or built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and os.access(Path(assets) / program.name, os.X_OK):
        return Path(assets) / program.name
    on_path = shutil.which(program.name)
    if on_path is not None and _minor(Path(on_path)) == program.minor:
        return Path(on_path)
    return _cached(program)


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


def ensure(program: Program, *, say: Say) -> Path:
    """Return where a program is, downloading or building it when it is nowhere.

    Raises
    ------
    processes.NotAvailable : no way led to it; the message names each way and why it failed
    """
    found = find(program)
    if found is not None:
        return found
    target = cache() / f"{program.name}-{program.version}"
    target.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that the folder shows programs only.
    with _locked(target.with_name(f".{target.name}.lock"), say=say):
        # Another process may have put it there while this one waited for the lock.
        found = _cached(program)
        if found is not None:
            return found
        fresh = target.with_name(f".{target.name}.part")
        failures: list[str] = []
        ways: tuple[Callable[[], None], ...] = (
            lambda: download.fetch(program.release, fresh, say=say),
            lambda: go_build.build(program.source, fresh, say=say),
        )
        for way in ways:
            try:
                way()
                fresh.chmod(0o755)
                fresh.rename(target)
            except (download.DownloadFailed, go_build.BuildFailed) as error:
                failures.append(str(error))
                say(f"{program.name}: {error}")
            else:
                return target
            finally:
                fresh.unlink(missing_ok=True)
    raise processes.NotAvailable(f"{program.name} {program.version} cannot be had:\n  " + "\n  ".join(failures))


def _cached(program: Program) -> Path | None:
    path = cache() / f"{program.name}-{program.version}"
    return path if os.access(path, os.X_OK) else None


def _minor(path: Path) -> tuple[int, int] | None:
    """Ask a program for its version; nothing where it does not say one."""
    question = ["version", "--client"] if path.name == "kubectl" else ["--version"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run([path, *question], capture_output=True, text=True, check=False, timeout=10.0)
        found = re.search(r"\b[Vv]?ersion:? v?(\d+)\.(\d+)\.\d+|Kubernetes v(\d+)\.(\d+)\.\d+", answer.stdout)
        if found is not None:
            major, minor = (number for number in found.groups() if number is not None)
            return int(major), int(minor)
    return None


@contextlib.contextmanager
def _locked(path: Path, *, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{path.stem[1:]}: another process is preparing it, waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _print(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


def main() -> int:
    """Prepare every program; 1 when one cannot be had."""
    try:
        with supervisor.terminable():
            for program in PROGRAMS.values():
                _print(f"{program.name} {program.version}: {ensure(program, say=_print)}")
    except processes.NotAvailable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
