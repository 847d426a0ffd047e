"""``python -m tradeplane_workers.jobs [training|backtest]``: one run, then the end.

Exit codes: 0 done, 1 not done (the result in the store says why), 2 the configuration could not be read.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import prometheus_client
import pydantic_settings
import structlog

from tradeplane_engine import errors
from tradeplane_workers import artifacts, history_client, logs, messages, metrics, translate
from tradeplane_workers.jobs import backtest, training

log = structlog.get_logger(__name__)

_DONE, _NOT_DONE, _BAD_CONFIGURATION = 0, 1, 2
Result = messages.TrainingResult | messages.BacktestResult


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job: how its configuration is read, and what does it."""

    config: Callable[[Mapping[str, Any]], Any]
    run: Callable[[Any, history_client.HistoryClient, artifacts.ArtifactStore], Result]


KINDS: Final = {
    "training": Kind(translate.training_config, training.run),
    "backtest": Kind(translate.backtest_config, backtest.run),
}


class Settings(pydantic_settings.BaseSettings):
    """Process settings, ``TRADEPLANE_*``.

    config : a TrainingConfig or BacktestConfig as JSON
    market_data_url : base URL of the market data process
    artifacts : fsspec URL of the artifact store
    metrics_listen : ``host:port`` of ``/metrics``; a free port of loopback unless given, named in the log
    """

    model_config = pydantic_settings.SettingsConfigDict(env_prefix="TRADEPLANE_", frozen=True)

    config: str
    market_data_url: str
    artifacts: str
    metrics_listen: str = "127.0.0.1:0"


def main() -> int:
    """Run the job that the environment describes."""
    parser = argparse.ArgumentParser(prog="python -m tradeplane_workers.jobs")
    parser.add_argument("kind", nargs="?", choices=sorted(KINDS), default="training")
    name: str = parser.parse_args().kind
    kind = KINDS[name]
    logs.configure("jobs")
    settings = Settings()
    try:
        config = kind.config(json.loads(settings.config))
    except (ValueError, errors.EngineError) as error:
        log.error("configuration refused", error=f"TRADEPLANE_CONFIG: {error}")  # noqa: TRY400 - no traceback needed
        return _BAD_CONFIGURATION
    registry = metrics.registry()
    running = prometheus_client.Gauge("tradeplane_jobs_running", "Jobs that run now.", ["kind"], registry=registry)
    served = metrics.serve(registry, settings.metrics_listen)
    history = history_client.HistoryClient(settings.market_data_url)
    try:
        with running.labels(name).track_inprogress():
            log.info("metrics served", port=served.port)
            result = kind.run(config, history, artifacts.ArtifactStore(settings.artifacts))
    finally:
        history.close()
        served.stop()
    return _NOT_DONE if result.error else _DONE


if __name__ == "__main__":
    sys.exit(main())
