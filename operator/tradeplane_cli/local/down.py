"""``tradeplane down``: ends what runs in this checkout, also what a killed supervisor left behind."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tradeplane_cli.local import processes, supervisor, up


def arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(_options: argparse.Namespace) -> int:
    """End every environment that has a state file."""
    found = list(recorded(up.HOME))
    for one in found:
        sys.stdout.write(f"ending {one.facts.get('name', one.document['id'])} ({one.state.parent})\n")
        try:
            one.end()
        except processes.LocalError as error:
            sys.stderr.write(f"tradeplane down: {error}\n")
            return 1
        if "runtime" in one.facts:
            shutil.rmtree(one.facts["runtime"], ignore_errors=True)
    if not found:
        sys.stdout.write("nothing runs\n")
    return 0


def recorded(home: Path) -> Iterator[supervisor.Recorded]:
    """Return what the state files of a checkout describe: `up` at its top, the demo and others one level below."""
    for state in (home / "state.json", *sorted(home.glob("*/state.json"))):
        found = supervisor.recorded(state)
        if found is not None:
            yield found
