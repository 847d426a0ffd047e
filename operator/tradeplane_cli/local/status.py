"""``tradeplane status``: what runs in this checkout, and where it listens."""

import argparse
import sys

from tradeplane_cli.local import down, processes, supervisor, up


def arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(_options: argparse.Namespace) -> int:
    """Print each environment; the exit status is 0 when all that should run does."""
    try:
        found = list(down.recorded(up.HOME))
    except processes.LocalError as error:
        sys.stderr.write(f"tradeplane status: {error}\n")
        return 1
    if not found:
        sys.stdout.write("nothing runs\n")
        return 1
    shown = [_show(one) for one in found]
    return 0 if all(shown) else 1


def _show(one: supervisor.Recorded) -> bool:
    running = one.processes()
    supervised = one.supervisor_runs
    lines = [f"{one.facts.get('name', one.document['id'])}: {one.state.parent}"]
    lines += [f"  {name:<26} {'running' if alive else 'ended'}" for name, alive in running.items()]
    lines += [f"  {name:<26} {value}" for name, value in one.facts.items()]
    if not supervised:
        lines.append("  its supervisor is gone: `tradeplane down` ends what it left")
    sys.stdout.write("\n".join(lines) + "\n")
    return supervised and all(running.values())
