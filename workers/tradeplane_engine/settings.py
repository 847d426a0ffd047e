"""What decides about one generation of a Strategy; made from its spec outside the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradeplane_engine import errors, portfolio
from tradeplane_engine.core import limits
from tradeplane_engine.domain import numbers, timeframes
from tradeplane_engine.features import registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """Who trades what, on which bars, under which policy.

    uid : the Strategy's UID, with or without dashes
    symbols : the universe; nothing else may be ordered
    timeframe, session : which bars trigger a decision, and the hours of a day that they cover
    policy, limits : name of the RiskPolicy that judges the sub-ledger, and what it said when the generation began
    """

    name: str
    uid: str
    generation: int
    symbols: tuple[str, ...]
    timeframe: str
    policy: str
    limits: limits.Limits
    session: str = timeframes.REGULAR

    @property
    def channel(self) -> str:
        """Name of the bars that trigger a decision, as streams and gateway know them."""
        return timeframes.channel(self.timeframe, self.session)

    def __post_init__(self) -> None:
        """Refuse what cannot trade."""
        timeframes.channel(self.timeframe, self.session)
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise errors.ValueRefused("universe.symbols", "at least one symbol, each once", self.symbols)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySettings(Trader):
    """One generation of a Strategy whose signal is a Model's.

    model_digest : of the artifact that must answer, ``sha256:…``
    algorithm : how targets become orders
    """

    features: registry.FeatureSet
    model_digest: str
    portfolio: portfolio.TopBottomN
    algorithm: str = "market"

    @property
    def capital(self) -> numbers.Money:
        """What weights are fractions of, and the sub-ledger starts from."""
        return self.portfolio.capital

    def __post_init__(self) -> None:
        """Refuse what cannot trade."""
        Trader.__post_init__(self)
        needed = self.portfolio.top + self.portfolio.bottom
        if needed > len(self.symbols):
            limit = f"at most the {len(self.symbols)} symbols of the universe"
            raise errors.ValueRefused("portfolio.top + portfolio.bottom", limit, needed)
        if self.algorithm != "market":
            raise errors.ValueRefused("execution.algorithm", "market", self.algorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSettings(Trader):
    """One generation of a Strategy whose signal is a class.

    entrypoint, parameters : of the class, for ``entrypoint.load``
    capital : cash that the sub-ledger starts from
    """

    entrypoint: str
    capital: numbers.Money
    parameters: Mapping[str, Any] = field(default_factory=dict)


Generation = StrategySettings | CodeSettings
