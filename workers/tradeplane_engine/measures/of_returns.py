"""Measures of the returns: growth, risk, drawdown, and against a benchmark."""

from collections.abc import Callable

from tradeplane_engine.measures import drawdowns, inputs, measure, relative, returns, sharpe, tails
from tradeplane_engine.measures import sample as samples

Sample = samples.Sample


def _against(formula: Callable[[Sample, inputs.FloatArray], float | None]) -> Callable[[Sample], float | None]:
    """Lift a formula over both series: without a benchmark it has no value."""

    def value(sample: Sample) -> float | None:
        return None if sample.other is None or sample.other.size == 0 else formula(sample, sample.other)

    return value


def _deepest(sample: Sample) -> drawdowns.Episode | None:
    return drawdowns.deepest(sample.falls)


def _deepest_length(sample: Sample) -> float | None:
    fall = _deepest(sample)
    return None if fall is None else fall.length


def _deepest_recovery(sample: Sample) -> float | None:
    fall = _deepest(sample)
    return None if fall is None or fall.recovery is None else fall.recovery - fall.trough


def _path_drawdown(sample: Sample) -> float | None:
    path = sample.run.path
    return None if path is None else drawdowns.maximum(drawdowns.series(path.wealth()))


def _annual(sample: Sample) -> float | None:
    return returns.annual(sample.returns, sample.year)


def _excess(sample: Sample) -> float | None:
    found = _annual(sample)
    return None if found is None else found - sample.rate


def _final(run: inputs.Run) -> float:
    return float(run.curve.equity[-1]) if run.curve.equity.size else run.curve.start


def _per_period(sample: Sample) -> float | None:
    return returns.sharpe(sample.returns, 1, sample.rate / sample.year)


