"""What leaves the operator: the Serve configuration, and the configurations of jobs as JSON.

Pure: the same objects give the same bytes, whatever was sent before.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib import parse

from tradeplane_api import backtest, model, names
from tradeplane_operator import canonical
from tradeplane_operator.ray import port

APPLICATION_PREFIX = "model-"
IMPORT_PATH = "tradeplane_workers.model.application:build"
STRATEGY_ENTRYPOINT = "python -m tradeplane_workers.strategy"
TRAINING_ENTRYPOINT = "python -m tradeplane_workers.jobs"
BACKTEST_ENTRYPOINT = "python -m tradeplane_workers.jobs backtest"
JOB_KINDS = frozenset({"strategy", "training", "backtest"})
NAMESPACE_VARIABLE = "TRADEPLANE_NAMESPACE"

Json = dict[str, Any]


def application_name(model_name: str) -> str:
    """Name of a Model's Serve application."""
    return f"{APPLICATION_PREFIX}{model_name}"


def application(
    model_name: str, version: model.Version, *, max_batch: int, variables: Iterable[tuple[str, str]]
) -> Json:
    """One Model's Serve application."""
    return {
        "name": application_name(model_name),
        "route_prefix": f"/models/{model_name}",
        "import_path": IMPORT_PATH,
        "args": {},
        "runtime_env": {"env_vars": dict(variables)},
        "deployments": [
            {
                "name": "Predictor",
                "num_replicas": 1,
                "ray_actor_options": {"num_cpus": 0.2},
                "user_config": {
                    "model": model_name,
                    "artifact": version.artifact,
                    "digest": version.digest,
                    "features": version.features.manifest(),
                    "max_batch": max_batch,
                },
            }
        ],
    }


def serve_config(applications: Iterable[Json], *, serve_url: str) -> Json:
    """The whole configuration of one Serve address; what it leaves out is deleted there."""
    return {
        "proxy_location": "EveryNode",
        "http_options": http_options(serve_url),
        "applications": sorted(applications, key=lambda entry: str(entry["name"])),
    }


def http_options(serve_url: str) -> Json:
    """Host and port that Serve is to listen on."""
    url = parse.urlsplit(serve_url)
    return {"host": url.hostname, "port": url.port}


def model_url(serve_url: str, model_name: str) -> str:
    """Where a strategy calls a Model."""
    return f"{serve_url}/models/{model_name}"


