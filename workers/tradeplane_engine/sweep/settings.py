"""What every configuration of a sweep runs under: cash, costs and limits."""

import hashlib
from dataclasses import dataclass, field, fields
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.core import costs
from tradeplane_engine.core.limits import Limits
from tradeplane_engine.domain import numbers

# Grows when results of the same code, data and settings would differ from those of an earlier engine.
ENGINE = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a sweep; raises ValueRefused for a value outside its limits.

    Parameters
    ----------
    cash : of the account and of its one strategy, 1e-9 USD
    commission_bps, half_spread_bps : of every fill, as in :class:`~tradeplane_engine.core.costs.Costs`
    limits : judge strategy and account
    latency : between a decision and the venue's having its orders, ns
    schedule : fees by date, which only the event engine knows; None for none
    """

    cash: int
    commission_bps: Fraction = Fraction(0)
    half_spread_bps: Fraction = Fraction(0)
    limits: Limits = field(default_factory=Limits)
    latency: int = 0
    schedule: costs.Schedule | None = None

    def __post_init__(self) -> None:
        """Refuse cash and latency that are none, and rates that the costs refuse."""
        if not 0 < numbers.whole(self.cash, "an int of 1e-9 USD", field="cash") < 2**62:
            raise errors.ValueRefused("cash", "more than 0 and below 2^62 (1e-9 USD)", self.cash)
        if numbers.whole(self.latency, "an int of ns", field="latency") < 0:
            raise errors.ValueRefused("latency", "0 or more ns", self.latency)
        self.costs()

    def costs(self) -> costs.Costs:
        """Costs of a fill."""
        return costs.Costs(
            half_spread_bps=self.half_spread_bps, commission_bps=self.commission_bps, schedule=self.schedule
        )

    def identity(self) -> str:
        """Digest of every setting and of the engine's version."""
        shown = [f"{one.name}={getattr(self, one.name)!r}" for one in fields(self)]
        return hashlib.sha256(";".join((f"engine={ENGINE}", *shown)).encode()).hexdigest()
