"""``python -m tradeplane_workers.jobs``: one training run, then the end.

Exit codes: 0 trained, 1 not trained (the result in the store says why), 2 the configuration could not be read.
"""

import json
import sys

import pydantic_settings
import structlog

from tradeplane_engine import errors
from tradeplane_workers import artifacts, history_client, logs, translate
from tradeplane_workers.jobs import training

log = structlog.get_logger(__name__)

_TRAINED, _NOT_TRAINED, _BAD_CONFIGURATION = 0, 1, 2


class Settings(pydantic_settings.BaseSettings):
    """Process settings, ``TRADEPLANE_*``.

    config : a TrainingConfig as JSON
    market_data_url : base URL of the market data process
    artifacts : fsspec URL of the artifact store
    """

    model_config = pydantic_settings.SettingsConfigDict(env_prefix="TRADEPLANE_", frozen=True)

    config: str
    market_data_url: str
    artifacts: str


def main() -> int:
    """Run the job that the environment describes."""
    logs.configure("jobs")
    settings = Settings()
    try:
        config = translate.training_config(json.loads(settings.config))
    except (ValueError, errors.EngineError) as error:
        log.error("configuration refused", error=f"TRADEPLANE_CONFIG: {error}")  # noqa: TRY400 - no traceback needed
        return _BAD_CONFIGURATION
    history = history_client.HistoryClient(settings.market_data_url)
    try:
        result = training.run(config, history, artifacts.ArtifactStore(settings.artifacts))
    finally:
        history.close()
    return _NOT_TRAINED if result.error else _TRAINED


if __name__ == "__main__":
    sys.exit(main())