def is_part(wanted: Any, found: Any) -> bool:
    """Whether everything in ``wanted`` is in ``found``; Ray adds defaults to what it was sent."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and is_part(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(is_part(*pair) for pair in zip(wanted, found, strict=True))
        )
    return bool(wanted == found)


def submission_id(kind: str, uid: str, generation: int, attempt: int) -> str:
    """Deterministic, so that a repeated submission is the same job."""
    return f"{kind}-{uid}-{generation}-{attempt}"


def parsed_id(identifier: str) -> tuple[str, str, int, int] | None:
    """Kind, uid, generation and attempt of a submission id; None for one that is not ours."""
    kind, _, rest = identifier.partition("-")
    parts = rest.rsplit("-", 2)
    if kind not in JOB_KINDS or len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):  # noqa: PLR2004 - uid, generation, attempt
        return None
    return kind, parts[0], int(parts[1]), int(parts[2])


def model_reference(manifest: Json, version: model.Version, spec: model.ModelSpec, *, url: str) -> Json:
    """How a strategy calls a Model, and which digest it must answer with."""
    metadata = manifest["metadata"]
    return {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "generation": metadata["generation"],
        "url": url,
        "digest": version.digest,
        "artifact": version.artifact,
        "features": version.features.manifest(),
        "deadline": spec.serving.deadline,
    }


def policy_reference(manifest: Json) -> Json:
    """A RiskPolicy as it is bound."""
    return {
        "name": manifest["metadata"]["name"],
        "hash": canonical.digest(manifest["spec"]),
        "spec": manifest["spec"],
    }


def strategy_config(manifest: Json, *, environment: str, attempt: int, references: tuple[Json | None, Json]) -> Json:
    """Everything a strategy job is told; ``references`` are the Model's, None for code, and the RiskPolicy's."""
    model_part, policy_part = references
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    return {
        "environment": environment,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "generation": metadata["generation"],
        "attempt": attempt,
        "spec": manifest["spec"],
        "model": model_part,
        "policy": policy_part,
        "owner": annotations.get(names.ANNOTATION_OWNER, ""),
        "git_revision": annotations.get(names.ANNOTATION_GIT_REVISION, ""),
    }


def config_hash(config: Json) -> str:
    """Name of what a running strategy process cannot learn without a new attempt.

    Left out: the attempt itself; the RiskPolicy, whose edit acts at the gateway on the next order; owner and Git
    revision, which decide nothing; the Model's generation, because an edit of its batch size is none of the strategy's
    business.
    """
    model_part = config["model"] and {key: value for key, value in config["model"].items() if key != "generation"}
    left_out = {"attempt", "policy", "owner", "git_revision"}
    return canonical.digest(
        {**{key: value for key, value in config.items() if key not in left_out}, "model": model_part}
    )


def strategy_submission(config: Json, *, variables: Iterable[tuple[str, str]], namespace: str) -> port.Submission:
    """The Ray job of one attempt."""
    identifier = submission_id("strategy", config["uid"], config["generation"], config["attempt"])
    return _submission(identifier, STRATEGY_ENTRYPOINT, config, variables=variables, namespace=namespace)


def training_hash(spec: model.ModelSpec) -> str:
    """Name of everything that decides a trained artifact; an edit of serving is not part of it."""
    return canonical.digest({key: value for key, value in spec.manifest().items() if key != "serving"})


def training_config(manifest: Json, run: model.TrainingRun) -> Json:
    """Everything a training job is told."""
    metadata = manifest["metadata"]
    return {
        "submission_id": run.submission_id,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "generation": run.generation,
        "spec": manifest["spec"],
        "symbols": list(run.symbols),
    }


def training_submission(config: Json, *, variables: Iterable[tuple[str, str]], namespace: str) -> port.Submission:
    """The Ray job of one training run."""
    return _submission(config["submission_id"], TRAINING_ENTRYPOINT, config, variables=variables, namespace=namespace)


def backtest_config(manifest: Json, *, strategy: Json, references: tuple[Json | None, Json], trials: int) -> Json:
    """Everything a backtest job is told but its submission id; ``references`` are as for a strategy job."""
    model_part, policy_part = references
    return {
        "name": manifest["metadata"]["name"],
        "uid": manifest["metadata"]["uid"],
        "generation": manifest["metadata"]["generation"],
        "spec": manifest["spec"],
        "strategy": {
            **{key: strategy["metadata"][key] for key in ("name", "uid", "generation")},
            "spec": strategy["spec"],
        },
        "model": model_part,
        "policy": policy_part,
        "trials": trials,
    }


def backtest_hash(config: Json) -> str:
    """Name of everything that decides a backtest's result.

    Left out: generations and identities, and what only a trading Strategy acts on (its suspension, its pool, where and
    how fast its Model answers).
    """
    traded = {key: value for key, value in config["strategy"]["spec"].items() if key not in {"suspend", "pool"}}
    return canonical.digest(
        {
            "spec": config["spec"],
            "strategy": {"name": config["strategy"]["name"], "spec": traded},
            "model": config["model"] and {key: config["model"][key] for key in ("name", "digest", "features")},
            "policy": {key: config["policy"][key] for key in ("name", "spec")},
            "trials": config["trials"],
        }
    )


def backtest_submission(
    config: Json, run: backtest.BacktestRun, *, variables: Iterable[tuple[str, str]], namespace: str
) -> port.Submission:
    """The Ray job of one attempt at a backtest."""
    told = {**config, "submission_id": run.submission_id}
    return _submission(run.submission_id, BACKTEST_ENTRYPOINT, told, variables=variables, namespace=namespace)


def _submission(
    identifier: str, entrypoint: str, config: Json, *, variables: Iterable[tuple[str, str]], namespace: str
) -> port.Submission:
    return port.Submission(
        submission_id=identifier,
        entrypoint=entrypoint,
        variables={**dict(variables), "TRADEPLANE_CONFIG": canonical.text(config)},
        namespace=namespace,
    )
