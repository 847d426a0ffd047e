"""Settings of the operator, read once from the environment and passed on as a value."""

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass


class SettingRefused(Exception):  # noqa: N818 - named for what happened
    """A process setting is missing or not usable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What this operator serves and where its neighbours are.

    namespace, environment : the one Environment that this installation is
    kubeconfig : credentials for the API server
    gateway_url : base URL of the gateway
    artifacts : fsspec URL of the artifact store
    serve_url : where Ray Serve answers the models' callers
    ray_token_file : bearer token of Ray's REST interface; None when Ray asks for none
    metrics_listen : ``host:port`` of /metrics; None for no server
    strategy_variables, training_variables, model_variables : what each kind of Ray process is told about its neighbours
        (a backtest runs in the process that trains, and is told the same)
    """

    namespace: str
    environment: str
    kubeconfig: pathlib.Path
    gateway_url: str
    artifacts: str
    serve_url: str
    ray_token_file: pathlib.Path | None
    metrics_listen: str | None
    strategy_variables: tuple[tuple[str, str], ...]
    training_variables: tuple[tuple[str, str], ...]
    model_variables: tuple[tuple[str, str], ...]


_IDENTITY = ("TRADEPLANE_NAMESPACE", "TRADEPLANE_ENVIRONMENT")
_STRATEGY = (*_IDENTITY, "TRADEPLANE_GATEWAY_URL", "TRADEPLANE_REDIS_URL", "TRADEPLANE_MARKET_DATA_URL")
_TRAINING = (*_IDENTITY, "TRADEPLANE_MARKET_DATA_URL", "TRADEPLANE_ARTIFACTS")
_MODEL = (*_IDENTITY, "TRADEPLANE_ARTIFACTS")


def from_variables(variables: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingRefused naming the variable."""

    def required(name: str) -> str:
        value = variables.get(name, "")
        if not value:
            raise SettingRefused(f"{name}: must be set")
        return value

    def passed_on(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        return tuple((name, required(name)) for name in names)

    token_file = variables.get("TRADEPLANE_RAY_TOKEN_FILE")
    return Settings(
        namespace=required("TRADEPLANE_NAMESPACE"),
        environment=required("TRADEPLANE_ENVIRONMENT"),
        kubeconfig=pathlib.Path(required("KUBECONFIG")),
        gateway_url=required("TRADEPLANE_GATEWAY_URL").rstrip("/"),
        artifacts=required("TRADEPLANE_ARTIFACTS"),
        serve_url=required("TRADEPLANE_SERVE_URL").rstrip("/"),
        ray_token_file=pathlib.Path(token_file) if token_file else None,
        metrics_listen=variables.get("TRADEPLANE_METRICS_LISTEN") or None,
        strategy_variables=passed_on(_STRATEGY),
        training_variables=passed_on(_TRAINING),
        model_variables=passed_on(_MODEL),
    )
