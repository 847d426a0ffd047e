"""Corporate actions as dated events, and what each does to a position, an open order and the cash.

- A split turns shares at unchanged cost; what falls below 1e-9 share is cut toward zero, nothing is paid for it.
- A cash dividend is owed for what is held when the ex-date begins, on the share basis after a split of that day. It is
  paid on the pay date where one is given, else on the ex-date. A short pays. What a long gets is rounded down, what a
  short pays is rounded up.
- A rename keeps the position under its new symbol.
- A delisting ends the position at a price per share; 0 is worthless.
- Everything else (spin-offs, mergers for shares, rights, ...) is refused by name: :func:`known`.

Open orders: a renamed or delisted symbol loses all of them, a dividend changes none. A forward split restates market
orders, buy limits and sell stops; it cancels the rest, as a reverse split does (``alpaca-protocol.md`` section 5.1).
"""

from dataclasses import dataclass

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, orders, times

UNDATED = times.Nanos(0)
CANCEL_REASON = "CORPORATE_ACTION"
SUPPORTED = ("forward_split", "reverse_split", "cash_dividend", "name_change", "worthless_removal", "cash_merger")
REFUSED = (
    *("spin_off", "stock_dividend", "unit_split", "stock_merger", "stock_and_cash_merger", "redemption"),
    "rights_distribution",
)


@dataclass(frozen=True, slots=True)
class Split:
    """``new`` shares for ``old`` ones, before the open of ``at``."""

    symbol: str
    at: times.Nanos
    new: int
    old: int

    def __post_init__(self) -> None:
        """Refuse a ratio that is not positive."""
        if self.new <= 0 or self.old <= 0:
            raise errors.ValueRefused(f"split of {self.symbol}", "a ratio of positive integers", (self.new, self.old))

    @property
    def forward(self) -> bool:
        """Whether there are more shares after it."""
        return self.new > self.old


@dataclass(frozen=True, slots=True)
class Dividend:
    """USD per share for who holds at the open of ``at``, the ex-date; paid at ``pay_at``, 0 for the ex-date."""

    symbol: str
    at: times.Nanos
    per_share: numbers.Money
    pay_at: times.Nanos = UNDATED

    def __post_init__(self) -> None:
        """Refuse an amount that is not positive, and a payment before the ex-date."""
        if self.per_share <= 0:
            raise errors.ValueRefused(f"dividend of {self.symbol}", "more than 0", numbers.money_text(self.per_share))
        if self.pay_at and self.pay_at < self.at:
            raise errors.ValueRefused(f"dividend of {self.symbol}", "paid at or after its ex-date", self.pay_at)


@dataclass(frozen=True, slots=True)
class Rename:
    """The symbol is called ``to`` from the open of ``at`` on."""

    symbol: str
    at: times.Nanos
    to: str


@dataclass(frozen=True, slots=True)
class Delisting:
    """The symbol ends before the open of ``at``; each share becomes ``per_share`` of cash, 0 when it is worthless."""

    symbol: str
    at: times.Nanos
    per_share: numbers.Money


Action = Split | Dividend | Rename | Delisting


@dataclass(frozen=True, slots=True)
class Holding:
    """A position: signed shares and what they cost (negative for a short)."""

    symbol: str
    quantity: int
    cost: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action does to a position; ``position`` is None when it is gone.

    cash, at : money and the instant at which it is booked; 0 for none
    realised : profit of a position that ended
    lost : part of a share that a split cut, in 1e-9 shares times its ``old``; less than one unit
    """

    position: Holding | None
    cash: int = 0
    at: times.Nanos = UNDATED
    realised: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open order as an action sees it; prices are 0 for none."""

    symbol: str
    side: orders.Side
    kind: str
    quantity: int
    filled: int = 0
    limit: int = 0
    stop: int = 0


def known(kind: str, symbol: str) -> None:
    """Refuse an action that is not modelled; raises DataRefused with a reason that can be counted.

    A position that went through one would have a wrong size or cost from then on, so a run must not go on in silence.
    """
    if kind not in SUPPORTED:
        name = kind.replace("_", "-")
        raise errors.DataRefused(name, f"{symbol}: {name} is not modelled, only {', '.join(SUPPORTED)}")


def of(action: bars.CorporateAction) -> tuple[Action, ...]:
    """Return a dataset's row as events: the split first, then the dividend on the new share basis."""
    found: list[Action] = []
    if action.split != (1, 1):
        found.append(Split(action.symbol, action.ex_start, *action.split))
    if action.dividend:
        found.append(Dividend(action.symbol, action.ex_start, action.dividend))
    return tuple(found)


def apply(action: Action, held: Holding) -> Effect:
    """What an action does to a position of its symbol; raises ValueRefused for another symbol."""
    if action.symbol != held.symbol:
        raise errors.ValueRefused("symbol", action.symbol, held.symbol)
    if isinstance(action, Split):
        return _split(action, held)
    if isinstance(action, Dividend):
        return Effect(held, cash=_cash(action.per_share, held.quantity), at=action.pay_at or action.at)
    if isinstance(action, Rename):
        return Effect(Holding(action.to, held.quantity, held.cost))
    proceeds = _cash(action.per_share, held.quantity)
    return Effect(None, cash=proceeds, at=action.at, realised=proceeds - held.cost)


def order_after(action: Action, order: Waiting) -> Waiting | None:
    """Return an open order of the symbol after an action; None when it is cancelled (:data:`CANCEL_REASON`)."""
    if isinstance(action, Dividend):
        return order
    if isinstance(action, Split) and (order.kind == "market" or (action.forward and _moves(order))):
        return _restated(action, order)
    return None


def price_after(split: Split, price: int) -> int:
    """Return a price on the share basis after a split, rounded half to even, at least 1; for marks, never for fills."""
    return max(numbers.divide_half_even(price * split.old, split.new), 1)


def quantity_after(split: Split, quantity: int) -> int:
    """Return signed shares after a split, cut toward zero at 1e-9 share."""
    size = abs(quantity) * split.new // split.old
    return numbers.checked(size if quantity >= 0 else -size, "quantity")


def _split(split: Split, held: Holding) -> Effect:
    quantity = quantity_after(split, held.quantity)
    lost = abs(held.quantity) * split.new - abs(quantity) * split.old
    if quantity:
        return Effect(Holding(held.symbol, quantity, held.cost), lost=lost)
    return Effect(None, realised=-held.cost, lost=lost)


def _cash(per_share: int, quantity: int) -> int:
    # Floor division is against the holder on both sides: a long gets less, a short pays more.
    return numbers.checked(per_share * quantity // numbers.ONE_SHARE, "cash")


def _moves(order: Waiting) -> bool:
    kinds = ("limit",) if order.side is orders.Side.BUY else ("stop", "stop_limit")
    return order.kind in kinds


def _restated(split: Split, order: Waiting) -> Waiting | None:
    quantity = quantity_after(split, order.quantity)
    if order.kind != "market" and not order.quantity % numbers.ONE_SHARE:
        quantity -= quantity % numbers.ONE_SHARE  # it may wait for days, which a fraction may not
    filled = quantity_after(split, order.filled)
    if quantity <= filled:
        return None
    return Waiting(
        symbol=order.symbol,
        side=order.side,
        kind=order.kind,
        quantity=quantity,
        filled=filled,
        limit=order.limit * split.old // split.new,
        stop=order.stop * split.old // split.new,
    )
