"""What one RiskPolicy allows, as integers and exact fractions."""

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from tradeplane_engine import errors


class Breach(StrEnum):
    """What happens when a family's limit is exceeded.

    reject refuses the order, clip cuts it to the whole shares that pass; the others open a halt of the scope as well,
    which makes its state stricter until it is lifted.
    """

    REJECT = "reject"
    CLIP = "clip"
    REDUCE_ONLY = "reduce-only"
    FLATTEN = "flatten"
    HALTED = "halted"


FAMILIES = ("order", "position", "portfolio", "loss", "data")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits by family; None leaves one out, but shorts are refused unless allowed. Money 1e-9 USD, shares 1e-9.

    order : ``max_notional`` and ``max_quantity`` of one order, ``max_open_orders`` at once
    position : worst-case value as a fraction of equity (``max_weight``) and in money (``max_position_notional``)
    portfolio : worst-case ``max_gross`` and ``max_net`` as fractions of equity, ``max_positions`` at once,
        ``max_concentration`` as the sum of squared worst-case weights
    loss : ``max_daily_loss`` from the session's opening equity and ``max_drawdown`` from the peak, as fractions;
        ``max_consecutive_losses`` closed trades in a row
    data : ``max_bar_age`` between the end of the symbol's last bar and the decision, ns
    """

    max_notional: int | None = None
    max_quantity: int | None = None
    max_open_orders: int | None = None
    max_weight: Fraction | None = None
    max_position_notional: int | None = None
    allow_short: bool = False
    max_gross: Fraction | None = None
    max_net: Fraction | None = None
    max_positions: int | None = None
    max_concentration: Fraction | None = None
    max_daily_loss: Fraction | None = None
    max_drawdown: Fraction | None = None
    max_consecutive_losses: int | None = None
    max_bar_age: int | None = None
    on_breach: dict[str, Breach] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a limit that forbids everything by accident, and limits that contradict each other."""
        for name in self.__slots__:
            value = getattr(self, name)
            if name not in {"allow_short", "on_breach"} and value is not None and value <= 0:
                raise errors.ValueRefused(name, "more than 0 (leave it out, or set the switch to halted)", str(value))
        if self.max_weight is not None and self.max_gross is not None and self.max_weight > self.max_gross:
            raise errors.ValueRefused("max_weight", f"at most max_gross ({self.max_gross})", str(self.max_weight))
        for family in self.on_breach:
            if family not in FAMILIES:
                raise errors.ValueRefused("on_breach", f"one of {FAMILIES}", family)
