"""The fixed words of the API: group, kinds, finalizer, labels, field managers, conditions and reasons.

A word that appears in an object, a log, a metric label or the documentation is spelt here and nowhere else.
"""

import enum

GROUP = "tradeplane.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "tradeplane"

ENVIRONMENT = "Environment"
STRATEGY = "Strategy"
MODEL = "Model"
RISK_POLICY = "RiskPolicy"
BACKTEST = "Backtest"

FINALIZER_ORDERS = f"{GROUP}/orders"
"""Held by a Strategy until its job is stopped and the gateway reports no open order of it."""

ANNOTATION_OWNER = f"{GROUP}/owner"
"""Who answers for a Strategy; each of its orders says so."""
ANNOTATION_GIT_REVISION = f"{GROUP}/git-revision"
"""The commit that a Strategy's manifest was applied from, set by whatever applies it; each of its orders says so."""

FIELD_MANAGER_OPERATOR = "tradeplane-operator"
FIELD_MANAGER_GATEWAY = "tradeplane-gateway"

KILL_SWITCH = "kill-switch"
"""Name of the ConfigMap; ``data.trading`` belongs to people."""
SWITCH_KEY = "trading"


class State(enum.StrEnum):
    """What may leave; each lets less leave than the one before."""

    ENABLED = "enabled"
    REDUCE_ONLY = "reduce-only"
    FLATTEN = "flatten"
    HALTED = "halted"


class Condition(enum.StrEnum):
    """Types of conditions."""

    READY = "Ready"
    """The asked-for state is reached; a person's halt leaves it True."""
    PROGRESSING = "Progressing"
    """Something is being done that will end by itself."""
    STALLED = "Stalled"
    """A person must change something; the message names field, limit and value."""
    DEGRADED = "Degraded"
    """Works, but less than declared."""
    TRADING_HALTED = "TradingHalted"
    RISK_POLICY_BOUND = "RiskPolicyBound"
    MODELS_READY = "ModelsReady"


class Reason(enum.StrEnum):
    """Reasons of conditions; each is also a label value of the operator's metrics."""

    PENDING = "Pending"
    """Born: nothing has been looked at yet."""
    SETTLED = "Settled"
    """Nothing left to do."""
    HEALTHY = "Healthy"

    INVALID_SPEC = "InvalidSpec"
    NOT_SUPPORTED = "NotSupported"
    """RiskPolicy: a field that nothing could act on yet; the message names it."""
    NOT_THE_ENVIRONMENT = "NotTheEnvironment"
    """Another Environment of this namespace is the one that its processes were started for."""
    NO_ENVIRONMENT = "NoEnvironment"
    NO_POOL = "NoPool"
    POLICY_NOT_FOUND = "PolicyNotFound"
    POLICY_REFUSED = "PolicyRefused"
    """The RiskPolicy itself is not valid, or has a field that nothing could act on yet."""
    POLICY_CONTRADICTS = "PolicyContradicts"
    """The Strategy asks for what its RiskPolicy forbids."""
    BOUND = "Bound"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_NOT_READY = "ModelNotReady"
    MODELS_SERVING = "ModelsServing"
    NO_MODELS = "NoModels"
    """The Strategy's signal is code."""

    VALID = "Valid"
    OPERATING = "Operating"
    """Environment: the gateway leads, is reconciled and answers."""
    NOT_RECONCILED = "NotReconciled"
    GATEWAY_UNREACHABLE = "GatewayUnreachable"
    GATEWAY_STARTING = "GatewayStarting"

    STRATEGY_NOT_FOUND = "StrategyNotFound"
    STRATEGY_REFUSED = "StrategyRefused"
    """The Strategy itself is not valid."""
    SUCCEEDED = "Succeeded"
    BACKTEST_FAILED = "BacktestFailed"
    """No further attempt follows; the spec never changes, so only a new object can."""
    IN_SAMPLE = "InSample"
    """The Model was trained on bars of the period that is traded."""

    NO_SYMBOLS = "NoSymbols"
    """No Strategy names this Model, so nobody said on which symbols to train."""
    TRAINING = "Training"
    TRAINING_FAILED = "TrainingFailed"
    ARTIFACT_MISSING = "ArtifactMissing"
    ARTIFACTS_UNREACHABLE = "ArtifactsUnreachable"
    DEPLOYING = "Deploying"
    DEPLOY_FAILED = "DeployFailed"
    SERVING = "Serving"
    SERVING_PREVIOUS = "ServingPrevious"
    """The version before the pending edit still answers."""
    FOREIGN_APPLICATIONS = "ForeignApplications"
    """This Ray serves applications that are not ours; a PUT would delete them."""
    SERVE_ELSEWHERE = "ServeElsewhere"
    """Serve listens on another address than the one that models are called at."""
    RAY_UNREACHABLE = "RayUnreachable"
    RAY_REFUSED = "RayRefused"

    STARTING = "Starting"
    STOPPING = "Stopping"
    RUNNING = "Running"
    JOB_FAILED = "JobFailed"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"
    RISK_LIMIT_HIT = "RiskLimitHit"
    TRADING_ENABLED = "TradingEnabled"
    SWITCH = "Switch"
    """The kill-switch is not ``enabled``, or was not read in time."""
    HALTED = "Halted"
    """Halted for another cause than the switch; the message names it."""


class Phase(enum.StrEnum):
    """Where a run that ends by itself stands; the last two are for ever."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class PlanAction(enum.StrEnum):
    """What an edit will do, told before it is done."""

    NONE = "None"
    IN_PLACE = "InPlace"
    NEW_ATTEMPT = "NewAttempt"
    REPLICA_RESTART = "ReplicaRestart"
    TRAIN = "Train"
    STOP = "Stop"
    REFUSED = "Refused"


class EventReason(enum.StrEnum):
    """Reasons of Events, which are for people; no program reads them."""

    FORCED = "FinalizerForced"
    """The deadline passed with orders still open or unknown."""
    SWITCH_CREATED = "SwitchCreated"
    POLICY_CHANGED = "PolicyChanged"
    PLANNED = "Planned"
    ORPHAN_STOPPED = "OrphanStopped"
