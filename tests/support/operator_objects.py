"""Objects as the operator observes them, for tests of its pure decisions."""

import datetime as dt
import pathlib
from typing import Any

from support import api_cases
from tradeplane_api import schema
from tradeplane_operator import settings

Json = dict[str, Any]

NOW = dt.datetime(2026, 11, 21, 12, 0, 0, tzinfo=dt.UTC)
RAY = "http://ray:8265"
SERVE = "http://serve:8000"
DIGEST = "sha256:" + "d" * 64
OTHER_DIGEST = "sha256:" + "e" * 64

SETTINGS = settings.Settings(
    namespace="paper",
    environment="demo",
    kubeconfig=pathlib.Path("/nowhere"),
    gateway_url="http://gateway",
    artifacts="file:///artifacts",
    serve_url=SERVE,
    ray_token_file=None,
    metrics_listen=None,
    strategy_variables=(("TRADEPLANE_GATEWAY_URL", "http://gateway"),),
    training_variables=(("TRADEPLANE_ARTIFACTS", "file:///artifacts"),),
    model_variables=(("TRADEPLANE_NAMESPACE", "paper"),),
)


def stored(kind: str, *edits: tuple[str, Any], status: Json | None = None, **metadata: Any) -> Json:
    """Return a good object as the API server stores it, with every default."""
    manifest = api_cases.edited(api_cases.Case(kind, edits))
    manifest["spec"] = schema.defaulted(manifest)
    manifest["metadata"] |= {
        "uid": f"uid-{kind.lower()}",
        "generation": 1,
        "resourceVersion": "1",
        "namespace": "paper",
        **metadata,
    }
    if status is not None:
        manifest["status"] = status
    return manifest


def environment() -> Json:
    """Return an Environment whose pools share one Ray."""
    pools = [{"name": role, "role": role, "address": RAY} for role in ("inference", "execution", "research")]
    return stored("Environment", ("pools", pools))


def version(digest: str = DIGEST, **fields: Any) -> Json:
    """Return a version of a Model as its status holds it."""
    return {
        "digest": digest,
        "artifact": f"file:///artifacts/{digest}",
        "specHash": "sha256:" + "0" * 64,
        "features": {"set": "alpha158", "version": "v1"},
        **fields,
    }


def served_model(digest: str = DIGEST, **metadata: Any) -> Json:
    """Return a Model that serves a version."""
    status = {
        "active": version(digest),
        "serving": {"digest": digest, "url": f"{SERVE}/models/alpha", "replicas": 1},
    }
    return stored("Model", status=status, **metadata)
