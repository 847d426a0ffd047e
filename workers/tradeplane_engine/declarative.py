"""The strategy that a manifest declares: features, predictor, signals, targets, once for the bars that end together.

- Without usable predictions, or with fewer scores than the portfolio needs, it wants nothing: positions stay (outcome
  ``prediction-late`` or ``no-signal``, with the reason as detail).
- A symbol that has a bar but no score gets the target zero; without a bar nothing can be said.

It uses nothing of the engine but its context, so that whatever shows it bars (backtest, replay, live) may run it.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tradeplane_engine import errors, portfolio, settings, signals, strategy
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor


class Features(Protocol):
    """Feature rows of the bars that end together."""

    def rows_at(self, end: times.Nanos) -> sources.Scorable:
        """Return the symbols whose window is complete with the bars that end then, and a row for each."""
        ...


class Shown(Protocol):
    """A bar, as far as it is looked at; prices in 1e-4 USD."""

    @property
    def symbol(self) -> str:
        """Name of the symbol."""
        ...

    @property
    def end(self) -> Any:
        """End of its interval, ns UTC."""
        ...

    @property
    def close(self) -> Any:
        """Last price."""
        ...


class Declarative(strategy.Strategy):
    """One generation of a Strategy.

    Parameters
    ----------
    declared : what the manifest says
    features : rows by the end of their bars
    model : what scores them
    """

    def __init__(self, declared: settings.StrategySettings, *, features: Features, model: predictor.Predictor) -> None:
        super().__init__()
        self._declared = declared
        self._features = features
        self._model = model

    def on_bars(self, ctx: Any, bars: Any) -> None:
        """Decide on the bars of one timeframe that end together: the kernel's, or any that are :class:`Shown`."""
        closes = {bar.symbol: bar.close for bar in bars}
        end = max(bar.end for bar in bars)
        try:
            found = self._signals(end)
        except errors.PredictionFailed as failure:
            late = failure.reason == "late"
            ctx.outcome(orders.Outcome.PREDICTION_LATE if late else orders.Outcome.NO_SIGNAL, str(failure))
            return
        construct = self._declared.portfolio
        targets = portfolio.targets(found, construct=construct, closes=closes)
        for one in found:
            wanted = targets.get(one.symbol, 0)
            ctx.signal(
                one.symbol,
                one.score,
                direction=(wanted > 0) - (wanted < 0),
                model=self._declared.model_digest,
                features=one.features,
            )
        if not targets:
            detail = f"too-few-scores: at least {construct.needed} needed, got {len(found)}"
            ctx.outcome(orders.Outcome.NO_SIGNAL, detail)
            return
        for symbol in sorted(closes):
            ctx.target(symbol, shares=targets.get(symbol, 0) // numbers.ONE_SHARE)

    def shown(self, bars: Iterable[Shown]) -> Callable[[Any], None]:
        """Return the turn in which it is shown these bars."""
        return functools.partial(self.on_bars, bars=tuple(bars))

    def _signals(self, end: times.Nanos) -> tuple[orders.Signal, ...]:
        symbols, rows = self._features.rows_at(end)
        if not symbols:
            return ()
        prediction = self._model.predict(self._declared.features.columns, rows)
        if prediction.digest != self._declared.model_digest:
            raise errors.PredictionFailed(
                "wrong-digest", f"expected {self._declared.model_digest}, got {prediction.digest}"
            )
        return signals.combine(symbols, rows, prediction)
