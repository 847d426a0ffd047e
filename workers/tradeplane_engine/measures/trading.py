"""Measures of round trips. A win has a positive and a loss a negative P&L after fees; a scratch counts as neither."""

import math

import numpy as np
import numpy.typing as npt

from tradeplane_engine.domain import times
from tradeplane_engine.measures import inputs

Trades = inputs.Trades
_PAIR = 2


def win_rate(trades: Trades) -> float | None:
    """Wins over all trades."""
    return float(np.mean(trades.pnl > 0)) if len(trades) else None


def profit_factor(trades: Trades) -> float | None:
    """Sum of wins over sum of losses; None without a loss."""
    losses = float(-trades.pnl[trades.pnl < 0].sum())
    return float(trades.pnl[trades.pnl > 0].sum()) / losses if losses else None


def payoff(trades: Trades) -> float | None:
    """Average win over average loss; None without both."""
    win, loss = average_win(trades), average_loss(trades)
    return win / -loss if win is not None and loss is not None else None


def expectancy(trades: Trades) -> float | None:
    """Mean P&L per trade, USD."""
    return _mean(trades.pnl)


def average_win(trades: Trades) -> float | None:
    """Mean P&L of the wins, USD."""
    return _mean(trades.pnl[trades.pnl > 0])


def average_loss(trades: Trades) -> float | None:
    """Mean P&L of the losses, USD, negative."""
    return _mean(trades.pnl[trades.pnl < 0])


def largest_win(trades: Trades) -> float | None:
    """Highest P&L of a win, USD; None without one."""
    return float(trades.pnl.max()) if (trades.pnl > 0).any() else None


def largest_loss(trades: Trades) -> float | None:
    """Lowest P&L of a loss, USD; None without one."""
    return float(trades.pnl.min()) if (trades.pnl < 0).any() else None


def average_bars(trades: Trades) -> float | None:
    """Mean number of bars held."""
    return _mean(trades.bars.astype(np.float64))


def average_days(trades: Trades) -> float | None:
    """Mean time from entry to exit, calendar days."""
    return _mean((trades.exit_at - trades.entry_at) / times.DAY)


def longest_losing_run(trades: Trades) -> int:
    """Most losses in a row, in the order of exits."""
    return _longest(trades.pnl[_by_exit(trades)] < 0)


def longest_winning_run(trades: Trades) -> int:
    """Most wins in a row, in the order of exits."""
    return _longest(trades.pnl[_by_exit(trades)] > 0)


def average_mae(trades: Trades) -> float | None:
    """Mean worst open profit as fraction of the entry's value, at most 0."""
    return _mean(trades.mae / (trades.quantity * trades.entry_price))


def average_mfe(trades: Trades) -> float | None:
    """Mean best open profit as fraction of the entry's value, at least 0."""
    return _mean(trades.mfe / (trades.quantity * trades.entry_price))


def edge_ratio(trades: Trades) -> float | None:
    """Mean best open profit over the size of the mean worst one; None where nothing ever went against us."""
    worst, best = average_mae(trades), average_mfe(trades)
    return best / -worst if best is not None and worst else None


def sqn(trades: Trades) -> float | None:
    """System quality number: sqrt(count) times mean over standard deviation (ddof 1) of the P&L (Tharp)."""
    if len(trades) < _PAIR:
        return None
    spread = float(np.std(trades.pnl, ddof=1))
    # A P&L that is the same in every trade still scatters by the rounding of its mean.
    if spread <= 1e-12 * float(np.abs(trades.pnl).max()):
        return None
    return math.sqrt(len(trades)) * float(np.mean(trades.pnl)) / spread


def kelly(trades: Trades) -> float | None:
    """Kelly fraction of a binary bet with these trades' win rate and payoff."""
    rate, ratio = win_rate(trades), payoff(trades)
    return None if rate is None or ratio is None else kelly_fraction(rate, ratio)


def kelly_fraction(win_rate: float, payoff: float) -> float:
    """Kelly's stake ``p - (1 - p) / b`` of equity; negative means: do not bet."""
    return win_rate - (1.0 - win_rate) / payoff


def long_share(trades: Trades) -> float | None:
    """Share of trades that were long."""
    return float(np.mean(trades.side > 0)) if len(trades) else None


def _by_exit(trades: Trades) -> npt.NDArray[np.intp]:
    return np.argsort(trades.exit_at, kind="stable")


def _mean(values: inputs.FloatArray) -> float | None:
    return float(np.mean(values)) if values.size else None


def _longest(rows: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], rows, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
