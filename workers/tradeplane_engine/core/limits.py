"""What one RiskPolicy allows, as integers and exact fractions, and how that is read from its spec."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, times

_MOST = 1_000_000  # of anything that is counted
_WHOLE_BPS = 10_000
_NO_NUMBERS = frozenset({"allow_short", "restricted"})


class Breach(StrEnum):
    """What happens when a family's limit is exceeded.

    reject refuses the order, clip cuts it to the whole shares that pass; the others open a halt of the scope as well,
    which makes its state stricter until it is lifted.
    """

    REJECT = "reject"
    CLIP = "clip"
    REDUCE_ONLY = "reduce-only"
    FLATTEN = "flatten"
    HALTED = "halted"


FAMILIES = ("order", "position", "portfolio", "loss", "data")
_SIZELESS = frozenset({"loss", "data"})  # a smaller order exceeds these limits just as well


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits by family; None leaves one out, but shorts are refused unless allowed. Money 1e-9 USD, shares 1e-9.

    order : ``max_notional`` and ``max_quantity`` of one order, ``max_open_orders`` at once; ``max_notional_per_day``
        and ``max_orders_per_day`` of all that left since the session opened; ``collar_bps`` by which a limit price may
        be worse than the last close, or than its own stop price; ``restricted`` symbols, of which positions may only
        become smaller; ``max_per_second`` of the machine's time, which only a live gateway has
    position : worst-case value as a fraction of equity (``max_weight``) and in money (``max_position_notional``)
    portfolio : worst-case ``max_gross`` and ``max_net`` as fractions of equity, ``max_positions`` at once,
        ``max_concentration`` as the sum of squared worst-case weights
    loss : ``max_daily_loss`` from the session's opening equity and ``max_drawdown`` from the peak, as fractions;
        ``max_consecutive_losses`` closed trades in a row
    data : ``max_bar_age`` between the end of the symbol's last bar and the decision, ns

    ``on_breach`` has the :class:`Breach` of a family, or its word. A fraction may be given as an int or a Decimal.

    Raises ValueRefused with the manifest's name of the field, such as ``order.maxNotional``.
    """

    max_notional: int | None = None
    max_quantity: int | None = None
    max_open_orders: int | None = None
    max_notional_per_day: int | None = None
    max_orders_per_day: int | None = None
    collar_bps: int | None = None
    max_per_second: int | None = None
    restricted: tuple[str, ...] | None = None
    max_weight: Fraction | None = None
    max_position_notional: int | None = None
    allow_short: bool = False
    max_gross: Fraction | None = None
    max_net: Fraction | None = None
    max_positions: int | None = None
    max_concentration: Fraction | None = None
    max_daily_loss: Fraction | None = None
    max_drawdown: Fraction | None = None
    max_consecutive_losses: int | None = None
    max_bar_age: int | None = None
    on_breach: Mapping[str, Breach] = field(default_factory=dict, hash=False)

    @property
    def measures_losses(self) -> bool:
        """Whether a limit on losses is among them."""
        limits = (self.max_daily_loss, self.max_drawdown, self.max_consecutive_losses)
        return any(one is not None for one in limits)

    @property
    def counts_days(self) -> bool:
        """Whether a limit on what leaves within a session is among them."""
        return self.max_notional_per_day is not None or self.max_orders_per_day is not None

    def __post_init__(self) -> None:
        """Refuse a limit that forbids everything by accident, and limits that contradict each other."""
        for name, (attribute, read) in _FIELDS.items():
            if getattr(self, attribute) is None and attribute != "allow_short":
                continue
            value = _typed(getattr(self, attribute), name, read)
            if attribute not in _NO_NUMBERS and value <= 0:
                raise errors.ValueRefused(name, "more than 0 (leave it out, or set the switch to halted)", str(value))
            object.__setattr__(self, attribute, value)
        for name, wider in _NEVER_WIDER:
            self._check_order(name, wider)
        object.__setattr__(self, "on_breach", _on_breach(self.on_breach))
        for family, action in self.on_breach.items():
            if action is Breach.CLIP and family in _SIZELESS:
                raise errors.ValueRefused(f"onBreach.{family}", "what acts on it (no smaller order passes)", action)

    def _check_order(self, name: str, wider: str) -> None:
        value, most = getattr(self, _FIELDS[name][0]), getattr(self, _FIELDS[wider][0])
        if value is not None and most is not None and value > most:
            raise errors.ValueRefused(name, f"at most {wider} ({ratio_text(most)})", ratio_text(value))


def from_spec(spec: Mapping[str, Any]) -> Limits:
    """Read a RiskPolicy's spec; raises ValueRefused naming field, limit and value.

    ``onBreach: reject``, as policies of session records before the map say it, is every family's reject.
    """
    found: dict[str, Any] = {}
    for family, block in spec.items():
        if family == "onBreach":
            found["on_breach"] = _on_breach(block)
            continue
        if family not in FAMILIES:
            raise errors.ValueRefused(family, f"one of {sorted([*FAMILIES, 'onBreach'])}", block)
        if not isinstance(block, Mapping):
            raise errors.ValueRefused(family, "a mapping", block)
        for name, value in block.items():
            path = f"{family}.{name}"
            if path not in _FIELDS:
                known = sorted(each.removeprefix(f"{family}.") for each in _FIELDS if each.startswith(f"{family}."))
                raise errors.ValueRefused(path, f"one of {known}", value)
            attribute, read = _FIELDS[path]
            if value is not None:
                found[attribute] = read(value, path)
    return Limits(**found)


