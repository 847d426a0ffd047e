"""One Serve configuration for all Models at one address: a PUT replaces everything, so it names everything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tradeplane_api import model, names
from tradeplane_operator import conditions, render
from tradeplane_operator.ray import port

Json = dict[str, Any]


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


def plan(
    wanted: Mapping[str, Json], found: port.Serve, *, namespace: str, serve_url: str, starts: bool = False
) -> Plan:
    """Compare what all Models declare with what was read back; the answer is the whole configuration or nothing.

    starts : Serve is to run although nothing may be wanted yet, so that it comes up while the first Model is trained
    """
    foreign = sorted(
        name for name, application in found.applications.items() if not _is_ours(application, namespace=namespace)
    )
    if foreign:
        message = f"this Ray serves {', '.join(foreign)}, which a configuration of ours would delete; use another Ray"
        return Plan(violation=conditions.Violation(names.Reason.FOREIGN_APPLICATIONS, message))
    options = render.http_options(serve_url)
    if found.listening not in {None, f"{options['host']}:{options['port']}"}:
        message = f"TRADEPLANE_SERVE_URL: must be where Serve listens ({found.listening}), got {serve_url}"
        return Plan(violation=conditions.Violation(names.Reason.SERVE_ELSEWHERE, message))
    same = wanted.keys() == found.applications.keys() and all(
        render.is_part(wanted[name], found.applications[name].config) for name in wanted
    )
    if same and not (starts and found.listening is None):
        return Plan()
    return Plan(config=render.serve_config(wanted.values(), serve_url=serve_url))


def _is_ours(application: port.Application, *, namespace: str) -> bool:
    config = application.config
    variables = (config.get("runtime_env") or {}).get("env_vars") or {}
    return (
        application.name.startswith(render.APPLICATION_PREFIX)
        and config.get("import_path") == render.IMPORT_PATH
        and variables.get(render.NAMESPACE_VARIABLE) == namespace
    )
