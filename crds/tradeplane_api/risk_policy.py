"""RiskPolicy: what is allowed. Every limit is required here, so that none is left out by mistake."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

import pydantic

from tradeplane_api import fields, status


class OrderLimits(fields.Block):
    """Of one order."""

    max_notional: fields.DecimalText = pydantic.Field(description="USD.")
    max_quantity: fields.DecimalText = pydantic.Field(description="Shares.")

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.positive("order.maxNotional"),
        fields.positive("order.maxQuantity"),
    )


class PositionLimits(fields.Block):
    """Of one symbol, working orders counted."""

    max_weight: fields.DecimalText = pydantic.Field(description="Value at the last close as a fraction of equity.")
    allow_short: bool = False

    rules: ClassVar[tuple[fields.Rule, ...]] = (fields.positive("position.maxWeight"),)


class PortfolioLimits(fields.Block):
    """Of all symbols together, working orders counted."""

    max_gross: fields.DecimalText = pydantic.Field(
        description="Sum of absolute position values as a fraction of equity."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (fields.positive("portfolio.maxGross"),)


class DataLimits(fields.Block):
    """Of what a decision is made from."""

    max_bar_age: fields.DurationText = pydantic.Field(description="From the end of the bar to the order.")

    rules: ClassVar[tuple[fields.Rule, ...]] = (fields.between("data.maxBarAge", "1s", "720h"),)


class RiskPolicySpec(fields.Block):
    """Limits, and what happens when one is hit."""

    order: OrderLimits
    position: PositionLimits
    portfolio: PortfolioLimits
    data: DataLimits
    on_breach: Literal["reject"] = "reject"

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="quantity(self.position.maxWeight).compareTo(quantity(self.portfolio.maxGross)) <= 0",
            message=(
                "'position.maxWeight: must be at most portfolio.maxGross (' + self.portfolio.maxGross + '), got ' + "
                "self.position.maxWeight"
            ),
            holds=lambda spec: Decimal(spec.position.max_weight) <= Decimal(spec.portfolio.max_gross),
            describe=lambda spec: (
                f"position.maxWeight: must be at most portfolio.maxGross ({spec.portfolio.max_gross}), "
                f"got {spec.position.max_weight}"
            ),
        ),
    )


class Breach(fields.Block):
    """The last limit that refused an order."""

    strategy: fields.ObjectName
    reason: Annotated[str, pydantic.StringConstraints(max_length=64)]
    limit: Annotated[str, pydantic.StringConstraints(max_length=64)]
    value: Annotated[str, pydantic.StringConstraints(max_length=64)]
    trigger: fields.TimeText


class RiskPolicyStatus(fields.Block):
    """Written by the operator."""

    observed_generation: Annotated[int, pydantic.Field(ge=0)] = 0
    conditions: status.Conditions = ()
    hash: fields.Digest | None = None
    strategies: Annotated[tuple[fields.ObjectName, ...], pydantic.Field(max_length=1000)] = pydantic.Field(
        default=(), description="Strategies that are bound to this policy."
    )
    last_breach: Breach | None = None
