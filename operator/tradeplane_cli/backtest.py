"""``tradeplane backtest``: manifests on bars, or a session again from its record. Needs no server and no address.

From manifests, the Model is trained as its source says (or its artifact is read) and the Strategy trades the bars
after the training's end. From a record, the same loop gives the session's orders again.
"""

import argparse
import dataclasses
import datetime as dt
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pydantic
import yaml

from tradeplane_api import kinds, schema
from tradeplane_cli.local import demo_data, environment
from tradeplane_engine import backtest, desk, errors, record, replay
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import numbers, timeframes, times
from tradeplane_engine.models import lightgbm
from tradeplane_engine.risk import limits
from tradeplane_engine.venue import profile
from tradeplane_operator import conditions
from tradeplane_workers import messages, translate

_CASH = "1000000"
_PROFILE = "realistic"
# The simulator's too; a dataset does not name its exchange.
_CALENDAR = "XNYS"
# Options that mean something for one source only; given with the other one they are refused, not ignored.
_OF_MANIFESTS = {"start": "--from", "end": "--to", "cash": "--cash", "profile": "--profile"}
_OF_RECORD = {"artifacts": "--artifacts", "without": "--without"}
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
    parser.add_argument("--cash", help=f"the account's cash in USD (default {_CASH})")
    parser.add_argument("--profile", help=f"venue profile (default {_PROFILE})")
    parser.add_argument(
        "--without", action="append", default=[], choices=sorted(_WITHOUT), help="leave these events of the record out"
    )
    parser.add_argument(
        "--orders", action="store_true", help="print each order as canonical JSON instead of the summary"
    )


def run(options: argparse.Namespace) -> int:
    """Run the backtest and print its orders or its summary."""
    try:
        _refuse_strangers(options)
        source = _session(options) if options.record else Manifests.read(options.filename)
        data = _with_hours(dataset.read(options.data or _demo_bars()))
        if isinstance(source, Manifests):
            result = _of_manifests(source, options, data)
        else:
            result = _of_record(source, options, data)
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
        """Read a file or a folder; raises ValueRefused for what the API server would refuse, and for what is absent."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for document in _documents(path):
            found[document["kind"], document["metadata"]["name"]] = {**document, "spec": _spec(document)}
        strategies = [name for kind, name in found if kind == "Strategy"]
        if len(strategies) != 1:
            raise errors.ValueRefused(str(path), "files with exactly one Strategy", strategies)
        strategy = found["Strategy", strategies[0]]
        model, policy = strategy["spec"]["signal"]["models"][0]["name"], strategy["spec"]["riskPolicyRef"]
        for field, kind, name in (("signal.models[0].name", "Model", model), ("riskPolicyRef", "RiskPolicy", policy)):
            if (kind, name) not in found:
                raise errors.ValueRefused(field, f"a {kind} of {path}", name)
        return cls(strategy, found["Model", model], found["RiskPolicy", policy])


def _refuse_strangers(options: argparse.Namespace) -> None:
    source, strangers = ("--record", _OF_MANIFESTS) if options.record else ("--filename", _OF_RECORD)
    for name, option in strangers.items():
        if getattr(options, name):
            raise errors.ValueRefused(option, f"absent with {source}", str(getattr(options, name)))


def _spec(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec as the API server would store it, by the rules by which it would refuse it."""
    try:
        return schema.defaulted(dict(document))
    except pydantic.ValidationError as problem:
        raise errors.EngineError(
            f"{document['kind']} {document['metadata']['name']}: {conditions.violation_of(problem).message}"
        ) from problem


def _of_manifests(manifests: Manifests, options: argparse.Namespace, data: dataset.Dataset) -> backtest.Result:
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
    start, end = _period(options, data, otherwise=training.end)
    timeframe, session = _bars(manifests)
    trained = lightgbm.train(training, data.triggers(symbols, timeframe=timeframe, session=session))
    settings = translate.recorded_strategy(_config(manifests, digest=trained.digest))
    policy = limits.from_spec(manifests.policy["spec"])
    cash = numbers.money(options.cash or _CASH, field="--cash")
    if cash <= 0:
        raise errors.ValueRefused("--cash", "above 0", options.cash)
    account = desk.Account(
        ledger="backtest",
        cash=cash,
        costs=profile.named(options.profile or _PROFILE),
        policy=manifests.policy["metadata"]["name"],
        limits=policy,
    )
    return backtest.run(data, settings, model=lightgbm.load(trained.artifact), account=account, start=start, end=end)


