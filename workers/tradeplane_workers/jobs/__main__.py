"""``python -m tradeplane_workers.jobs``: one training run, then the end.

Exit codes: 0 trained, 1 not trained (the result in the store says why), 2 the configuration could not be read.
"""

import json
import sys

import prometheus_client
import pydantic_settings
import structlog

from tradeplane_engine import errors
from tradeplane_workers import artifacts, history_client, logs, metrics, translate
from tradeplane_workers.jobs import training

log = structlog.get_logger(__name__)

_TRAINED, _NOT_TRAINED, _BAD_CONFIGURATION = 0, 1, 2


class Settings(pydantic_settings.BaseSettings):
    """Process settings, ``TRADEPLANE_*``.

    config : a TrainingConfig as JSON
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
    logs.configure("jobs")
    settings = Settings()
    try:
        config = translate.training_config(json.loads(settings.config))
    except (ValueError, errors.EngineError) as error:
        log.error("configuration refused", error=f"TRADEPLANE_CONFIG: {error}")  # noqa: TRY400 - no traceback needed
        return _BAD_CONFIGURATION
    registry = metrics.registry()
    running = prometheus_client.Gauge("tradeplane_jobs_running", "Jobs that run now.", ["kind"], registry=registry)
    served = metrics.serve(registry, settings.metrics_listen)
    history = history_client.HistoryClient(settings.market_data_url)
    try:
        with running.labels("training").track_inprogress():
            log.info("metrics served", port=served.port)
            result = training.run(config, history, artifacts.ArtifactStore(settings.artifacts))
    finally:
        history.close()
        served.stop()
    return _NOT_TRAINED if result.error else _TRAINED


if __name__ == "__main__":
    sys.exit(main())
