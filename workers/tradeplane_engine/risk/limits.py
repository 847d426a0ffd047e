"""The limits of one RiskPolicy, read from its spec."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, times

_FIELDS = {
    "order": frozenset({"maxNotional", "maxQuantity"}),
    "position": frozenset({"maxWeight", "allowShort"}),
    "portfolio": frozenset({"maxGross"}),
    "data": frozenset({"maxBarAge"}),
}
_ON_BREACH = "reject"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one policy allows; None leaves a limit out, but shorts are refused unless allowed.

    max_notional : USD value of one order at the last close
    max_quantity : shares of one order
    max_weight : worst-case position value as a fraction of equity
    max_gross : sum of the worst-case position values as a fraction of equity
    max_bar_age : between the end of the symbol's last bar and the decision
    """

    max_notional: numbers.Money | None = None
    max_quantity: numbers.Quantity | None = None
    max_weight: Fraction | None = None
    allow_short: bool = False
    max_gross: Fraction | None = None
    max_bar_age: times.Nanos | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that forbids everything by accident, and limits that contradict each other."""
        for field, value in (
            ("order.maxNotional", self.max_notional),
            ("order.maxQuantity", self.max_quantity),
            ("position.maxWeight", self.max_weight),
            ("portfolio.maxGross", self.max_gross),
            ("data.maxBarAge", self.max_bar_age),
        ):
            if value is not None and value <= 0:
                raise errors.ValueRefused(field, "more than 0 (leave it out, or set the switch to halted)", str(value))
        if self.max_weight is not None and self.max_gross is not None and self.max_weight > self.max_gross:
            limit = f"at most portfolio.maxGross ({ratio_text(self.max_gross)})"
            raise errors.ValueRefused("position.maxWeight", limit, ratio_text(self.max_weight))


def from_spec(spec: Mapping[str, Any]) -> Limits:
    """Read a RiskPolicy's spec; raises ValueRefused naming field, limit and value."""
    for group, block in spec.items():
        if group == "onBreach":
            if block != _ON_BREACH:
                raise errors.ValueRefused("onBreach", _ON_BREACH, block)
        elif group not in _FIELDS:
            raise errors.ValueRefused(group, f"one of {sorted([*_FIELDS, 'onBreach'])}", block)
        elif not isinstance(block, Mapping):
            raise errors.ValueRefused(group, "a mapping", block)
        elif unknown := sorted(set(block) - _FIELDS[group]):
            raise errors.ValueRefused(f"{group}.{unknown[0]}", f"one of {sorted(_FIELDS[group])}", block[unknown[0]])
    notional = _field(spec, "order", "maxNotional")
    quantity = _field(spec, "order", "maxQuantity")
    weight = _field(spec, "position", "maxWeight")
    gross = _field(spec, "portfolio", "maxGross")
    age = _field(spec, "data", "maxBarAge")
    short = _field(spec, "position", "allowShort")
    if short not in {None, True, False}:
        raise errors.ValueRefused("position.allowShort", "true or false", short)
    return Limits(
        max_notional=None if notional is None else numbers.money(notional, field="order.maxNotional"),
        max_quantity=None if quantity is None else numbers.quantity(quantity, field="order.maxQuantity"),
        max_weight=None if weight is None else _ratio(weight, "position.maxWeight"),
        allow_short=bool(short),
        max_gross=None if gross is None else _ratio(gross, "portfolio.maxGross"),
        max_bar_age=None if age is None else times.duration(age, field="data.maxBarAge"),
    )


def ratio_text(ratio: Fraction) -> str:
    """Return a ratio as decimal text, cut after six digits."""
    return f"{float(ratio):.6f}".rstrip("0").rstrip(".")


def _field(spec: Mapping[str, Any], group: str, name: str) -> Any:
    return spec.get(group, {}).get(name)


def _ratio(text: str, field: str) -> Fraction:
    return Fraction(numbers.money(text, field=field), 10**numbers.MONEY_DIGITS)
