"""A strategy's place in a run, and what it is told about its orders."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors, indicators
from tradeplane_engine.core.context import Context
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.risk import Scope


class Update:
    """What happened to an order.

    ``event`` is new, held, partial_fill, fill, canceled, expired, rejected, refused, replaced, restated,
    pending_cancel or pending_replace. ``refused`` is the gate's word, ``rejected`` the venue's. Quantity, price and fee
    are those of this execution.
    """

    __slots__ = ("at", "event", "fee", "order", "price", "quantity", "reason")

    def __init__(
        self, event: str, order: Order, at: int, quantity: int = 0, price: int = 0, fee: int = 0, reason: str = ""
    ) -> None:
        self._begin(event, order, at, quantity, price, fee, reason)

    def _begin(self, event: str, order: Order, at: int, quantity: int, price: int, fee: int, reason: str) -> None:
        self.event = event
        self.order = order
        self.at = at
        self.quantity = quantity
        self.price = price
        self.fee = fee
        self.reason = reason


def said(event: str, order: Order, at: int, quantity: int, price: int, fee: int, reason: str) -> Update:
    """Return an update; compiled, it is made without a Python object per number."""
    found = Update.__new__(Update)
    found._begin(event, order, at, quantity, price, fee, reason)
    return found


class Slot:
    """A strategy in a run: its hooks, its context, its scopes of risk, and the first row per series that it is shown.

    ``scope`` is its own, ``scopes`` are those that judge its orders: its own, then the account's where there is one.

    While it is ``busy`` (its turn, or a decision of its) what it wants is collected for the end of that. ``declared``
    holds the indicators that it asked for with their values per row and their timeframe (ns; None for each symbol's
    shortest), for those who compute them again.
    """

    __slots__ = (
        *("_first_row", "_wish", "busy", "context", "declared", "first_row", "follows", "name", "number", "on_bar"),
        *("on_bars", "on_order_update", "scope", "scopes", "strategy"),
    )

    def __init__(
        self, number: int, name: str, strategy: Any, context: Context, scope: Scope, account: Scope | None = None
    ) -> None:
        self.number = number
        self.name = name
        self.strategy = strategy
        self.context = context
        self.scope = scope
        self.scopes = (scope,) if account is None else (scope, account)
        self.busy = False
        self.on_bar = _hook(strategy, "on_bar")
        self.on_bars = _hook(strategy, "on_bars")
        self.on_order_update = _hook(strategy, "on_order_update")
        first = self.context._table.starts[: len(self.context._table.timeframes)]
        self.first_row = np.asarray(first, dtype=np.int64) + getattr(strategy, "warm_up", 0)
        self._first_row = self.first_row.data
        self.follows = False
        self._wish = self._first_row  # a column per row of the table once ``follows``
        self.declared: list[tuple[indicators.Spec, dict[str, npt.NDArray[Any]], int | None]] = []

    def follow(self, shares: Any) -> None:
        """Take a column of targets in place of the strategy's turns."""
        self._wish = shares.data
        self.follows = True

    def call(self, hook: str, *given: Any, place: str = "") -> None:
        """Call one of the strategy's rare hooks; raises StrategyFailed, naming hook or place, where it does."""
        try:
            getattr(self.strategy, hook)(self.context, *given)
        except errors.EngineError:
            raise
        except Exception as error:
            raise errors.StrategyFailed(self.name, place or hook, error) from error

    def ring(self, at: int, name: str) -> None:
        """Call the strategy's hook at a timer's instant (ns UTC); raises StrategyFailed where it does."""
        self.context.now = at
        self.call("on_timer", name, place=f"timer {name!r}")

    def tell(self, update: Update) -> None:
        """Call the strategy's hook; raises StrategyFailed where it does."""
        try:
            self.on_order_update(self.context, update)
        except errors.EngineError:
            raise
        except Exception as error:
            raise errors.StrategyFailed(self.name, f"{update.event} of {update.order}", error) from error


def _hook(strategy: Any, name: str) -> Any:
    """Return a strategy's own hook, or None where it has only the base class's, which does nothing."""
    hook = getattr(strategy, name)
    return None if getattr(hook, "does_nothing", False) else hook
