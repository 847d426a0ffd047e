"""One Serve configuration for all Models at one address: a PUT replaces everything, so it names everything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tradeplane_api import model, names
from tradeplane_operator import conditions, render
from tradeplane_operator.ray import port

Json = dict[str, Any]

RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one Serve address: refuse, PUT ``config``, or nothing."""

    violation: conditions.Violation | None = None
    config: Json | None = None


def applications(manifests: Iterable[Json], *, variables: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """Application of every Model that has a version and is not being deleted, by application name."""
    fixed = tuple(variables)
    wanted = {}
    for manifest in manifests:
        application = _application(manifest, variables=fixed)
        if application is not None:
            wanted[application["name"]] = application
    return wanted


def _application(manifest: Json, *, variables: tuple[tuple[str, str], ...]) -> Json | None:
    if manifest["metadata"].get("deletionTimestamp"):
        return None
    active = conditions.parsed_status(model.ModelStatus, manifest).active
    if active is None:
        return None
    # Read as it stands, not validated: what is served must not vanish because a rule came later.
    max_batch = manifest["spec"]["serving"]["maxBatch"]
    return render.application(manifest["metadata"]["name"], active, max_batch=max_batch, variables=variables)


@dataclass(frozen=True, slots=True)
class Place:
    """Where and for whom is served.

    starts : Serve is to run although nothing may be wanted yet, so that it comes up while the first Model is trained
    now_s : seconds since 1970, by Ray's clock or one like it
    """

    namespace: str
    serve_url: str
    starts: bool
    now_s: float


def plan(wanted: Mapping[str, Json], found: port.Serve, place: Place) -> Plan:
    """Compare what all Models declare with what was read back; the answer is the whole configuration or nothing.

    An application that failed to deploy is left out once a minute: Ray tries it again only when it comes back anew.
    """
    foreign = sorted(
        name for name, application in found.applications.items() if not _is_ours(application, namespace=place.namespace)
    )
    if foreign:
        message = f"this Ray serves {', '.join(foreign)}, which a configuration of ours would delete; use another Ray"
        return Plan(violation=conditions.Violation(names.Reason.FOREIGN_APPLICATIONS, message))
    options = render.http_options(place.serve_url)
    if found.listening not in {None, f"{options['host']}:{options['port']}"}:
        message = f"TRADEPLANE_SERVE_URL: must be where Serve listens ({found.listening}), got {place.serve_url}"
        return Plan(violation=conditions.Violation(names.Reason.SERVE_ELSEWHERE, message))
    failed = {
        name
        for name, application in found.applications.items()
        if application.status == "DEPLOY_FAILED" and place.now_s - application.deployed_s >= RETRY_S
    }
    if failed:
        rest = (application for name, application in wanted.items() if name not in failed)
        return Plan(config=render.serve_config(rest, serve_url=place.serve_url))
    same = wanted.keys() == found.applications.keys() and all(
        render.is_part(wanted[name], found.applications[name].config) for name in wanted
    )
    if same and not (place.starts and found.listening is None):
        return Plan()
    return Plan(config=render.serve_config(wanted.values(), serve_url=place.serve_url))


def _is_ours(application: port.Application, *, namespace: str) -> bool:
    config = application.config
    variables = (config.get("runtime_env") or {}).get("env_vars") or {}
    return (
        application.name.startswith(render.APPLICATION_PREFIX)
        and config.get("import_path") == render.IMPORT_PATH
        and variables.get(render.NAMESPACE_VARIABLE) == namespace
    )
