"""Execution quality of one order, and attribution. Costs are positive when they hurt; ``side`` is +1 buy, -1 sell.

Sources: Perold, J. Portfolio Management 14 (1988) for the shortfall; Brinson and Fachler (1985).
"""

import math
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs

FloatArray = inputs.FloatArray
_BPS = 1e4


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Implementation shortfall in USD by part; bps are of the decision's value."""

    delay: float
    execution: float
    opportunity: float
    fees: float
    bps: float

    @property
    def total(self) -> float:
        """Sum of the parts, USD."""
        return math.fsum((self.delay, self.execution, self.opportunity, self.fees))


@dataclass(frozen=True, slots=True)
class Order:
    """What one order wanted and got.

    Parameters
    ----------
    side : +1 buy, -1 sell
    quantity, filled : shares; ``filled`` is between 0 and ``quantity``
    decision, arrival, average, end : USD per share when decided, when sent, over the fills, and at the end
    fees : USD
    """

    side: int
    quantity: float
    filled: float
    decision: float
    arrival: float
    average: float
    end: float
    fees: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an order without a size or a price."""
        if self.side not in (1, -1):
            raise errors.ValueRefused("order.side", "+1 or -1", self.side)
        if not self.quantity > 0 or not self.decision > 0:
            raise errors.ValueRefused(
                "order", "of positive quantity and decision price", (self.quantity, self.decision)
            )
        if not 0 <= self.filled <= self.quantity:
            raise errors.ValueRefused("order.filled", f"from 0 to {self.quantity}", self.filled)


def shortfall(order: Order) -> Shortfall:
    """Split what an order cost against its decision price into delay, execution, opportunity and fees."""
    side, rest = order.side, order.quantity - order.filled
    delay = side * order.quantity * (order.arrival - order.decision)
    execution = side * order.filled * (order.average - order.arrival)
    opportunity = side * rest * (order.end - order.arrival)
    total = math.fsum((delay, execution, opportunity, order.fees))
    return Shortfall(delay, execution, opportunity, order.fees, total / (order.quantity * order.decision) * _BPS)


def slippage_bps(side: int, price: float, reference: float) -> float:
    """Cost of a price against a reference (arrival price, or VWAP over the order's life), bps."""
    return side * (price - reference) / reference * _BPS


@dataclass(frozen=True, slots=True)
class Spreads:
    """Effective spread of a fill and its two parts, bps; effective = realised + impact."""

    effective: float
    realised: float
    impact: float


def spreads(side: int, price: float, *, mid: float, later_mid: float) -> Spreads:
    """Compare a fill with the mid at the fill and five minutes later."""
    return Spreads(
        effective=2 * side * (price - mid) / mid * _BPS,
        realised=2 * side * (price - later_mid) / mid * _BPS,
        impact=2 * side * (later_mid - mid) / mid * _BPS,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """Active return by sector, fraction; the three parts sum to the active return."""

    allocation: FloatArray
    selection: FloatArray
    interaction: FloatArray

    @property
    def total(self) -> float:
        """Active return, fraction."""
        return float(np.sum(self.allocation) + np.sum(self.selection) + np.sum(self.interaction))


def brinson_fachler(
    *, weights: FloatArray, returns: FloatArray, other_weights: FloatArray, other_returns: FloatArray
) -> Attribution:
    """Split the active return of one period by sector (Brinson and Fachler).

    Parameters
    ----------
    weights, other_weights : shape (n_sectors,), fractions that sum to 1, own and benchmark's
    returns, other_returns : shape (n_sectors,), fractions
    """
    benchmark = float(other_weights @ other_returns)
    tilt, pick = weights - other_weights, returns - other_returns
    return Attribution(tilt * (other_returns - benchmark), other_weights * pick, tilt * pick)
