"""Write what was decided: Events first, then the status when it differs, then the actions in order.

Every write is safe to repeat and guarded: a status by the resourceVersion that was read, a finalizer by the uid, a job
by its id, an Event by its name. What a killed operator left undone, the next one decides again.
"""

import hashlib
from typing import Any

import structlog

from tradeplane_api import fields, kinds, names
from tradeplane_kube import errors
from tradeplane_operator import conditions, observe, world
from tradeplane_operator.reconcile import decision, serving

Json = dict[str, Any]

log = structlog.get_logger(__name__)


class NotNow(Exception):  # noqa: N818 - named for what happened
    """The world changed or did not answer between the decision and the write; look again later."""


async def carry_out(outside: world.World, manifest: Json, decided: decision.Decision) -> None:
    """Carry out one decision about one object."""
    for action in decided.actions:
        if isinstance(action, decision.Emit):
            await _emit(outside, manifest, action)
    if decided.status is not None:
        await _write_status(outside, manifest, decided.status)
    for action in decided.actions:
        await _act(outside, manifest, action)


async def create_switch(outside: world.World) -> None:
    """Create the kill-switch as halted; one that exists is never written."""
    switch = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.KILL_SWITCH, "namespace": outside.settings.namespace},
        "data": {names.SWITCH_KEY: names.State.HALTED.value},
    }
    try:
        await outside.kube.create(switch, manager=names.FIELD_MANAGER_OPERATOR)
    except errors.AlreadyExists:
        return
    log.warning("switch created", name=names.KILL_SWITCH, state=names.State.HALTED.value)


async def ensure_serve(outside: world.World, address: str) -> None:
    """PUT the configuration that all Models declare; list and GET are read anew, and one PUT is in flight."""
    async with outside.serve_lock(address):
        models, _ = await outside.kube.list(names.MODEL)
        found = await observe.serving(outside, address)
        if found is None:
            raise NotNow(f"Ray at {address} does not answer")
        wanted = serving.applications(models, variables=outside.settings.model_variables)
        place = serving.Place(
            outside.settings.namespace,
            outside.settings.serve_url,
            starts=bool(models),
            now_s=outside.now().timestamp(),
        )
        planned = serving.plan(wanted, found, place)
        if planned.config is not None:
            await outside.ray(address).serve(planned.config)
            log.info(
                "models declared to Serve",
                address=address,
                models=sorted(model["metadata"]["name"] for model in models),
            )


async def _act(outside: world.World, manifest: Json, action: decision.Action) -> None:
    match action:
        case decision.SetFinalizer(present):
            await _set_finalizer(outside, manifest, present=present)
        case decision.SubmitJob(address, submission):
            await outside.ray(address).submit(submission)
            log.info("job submitted", name=manifest["metadata"]["name"], submission_id=submission.submission_id)
        case decision.StopJob(address, submission_id):
            await outside.ray(address).stop(submission_id)
            log.info("job asked to stop", name=manifest["metadata"]["name"], submission_id=submission_id)
        case decision.EnsureServe(address):
            await ensure_serve(outside, address)
        case decision.Emit():
            return


def _identity(manifest: Json, **metadata: Any) -> Json:
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {"name": manifest["metadata"]["name"], **metadata},
    }


async def _write_status(outside: world.World, manifest: Json, wanted: fields.Block) -> None:
    if same_status(manifest, wanted):
        return
    # The uid is not checked on this subresource; the resourceVersion also tells a namesake apart.
    identity = _identity(manifest, resourceVersion=manifest["metadata"]["resourceVersion"])
    written = await outside.kube.apply_status({**identity, "status": wanted.manifest()}, names.FIELD_MANAGER_OPERATOR)
    # The actions that follow must not be refused because of our own write.
    manifest["metadata"]["resourceVersion"] = written["metadata"]["resourceVersion"]
    _log_ready(manifest, wanted)


def _log_ready(manifest: Json, wanted: fields.Block) -> None:
    """Say what the object's Ready condition says from now on, where that is something new."""
    before, after = (
        {key: one.get(key, "") for key in ("status", "reason", "message")}
        for one in (_ready(manifest.get("status") or {}), _ready(wanted.manifest()))
    )
    if before != after:
        log.info("ready condition changed", kind=manifest["kind"], name=manifest["metadata"]["name"], **after)


def _ready(status: Json) -> Json:
    unknown = {"status": "Unknown", "reason": "", "message": ""}
    return next((one for one in status.get("conditions", ()) if one["type"] == names.Condition.READY.value), unknown)


def same_status(manifest: Json, wanted: fields.Block) -> bool:
    """Whether the object already says what this operator wants to say; another manager's part is not compared."""
    live = {key: value for key, value in (manifest.get("status") or {}).items() if key != "trading"}
    return conditions.parsed_status(kinds.KINDS[manifest["kind"]].status, {"status": live}) == wanted


async def _set_finalizer(outside: world.World, manifest: Json, *, present: bool) -> None:
    # With the uid in it, an apply never brings a deleted object back.
    identity = _identity(manifest, uid=manifest["metadata"]["uid"])
    if present:
        identity["metadata"]["finalizers"] = [names.FINALIZER_ORDERS]
    try:
        await outside.kube.apply(identity, names.FIELD_MANAGER_OPERATOR)
    except (errors.Conflict, errors.NotFound):
        if present:
            raise


async def _emit(outside: world.World, manifest: Json, action: decision.Emit) -> None:
    """Create the Event; its name is its content, so that a repeated one is the same."""
    metadata = manifest["metadata"]
    content = f"{metadata['uid']} {action.reason} {action.message}"
    now = conditions.timestamp(outside.now())
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{hashlib.sha256(content.encode()).hexdigest()[:16]}"},
        "involvedObject": {
            "apiVersion": manifest["apiVersion"],
            "kind": manifest["kind"],
            "name": metadata["name"],
            "namespace": outside.settings.namespace,
            "uid": metadata["uid"],
        },
        "reason": action.reason.value,
        "message": action.message[:1024],
        "type": "Warning" if action.warning else "Normal",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "source": {"component": names.FIELD_MANAGER_OPERATOR},
    }
    try:
        await outside.kube.create(event, manager=names.FIELD_MANAGER_OPERATOR)
    except errors.AlreadyExists:
        return
