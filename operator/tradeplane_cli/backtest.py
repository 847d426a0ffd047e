"""``tradeplane backtest``: a class or manifests on bars, or a session again from its record. Needs no server.

A class is run by :mod:`.scripted`.
From manifests, the Model is trained as its source says and the Strategy trades the bars after the training's end, or
those that a Backtest among the manifests names: the same hash as in a cluster that serves the same bars.
From a record, the same loop gives the session's orders again.
"""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pydantic
import yaml

from tradeplane_api import kinds, names, schema
from tradeplane_cli import declared, scripted, trading
from tradeplane_cli.local import demo_data, environment
from tradeplane_engine import backtest, errors, record, replay, settings, simulation
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import numbers, timeframes, times
from tradeplane_engine.models import lightgbm
from tradeplane_operator import conditions
from tradeplane_workers import backtest_audit, backtest_result, backtest_run, exchange_days, messages, translate

# The simulator's too; a dataset does not name its exchange.
_CALENDAR = "XNYS"
# Options that mean something for one source only; given with the other one they are refused, not ignored.
_OF_MANIFESTS = {"start": "--from", "end": "--to", "cash": "--cash", "profile": "--profile"}
_OF_RECORD = {"artifacts": "--artifacts", "without": "--without"}
_ABSENT: tuple[object, ...] = (None, False, [])
_STRANGERS = {
    "FILE.py:CLASS": {**_OF_RECORD, "profile": "--profile", "orders": "--orders"},
    "--filename": {**_OF_RECORD, **scripted.OPTIONS},
    "--filename of a Strategy with signal.code": declared.OPTIONS,
    "--record": {**_OF_MANIFESTS, **scripted.OPTIONS},
}
_WITHOUT = {"halt": record.without_halts, "edit": record.without_edits}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "strategy", nargs="?", metavar="FILE.py:CLASS", help="a strategy's class, or package.module:CLASS"
    )
    source.add_argument(
        "-f", "--filename", type=Path, help="folder or file of Strategy, Model, RiskPolicy and Backtest manifests"
    )
    source.add_argument("--record", type=Path, help="session record, as the gateway's /v1/session-record gives it")
    parser.add_argument(
        "--data", type=Path, help="folder of bars: a dataset (default: the demo's), or of a class CSV or Parquet files"
    )
    parser.add_argument("--artifacts", type=Path, help="folder of the artifact store that the record's models are in")
    parser.add_argument(
        "--from", dest="start", help="first day (default: the Backtest's, the end of the training, the first bar)"
    )
    parser.add_argument("--to", dest="end", help="last day (default: the Backtest's, else that of the last bar)")
    parser.add_argument(
        "--cash", help=f"the account's cash in USD (default {backtest_run.CASH}, of a class {scripted.CASH})"
    )
    parser.add_argument("--profile", help=f"venue profile (default {backtest_run.PROFILE})")
    parser.add_argument(
        "--without", action="append", default=[], choices=sorted(_WITHOUT), help="leave these events of the record out"
    )
    parser.add_argument(
        "--orders", action="store_true", help="print each order as canonical JSON instead of the summary"
    )
    scripted.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run the backtest and print its orders or its summary."""
    try:
        source = None if options.record or options.strategy else Manifests.read(options.filename)
        coded = source is not None and declared.has_code(source.strategy["spec"])
        _refuse_strangers(options, coded=coded)
        if source is None and options.strategy:
            return scripted.run(options, lambda: scripted.backtest(options))
        if source is not None and coded:
            return scripted.run(options, lambda: _of_code(source, options))
        session = _session(options) if source is None else None
        data = _with_hours(dataset.read(options.data or _demo_bars()))
        if source is not None:
            result, further = _of_manifests(source, options, data)
        elif session is not None:
            result, further = _of_record(session, options, data), ()
    except (errors.EngineError, OSError) as error:
        sys.stderr.write(f"tradeplane backtest: {error}\n")
        return 1
    if options.orders:
        sys.stdout.writelines(f"{line.decode()}\n" for line in result.order_bytes)
    else:
        rows = (*_summary(result, data), *further)
        sys.stdout.writelines(f"{name:<26}{value}\n" for name, value in rows)
    return 0


@dataclass(frozen=True, slots=True)
class Manifests:
    """The one Strategy of some files, the Model and the RiskPolicy that it names, and the Backtest that names it.

    There is no Model where the Strategy's signal is code.
    """

    strategy: Mapping[str, Any]
    model: Mapping[str, Any] | None
    policy: Mapping[str, Any]
    backtest: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, path: Path) -> "Manifests":
        """Read a file or a folder; raises ValueRefused for what the API server would refuse, and for what is absent."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for document in _documents(path):
            found[document["kind"], document["metadata"]["name"]] = {**document, "spec": _spec(document)}
        backtests = [one for (kind, _), one in found.items() if kind == "Backtest"]
        if len(backtests) > 1:
            names = [one["metadata"]["name"] for one in backtests]
            raise errors.ValueRefused(str(path), "files with at most one Backtest", names)
        strategies = [name for kind, name in found if kind == "Strategy"]
        if backtests:
            wanted = backtests[0]["spec"]["strategyRef"]
            if wanted not in strategies:
                raise errors.ValueRefused("strategyRef", f"a Strategy of {path}", wanted)
            strategies = [wanted]
        if len(strategies) != 1:
            raise errors.ValueRefused(str(path), "files with exactly one Strategy", strategies)
        strategy = found["Strategy", strategies[0]]
        policy = strategy["spec"]["riskPolicyRef"]
        models = [one["name"] for one in strategy["spec"]["signal"].get("models") or ()]
        named = [("signal.models[0].name", "Model", name) for name in models]
        for field, kind, name in (*named, ("riskPolicyRef", "RiskPolicy", policy)):
            if (kind, name) not in found:
                raise errors.ValueRefused(field, f"a {kind} of {path}", name)
        model = found["Model", models[0]] if models else None
        return cls(strategy, model, found["RiskPolicy", policy], *backtests)


