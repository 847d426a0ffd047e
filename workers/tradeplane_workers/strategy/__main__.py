"""``python -m tradeplane_workers.strategy``: one attempt of one Strategy.

Exit codes: 0 stopped by SIGTERM or SIGINT; 2 the configuration was refused, here or by the gateway; 3 fenced: another
process decides for this Strategy; 4 the strategy's own code raised; 1 anything unexpected.
"""

import contextlib
import json
import sys
import time
from dataclasses import dataclass

import pydantic_settings
import redis
import structlog

from tradeplane_engine import declarative, entrypoint, errors, live
from tradeplane_engine import settings as engine_settings
from tradeplane_engine.domain import times
from tradeplane_engine.features import sources
from tradeplane_workers import history_client, logs, messages, metrics, translate
from tradeplane_workers.strategy import bar_stream, figures, gateway_client, model_client, runner, stopping

log = structlog.get_logger(__name__)

STOPPED, REFUSED, FENCED, FAILED = 0, 2, 3, 4
# Above the blocking time of a read, so that a dead Redis is noticed and a silent one is not taken for dead.
_REDIS_TIMEOUT_S = 5.0


class Settings(pydantic_settings.BaseSettings):
    """Process settings, ``TRADEPLANE_*``.

    config : a StrategyConfig as JSON
    gateway_url, market_data_url : base URLs
    redis_url : of the bar stream
    metrics_listen : ``host:port`` of ``/metrics``; a free port of loopback unless given, named in the log
    """

    model_config = pydantic_settings.SettingsConfigDict(env_prefix="TRADEPLANE_", frozen=True)

    config: str
    gateway_url: str
    market_data_url: str
    redis_url: str
    metrics_listen: str = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class MachineClock:
    """Trading time, live: no bar that the machine's clock has not reached may be decided on."""

    def now(self) -> times.Nanos:
        """Return the machine's time."""
        return times.Nanos(time.time_ns())


def main() -> int:
    """Run the attempt that the environment describes; returns the exit code."""
    logs.configure("strategy")
    stop = stopping.Stop()
    stop.listen()
    settings = Settings()
    try:
        config = translate.strategy_config(json.loads(settings.config))
        structlog.contextvars.bind_contextvars(
            strategy=config.name, generation=config.generation, attempt=config.attempt
        )
        return run(settings, config, stop)
    except stopping.Stopped:
        log.info("stopped")
        return STOPPED
    except gateway_client.Fenced as fenced:
        log.warning("fenced", detail=str(fenced))
        return FENCED
    except errors.StrategyFailed as failed:
        log.exception("strategy failed", error=str(failed))
        return FAILED
    except (ValueError, errors.ValueRefused, gateway_client.GatewayRefused) as refused:
        log.error("refused", error=str(refused))  # noqa: TRY400 - the message says all, a traceback would hide it
        return REFUSED


def run(settings: Settings, config: messages.StrategyConfig, stop: stopping.Stop) -> int:
    """Build the ports, take the fence, decide until stopped."""
    counted = figures.Figures()
    gateway = gateway_client.Gateway(settings.gateway_url, config, stop=stop, counted=counted)
    with contextlib.ExitStack() as open_parts:
        open_parts.callback(gateway.close)
        told, host = _host(config, gateway, counted, open_parts)
        served = metrics.serve(counted.registry, settings.metrics_listen)
        open_parts.callback(served.stop)
        log.info("metrics served", port=served.port)
        history = history_client.HistoryClient(settings.market_data_url, patience_s=0.0)
        open_parts.callback(history.close)
        client = redis.Redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
        )
        open_parts.callback(client.close)
        stream = bar_stream.BarStream(client, channel=told.channel, symbols=told.symbols, stop=stop, counted=counted)
        origins = runner.Sources(history=history, stream=stream, heartbeat=gateway.heartbeat)
        followed = runner.Runner(told, host, origins, stop=stop, counted=counted, machine_now=MachineClock().now)
        try:
            followed.start(gateway.take_fence())
            followed.follow()
        except stopping.Stopped:
            host.stop()
            raise
    return STOPPED


def _host(
    config: messages.StrategyConfig,
    gateway: gateway_client.Gateway,
    counted: figures.Figures,
    open_parts: contextlib.ExitStack,
) -> tuple[engine_settings.Trader, live.Host]:
    """Return what decides; raises ValueRefused for a configuration, a class or parameters that cannot."""
    if translate.has_code(config.spec):
        told = translate.code(config)
        hosted = entrypoint.load(told.entrypoint, told.parameters)
        digest = entrypoint.digest(type(hosted))
        log.info("code loaded", entrypoint=told.entrypoint, digest=digest)
        return told, live.Host(told, hosted, gateway, MachineClock(), digest)
    strategy = translate.strategy(config)
    if config.model is None:
        raise errors.ValueRefused("model", "the Model that the Strategy names", None)
    model = model_client.ModelClient(config.model, counted=counted)
    open_parts.callback(model.close)
    features = sources.LastBars(strategy.features, strategy.symbols)
    declared = declarative.Declarative(strategy, features=features, model=model)
    return strategy, live.Host(strategy, declared, gateway, MachineClock(), features=features)


if __name__ == "__main__":
    sys.exit(main())
