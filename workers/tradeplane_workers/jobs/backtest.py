"""One backtest: configuration in, result document and outcome out.

1. translate the spec; 2. read the history that the period needs; 3. fetch the Model's artifact; 4. run the engine, and
again for the audit; 5. store the document by its digest; 6. store the outcome under the submission id. What was wrong,
if anything, is in the outcome's ``error``; ``refused`` says that the same again would give the same.
"""

import functools

import structlog

from tradeplane_engine import errors
from tradeplane_engine.domain import timeframes
from tradeplane_engine.models import lightgbm
from tradeplane_workers import (
    artifacts,
    backtest_audit,
    backtest_result,
    backtest_run,
    exchange_days,
    history_client,
    messages,
    translate,
)
from tradeplane_workers.jobs import earlier

log = structlog.get_logger(__name__)

# A BacktestConfig does not name the Environment's calendar; US equities trade on this one's days.
_EXCHANGE = "XNYS"


def run(
    config: messages.BacktestConfig, history: history_client.History, store: artifacts.ArtifactStore
) -> messages.BacktestResult:
    """Run the backtest, or say why not; the outcome is in the store when this returns."""
    done = earlier.success(config.submission_id, store.backtest, store)
    if done is not None:
        log.info("backtest was done before", submission_id=config.submission_id, hash=done.hash)
        return done
    try:
        result = _run(config, history, store)
    except (history_client.HistoryUnavailableError, errors.ModelRefused) as error:
        # A provider or a store that does not answer now may answer the next attempt.
        result = _failed(config, error, refused=False)
    except (errors.EngineError, history_client.HistoryRefusedError) as error:
        result = _failed(config, error, refused=True)
    store.put_run(result)
    return result


def _failed(config: messages.BacktestConfig, error: Exception, *, refused: bool) -> messages.BacktestResult:
    log.warning("backtest failed", submission_id=config.submission_id, error=str(error), refused=refused)
    return messages.BacktestResult(submission_id=config.submission_id, error=str(error), refused=refused)


def _run(
    config: messages.BacktestConfig, history: history_client.History, store: artifacts.ArtifactStore
) -> messages.BacktestResult:
    wanted = translate.backtest(config.spec)
    if wanted.strategy != config.strategy.name:
        raise errors.ValueRefused("strategyRef", f"the resolved Strategy {config.strategy.name}", wanted.strategy)
    traded = backtest_run.strategy(config.strategy.name, config.strategy.spec, model=config.model, policy=config.policy)
    if config.model is None:
        raise errors.ValueRefused("model", "the Model that the Strategy names", None)
    slices = history.slices(
        traded.symbols,
        timeframe=traded.timeframe,
        start=backtest_run.first_needed(traded, wanted.start),
        end=wanted.end,
        session=traded.session,
    )
    hours = {} if traded.timeframe == timeframes.DAY else exchange_days.hours(_EXCHANGE)
    data = backtest_run.read(slices, traded, start=wanted.start, end=wanted.end, hours=hours)
    log.info("history read", submission_id=config.submission_id, slices=len(slices), data=data.digest)
    if wanted.data not in {None, data.digest}:
        raise errors.ValueRefused("data.digest", f"that of the bars that were read, {data.digest}", wanted.data)
    model = lightgbm.load(artifacts.fetch(config.model.artifact, config.model.digest), expected=config.model.digest)
    account = backtest_run.account()
    again = functools.partial(backtest_run.run, traded, model=model, on=account, start=wanted.start, end=wanted.end)
    result = again(data)
    accusation = backtest_audit.accusation(again, data, result, seed=wanted.seed) if wanted.audit else ""
    if accusation:
        log.warning("backtest is accused", submission_id=config.submission_id, accusation=accusation)
    asked = backtest_result.Asked(
        traded=traded,
        strategy=config.strategy.spec,
        policy=config.policy.spec,
        account=account,
        start=wanted.start,
        end=wanted.end,
        seed=wanted.seed,
        trials=config.trials,
    )
    told = backtest_result.tell(asked, data, result)
    digest = store.put(told.content)
    log.info("result stored", submission_id=config.submission_id, digest=digest, hash=told.hash)
    return messages.BacktestResult(
        submission_id=config.submission_id,
        artifact=store.url(digest),
        digest=digest,
        hash=told.hash,
        data=data.digest,
        trials=config.trials,
        audit=("Failed" if accusation else "Passed") if wanted.audit else "NotRun",
        accusation=accusation,
        measures=told.measures,
    )
