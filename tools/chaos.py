"""Run seeds of chaos over the way of an order, each in a fresh database, cache and venue, and keep what was found.

Gateways run as objects in this process, over real sockets (tests/support/chaos). A seed that is in the results file is
not run again. One that fails leaves its trace beside that file and is repeated, because a seed fixes the faults and not
the scheduling.
"""

import argparse
import asyncio
import collections
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("crds", "operator", "workers", "tests")]

from support import servers  # noqa: E402 - the path above leads to it
from support.chaos import run  # noqa: E402
from support.exactly_once import guards  # noqa: E402

REPEATS = 20


def main() -> int:
    """Run; the exit status is 1 where something was lost, doubled or not as the broker has it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1800, help="how many, from the first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--results", type=Path, default=ROOT / ".tradeplane" / "chaos", help="folder")
    parser.add_argument(
        "--without", choices=sorted(guards.BY_NAME), default="", help="take a guard out, stop when seen"
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of a seed that fails")
    parser.add_argument("--summary", type=Path, help="write a page about all results")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    file = given.results / f"{given.without or 'results'}.jsonl"
    done = {each["seed"]: each for each in _kept(file)}
    servers.begin()
    for seed in range(given.first, given.first + given.seeds):
        if seed in done:
            continue
        found = _once(seed, given.without)
        if found.violated:
            (given.results / f"{given.without or 'seed'}-{seed}.txt").write_text("\n".join(found.trace))
            if not given.without:
                again = sum(bool(_once(seed, "").violated) for _ in range(given.repeats))
                found.violated.append(f"again in {again} of {given.repeats} repetitions")
        run.store(file, found)
        done[seed] = json.loads(json.dumps(vars(found)))
        print(f"seed {seed}: {found.seconds:.1f} s, {'; '.join(found.violated) or 'well'}", flush=True)
        if given.without and found.violated:
            break
    failed = [each for each in done.values() if each["violated"]]
    print(f"{len(done)} seeds, {len(failed)} failed")
    if given.summary:
        given.summary.write_text(_page(list(done.values()), given.results))
    return int(bool(failed))


def _once(seed: int, without: str) -> run.Result:
    with tempfile.TemporaryDirectory() as folder, servers.fresh_database() as url:
        cache = servers.shared_valkey().url(0)
        return asyncio.run(run.run(seed, Path(folder), postgres_url=url, redis_url=cache, without=without))


def _kept(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _page(done: list[dict[str, object]], folder: Path) -> str:
    kinds: collections.Counter[str] = collections.Counter()
    for each in done:
        for fault in each["faults"]:  # type: ignore[attr-defined]  # as stored
            words = str(fault).split(" ")
            kinds[" ".join(words[1:2] if words[1] in {"killed", "paused"} else [words[1][:-1], *words[2:4]])] += 1
    places = {str(fault).split(" at ")[1] for each in done for fault in each["faults"] if " killed at " in str(fault)}  # type: ignore[attr-defined]
    lines = [
        "# Chaos",
        "",
        "Written by `tools/chaos.py --summary`; how a run goes stands in tests/support/chaos/run.py.",
        "",
        f"- seeds: {len(done)}, of which failed: {sum(bool(each['violated']) for each in done)}",
        (
            f"- orders at the broker: {sum(int(str(each['orders'])) for each in done)},"
            f" fills: {sum(int(str(each['fills'])) for each in done)}"
        ),
        (
            f"- seconds for a run: {sum(float(str(each['seconds'])) for each in done) / max(1, len(done)):.1f}"
            f" on {os.cpu_count()} cores"
        ),
        f"- places in our code at which a gateway was killed: {len(places)}",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {kind} | {count} |" for kind, count in sorted(kinds.items())),
        "",
        "| guard taken out | caught by seed | what was seen |",
        "|---|---|---|",
    ]
    for guard in guards.GUARDS:
        tried = _kept(folder / f"{guard.name}.jsonl")
        caught = next((each for each in tried if each["violated"]), None)
        seen = "not tried" if not tried else f"nothing in {len(tried)} seeds"
        if caught is not None:
            seen = str(caught["violated"][0]).replace("|", "/")  # type: ignore[index]  # as stored
        lines.append(f"| {guard.name} | {'' if caught is None else caught['seed']} | {seen} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
