"""A policy's limits as plain 64-bit numbers, so that a check of the hot path compares in C."""

from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.core.limits import Limits

_LARGEST = 9223372036854775807


class Bounds:
    """Numbers of :class:`~tradeplane_engine.core.limits.Limits`; what has no limit gets one that nothing exceeds.

    Attributes
    ----------
    max_notional and so on : as in the limits; the largest 64-bit integer for None, and for what is larger
    weight, gross, net, daily_loss, drawdown : numerators; money is compared exactly, in 128 bits
    weight_whole and so on : their denominators, 0 for no limit
    concentration : the fraction, or None; its square sums leave 128 bits
    """

    __slots__ = (
        *("allow_short", "concentration", "daily_loss", "daily_loss_whole", "drawdown", "drawdown_whole"),
        *("gross", "gross_whole", "max_bar_age", "max_consecutive_losses", "max_notional", "max_open_orders"),
        *("max_position_notional", "max_positions", "max_quantity", "net", "net_whole", "rough_concentration"),
        *("weight", "weight_whole"),
    )

    def __init__(self, limits: Limits) -> None:
        self.max_notional = _whole(limits.max_notional)
        self.max_quantity = _whole(limits.max_quantity)
        self.max_open_orders = _whole(limits.max_open_orders)
        self.max_position_notional = _whole(limits.max_position_notional)
        self.max_positions = _whole(limits.max_positions)
        self.max_consecutive_losses = _whole(limits.max_consecutive_losses)
        self.max_bar_age = _whole(limits.max_bar_age)
        self.allow_short = limits.allow_short
        self.weight, self.weight_whole = _ratio("max_weight", limits.max_weight)
        self.gross, self.gross_whole = _ratio("max_gross", limits.max_gross)
        self.net, self.net_whole = _ratio("max_net", limits.max_net)
        self.daily_loss, self.daily_loss_whole = _ratio("max_daily_loss", limits.max_daily_loss)
        self.drawdown, self.drawdown_whole = _ratio("max_drawdown", limits.max_drawdown)
        self.concentration = limits.max_concentration
        # What is below this by a float's reckoning is below the limit by the integers' too.
        self.rough_concentration = 0.0 if self.concentration is None else float(self.concentration) * (1 - 1e-9)


def _whole(limit: int | None) -> int:
    return _LARGEST if limit is None or limit > _LARGEST else limit


def _ratio(name: str, limit: Fraction | None) -> tuple[int, int]:
    if limit is None:
        return 0, 0
    exact = Fraction(limit)
    if max(exact.numerator, exact.denominator) > _LARGEST:
        raise errors.ValueRefused(name, "a fraction of 64-bit integers", str(exact))
    return exact.numerator, exact.denominator
