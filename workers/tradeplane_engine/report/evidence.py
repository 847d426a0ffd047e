"""How sure a result is: each finding is one number with what it means and, where one exists, a rule of thumb."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import (
    inputs,
    measure,
    overfitting,
    random_entry,
    resampling,
    returns,
    sample,
    sharpe,
    tails,
)
from tradeplane_engine.report import wording

_LEVEL = 0.95
_KUPIEC_WINDOW = 250
_KUPIEC_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Trials:
    """How many variants were ever tried, and the variance (ddof 1) of their Sharpe ratios per period."""

    count: int
    variance: float

    def __post_init__(self) -> None:
        """Refuse what no search can have made."""
        if self.count < 1:
            raise errors.ValueRefused("trials.count", "at least 1", self.count)
        if not self.variance >= 0:
            raise errors.ValueRefused("trials.variance", "at least 0", self.variance)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What only the caller knows.

    Parameters
    ----------
    trials : of the search that found this run
    search : what cross-validation of the whole search found
    bar_returns : simple return of each bar by symbol, for the random entries
    """

    trials: Trials | None = None
    search: overfitting.Overfitting | None = None
    bar_returns: Mapping[str, inputs.FloatArray] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of evidence; ``good`` is None where there is no rule."""

    name: str
    value: float | None
    unit: measure.Unit
    meaning: str
    good: bool | None = None


def gather(whole: sample.Sample, known: Known, *, seed: int, draws: int) -> tuple[Finding, ...]:
    """Return what can be said about this run, in the order of a reader's doubts."""
    found = [*_sharpe(whole, known.trials)]
    if known.search is not None:
        found.append(_overfitting(known.search))
    if draws:
        found += _trades(whole.run, known, seed=seed, draws=draws)
    return (*found, *_kupiec(whole.returns))


def _sharpe(whole: sample.Sample, trials: Trials | None) -> list[Finding]:
    ratio = returns.sharpe(whole.returns, 1, whole.rate / whole.year)
    estimate = sharpe.Estimate.of(whole.returns, ratio)
    chance = sharpe.probabilistic(estimate)
    needed = sharpe.minimum_track_record(estimate)
    found = [
        Finding(
            "probabilistic_sharpe",
            chance,
            "fraction",
            "Probability that the true Sharpe ratio is above 0, given length, skew and tails of this record",
            _above(chance, _LEVEL),
        ),
        Finding(
            "minimum_track_record",
            needed,
            "periods",
            f"Periods needed to say so at 95 %; this record has {whole.returns.size:,}",
            None if needed is None else needed <= whole.returns.size,
        ),
    ]
    if trials is not None:
        deflated = sharpe.deflated(estimate, trials=trials.count, variance=trials.variance)
        found.append(
            Finding(
                "deflated_sharpe",
                deflated,
                "fraction",
                f"Probability that the true Sharpe ratio beats the luckiest of {trials.count:,} worthless trials",
                _above(deflated, _LEVEL),
            )
        )
    return found


def _overfitting(result: overfitting.Overfitting) -> Finding:
    return Finding(
        "probability_of_overfitting",
        result.probability,
        "fraction",
        f"Splits in which the best of {result.trials:,} trials fell below the median out of sample (CSCV)",
        result.probability < 0.5,  # noqa: PLR2004 - worse than a coin
    )


def _trades(run: inputs.Run, known: Known, *, seed: int, draws: int) -> list[Finding]:
    found = []
    if known.bar_returns is not None:
        timing = random_entry.significance(run.trades, known.bar_returns, seed=seed, draws=draws)
        if timing is not None:
            found.append(
                Finding(
                    "random_entry",
                    timing.p_value,
                    "fraction",
                    "p-value: share of random entries with the same symbols, sides and holding times that did as well; "
                    f"mean return per trade {wording.percent(timing.observed)}, "
                    f"theirs {wording.percent(timing.expected)}",
                    timing.p_value < 1 - _LEVEL,
                )
            )
    order = np.argsort(run.trades.exit_at, kind="stable")
    other = resampling.reorder(run.trades.pnl[order], start=run.curve.start, seed=seed, draws=draws)
    if other is not None:
        found.append(
            Finding(
                "reordered_drawdown",
                other.worst,
                "fraction",
                f"Deepest drawdown of the same trades in one of twenty orders; median {wording.percent(other.median)}, "
                f"as it happened {wording.percent(other.observed)} (closed trades only)",
            )
        )
    return found


def _kupiec(values: inputs.FloatArray) -> list[Finding]:
    """Test the daily VaR on itself; too short a record has too few exceptions, too long a one costs too much."""
    if not 2 * _KUPIEC_WINDOW <= values.size <= _KUPIEC_MOST:
        return []
    seen = tails.var_exceptions(values, window=_KUPIEC_WINDOW)
    count = values.size - _KUPIEC_WINDOW
    test = tails.kupiec(periods=count, exceptions=seen, tail=0.05)
    return [
        Finding(
            "var_coverage",
            test.p_value,
            "fraction",
            f"Kupiec p-value of VaR 95 % from the {_KUPIEC_WINDOW} periods before: {seen} losses beyond it in "
            f"{count:,} periods, {count * 0.05:.0f} promised",
            test.p_value >= 1 - _LEVEL,
        )
    ]


def _above(value: float | None, level: float) -> bool | None:
    return None if value is None else value >= level
