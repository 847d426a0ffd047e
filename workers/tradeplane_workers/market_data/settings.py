"""Settings of the market data process, read once from the environment."""

from pathlib import Path

import pydantic
import pydantic_settings


class Settings(pydantic_settings.BaseSettings):
    """Process settings, ``TRADEPLANE_*``.

    listen : ``host:port`` of history, health and metrics
    redis_url : where slices are published
    data_key_file : JSON file ``{"key_id", "secret_key"}`` with a key that may only read data
    namespace, environment : of the Environment, which names the provider and the calendar
    kubeconfig : client certificate of this process (``KUBECONFIG``)
    """

    model_config = pydantic_settings.SettingsConfigDict(env_prefix="TRADEPLANE_", frozen=True)

    listen: str
    redis_url: str
    data_key_file: Path
    namespace: str
    environment: str
    kubeconfig: Path = pydantic.Field(validation_alias="KUBECONFIG")
