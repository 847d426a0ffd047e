"""Portfolio: from signals to targets, the wanted positions in whole shares.

Top-bottom-n: symbols sorted by score (highest first, equal scores by symbol); the first ``top`` are held long, the last
``bottom`` short, each for ``capital / (top + bottom)`` at the last close; every other symbol's target is zero. With
fewer scores than ``top + bottom`` there is no ranking worth acting on: no targets, positions stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders

_SYMBOL, _SCORE = attrgetter("symbol"), attrgetter("score")


@dataclass(frozen=True, slots=True)
class TopBottomN:
    """Long the ``top`` best, short the ``bottom`` worst; ``capital`` is shared equally in USD."""

    top: int
    bottom: int
    capital: numbers.Money

    def __post_init__(self) -> None:
        """Refuse sizes that hold nothing."""
        if self.top < 0 or self.bottom < 0 or self.top + self.bottom < 1:
            raise errors.ValueRefused("portfolio.top, portfolio.bottom", "0 or more, together at least 1", self)
        if self.capital <= 0:
            raise errors.ValueRefused("portfolio.capital", "more than 0", numbers.money_text(self.capital))

    @property
    def needed(self) -> int:
        """Scores without which there are no targets."""
        return self.top + self.bottom


def targets(
    signals: Sequence[orders.Signal], *, construct: TopBottomN, closes: Mapping[str, numbers.Price]
) -> dict[str, numbers.Quantity]:
    """Return the wanted position of every scored symbol; empty with fewer scores than needed."""
    if len(signals) < construct.needed:
        return {}
    # Two stable sorts: by score, highest first, and among equal scores by symbol.
    ranked = sorted(sorted(signals, key=_SYMBOL), key=_SCORE, reverse=True)
    each = numbers.Money(construct.capital // construct.needed)
    wanted = dict.fromkeys(map(_SYMBOL, ranked), numbers.Quantity(0))
    for signal in ranked[: construct.top]:
        wanted[signal.symbol] = numbers.shares(each, closes[signal.symbol])
    for signal in ranked[len(ranked) - construct.bottom :]:
        wanted[signal.symbol] = numbers.shares(numbers.Money(-each), closes[signal.symbol])
    return wanted
