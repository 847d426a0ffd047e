"""Settings of the gateway, read once from the environment variables that docs/reference/interfaces.md lists."""

import socket

import pydantic
import pydantic_settings


class Settings(pydantic_settings.BaseSettings):
    """Addresses and names; secrets come from the API server, and a password inside a URL is not shown.

    namespace, environment : of the Environment this gateway trades for
    kubeconfig : path of this process's credentials
    database_url : the ledger, ``postgresql://...``
    redis_url : where the bars are, for reference prices
    listen : ``host:port``; loopback only, because clients are not authenticated
    venue_profile : costs, the same as the backtest's
    artifacts : fsspec URL of the store that keeps the audit trail's heads; empty where none does
    holder : who leads, for people
    """

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix="TRADEPLANE_", frozen=True, hide_input_in_errors=True
    )

    namespace: str
    environment: str
    kubeconfig: str = pydantic.Field(validation_alias=pydantic.AliasChoices("KUBECONFIG", "kubeconfig"))
    database_url: pydantic.SecretStr
    redis_url: pydantic.SecretStr
    listen: str = "127.0.0.1:0"
    venue_profile: str = "realistic"
    artifacts: str = ""
    holder: str = pydantic.Field(default_factory=socket.gethostname)

    @pydantic.field_validator("listen")
    @classmethod
    def is_loopback(cls, value: str) -> str:
        """Refuse any other interface: whoever reaches this port can post decisions."""
        host = value.rpartition(":")[0]
        if host not in {"127.0.0.1", "localhost", "[::1]"}:
            raise ValueError(f"TRADEPLANE_LISTEN: must be on loopback, got {value!r}")
        return value
