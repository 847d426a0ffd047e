"""How a backtest's venue fills: one frozen group of settings, whose defaults flatter nobody.

``docs/adr/0016-fills-and-paths.md`` gives the conventions and their reasons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.domain import numbers

NEXT_OPEN, NEXT_CLOSE, SAME_CLOSE, BOOK = 0, 1, 2, 3
FILL_AT = ("next_open", "next_close", "same_close", "book")

WORST, BEST, OHLC, OLHC, ADAPTIVE = 0, 1, 2, 3, 4
PATHS = ("worst", "best", "ohlc", "olhc", "adaptive")

LIMIT_RULES = ("through", "touch")
AT_END = ("leave_open",)
RULES = (None, "alpaca")

_LATENCY_MOST = 86_400_000_000_000
_BPS = 10_000
_FINEST = 100_000

Impact = Callable[[int, int, int, int], int]
"""``(side, quantity in 1e-9 shares, bar volume in shares, price)`` to the units by which the price moves against us."""


@dataclass(frozen=True, slots=True)
class Venue:
    """Settings of the venue; raises ValueRefused for one that it does not know.

    A rate may be given as an int or a Decimal too, which becomes a fraction, but not as a float.

    Parameters
    ----------
    fill_at : where a market order fills: ``next_open``, ``next_close``, or ``same_close``, the close that the decision
        has seen, which only ``allow_same_close`` permits and which no latency may precede; with ``book`` every order
        fills at quotes of the run alone, from the one that stands when the venue has it, and up to their sizes
    path : which extreme of a bar comes first where it matters: ``worst`` and ``best`` take the order that leaves the
        account with less or more at the bar's close, ``ohlc`` the high, ``olhc`` the low, ``adaptive`` the one nearer
        to the open (the low where both are as near)
    limit_rule : a limit fills when the price goes ``through`` it by one unit, or at a ``touch``
    participation : largest share of a bar's volume that the account may trade; None for all that is wanted
    whole_shares : whether that share is cut to whole shares
    slippage_bps : distance of a taker's price from the reference beyond half the spread, basis points
    volume_share : coefficient k of a further distance of ``price x k x (quantity / bar volume)**2``; None for none
    impact : called for each taker's fill with what the others made of the price; must answer alike for alike
    latency : between a decision and the venue's having its orders, ns; the same for cancel and replace
    sessions : trading sessions; None for a market that never closes
    halts : per symbol, intervals ``(from, to)`` in ns in which nothing fills
    at_end : what becomes of orders that are open when the data end
    rules : whose rules an order must obey beside the types of orders: ``alpaca`` refuses what Alpaca refuses, with its
        code and message; None takes all
    """

    fill_at: str = "next_open"
    allow_same_close: bool = False
    path: str = "worst"
    limit_rule: str = "through"
    participation: Fraction | None = None
    whole_shares: bool = True
    slippage_bps: Fraction = Fraction(0)
    volume_share: Fraction | None = None
    impact: Impact | None = None
    latency: int = 0
    sessions: Sessions | None = None
    halts: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    at_end: str = "leave_open"
    rules: str | None = None

    def __post_init__(self) -> None:
        """Refuse what the venue does not know, and combinations that would trade in the past."""
        for name, known in (
            ("fill_at", FILL_AT),
            ("path", PATHS),
            ("limit_rule", LIMIT_RULES),
            ("at_end", AT_END),
            ("rules", RULES),
        ):
            if getattr(self, name) not in known:
                raise errors.ValueRefused(name, f"one of {known}", getattr(self, name))
        if not 0 <= numbers.whole(self.latency, "an int of ns", field="latency") <= _LATENCY_MOST:
            raise errors.ValueRefused("latency", f"from 0 to {_LATENCY_MOST} ns", self.latency)
        if self.fill_at == "same_close" and not self.allow_same_close:
            raise errors.ValueRefused("fill_at", "next_open or next_close without allow_same_close", self.fill_at)
        if self.fill_at == "same_close" and self.latency:
            raise errors.ValueRefused("latency", "0 with fill_at same_close", self.latency)
        for name in ("participation", "volume_share", "impact"):  # of a bar's volume
            if self.fill_at == "book" and getattr(self, name) is not None:
                raise errors.ValueRefused(name, "None with fill_at book", getattr(self, name))
        if not isinstance(self.sessions, Sessions | None):
            raise errors.ValueRefused("sessions", "sessions.Sessions, or None", self.sessions)
        if self.impact is not None and not callable(self.impact):
            raise errors.ValueRefused("impact", "a function, or None", self.impact)
        self._check_halts()
        self._check_shares()

    def _check_halts(self) -> None:
        """Refuse what is no interval of instants."""
        if not isinstance(self.halts, Mapping):
            raise errors.ValueRefused("halts", "a mapping of symbols to intervals", self.halts)
        for symbol, intervals in self.halts.items():
            field = f"halts.{symbol}"
            try:
                bounds = [at for begin, stop in intervals for at in (begin, stop)]
            except (TypeError, ValueError):
                raise errors.ValueRefused(field, "intervals (from, to)", intervals) from None
            for at in bounds:
                numbers.whole(at, "between ints of ns", field=field)

    def _check_shares(self) -> None:
        """Turn rates into fractions, and refuse those out of their bounds."""
        for name in ("participation", "slippage_bps", "volume_share"):
            value = getattr(self, name)
            if value is not None or name == "slippage_bps":
                object.__setattr__(self, name, numbers.rate(value, field=name))
        if self.participation is not None and not 0 < self.participation <= 1:
            raise errors.ValueRefused("participation", "above 0, at most 1", str(self.participation))
        if not 0 <= self.slippage_bps < _BPS or self.slippage_bps.denominator > _FINEST:
            raise errors.ValueRefused("slippage_bps", f"from 0 to below {_BPS}", str(self.slippage_bps))
        if self.volume_share is not None and self.volume_share < 0:
            raise errors.ValueRefused("volume_share", "0 or more", str(self.volume_share))