def _bars(manifests: Manifests) -> tuple[str, str]:
    """Return timeframe and session of the Strategy's bars, which its Model is trained on here."""
    bars = manifests.strategy["spec"]["bars"]
    return bars["timeframe"], bars["session"]


def _session(options: argparse.Namespace) -> record.Record:
    try:
        document = orjson.loads(options.record.read_bytes())
    except orjson.JSONDecodeError as error:
        raise errors.EngineError(f"{options.record}: must be a session record in JSON, got: {error}") from error
    if not isinstance(document, dict):
        raise errors.ValueRefused(str(options.record), "a JSON object", type(document).__name__)
    session = record.parse(document)
    for what in options.without:
        session = _WITHOUT[what](session)
    return session


def _of_record(session: record.Record, options: argparse.Namespace, data: dataset.Dataset) -> backtest.Result:
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
        try:
            documents = [one for one in yaml.safe_load_all(file.read_bytes()) if one]
        except yaml.YAMLError as error:
            raise errors.EngineError(f"{file}: must be YAML, got: {' '.join(str(error).split())}") from error
        for document in documents:
            kind = document.get("kind") if isinstance(document, dict) else None
            if kind not in kinds.KINDS:
                raise errors.ValueRefused(f"{file}: kind", f"one of {sorted(kinds.KINDS)}", kind)
            metadata = document.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                raise errors.ValueRefused(f"{file}: metadata.name", "given", metadata)
            yield document


def _with_hours(data: dataset.Dataset) -> dataset.Dataset:
    """Give bars that are shorter than a day the trading hours of the exchange's days."""
    if data.timeframe == timeframes.DAY:
        return data
    # Only here, because the exchange's calendar takes longer to import than a backtest of days takes to run.
    from tradeplane_workers.market_data import sessions  # noqa: PLC0415

    hours = {session: sessions.Calendar(_CALENDAR, session=session).hours for session in timeframes.SESSIONS}
    return dataclasses.replace(data, hours=hours)


def _demo_bars() -> Path:
    folder = environment.CHECKOUT / ".tradeplane" / "dataset"
    demo_data.write(folder)
    return folder


def _period(
    options: argparse.Namespace, data: dataset.Dataset, *, otherwise: times.Nanos
) -> tuple[times.Nanos, times.Nanos]:
    """Return first and last instant to trade; raises ValueRefused where no bar ends between them."""
    ends = {bar.end for history in data.history.values() for bar in history}
    start = _day(options.start, "--from") if options.start else otherwise
    end = times.Nanos(_day(options.end, "--to") + times.DAY) if options.end else max(ends)
    if not any(start <= one <= end for one in ends):
        bars = f"{times.text(min(ends))[:10]} to {times.text(max(ends))[:10]}"
        raise errors.ValueRefused(
            "--from and --to", f"a period with bars, which are from {bars}", f"{times.text(start)} to {times.text(end)}"
        )
    return start, end


def _day(text: str, field: str) -> times.Nanos:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise errors.ValueRefused(field, "a day such as 2012-03-02", text) from None
    return times.instant(f"{day}T00:00:00Z", field=field)


def _summary(result: backtest.Result, data: dataset.Dataset) -> str:
    traded = [point for point in result.equity if point.equity is not None]
    rows = [
        ("bars", f"{data.name} {data.digest}"),
        (
            "sessions" if data.timeframe == timeframes.DAY else f"bars of {data.timeframe}",
            f"{len(result.equity)}, {times.text(traded[0].at)[:10]} to {times.text(traded[-1].at)[:10]}",
        ),
        ("orders / fills / refused", f"{len(result.orders)} / {len(result.fills)} / {len(result.rejects)}"),
        ("fees", f"{numbers.money_text(result.fees)} USD"),
        ("P&L after costs", f"{'unknown' if result.pnl is None else numbers.money_text(result.pnl)} USD"),
        ("dividends not paid", f"{numbers.money_text(result.dividends_not_paid)} USD"),
    ]
    return "".join(f"{name:<26}{value}\n" for name, value in rows)
