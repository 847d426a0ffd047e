"""Gather what decides about one object. Only reads; what does not answer is None, never empty."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from tradeplane_api import backtest, model, names, strategy
from tradeplane_operator import artifacts, conditions, render, world
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import backtest as backtest_kind
from tradeplane_operator.reconcile import environment as environment_kind
from tradeplane_operator.reconcile import model as model_kind
from tradeplane_operator.reconcile import references, sweep
from tradeplane_operator.reconcile import risk_policy as risk_policy_kind
from tradeplane_operator.reconcile import strategy as strategy_kind

Json = dict[str, Any]


async def of_strategy(outside: world.World, manifest: Json) -> strategy_kind.Observed:
    """Read what a Strategy refers to and its jobs."""
    spec = manifest["spec"]
    environment, policy, named_model = await asyncio.gather(
        outside.kube.get(names.ENVIRONMENT, outside.settings.environment),
        outside.kube.get(names.RISK_POLICY, spec["riskPolicyRef"]),
        _model(outside, spec),
    )
    addresses = _addresses(environment)
    job = conditions.parsed_status(strategy.StrategyStatus, manifest).job
    # A pool that left the Environment is asked once more for the job it may still run, but not waited for.
    left = {job.address} - addresses if job is not None else set()
    jobs = await _jobs(outside, addresses | left, uid=manifest["metadata"]["uid"])
    # "No open order" is a proof only when it was asked for after the job was seen stopped.
    leaving = manifest["metadata"].get("deletionTimestamp") is not None
    state = await outside.gateway.ask() if leaving else outside.gateway.current()
    return strategy_kind.Observed(
        manifest=manifest,
        environment=environment,
        policy=policy,
        model=named_model,
        jobs={address: found for address, found in jobs.items() if found is not None or address in addresses},
        state=state,
        settings=outside.settings,
    )


async def of_model(outside: world.World, manifest: Json) -> model_kind.Observed:
    """Read the training run, the Strategies' symbols and what Serve runs."""
    environment, (models, _), (strategies, _) = await asyncio.gather(
        outside.kube.get(names.ENVIRONMENT, outside.settings.environment),
        outside.kube.list(names.MODEL),
        outside.kube.list(names.STRATEGY),
    )
    uid = manifest["metadata"]["uid"]
    research = references.pool_address(environment, "research")
    inference = references.pool_address(environment, "inference")
    jobs: Mapping[str, port.Job] | None = None
    if isinstance(research, str):
        jobs = (await _jobs(outside, [research], uid=uid))[research]
    # The result is read after the jobs: a job that ended between the two has left it.
    run = conditions.parsed_status(model.ModelStatus, manifest).training
    return model_kind.Observed(
        manifest=manifest,
        models=tuple(models),
        environment=environment,
        symbols=_symbols(strategies, manifest["metadata"]["name"]),
        jobs=jobs,
        result=None if run is None else await outside.artifacts.run(run.submission_id),
        artifact_exists=await _artifact_exists(outside, manifest),
        serve=await serving(outside, inference) if isinstance(inference, str) else None,
        settings=outside.settings,
    )


async def of_backtest(outside: world.World, manifest: Json) -> backtest_kind.Observed:
    """Read what a Backtest refers to, its job and its outcome; nothing at all once it is over."""
    current = conditions.parsed_status(backtest.BacktestStatus, manifest)
    if current.phase in backtest_kind.OVER:
        return backtest_kind.Observed(manifest, settings=outside.settings)
    environment, named_strategy = await asyncio.gather(
        outside.kube.get(names.ENVIRONMENT, outside.settings.environment),
        outside.kube.get(names.STRATEGY, manifest["spec"]["strategyRef"]),
    )
    policy = named_model = None
    if named_strategy is not None:
        spec = named_strategy["spec"]
        policy, named_model = await asyncio.gather(
            outside.kube.get(names.RISK_POLICY, spec["riskPolicyRef"]),
            _model(outside, spec),
        )
    research = references.pool_address(environment, "research")
    addresses = {research} if isinstance(research, str) else set()
    # A pool that left the Environment is asked once more for the job it may still run, but not waited for.
    left = {current.run.address} - addresses if current.run is not None else set()
    jobs = await _jobs(outside, addresses | left, uid=manifest["metadata"]["uid"])
    # The outcome is read after the jobs: a job that ended between the two has left it.
    return backtest_kind.Observed(
        manifest=manifest,
        environment=environment,
        strategy=named_strategy,
        policy=policy,
        model=named_model,
        jobs={address: found for address, found in jobs.items() if found is not None or address in addresses},
        outcome=None if current.run is None else await outside.artifacts.backtest(current.run.submission_id),
        settings=outside.settings,
    )


