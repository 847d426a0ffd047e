"""What belongs to no single object: jobs and applications of objects that are gone, and Serve itself."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tradeplane_operator import render, settings
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import decision, serving

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """All Strategies, Models and Backtests, and what runs at each address that answered.

    serving_at : address of the inference pool, None when there is none
    """

    strategies: tuple[Json, ...]
    models: tuple[Json, ...]
    backtests: tuple[Json, ...]
    jobs: Mapping[str, Mapping[str, port.Job]]
    serve: port.Serve | None
    serving_at: str | None
    settings: settings.Settings


def _staying(manifests: tuple[Json, ...]) -> set[str]:
    """Uids; an object that is being deleted, held by somebody else's finalizer, is as good as gone."""
    return {each["metadata"]["uid"] for each in manifests if not each["metadata"].get("deletionTimestamp")}


def decide(observed: Observed, *, now: dt.datetime) -> decision.Decision:
    """Stop and remove what is not asked for, start Serve for the first Model; only our namespace's is ours."""
    owners = {
        "strategy": {manifest["metadata"]["uid"] for manifest in observed.strategies},
        "training": _staying(observed.models),
        "backtest": _staying(observed.backtests),
    }
    actions: list[decision.Action] = []
    for address, jobs in sorted(observed.jobs.items()):
        for job in jobs.values():
            parsed = render.parsed_id(job.submission_id)
            if parsed is None or not job.alive or job.namespace != observed.settings.namespace:
                continue
            if parsed[1] not in owners[parsed[0]]:
                actions.append(decision.StopJob(address, job.submission_id))
    if observed.serve is not None and observed.serving_at is not None:
        wanted = serving.applications(observed.models, variables=observed.settings.model_variables)
        place = serving.Place(
            observed.settings.namespace,
            observed.settings.serve_url,
            starts=bool(observed.models),
            now_s=now.timestamp(),
        )
        planned = serving.plan(wanted, observed.serve, place)
        if planned.config is not None:
            actions.append(decision.EnsureServe(observed.serving_at))
    return decision.Decision(None, tuple(actions), again_s=decision.SOON_S if actions else decision.REST_S)
