"""RiskPolicy: what is allowed. A limit that does not apply is left out; one that is there always acts."""

from typing import Annotated, ClassVar, Literal

import pydantic

from tradeplane_api import fields, status

Count = Annotated[int, pydantic.Field(ge=1, le=1_000_000)]
Action = Literal["reject", "clip", "reduce-only", "flatten", "halted"]
# A smaller order exceeds a limit on losses or on data just as well, so there is nothing to clip.
ActionOfState = Literal["reject", "reduce-only", "flatten", "halted"]


class OrderLimits(fields.Block):
    """Of one order, and of open ones together."""

    max_notional: fields.DecimalText | None = pydantic.Field(
        default=None, description="USD, at the symbol's last close; above 0."
    )
    max_quantity: fields.DecimalText | None = pydantic.Field(default=None, description="Shares; above 0.")
    max_open_orders: Count | None = pydantic.Field(default=None, description="Number open at once, this one included.")

    max_notional_per_day: fields.DecimalText | None = pydantic.Field(
        default=None,
        description="USD of all orders since the session's open, at last closes; above 0, at least maxNotional.",
    )
    max_orders_per_day: Count | None = pydantic.Field(default=None, description="Number since the session's open.")
    collar_bps: Annotated[int, pydantic.Field(ge=1, le=10_000)] | None = pydantic.Field(
        default=None,
        description="Basis points by which a limit price may be worse than the last close, or than its stop price.",
    )
    max_per_second: Count | None = pydantic.Field(
        default=None, description="Number within a second of real time; a backtest has none."
    )
    restricted: Annotated[tuple[fields.Symbol, ...], pydantic.Field(max_length=1000)] = pydantic.Field(
        default=(), description="Symbols of which positions may only become smaller."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.positive("order.maxNotional", optional=True),
        fields.positive("order.maxQuantity", optional=True),
        fields.positive("order.maxNotionalPerDay", optional=True),
    )


class PositionLimits(fields.Block):
    """Of one symbol, working orders counted."""

    max_weight: fields.DecimalText | None = pydantic.Field(
        default=None,
        description="Value at the last close as a fraction of equity; above 0, at most portfolio.maxGross.",
    )
    max_notional: fields.DecimalText | None = pydantic.Field(
        default=None, description="Value at the last close in USD; above 0."
    )
    allow_short: bool = pydantic.Field(default=False, description="Whether a position may be below zero shares.")

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.positive("position.maxWeight", optional=True),
        fields.positive("position.maxNotional", optional=True),
    )


class PortfolioLimits(fields.Block):
    """Of all symbols together, working orders counted."""

    max_gross: fields.DecimalText | None = pydantic.Field(
        default=None, description="Sum of absolute position values as a fraction of equity; above 0."
    )
    max_net: fields.DecimalText | None = pydantic.Field(
        default=None,
        description="Longs less shorts, either way, as a fraction of equity; above 0, at most portfolio.maxGross.",
    )
    max_positions: Count | None = pydantic.Field(
        default=None, description="Number of symbols with a position or a working order."
    )
    max_concentration: fields.DecimalText | None = pydantic.Field(
        default=None, description="Sum of the squared weights: 1 is everything in one symbol without leverage; above 0."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.positive("portfolio.maxGross", optional=True),
        fields.positive("portfolio.maxNet", optional=True),
        fields.positive("portfolio.maxConcentration", optional=True),
    )


class LossLimits(fields.Block):
    """Of what was lost: at a limit nothing that adds may leave. A position may always be made smaller."""

    max_daily_loss: fields.DecimalText | None = pydantic.Field(
        default=None,
        description="Fall from equity before the session's open as a fraction of it; above 0, at most maxDrawdown.",
    )
    max_drawdown: fields.DecimalText | None = pydantic.Field(
        default=None, description="Fall from the highest equity as a fraction of it; above 0, at most 1."
    )
    max_consecutive_losses: Count | None = pydantic.Field(
        default=None, description="Number of closed trades in a row that lost, at which nothing that adds may leave."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.positive("loss.maxDailyLoss", optional=True),
        fields.at_most_one("loss.maxDailyLoss"),
        fields.positive("loss.maxDrawdown", optional=True),
        fields.at_most_one("loss.maxDrawdown"),
    )


class DataLimits(fields.Block):
    """Of what a decision is made from."""

    max_bar_age: fields.DurationText | None = pydantic.Field(
        default=None, description="From the end of the symbol's last bar to the order; 1s to 720h."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (fields.between("data.maxBarAge", "1s", "720h", optional=True),)


class OnBreach(fields.Block):
    """What a breach of a family leads to, reject where nothing is said; the gateway rejects and clips yet.

    clip cuts the order to the whole shares that pass; reduce-only, flatten and halted open a halt of the scope as well.
    """

    order: Action | None = None
    position: Action | None = None
    portfolio: Action | None = None
    loss: ActionOfState | None = None
    data: ActionOfState | None = None


class RiskPolicySpec(fields.Block):
    """Limits, and what happens when one is hit. Each may be left out, but shorts are refused unless allowed."""

    order: OrderLimits = OrderLimits()
    position: PositionLimits = PositionLimits()
    portfolio: PortfolioLimits = PortfolioLimits()
    loss: LossLimits = LossLimits()
    data: DataLimits = DataLimits()
    on_breach: OnBreach = OnBreach()

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.part_of("order.maxNotional", "order.maxNotionalPerDay"),
        fields.part_of("position.maxWeight", "portfolio.maxGross"),
        fields.part_of("portfolio.maxNet", "portfolio.maxGross"),
        fields.part_of("loss.maxDailyLoss", "loss.maxDrawdown"),
    )


def not_acting(spec: RiskPolicySpec) -> str:
    """Name a field that nothing could act on yet, what would be right and what came; empty where there is none.

    The gateway, and a backtest of a Strategy, refuse a policy with such a field rather than ignore it.
    """
    for family, action in spec.on_breach.manifest().items():
        if action not in {"reject", "clip"}:
            acting = "reject or clip, which is all that the gateway does on a breach"
            return f"onBreach.{family}: must be {acting}, got {action}"
    return ""


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
