"""Measures per strategy, symbol, year and month: one row each, the columns are names of the registry."""

import dataclasses
import math

import numpy as np

from tradeplane_engine.measures import inputs, periods, registry

Row = dict[str, float | None]

TRADING = (
    "trades", "trade_profit", "win_rate", "profit_factor", "payoff", "expectancy", "largest_win", "largest_loss",
    "average_bars", "average_mae", "average_mfe", "traded", "total_cost", "cost_bps",
)  # fmt: skip
RETURNS = (
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "max_drawdown", "worst_day", "positive_days",
)  # fmt: skip
YEARLY = (
    "total_return", "volatility", "sharpe", "sortino", "max_drawdown", "best_day", "worst_day", "positive_days",
    "trades", "trade_profit", "win_rate", "total_cost",
)  # fmt: skip


def by_strategy(run: inputs.Run) -> dict[str, Row]:
    """Trading measures of each strategy, and those of returns where its sub-ledger's curve is known."""
    names = {*run.trades.strategy.tolist(), *run.fills.strategy.tolist(), *run.strategies}
    found = {}
    for name in sorted(names):
        own = _narrowed(run, run.trades.strategy == name, run.fills.strategy == name)
        row = registry.compute(own, TRADING)
        curve = run.strategies.get(name)
        if curve is not None:
            row |= registry.compute(dataclasses.replace(own, curve=curve, benchmark=None), RETURNS)
        else:
            row |= dict.fromkeys(RETURNS)
        found[name] = row
    return found


def by_symbol(run: inputs.Run) -> dict[str, Row]:
    """Trading measures of each symbol, by name."""
    # Sorted once: a mask per symbol would read every trade again for each of a thousand symbols.
    trades, fills = _places(run.trades.symbol), _places(run.fills.symbol)
    nothing = np.empty(0, dtype=np.intp)
    return {
        name: registry.compute(_narrowed(run, trades.get(name, nothing), fills.get(name, nothing)), TRADING)
        for name in sorted({*trades, *fills})
    }


def by_period(run: inputs.Run, unit: periods.Unit) -> dict[str, Row]:
    """Measures of each calendar year or month; a trade belongs to the period of its exit.

    A period that begins after ruin is left out: there is no capital that could have a return.
    """
    at, found = run.curve.at, {}
    for period in periods.split(at, unit):
        curve_start = run.curve.equity[period.first - 1] if period.first else run.curve.start
        if curve_start <= 0:
            break
        since = at[period.first - 1] if period.first else np.iinfo(np.int64).min
        until = at[period.stop - 1] if period.stop < at.size else np.iinfo(np.int64).max
        part = _narrowed(
            run,
            (run.trades.exit_at > since) & (run.trades.exit_at <= until),
            (run.fills.at > since) & (run.fills.at <= until),
        )
        part = dataclasses.replace(part, curve=run.curve.part(period.first, period.stop))
        found[period.name] = registry.compute(part, YEARLY)
    return found


def unexplained(run: inputs.Run) -> float:
    """Net profit that no closed trade holds: open positions, dividends and charges, USD."""
    last = float(run.curve.equity[-1]) if run.curve.equity.size else run.curve.start
    return math.fsum((last, -run.curve.start, *(-run.trades.pnl).tolist()))


def _narrowed(
    run: inputs.Run, trades: np.typing.NDArray[np.generic], fills: np.typing.NDArray[np.generic]
) -> inputs.Run:
    """Return the run with some trades and fills only; charges are the account's and stay out."""
    return dataclasses.replace(
        run,
        trades=run.trades.where(trades),
        fills=run.fills.where(fills),
        benchmark=None,
        path=None,
        strategies={},
        charges={},
    )


def _places(names: inputs.TextArray) -> dict[str, np.typing.NDArray[np.intp]]:
    """Row numbers by name, in order."""
    if names.size == 0:
        return {}
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return {str(ordered[start]): part for start, part in zip(starts, np.split(order, starts[1:]), strict=True)}
