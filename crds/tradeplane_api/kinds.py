"""The kinds as a table: names, types and the columns that ``kubectl get`` prints."""

from dataclasses import dataclass
from typing import Any

from tradeplane_api import backtest, environment, fields, model, names, risk_policy, strategy


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column; ``priority`` 1 is shown by ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource."""

    name: str
    plural: str
    short: str
    spec: type[fields.Block]
    status: type[fields.Block]
    columns: tuple[Column, ...]


AGE = Column("Age", ".metadata.creationTimestamp", "date")


def _condition(name: names.Condition, part: str) -> str:
    return f'.status.conditions[?(@.type=="{name}")].{part}'


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            names.ENVIRONMENT,
            "environments",
            "env",
            environment.EnvironmentSpec,
            environment.EnvironmentStatus,
            (
                Column("Mode", ".spec.mode"),
                Column("State", ".status.trading.state"),
                Column("Cause", ".status.trading.cause"),
                Column("Since", ".status.trading.since"),
                Column("Proof", ".status.trading.proof.complete", "boolean"),
                Column("Ready", _condition(names.Condition.READY, "status"), priority=1),
                AGE,
            ),
        ),
        Kind(
            names.STRATEGY,
            "strategies",
            "strat",
            strategy.StrategySpec,
            strategy.StrategyStatus,
            (
                Column("Ready", _condition(names.Condition.READY, "status")),
                Column("State", ".status.state"),
                Column("Reason", _condition(names.Condition.READY, "reason")),
                Column("Model", ".spec.signal.models[0].name"),
                Column("Code", ".spec.signal.code.entrypoint", priority=1),
                Column("Policy", ".spec.riskPolicyRef"),
                Column("Digest", ".status.models[0].digest", priority=1),
                Column("Job", ".status.job.submissionId", priority=1),
                Column("Plan", ".status.plan.action", priority=1),
                AGE,
            ),
        ),
        Kind(
            names.MODEL,
            "models",
            "mdl",
            model.ModelSpec,
            model.ModelStatus,
            (
                Column("Ready", _condition(names.Condition.READY, "status")),
                Column("Reason", _condition(names.Condition.READY, "reason")),
                Column("Framework", ".spec.framework"),
                Column("Replicas", ".status.serving.replicas", "integer"),
                Column("Digest", ".status.serving.digest", priority=1),
                Column("Training", ".status.training.submissionId", priority=1),
                AGE,
            ),
        ),
        Kind(
            names.RISK_POLICY,
            "riskpolicies",
            "risk",
            risk_policy.RiskPolicySpec,
            risk_policy.RiskPolicyStatus,
            (
                Column("Ready", _condition(names.Condition.READY, "status")),
                Column("Gross", ".spec.portfolio.maxGross"),
                Column("Weight", ".spec.position.maxWeight"),
                Column("Short", ".spec.position.allowShort", "boolean"),
                Column("Hash", ".status.hash", priority=1),
                Column("Breach", ".status.lastBreach.reason"),
                AGE,
            ),
        ),
        Kind(
            names.BACKTEST,
            "backtests",
            "bt",
            backtest.BacktestSpec,
            backtest.BacktestStatus,
            (
                Column("Phase", ".status.phase"),
                Column("Strategy", ".spec.strategyRef"),
                Column("Return", ".status.result.measures.total_return"),
                Column("Sharpe", ".status.result.measures.sharpe"),
                Column("Reason", _condition(names.Condition.READY, "reason"), priority=1),
                Column("Run", ".status.run.submissionId", priority=1),
                Column("Artifact", ".status.result.artifact", priority=1),
                Column("Hash", ".status.result.hash"),
                AGE,
            ),
        ),
    )
}


def spec_of(manifest: dict[str, Any]) -> fields.Block:
    """Validate the spec of an object of one of the kinds; raises pydantic.ValidationError."""
    return KINDS[manifest["kind"]].spec.model_validate(manifest.get("spec") or {})
