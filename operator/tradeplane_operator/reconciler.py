"""One pass for one key: read the object, observe, decide, carry out. The same pass can run twice without harm."""

from dataclasses import dataclass
from typing import Any

from tradeplane_api import names
from tradeplane_operator import carry_out, observe, world
from tradeplane_operator.reconcile import backtest, decision, environment, model, risk_policy, strategy, sweep

Json = dict[str, Any]

SWITCH = "Switch"
SWEEP = "Sweep"
# How often the absence of the switch is looked for.
_SWITCH_S = 2.0


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What the queue holds: a kind and a name; the two kinds of our own have no name."""

    kind: str
    name: str = ""


async def reconcile(outside: world.World, key: Key) -> float | None:
    """Bring one object a step further; answers when to look again, None when it is gone."""
    match key.kind:
        case kind if kind == SWITCH:
            return await _switch(outside)
        case kind if kind == SWEEP:
            return await _sweep(outside)
        case _:
            return await _object(outside, key)


async def _object(outside: world.World, key: Key) -> float | None:
    manifest = await outside.kube.get(key.kind, key.name)
    if manifest is None:
        return None
    decided = await _decide(outside, manifest)
    await carry_out.carry_out(outside, manifest, decided)
    return decided.again_s


async def _decide(outside: world.World, manifest: Json) -> decision.Decision:
    now = outside.now()
    match manifest["kind"]:
        case names.STRATEGY:
            return strategy.decide(await observe.of_strategy(outside, manifest), now=now)
        case names.MODEL:
            return model.decide(await observe.of_model(outside, manifest), now=now)
        case names.RISK_POLICY:
            return risk_policy.decide(await observe.of_risk_policy(outside, manifest), now=now)
        case names.ENVIRONMENT:
            return environment.decide(await observe.of_environment(outside, manifest), now=now)
        case names.BACKTEST:
            return backtest.decide(await observe.of_backtest(outside, manifest), now=now)
        case kind:
            raise AssertionError(f"no reconciler for {kind}")


async def _switch(outside: world.World) -> float:
    """The switch belongs to people; only its absence is ours."""
    if await outside.kube.get("ConfigMap", names.KILL_SWITCH) is None:
        await carry_out.create_switch(outside)
    return _SWITCH_S


async def _sweep(outside: world.World) -> float:
    decided = sweep.decide(await observe.of_sweep(outside), now=outside.now())
    for action in decided.actions:
        match action:
            case decision.StopJob(address, submission_id):
                await outside.ray(address).stop(submission_id)
            case decision.EnsureServe(address):
                await carry_out.ensure_serve(outside, address)
    return decided.again_s
