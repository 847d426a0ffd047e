"""Settings of the market data process, read once from the environment."""

from pathlib import Path

import pydantic_settings


class Settings(pydantic_settings.BaseSettings):
    """Process settings, ``TRADEPLANE_*``.

    listen : ``host:port`` of history, health and metrics
    redis_url : where slices are published
    data_url : base URL of the provider's REST interface
    data_stream_url : full URL of the provider's stream; its last part names the feed
    data_key_file : JSON file ``{"key_id", "secret_key"}`` with a key that may only read data
    calendar : market identifier code of the exchange whose sessions are traded
    """

    model_config = pydantic_settings.SettingsConfigDict(env_prefix="TRADEPLANE_", frozen=True)

    listen: str
    redis_url: str
    data_url: str
    data_stream_url: str
    data_key_file: Path
    calendar: str = "XNYS"