def _refuse_strangers(options: argparse.Namespace, *, coded: bool) -> None:
    source = "--record" if options.record else "--filename" if options.filename else "FILE.py:CLASS"
    source = "--filename of a Strategy with signal.code" if coded else source
    for name, option in _STRANGERS[source].items():
        if getattr(options, name) not in _ABSENT:
            raise errors.ValueRefused(option, f"absent with {source}", str(getattr(options, name)))


def _spec(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec as the API server would store it, by the rules by which it would refuse it."""
    try:
        return schema.defaulted(dict(document))
    except pydantic.ValidationError as problem:
        raise errors.EngineError(
            f"{document['kind']} {document['metadata']['name']}: {conditions.violation_of(problem).message}"
        ) from problem


def _of_code(manifests: Manifests, options: argparse.Namespace) -> simulation.Backtest:
    """Return the backtest of a Strategy's class."""
    wanted = None if manifests.backtest is None else manifests.backtest["spec"]
    if wanted is not None and wanted.get("data"):
        raise errors.ValueRefused("data.digest", "absent with signal.code", wanted["data"])
    folder = options.data or _demo_bars()
    said = declared.Declared.of(manifests.strategy, manifests.policy, options.profile)
    return declared.backtest(said, wanted, folder, options)


def _of_manifests(
    manifests: Manifests, options: argparse.Namespace, data: dataset.Dataset
) -> tuple[backtest.Result, tuple[tuple[str, str], ...]]:
    """Run the manifests; the rows say what a Backtest's status would."""
    symbols, model = tuple(manifests.strategy["spec"]["universe"]["symbols"]), manifests.model
    if model is None:
        raise AssertionError("a Strategy without code names a Model")
    training = translate.training(
        messages.TrainingConfig(
            submission_id="backtest",
            name=model["metadata"]["name"],
            uid="backtest",
            generation=1,
            spec=dict(model["spec"]),
            symbols=symbols,
        )
    )
    wanted = None if manifests.backtest is None else translate.backtest(manifests.backtest["spec"])
    start, end = _period(options, data, wanted, otherwise=training.end)
    timeframe, session = _bars(manifests)
    trained = lightgbm.train(training, data.triggers(symbols, timeframe=timeframe, session=session))
    traded = _traded(manifests, model, digest=trained.digest)
    account = backtest_run.account(
        options.cash or backtest_run.CASH, options.profile or backtest_run.PROFILE, field="--cash"
    )
    read = backtest_run.read(data.slices(symbols), traded, start=start, end=end, hours=data.hours)
    if wanted is not None and wanted.data not in {None, read.digest}:
        raise errors.ValueRefused("data.digest", f"that of the bars that were read, {read.digest}", wanted.data)
    again = functools.partial(
        backtest_run.run, traded, model=lightgbm.load(trained.artifact), on=account, start=start, end=end
    )
    result = again(read)
    asked = backtest_result.Asked(
        traded=traded,
        strategy=dict(manifests.strategy["spec"]),
        policy=dict(manifests.policy["spec"]),
        account=account,
        start=start,
        end=end,
        seed=0 if wanted is None else wanted.seed,
        trials=max(trained.trials, 1),
    )
    told = backtest_result.tell(asked, read, result)
    in_sample = () if start >= training.end else (("in sample", f"trained until {times.text(training.end)[:10]}"),)
    shown = ("total_return", "sharpe", "sharpe_low", "sharpe_high", "max_drawdown")
    measures = tuple((name.replace("_", " "), told.measures[name]) for name in shown if name in told.measures)
    if wanted is not None and wanted.audit:
        accusation = backtest_audit.accusation(again, read, result, seed=wanted.seed)
        measures = (*measures, ("audit", accusation or "passed"))
    return result, (*measures, *in_sample, ("bars read", read.digest), ("hash", told.hash))


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
    told = [event.config for event in session.sequence if isinstance(event, record.StrategyEvent)]
    digests = {config["model"]["digest"] for config in told if config.get("model")}
    if digests and options.artifacts is None:
        raise errors.ValueRefused("--artifacts", "the folder of the artifact store", None)
    predictors = {
        digest: lightgbm.load(
            (options.artifacts / "sha256" / digest.removeprefix("sha256:")).read_bytes(), expected=digest
        )
        for digest in sorted(digests)
    }
    return replay.run(session, data, predictors=predictors, translate=translate.recorded)


def _traded(manifests: Manifests, model: Mapping[str, Any], *, digest: str) -> settings.StrategySettings:
    """Return what the loop is told, with references that lead nowhere outside."""
    return backtest_run.strategy(
        manifests.strategy["metadata"]["name"],
        manifests.strategy["spec"],
        model=messages.ModelReference(
            name=model["metadata"]["name"],
            uid="",
            generation=1,
            url="",
            digest=digest,
            artifact="",
            features=model["spec"].get("features", {}),
            deadline="0s",
        ),
        policy=messages.PolicyReference(
            name=manifests.policy["metadata"]["name"], hash="", spec=manifests.policy["spec"]
        ),
    )


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, as the API server does; YAML's own reader takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the base's
        """Read a mapping."""
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _documents(path: Path) -> Iterator[Mapping[str, Any]]:
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
    if not files:
        raise errors.ValueRefused("--filename", "a folder with manifests", str(path))
    for file in files:
        try:
            documents = [one for one in yaml.load_all(file.read_bytes(), _Loader) if one]
        except yaml.YAMLError as error:
            raise errors.EngineError(f"{file}: must be YAML, got: {' '.join(str(error).split())}") from error
        for document in documents:
            kind = document.get("kind") if isinstance(document, dict) else None
            if kind not in kinds.KINDS:
                raise errors.ValueRefused(f"{file}: kind", f"one of {sorted(kinds.KINDS)}", kind)
            if document.get("apiVersion") != names.API_VERSION:
                raise errors.ValueRefused(f"{file}: apiVersion", names.API_VERSION, document.get("apiVersion"))
            metadata = document.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                raise errors.ValueRefused(f"{file}: metadata.name", "given", metadata)
            yield document


def _with_hours(data: dataset.Dataset) -> dataset.Dataset:
    """Give bars that are shorter than a day the trading hours of the exchange's days."""
    if data.timeframe == timeframes.DAY:
        return data
    return dataclasses.replace(data, hours=exchange_days.hours(_CALENDAR))


def _demo_bars() -> Path:
    folder = environment.CHECKOUT / ".tradeplane" / "dataset"
    demo_data.write(folder)
    return folder


def _period(
    options: argparse.Namespace, data: dataset.Dataset, wanted: translate.Backtest | None, *, otherwise: times.Nanos
) -> tuple[times.Nanos, times.Nanos]:
    """Return first and last instant to trade: the options', else the Backtest's, else all after the training.

    Raises ValueRefused where no bar ends between them.
    """
    ends = {bar.end for history in data.history.values() for bar in history}
    start = otherwise if wanted is None else wanted.start
    # Midnight after the last bar, as a day that is named would be.
    end = times.Nanos((max(ends) // times.DAY + 1) * times.DAY) if wanted is None else wanted.end
    if options.start:
        start = trading.day(options.start, "--from")
    if options.end:
        end = times.Nanos(trading.day(options.end, "--to") + times.DAY)
    if not any(start <= one <= end for one in ends):
        bars = f"{times.text(min(ends))[:10]} to {times.text(max(ends))[:10]}"
        field = "--from and --to" if wanted is None or options.start or options.end else "from and to"
        raise errors.ValueRefused(
            field, f"a period with bars, which are from {bars}", f"{times.text(start)} to {times.text(end)}"
        )
    return start, end


def _summary(result: backtest.Result, data: dataset.Dataset) -> tuple[tuple[str, str], ...]:
    traded = [point for point in result.equity if point.equity is not None]
    return (
        ("bars", f"{data.name} {data.digest}"),
        (
            "sessions" if data.timeframe == timeframes.DAY else f"bars of {data.timeframe}",
            f"{len(result.equity)}, {times.text(traded[0].at)[:10]} to {times.text(traded[-1].at)[:10]}",
        ),
        ("orders / fills / refused", f"{len(result.orders)} / {len(result.fills)} / {len(result.rejects)}"),
        ("fees", f"{numbers.money_text(result.fees)} USD"),
        ("P&L after costs", f"{'unknown' if result.pnl is None else numbers.money_text(result.pnl)} USD"),
        ("dividends not paid", f"{numbers.money_text(result.dividends_not_paid)} USD"),
    )
