"""The engine's error tree.

EngineError
├── ValueRefused      a value outside its limits; names field, limit and value
│   └── Overflow      a scaled integer left 64 bits; never wrapped
├── DataRefused       bars or corporate actions that must not be traded
├── PredictionFailed  a model gave no usable answer for this trigger (late, failed, wrong digest): no signal
├── ModelRefused      an artifact or training request that cannot be used
├── StrategyFailed    a user's strategy raised; names the strategy and the bar
└── LedgerBroken      the ledger's sums do not add up; the process must stop
"""


class EngineError(Exception):
    """Base of everything that the engine raises on purpose."""


class ValueRefused(EngineError, ValueError):  # noqa: N818 - named for what happened, not for being an exception
    """A value breaks its field's limit.

    Parameters
    ----------
    field : name as the user wrote it, such as ``order.maxNotional``
    limit : what would have been accepted
    value : what came
    """

    def __init__(self, field: str, limit: str, value: object) -> None:
        super().__init__(f"{field}: must be {limit}, got {value!r}")
        self.field = field
        self.limit = limit
        self.value = value


class Overflow(ValueRefused):
    """A price, quantity or amount does not fit its 64-bit scaled integer."""


class DataRefused(EngineError):  # noqa: N818 - as above
    """Market data that must never be traded; ``reason`` is stable and countable."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


class PredictionFailed(EngineError):  # noqa: N818 - as above
    """No usable prediction for this trigger; ``reason`` is ``late``, ``failed`` or ``wrong-digest``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


class ModelRefused(EngineError):  # noqa: N818 - as above
    """A model artifact or a training request that cannot be used; the message names field, limit and value."""


class StrategyFailed(EngineError):  # noqa: N818 - as above
    """Code of a strategy raised; the cause is kept."""

    def __init__(self, name: str, bar: str, cause: Exception) -> None:
        super().__init__(f"strategy {name!r} at {bar}: {type(cause).__name__}: {cause}")
        self.name = name


class LedgerBroken(EngineError):  # noqa: N818 - as above
    """A conservation check of the ledger failed: nothing computed from it may be trusted."""
