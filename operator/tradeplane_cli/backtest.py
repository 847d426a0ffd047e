"""``tradeplane backtest``: manifests on bars, or a session again from its record. Needs no server and no address.

From manifests, the Model is trained as its source says (or its artifact is read) and the Strategy trades the bars
after the training's end. From a record, the same loop gives the session's orders again.
"""

import argparse
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from tradeplane_cli.local import demo_data, environment
from tradeplane_engine import backtest, desk, errors, record, replay
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.models import lightgbm
from tradeplane_engine.risk import limits
from tradeplane_engine.venue import profile
from tradeplane_workers import messages, translate

_WITHOUT = {"halt": record.without_halts, "edit": record.without_edits}
_NAMESPACE = uuid.UUID("6f0b3c0e-8a43-4f29-9a53-0d6f3a4f7d11")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "-f", "--filename", type=Path, help="folder or file of Strategy, Model and RiskPolicy manifests"
    )
    source.add_argument("--record", type=Path, help="session record, as the gateway's /v1/session-record gives it")
    parser.add_argument("--data", type=Path, help="dataset folder (default: the demo's bars)")
    parser.add_argument("--artifacts", type=Path, help="folder of the artifact store that the record's models are in")
    parser.add_argument("--from", dest="start", help="first day (default: the end of the training)")
    parser.add_argument("--to", dest="end", help="last day (default: the last bar)")
    parser.add_argument("--cash", default="1000000", help="the account's cash in USD (default %(default)s)")
    parser.add_argument("--profile", default="realistic", help="venue profile (default %(default)s)")
    parser.add_argument(
        "--without", action="append", default=[], choices=sorted(_WITHOUT), help="leave these events of the record out"
    )
    parser.add_argument(
        "--orders", action="store_true", help="print each order as canonical JSON instead of the summary"
    )


def run(options: argparse.Namespace) -> int:
    """Run the backtest and print its orders or its summary."""
    try:
        data = dataset.read(options.data or _demo_bars())
        result = _of_record(options, data) if options.record else _of_manifests(options, data)
    except (errors.EngineError, OSError) as error:
        sys.stderr.write(f"tradeplane backtest: {error}\n")
        return 1
    if options.orders:
        sys.stdout.writelines(f"{line.decode()}\n" for line in result.order_bytes)
    else:
        sys.stdout.write(_summary(result, data))
    return 0


@dataclass(frozen=True, slots=True)
class Manifests:
    """The one Strategy of some files with the Model and the RiskPolicy that it names."""

    strategy: Mapping[str, Any]
    model: Mapping[str, Any]
    policy: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Manifests":
        """Read a file or a folder; raises ValueRefused when a reference leads nowhere."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for document in _documents(path):
            found[document["kind"], document["metadata"]["name"]] = document
        strategies = [name for kind, name in found if kind == "Strategy"]
        if len(strategies) != 1:
            raise errors.ValueRefused(str(path), "files with exactly one Strategy", strategies)
        strategy = found["Strategy", strategies[0]]
        model, policy = strategy["spec"]["signal"]["models"][0]["name"], strategy["spec"]["riskPolicyRef"]
        for field, kind, name in (("signal.models[0].name", "Model", model), ("riskPolicyRef", "RiskPolicy", policy)):
            if (kind, name) not in found:
                raise errors.ValueRefused(field, f"a {kind} of {path}", name)
        return cls(strategy, found["Model", model], found["RiskPolicy", policy])


def _of_manifests(options: argparse.Namespace, data: dataset.Dataset) -> backtest.Result:
    manifests = Manifests.read(options.filename)
    symbols = tuple(manifests.strategy["spec"]["universe"]["symbols"])
    training = translate.training(
        messages.TrainingConfig(
            submission_id="backtest",
            name=manifests.model["metadata"]["name"],
            uid="backtest",
            generation=1,
            spec=dict(manifests.model["spec"]),
            symbols=symbols,
        )
    )
    trained = lightgbm.train(training, data.slices(symbols))
    settings = translate.recorded_strategy(_config(manifests, digest=trained.digest))
    policy = limits.from_spec(manifests.policy["spec"])
    account = desk.Account(
        ledger="backtest",
        cash=numbers.money(options.cash, field="--cash"),
        costs=profile.named(options.profile),
        policy=manifests.policy["metadata"]["name"],
        limits=policy,
    )
    return backtest.run(
        data,
        settings,
        model=lightgbm.load(trained.artifact),
        account=account,
        start=_day(options.start, "--from") if options.start else training.end,
        end=times.Nanos(_day(options.end, "--to") + times.DAY) if options.end else _last(data),
    )


def _of_record(options: argparse.Namespace, data: dataset.Dataset) -> backtest.Result:
    session = record.parse(orjson.loads(options.record.read_bytes()))
    for what in options.without:
        session = _WITHOUT[what](session)
    digests = {event.config["model"]["digest"] for event in session.sequence if isinstance(event, record.StrategyEvent)}
    if digests and options.artifacts is None:
        raise errors.ValueRefused("--artifacts", "the folder of the artifact store", None)
    predictors = {
        digest: lightgbm.load(
            (options.artifacts / "sha256" / digest.removeprefix("sha256:")).read_bytes(), expected=digest
        )
        for digest in sorted(digests)
    }
    return replay.run(session, data, predictors=predictors, translate=translate.recorded_strategy)


def _config(manifests: Manifests, *, digest: str) -> dict[str, Any]:
    """Return the StrategyConfig that an operator would render, with references that lead nowhere outside."""
    name = manifests.strategy["metadata"]["name"]
    return {
        "environment": "backtest",
        "name": name,
        "uid": str(uuid.uuid5(_NAMESPACE, name)),
        "generation": 1,
        "attempt": 1,
        "spec": manifests.strategy["spec"],
        "model": {
            "name": manifests.model["metadata"]["name"],
            "uid": "backtest",
            "generation": 1,
            "url": "",
            "digest": digest,
            "artifact": "",
            "features": manifests.model["spec"].get("features", {}),
            "deadline": "0s",
        },
        "policy": {
            "name": manifests.policy["metadata"]["name"],
            "hash": "",
            "spec": manifests.policy["spec"],
        },
    }


def _documents(path: Path) -> Iterator[Mapping[str, Any]]:
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
    if not files:
        raise errors.ValueRefused("--filename", "a folder with manifests", str(path))
    for file in files:
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document:
                yield document


def _demo_bars() -> Path:
    folder = environment.CHECKOUT / ".tradeplane" / "dataset"
    demo_data.write(folder)
    return folder


def _day(text: str, field: str) -> times.Nanos:
    return times.instant(f"{text}T00:00:00Z", field=field)


def _last(data: dataset.Dataset) -> times.Nanos:
    return max(history[-1].end for history in data.history.values())


def _summary(result: backtest.Result, data: dataset.Dataset) -> str:
    traded = [point for point in result.equity if point.equity is not None]
    rows = [
        ("bars", f"{data.name} {data.digest}"),
        ("sessions", f"{len(result.equity)}, {times.text(traded[0].at)[:10]} to {times.text(traded[-1].at)[:10]}"),
        ("orders / fills / refused", f"{len(result.orders)} / {len(result.fills)} / {len(result.rejects)}"),
        ("fees", f"{numbers.money_text(result.fees)} USD"),
        ("P&L after costs", f"{'unknown' if result.pnl is None else numbers.money_text(result.pnl)} USD"),
        ("dividends not paid", f"{numbers.money_text(result.dividends_not_paid)} USD"),
    ]
    return "".join(f"{name:<26}{value}\n" for name, value in rows)
