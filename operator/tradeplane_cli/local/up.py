"""``tradeplane up``: the embedded environment, running until Ctrl-C or ``tradeplane down``."""

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import Final

from tradeplane_cli.local import demo_data, environment, processes, progress, supervisor

HOME: Final = environment.CHECKOUT / ".tradeplane"
# After the last session before the holdout, so that training sees nothing of it.
CLOCK: Final = "2012-03-02T00:00:00Z"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, help="dataset folder to serve (default: the demo's bars)")
    parser.add_argument(
        "--clock", default=CLOCK, help="where the simulator's clock stands at first (default %(default)s)"
    )
    parser.add_argument("--cash", default="1000000", help="the account's cash in USD (default %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Start everything, say where it is, and watch it."""
    try:
        with supervisor.terminable(), progress.Lines() as lines:
            dataset = options.data
            if dataset is None:
                dataset = HOME / "dataset"
                demo_data.write(dataset)
            chosen = environment.Options(
                home=HOME, name="dev", dataset=dataset.absolute(), clock=options.clock, cash=options.cash
            )
            with environment.opened(chosen, progress=lines) as running:
                try:
                    running.start()
                    _say(running, lines)
                    with contextlib.suppress(KeyboardInterrupt):
                        while True:
                            running.supervisor.check()
                            time.sleep(1.0)
                finally:
                    lines.say("  ending what was started")
    except KeyboardInterrupt:
        return 130
    except processes.LocalError as error:
        sys.stderr.write(f"tradeplane up: {error}\n")
        return 1
    return 0


def _say(running: environment.Environment, lines: progress.Lines) -> None:
    lines.say(f"\n  export KUBECONFIG={running.kubeconfig('developer')}")
    lines.say(f"  kubectl apply -f {running.manifest} -f examples/")
    lines.say('  kubectl patch configmap kill-switch --type merge -p \'{"data":{"trading":"enabled"}}\'')
    lines.say(f"  logs in {running.layout.logs}; Ctrl-C or `tradeplane down` ends it\n")