async def of_risk_policy(outside: world.World, manifest: Json) -> risk_policy_kind.Observed:
    """Read the Strategies that name it."""
    strategies, _ = await outside.kube.list(names.STRATEGY)
    return risk_policy_kind.Observed(manifest, tuple(strategies), outside.gateway.current())


async def of_environment(outside: world.World, manifest: Json) -> environment_kind.Observed:
    """Read its policy, and whether its pools answer."""
    policy = await outside.kube.get(names.RISK_POLICY, manifest["spec"]["riskPolicyRef"])
    answers = await _jobs(outside, _addresses(manifest), uid="")
    return environment_kind.Observed(
        manifest=manifest,
        policy=policy,
        state=outside.gateway.current(),
        silent=tuple(sorted(address for address, found in answers.items() if found is None)),
        name=outside.settings.environment,
    )


async def of_sweep(outside: world.World) -> sweep.Observed:
    """Read everything that may have lost its object; the lists are complete or this raises."""
    environment, (models, _), (strategies, _), (backtests, _) = await asyncio.gather(
        outside.kube.get(names.ENVIRONMENT, outside.settings.environment),
        outside.kube.list(names.MODEL),
        outside.kube.list(names.STRATEGY),
        outside.kube.list(names.BACKTEST),
    )
    inference = references.pool_address(environment, "inference")
    address = inference if isinstance(inference, str) else None
    jobs = await _jobs(outside, _addresses(environment), uid=None)
    return sweep.Observed(
        strategies=tuple(strategies),
        models=tuple(models),
        backtests=tuple(backtests),
        jobs={each: found for each, found in jobs.items() if found is not None},
        serve=await serving(outside, address) if address is not None else None,
        serving_at=address,
        settings=outside.settings,
    )


async def serving(outside: world.World, address: str) -> port.Serve | None:
    """What Serve runs at an address; None when it does not answer."""
    try:
        return await outside.ray(address).serving()
    except port.RayError:
        return None


async def _jobs(
    outside: world.World, addresses: Iterable[str], *, uid: str | None
) -> dict[str, dict[str, port.Job] | None]:
    """Our jobs of one uid (of all with None) by address; None for an address that does not answer."""

    async def ask(address: str) -> dict[str, port.Job] | None:
        try:
            found = await outside.ray(address).jobs()
        except port.RayError:
            return None
        return {
            name: job
            for name, job in found.items()
            if (parsed := render.parsed_id(name)) is not None and uid in {None, parsed[1]}
        }

    asked = sorted(set(addresses))
    answers = await asyncio.gather(*(ask(address) for address in asked))
    return dict(zip(asked, answers, strict=True))


def _addresses(environment: Json | None) -> set[str]:
    if environment is None:
        return set()
    return {pool["address"] for pool in environment["spec"]["pools"]}


def _symbols(strategies: Iterable[Json], model_name: str) -> tuple[str, ...]:
    """Symbols of the living Strategies that name a Model, sorted, so that the order of objects decides nothing."""
    return tuple(
        sorted(
            {
                symbol
                for manifest in strategies
                if not manifest["metadata"].get("deletionTimestamp")
                and any(each["name"] == model_name for each in manifest["spec"]["signal"].get("models") or ())
                for symbol in manifest["spec"]["universe"]["symbols"]
            }
        )
    )


async def _model(outside: world.World, spec: Json) -> Json | None:
    """Read the Model that a Strategy's spec names; None too where its signal is code."""
    models = spec["signal"].get("models")
    return await outside.kube.get(names.MODEL, models[0]["name"]) if models else None


async def _artifact_exists(outside: world.World, manifest: Json) -> bool | None:
    artifact = manifest["spec"]["source"].get("artifact")
    if artifact is None:
        return None
    try:
        return await outside.artifacts.exists(artifact["uri"])
    except artifacts.ArtifactsUnreachable:
        return None
