"""Write ``crds/*.yaml`` from the API types; with ``--check`` only say whether they are up to date."""

import argparse
import pathlib
import sys

import yaml

from tradeplane_api import kinds, schema

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = "# Generated from crds/tradeplane_api by tools/generate_crds.py; edit the types and run `make generate`.\n"


def rendered() -> dict[pathlib.Path, str]:
    """Every generated file with its text."""
    return {
        ROOT / "crds" / f"{kind.plural}.yaml": HEADER
        + yaml.safe_dump(schema.definition(kind), sort_keys=False, width=120)
        for kind in kinds.KINDS.values()
    }


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file differs")
    check = parser.parse_args().check
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)}: differs from crds/tradeplane_api; run `make generate`", file=sys.stderr)
        else:
            path.write_text(rendered()[path])
            print(path.relative_to(ROOT))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
