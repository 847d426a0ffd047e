"""One training run: configuration in, artifact and result out.

1. translate the spec; 2. read the history that was known at the training's end; 3. train; 4. store the artifact by its
digest; 5. store the result under the submission id. What was wrong, if anything, is in the result's ``error``.
"""

import math

import structlog

from tradeplane_engine import errors
from tradeplane_engine.domain import timeframes, times
from tradeplane_engine.models import lightgbm
from tradeplane_workers import artifacts, history_client, messages, translate
from tradeplane_workers.jobs import earlier

log = structlog.get_logger(__name__)

TIMEFRAME = timeframes.DAY


def run(
    config: messages.TrainingConfig, history: history_client.History, store: artifacts.ArtifactStore
) -> messages.TrainingResult:
    """Train, or say why not; the result is in the store when this returns."""
    done = earlier.success(config.submission_id, store.run, store)
    if done is not None:
        log.info("training was done before", submission_id=config.submission_id, digest=done.digest)
        return done
    try:
        result = _train(config, history, store)
    except (errors.EngineError, history_client.HistoryRefusedError, history_client.HistoryUnavailableError) as error:
        log.warning("training failed", submission_id=config.submission_id, error=str(error))
        result = messages.TrainingResult(submission_id=config.submission_id, error=str(error))
    store.put_run(result)
    return result


def _train(
    config: messages.TrainingConfig, history: history_client.History, store: artifacts.ArtifactStore
) -> messages.TrainingResult:
    settings = translate.training(config)
    slices = history.slices(
        settings.symbols,
        timeframe=TIMEFRAME,
        start=settings.start,
        end=settings.end,
        session=timeframes.REGULAR,
    )
    log.info("history read", submission_id=config.submission_id, slices=len(slices))
    trained = lightgbm.train(settings, slices)
    if trained.last_bar_available_at > settings.end or trained.last_label_end > settings.end:
        # The engine leaves out what became known later; a model that saw more must never be served.
        seen = times.text(max(trained.last_bar_available_at, trained.last_label_end))
        raise errors.ModelRefused(
            f"source.training.end: must be after all data, {times.text(settings.end)}, saw {seen}"
        )
    digest = store.put(trained.artifact)
    log.info("artifact stored", submission_id=config.submission_id, digest=digest, rows=trained.rows)
    return messages.TrainingResult(
        submission_id=config.submission_id,
        artifact=store.url(digest),
        digest=digest,
        rows=trained.rows,
        trials=trained.trials,
        first_bar=times.text(trained.first_bar),
        last_bar_available_at=times.text(trained.last_bar_available_at),
        last_label_end=times.text(trained.last_label_end),
        metrics=_metrics(trained),
    )


def _metrics(trained: lightgbm.Trained) -> dict[str, float]:
    """Return the figures that exist: a rank IC needs sessions in which symbols differ."""
    figures = {
        "validation_rows": float(trained.validation_rows),
        "validation_sessions": float(trained.validation_sessions),
        "validation_rank_ic": trained.validation_rank_ic,
        "validation_rank_ic_se": trained.validation_rank_ic_se,
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}