_OWN = "quant-reference 8"
RETURNS = (
    measure.Measure("final_equity", "return", "usd", "Equity at the last sample", "ledger", lambda s: _final(s.run)),
    measure.Measure(
        "net_profit", "return", "usd", "Final less starting equity, after all costs", "ledger",
        lambda s: _final(s.run) - s.run.curve.start,
    ),
    measure.Measure(
        "total_return", "return", "fraction", "Compounded return over the run", _OWN,
        lambda s: returns.total(s.returns), redrawn=True,
    ),
    measure.Measure(
        "annual_return", "return", "fraction", "Compound annual growth rate (CAGR)", _OWN, _annual, redrawn=True,
    ),
    measure.Measure(
        "mean_return", "return", "fraction", "Arithmetic mean return per period", _OWN,
        lambda s: returns.mean(s.returns), redrawn=True,
    ),
    measure.Measure(
        "sharpe", "return", "ratio", "Mean excess return over its standard deviation, annualised", _OWN,
        lambda s: returns.sharpe(s.returns, s.year, s.rate), redrawn=True,
    ),
    measure.Measure(
        "sortino", "return", "ratio", "Annual mean excess return over downside deviation", _OWN,
        lambda s: returns.sortino(s.returns, s.year, s.rate), redrawn=True,
    ),
    measure.Measure(
        "calmar", "return", "ratio", "Annual return over the size of the deepest drawdown", _OWN,
        lambda s: drawdowns.over(_annual(s), drawdowns.maximum(s.drawdown)), redrawn=True,
    ),
    measure.Measure(
        "omega", "return", "ratio", "Sum of gains over sum of losses, threshold 0", _OWN,
        lambda s: returns.omega(s.returns), redrawn=True,
    ),
    measure.Measure(
        "gain_to_pain", "return", "ratio", "Sum of returns over sum of losses", "Schwager 2012",
        lambda s: returns.gain_to_pain(s.returns), redrawn=True,
    ),
    measure.Measure(
        "probabilistic_sharpe", "return", "fraction", "Probability that the true Sharpe ratio is above 0",
        "Bailey and Lopez de Prado 2012",
        lambda s: sharpe.probabilistic(sharpe.Estimate.of(s.returns, _per_period(s))),
    ),
    measure.Measure(
        "minimum_track_record", "return", "periods", "Length that proves a Sharpe ratio above 0 at 95 %",
        "Bailey and Lopez de Prado 2012",
        lambda s: sharpe.minimum_track_record(sharpe.Estimate.of(s.returns, _per_period(s))),
    ),
    measure.Measure(
        "best_day", "return", "fraction", "Highest return of a period", "definition",
        lambda s: returns.best(s.returns),
    ),
    measure.Measure(
        "worst_day", "return", "fraction", "Lowest return of a period", "definition",
        lambda s: returns.worst(s.returns),
    ),
    measure.Measure(
        "best_month", "return", "fraction", "Highest return of a calendar month", "definition",
        lambda s: returns.best(s.monthly),
    ),
    measure.Measure(
        "worst_month", "return", "fraction", "Lowest return of a calendar month", "definition",
        lambda s: returns.worst(s.monthly),
    ),
    measure.Measure(
        "positive_days", "return", "fraction", "Share of periods with a positive return", "definition",
        lambda s: returns.hit_rate(s.returns), redrawn=True,
    ),
    measure.Measure(
        "positive_months", "return", "fraction", "Share of calendar months with a positive return", "definition",
        lambda s: returns.hit_rate(s.monthly),
    ),
    measure.Measure(
        "stability", "return", "fraction", "Squared correlation of log wealth with time", "empyrical's definition",
        lambda s: returns.stability(s.wealth),
    ),
)  # fmt: skip
RISK = (
    measure.Measure(
        "volatility", "risk", "fraction", "Standard deviation of returns (ddof 1), annualised", _OWN,
        lambda s: returns.volatility(s.returns, s.year), redrawn=True,
    ),
    measure.Measure(
        "deviation", "risk", "fraction", "Standard deviation of returns (ddof 1) per period", _OWN,
        lambda s: returns.deviation(s.returns), redrawn=True,
    ),
    measure.Measure(
        "downside_deviation", "risk", "fraction", "Root mean square of the negative returns, annualised", _OWN,
        lambda s: returns.downside(s.returns, s.year), redrawn=True,
    ),
    measure.Measure(
        "skewness", "risk", "ratio", "Third standardised moment of the population", _OWN,
        lambda s: returns.skewness(s.returns), redrawn=True,
    ),
    measure.Measure(
        "kurtosis", "risk", "ratio", "Fourth standardised moment of the population, normal = 3", _OWN,
        lambda s: returns.kurtosis(s.returns), redrawn=True,
    ),
    measure.Measure(
        "tail_ratio", "risk", "ratio", "Size of the 95 % over the size of the 5 % quantile", "empyrical's definition",
        lambda s: returns.tail_ratio(s.returns), redrawn=True,
    ),
    measure.Measure(
        "autocorrelation", "risk", "ratio", "Correlation of a return with the one before", "definition",
        lambda s: returns.autocorrelation(s.returns),
    ),
    measure.Measure(
        "var_95", "risk", "fraction", "Value at risk 95 %, historical, linear quantile", _OWN,
        lambda s: tails.var_linear(s.returns), redrawn=True,
    ),
    measure.Measure(
        "var_95_order", "risk", "fraction", "Value at risk 95 %, historical, order statistic", _OWN,
        lambda s: tails.var_order(s.returns), redrawn=True,
    ),
    measure.Measure(
        "var_95_normal", "risk", "fraction", "Value at risk 95 %, normal", _OWN,
        lambda s: tails.var_normal(s.returns), redrawn=True,
    ),
    measure.Measure(
        "var_95_cornish_fisher", "risk", "fraction", "Value at risk 95 %, Cornish-Fisher", _OWN,
        lambda s: tails.var_cornish_fisher(s.returns), redrawn=True,
    ),
    measure.Measure(
        "var_95_ewma", "risk", "fraction", "Value at risk 95 % of the next period, EWMA 0.94, mean 0", _OWN,
        lambda s: tails.var_ewma(s.returns),
    ),
    measure.Measure(
        "var_99_ewma", "risk", "fraction", "Value at risk 99 % of the next period, EWMA 0.94, mean 0", _OWN,
        lambda s: tails.var_ewma(s.returns, 0.01),
    ),
    measure.Measure(
        "es_95", "risk", "fraction", "Expected shortfall 95 %, Rockafellar-Uryasev", _OWN,
        lambda s: tails.es(s.returns), redrawn=True,
    ),
    measure.Measure(
        "es_95_tail_mean", "risk", "fraction", "Expected shortfall 95 %, plain mean of the tail", _OWN,
        lambda s: tails.es_tail_mean(s.returns), redrawn=True,
    ),
    measure.Measure(
        "es_95_normal", "risk", "fraction", "Expected shortfall 95 %, normal", _OWN,
        lambda s: tails.es_normal(s.returns), redrawn=True,
    ),
)  # fmt: skip
DRAWDOWNS = (
    measure.Measure(
        "max_drawdown", "drawdown", "fraction", "Deepest fall from a peak", _OWN,
        lambda s: drawdowns.maximum(s.drawdown), redrawn=True,
    ),
    measure.Measure(
        "max_drawdown_path", "drawdown", "fraction", "Deepest fall on the curve before sampling", _OWN,
        _path_drawdown,
    ),
    measure.Measure(
        "max_drawdown_duration", "drawdown", "periods", "Deepest fall, peak to recovery or to the end", "definition",
        _deepest_length,
    ),
    measure.Measure(
        "max_drawdown_recovery", "drawdown", "periods", "Deepest fall, trough to recovery; undefined while it lasts",
        "definition", _deepest_recovery,
    ),
    measure.Measure(
        "longest_drawdown", "drawdown", "periods", "Longest time below a peak", "definition",
        lambda s: drawdowns.longest(s.falls) if s.returns.size else None,
    ),
    measure.Measure(
        "average_drawdown", "drawdown", "fraction", "Mean depth of the falls", "definition",
        lambda s: drawdowns.average(s.falls),
    ),
    measure.Measure(
        "current_drawdown", "drawdown", "fraction", "Drawdown at the last sample", "definition",
        lambda s: float(s.drawdown[-1]) if s.drawdown.size else None,
    ),
    measure.Measure(
        "ulcer_index", "drawdown", "fraction", "Root mean square drawdown", "Martin 1987",
        lambda s: drawdowns.ulcer(s.drawdown), redrawn=True,
    ),
    measure.Measure(
        "pain_index", "drawdown", "fraction", "Mean drawdown", "Becker 2006",
        lambda s: drawdowns.pain(s.drawdown), redrawn=True,
    ),
    measure.Measure(
        "pain_ratio", "drawdown", "ratio", "Annual excess return over the pain index", "Becker 2006",
        lambda s: drawdowns.over(_excess(s), drawdowns.pain(s.drawdown)), redrawn=True,
    ),
    measure.Measure(
        "martin_ratio", "drawdown", "ratio", "Annual excess return over the ulcer index", "Martin 1987",
        lambda s: drawdowns.over(_excess(s), drawdowns.ulcer(s.drawdown)), redrawn=True,
    ),
    measure.Measure(
        "recovery_factor", "drawdown", "ratio", "Total return over the size of the deepest drawdown", "definition",
        lambda s: drawdowns.over(returns.total(s.returns), drawdowns.maximum(s.drawdown)), redrawn=True,
    ),
)  # fmt: skip
BENCHMARK = (
    measure.Measure(
        "benchmark_return", "benchmark", "fraction", "The benchmark's annual return", _OWN,
        _against(lambda s, b: returns.annual(b, s.year)), redrawn=True,
    ),
    measure.Measure(
        "active_return", "benchmark", "fraction", "Annual return less the benchmark's", "definition",
        _against(lambda s, b: relative.active_return(s.returns, b, s.year)), redrawn=True,
    ),
    measure.Measure(
        "alpha", "benchmark", "fraction", "Mean excess return not explained by beta, per year", "Jensen 1968",
        _against(lambda s, b: relative.alpha(s.returns, b, s.year, s.rate)), redrawn=True,
    ),
    measure.Measure(
        "beta", "benchmark", "ratio", "Covariance with the benchmark over its variance", "Sharpe 1964",
        _against(lambda s, b: relative.beta(s.returns, b)), redrawn=True,
    ),
    measure.Measure(
        "correlation", "benchmark", "ratio", "Pearson correlation with the benchmark", "definition",
        _against(lambda s, b: relative.correlation(s.returns, b)), redrawn=True,
    ),
    measure.Measure(
        "tracking_error", "benchmark", "fraction", "Standard deviation of the active return, annualised", "definition",
        _against(lambda s, b: relative.tracking_error(s.returns, b, s.year)), redrawn=True,
    ),
    measure.Measure(
        "information_ratio", "benchmark", "ratio", "Mean active return over its standard deviation, annualised",
        "Grinold 1989", _against(lambda s, b: relative.information_ratio(s.returns, b, s.year)), redrawn=True,
    ),
    measure.Measure(
        "up_capture", "benchmark", "ratio", "Geometric mean return over the benchmark's where it rose", "Morningstar",
        _against(lambda s, b: relative.up_capture(s.returns, b)), redrawn=True,
    ),
    measure.Measure(
        "down_capture", "benchmark", "ratio", "Geometric mean return over the benchmark's where it fell",
        "Morningstar", _against(lambda s, b: relative.down_capture(s.returns, b)), redrawn=True,
    ),
    measure.Measure(
        "treynor", "benchmark", "ratio", "Annual mean excess return per unit of beta", "Treynor 1965",
        _against(lambda s, b: relative.treynor(s.returns, b, s.year, s.rate)), redrawn=True,
    ),
    measure.Measure(
        "modigliani", "benchmark", "fraction", "Annual return at the benchmark's volatility (M squared)",
        "Modigliani and Modigliani 1997",
        _against(lambda s, b: relative.modigliani(s.returns, b, s.year, s.rate)), redrawn=True,
    ),
)  # fmt: skip
