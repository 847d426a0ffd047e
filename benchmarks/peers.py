"""The peers' scripts beside our bench: fresh processes in turn, so that noise meets all of them."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "shared" / "bench" / "peers"
VENVS = Path(os.environ.get("PEERBENCH_VENVS", Path(tempfile.gettempdir()) / "peers"))
_ALL = "1000000"  # bars per symbol at most
_TIMEOUT_S = 900
# name: virtual environment, script, arguments after the case
JOBS = {
    "vectorbt-numba": ("vbt", "peer_vectorbt.py", [_ALL, "numba"]),
    "vectorbt-rust": ("vbt", "peer_vectorbt.py", [_ALL, "rust"]),
    "hftbacktest": ("hft", "peer_hftbacktest.py", []),
    "nautilus2-nextopen": ("nt2", "peer_nautilus_v2.py", [_ALL, "nextopen"]),
    "nautilus1-nextopen": ("nautilus312", "peer_nautilus.py", [_ALL, "nextopen"]),
    "backtesting.py": ("backtesting", "peer_backtesting_py.py", []),
    "backtrader": ("bt", "peer_backtrader.py", []),
    "pybroker": ("pybroker", "peer_pybroker.py", []),
    "zipline-current": ("zipline", "peer_zipline.py", [_ALL, "current"]),
    "raptorbt-array": ("gen", "peer_raptorbt.py", [_ALL, "array"]),
    "bt": ("btpmorissette", "peer_bt.py", []),
}


def peak_mib() -> int:
    """Peak resident memory of this process (VmHWM), imports and data included."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024


def side_by_side(ours: Sequence[str], case: str, data: Path, rounds: int) -> dict[str, object]:
    """Run ours and every installed peer ``rounds`` times in turn; medians, and ratios of bars per second.

    A peer's rate is over its run alone, as its authors would count it; ours includes preparation.
    """
    commands = {"ours": list(ours)}
    absent = []
    for name, (venv, script, arguments) in JOBS.items():
        python = VENVS / f"v_{venv}" / "bin" / "python"
        if python.exists() and (SCRIPTS / script).exists():
            commands[name] = [str(python), str(SCRIPTS / script), case, *arguments]
        else:
            absent.append(name)
    answers: dict[str, list[dict[str, object]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            answers[name].append(_last_line(name, command, data))
    rates = {name: _median_rate(found) for name, found in answers.items()}
    own = rates["ours"]
    table: dict[str, object] = {}
    for name, found in answers.items():
        rate = rates[name]
        ratio = round(own / rate, 3) if own and rate else None
        kept = {key: found[-1].get(key) for key in ("equity", "fills", "error") if key in found[-1]}
        table[name] = {"bars_per_s": rate, "ratio": ratio, **kept}
        print(f"{name:20} {rate or 0:>12,.0f} bars/s  ours is {ratio} x  {kept}", file=sys.stderr)
    return {"case": case, "rounds": rounds, "engines": table, "not_installed": absent}


def _last_line(name: str, command: Sequence[str], data: Path) -> dict[str, object]:
    environment = {**os.environ, "PEERBENCH_DATA": str(data)}
    if name != "ours":
        environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
        found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        return {"error": f"{error}"[:300]}  # one broken peer must not stop the rest
    return found


def _median_rate(found: Sequence[dict[str, object]]) -> float | None:
    rates = [float(str(one["bars_per_s"])) for one in found if "bars_per_s" in one]
    return statistics.median(rates) if rates else None
