"""Compare the golden scenarios with what the engine does now, and say in words where they part.

For each scenario the first order, fill or word that differs is shown, before and now. Nothing is written without
``--write``. ``tests/golden/scenarios`` holds the events of each scenario, and ``hashes.txt`` the hash of each run: a
change of settings or of the log's format moves hashes alone, and the events still say that the runs are the same.
"""

import argparse
import difflib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("crds", "operator", "workers", "tests")]

from support.scenarios import golden  # noqa: E402 - the path above leads to it

_SHOWN = 12  # lines of a scenario's difference


def main() -> int:
    """Compare, or write; the exit status is 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="take what the engine does now as right")
    parser.add_argument("names", nargs="*", help="scenarios; all of them unless given")
    given = parser.parse_args()
    differences = golden.differences(given.names or None)
    for one in differences:
        print(one.sentence)
        changes = difflib.unified_diff(one.before, one.now, "before", "now", lineterm="", n=1)
        for number, line in enumerate(changes):
            if number == _SHOWN:
                print("    ...")
                break
            print(f"    {line}")
    moved = sum(one.before == one.now for one in differences)
    print(f"{golden.engine()}: {len(differences) - moved} scenarios differ in events, {moved} in their hash alone")
    if given.write:
        golden.write(differences)
        print(f"written to {golden.FOLDER.relative_to(ROOT)}: read `git diff` before you commit it")
        return 0
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
