"""How much was held, how much was traded, and what that cost."""

import math

import numpy as np

from tradeplane_engine.measures import inputs

FloatArray = inputs.FloatArray


def average(exposure: FloatArray | None) -> float | None:
    """Mean exposure, fraction of equity."""
    return float(np.mean(exposure)) if exposure is not None and exposure.size else None


def highest(exposure: FloatArray | None) -> float | None:
    """Highest exposure, fraction of equity."""
    return float(exposure.max()) if exposure is not None and exposure.size else None


def time_in_market(gross: FloatArray | None) -> float | None:
    """Share of samples with any position."""
    return float(np.mean(gross > 0)) if gross is not None and gross.size else None


def traded(fills: inputs.Fills) -> float:
    """Value of everything bought and sold, USD."""
    return math.fsum(fills.traded().tolist())


def turnover(run: inputs.Run) -> float | None:
    """Value bought and sold per year over the mean equity; both sides count, so 2 replaces the book once."""
    equity = run.curve.equity
    if equity.size == 0 or float(equity.mean()) <= 0:
        return None
    return traded(run.fills) / float(equity.mean()) / (equity.size / run.periods_per_year)


def turnover_series(run: inputs.Run) -> FloatArray:
    """Value traded up to each sample since the one before, over the equity before it; shape (n,), NaN after ruin."""
    curve = run.curve
    if curve.at.size == 0:
        return np.empty(0)
    # A fill after the last close belongs to the last sample: nothing that was traded may fall out of the picture.
    rows = np.minimum(np.searchsorted(curve.at, run.fills.at), curve.at.size - 1)
    value = np.bincount(rows, weights=run.fills.traded(), minlength=curve.at.size)
    before = np.concatenate(([curve.start], curve.equity[:-1]))
    found = np.full(curve.at.size, np.nan)
    np.divide(value, before, out=found, where=before > 0)
    return found


def costs(run: inputs.Run) -> dict[str, float]:
    """Cost by kind, USD, positive when it hurts: fees, spread, slippage, then the charges by name."""
    fills = run.fills
    found = {
        "fees": math.fsum(fills.fee.tolist()),
        "spread": math.fsum(fills.spread.tolist()),
        "slippage": math.fsum(fills.slippage.tolist()),
    }
    for kind in sorted(run.charges):
        found[kind] = found.get(kind, 0.0) + run.charges[kind]
    return found


def total_cost(run: inputs.Run) -> float:
    """Sum of all costs, USD."""
    return math.fsum(costs(run).values())


def bps(cost: float, run: inputs.Run) -> float | None:
    """Return a cost in basis points of the value traded; None where nothing was traded."""
    value = traded(run.fills)
    return cost / value * 1e4 if value else None


def cost_share(run: inputs.Run) -> float | None:
    """Part of the profit before costs that costs took; None where there was no such profit."""
    if run.curve.equity.size == 0:
        return None
    cost = total_cost(run)
    before = float(run.curve.equity[-1]) - run.curve.start + cost
    return cost / before if before > 0 else None