def ratio_text(ratio: Fraction) -> str:
    """Return a ratio as decimal text, cut after six digits."""
    return f"{float(ratio):.6f}".rstrip("0").rstrip(".")


def _on_breach(block: Any) -> dict[str, Breach]:
    if block == Breach.REJECT:
        return {}
    if not isinstance(block, Mapping):
        raise errors.ValueRefused("onBreach", f"a mapping of {FAMILIES}, or {Breach.REJECT}", block)
    found = {}
    for family, action in block.items():
        if family not in FAMILIES:
            raise errors.ValueRefused(f"onBreach.{family}", f"one of {FAMILIES}", action)
        if action not in list(Breach):
            raise errors.ValueRefused(f"onBreach.{family}", f"one of {[each.value for each in Breach]}", action)
        found[family] = Breach(action)
    return found


def _money(value: Any, name: str) -> int:
    return numbers.money(value, field=name)


def _quantity(value: Any, name: str) -> int:
    return numbers.quantity(value, field=name)


def _duration(value: Any, name: str) -> int:
    return times.duration(value, field=name)


def _ratio(value: Any, name: str) -> Fraction:
    return Fraction(numbers.money(value, field=name), 10**numbers.MONEY_DIGITS)


def _part(value: Any, name: str) -> Fraction:
    return _at_most_1(_ratio(value, name), name)


def _at_most_1(ratio: Fraction, name: str) -> Fraction:
    if ratio > 1:
        raise errors.ValueRefused(name, "at most 1", str(ratio))
    return ratio


def _count(value: Any, name: str) -> int:
    # A bool is an int to Python, never to a reader of the spec.
    if not isinstance(value, int) or isinstance(value, bool) or value > _MOST:
        raise errors.ValueRefused(name, f"a whole number up to {_MOST}", value)
    return value


def _bps(value: Any, name: str) -> int:
    if _count(value, name) > _WHOLE_BPS:
        raise errors.ValueRefused(name, f"at most {_WHOLE_BPS}", value)
    return int(value)


def _symbols(value: Any, name: str) -> tuple[str, ...] | None:
    if isinstance(value, str) or not isinstance(value, Collection) or not all(isinstance(one, str) for one in value):
        raise errors.ValueRefused(name, "a list of symbols", value)
    return tuple(sorted(set(value))) or None  # one form, for the identity of a run


def _yes_or_no(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise errors.ValueRefused(name, "true or false", value)
    return value


def _typed(value: Any, name: str, read: Callable[[Any, str], Any]) -> Any:
    """Return a limit that Python gave, in the type in which a spec's is read."""
    if read in _UNITS:
        return numbers.whole(value, f"an int{_UNITS[read]}", field=name)
    if read is _ratio:
        return numbers.rate(value, field=name)
    if read is _part:
        return _at_most_1(numbers.rate(value, field=name), name)
    return read(value, name)


_UNITS: Mapping[Callable[[Any, str], Any], str] = {
    _money: " of 1e-9 USD",
    _quantity: " of 1e-9 shares",
    _duration: " of ns",
    _count: "",
}
_FIELDS: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "order.maxNotional": ("max_notional", _money),
    "order.maxQuantity": ("max_quantity", _quantity),
    "order.maxOpenOrders": ("max_open_orders", _count),
    "order.maxNotionalPerDay": ("max_notional_per_day", _money),
    "order.maxOrdersPerDay": ("max_orders_per_day", _count),
    "order.collarBps": ("collar_bps", _bps),
    "order.maxPerSecond": ("max_per_second", _count),
    "order.restricted": ("restricted", _symbols),
    "position.maxWeight": ("max_weight", _ratio),
    "position.maxNotional": ("max_position_notional", _money),
    "position.allowShort": ("allow_short", _yes_or_no),
    "portfolio.maxGross": ("max_gross", _ratio),
    "portfolio.maxNet": ("max_net", _ratio),
    "portfolio.maxPositions": ("max_positions", _count),
    "portfolio.maxConcentration": ("max_concentration", _ratio),
    "loss.maxDailyLoss": ("max_daily_loss", _part),
    "loss.maxDrawdown": ("max_drawdown", _part),
    "loss.maxConsecutiveLosses": ("max_consecutive_losses", _count),
    "data.maxBarAge": ("max_bar_age", _duration),
}
# A limit that is wider than the one it is part of would never act.
_NEVER_WIDER = (
    ("order.maxNotional", "order.maxNotionalPerDay"),
    ("position.maxWeight", "portfolio.maxGross"),
    ("portfolio.maxNet", "portfolio.maxGross"),
    ("loss.maxDailyLoss", "loss.maxDrawdown"),
)
