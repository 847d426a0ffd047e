"""What the loop is told about one generation of a Strategy; made from its spec outside the engine."""

from dataclasses import dataclass

from tradeplane_engine import errors, portfolio
from tradeplane_engine.core import limits
from tradeplane_engine.domain import timeframes
from tradeplane_engine.features import registry


@dataclass(frozen=True, slots=True)
class StrategySettings:
    """One generation of a Strategy with its references resolved.

    uid : the Strategy's UID, with or without dashes
    symbols : the universe; nothing else may be ordered
    timeframe, session : which bars trigger a decision, and the hours of a day that they cover
    model_digest : of the artifact that must answer, ``sha256:…``
    policy, limits : name of the RiskPolicy that judges the sub-ledger, and what it said when the generation began
    algorithm : how targets become orders
    """

    name: str
    uid: str
    generation: int
    symbols: tuple[str, ...]
    timeframe: str
    features: registry.FeatureSet
    model_digest: str
    portfolio: portfolio.TopBottomN
    policy: str
    limits: limits.Limits
    algorithm: str = "market"
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
        needed = self.portfolio.top + self.portfolio.bottom
        if needed > len(self.symbols):
            limit = f"at most the {len(self.symbols)} symbols of the universe"
            raise errors.ValueRefused("portfolio.top + portfolio.bottom", limit, needed)
        if self.algorithm != "market":
            raise errors.ValueRefused("execution.algorithm", "market", self.algorithm)
