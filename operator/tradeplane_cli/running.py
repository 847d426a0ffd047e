"""The environment that runs in this checkout, for commands that were told no address."""

from typing import Any

from tradeplane_cli.local import down, processes, up


def fact(name: str, option: str) -> Any:
    """Return a fact of the one running environment; raises LocalError that names the option to give instead."""
    found = [one for one in down.recorded(up.HOME) if one.supervisor_runs]
    if len(found) != 1:
        raise processes.LocalError(f"{option}: must be given, {len(found)} environments run in this checkout")
    return found[0].facts[name]
