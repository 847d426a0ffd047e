"""Breaches and states: what a policy does about an order that breaks a limit, and what a stricter state does to orders.

A breach whose family says more than ``reject`` opens a halt of the scope: its state becomes stricter, never looser. A
state acts at once on what is open: ``reduce-only`` cancels what increases a position, ``flatten`` and ``halted`` cancel
everything, and ``flatten`` then closes what is held.
"""

from collections.abc import Iterable
from typing import Any

from tradeplane_engine.core import risk
from tradeplane_engine.core.limits import Breach
from tradeplane_engine.core.order import Order

_SHARE = 1_000_000_000
_STATES = {Breach.REDUCE_ONLY: risk.REDUCE_ONLY, Breach.FLATTEN: risk.FLATTEN, Breach.HALTED: risk.HALTED}


def breach(kernel: Any, slot: Any, scope: risk.Scope, order: Order, violation: risk.Violation) -> bool:
    """Act on a breach; say whether the order, cut to what passes, may go on."""
    action = scope.policy.on_breach(violation.family)
    if action is Breach.CLIP:
        passing = _passing(kernel, slot, order)
        if passing:
            order.cut(passing)
            return True
        return False
    if action in _STATES:
        enter(kernel, scope, _STATES[action], violation.reason)
    return False


def losses(kernel: Any, scope: risk.Scope) -> None:
    """Open the halt of a loss limit that is exceeded by the marks alone, where its policy asks for one."""
    state = _STATES.get(scope.policy.on_breach("loss"))
    if state is None or scope.book.state >= state:
        return
    violation = risk.loss_violation(scope)
    if violation is not None:
        enter(kernel, scope, state, violation.reason)


def enter(kernel: Any, scope: risk.Scope, state: int, reason: str) -> None:
    """Make the state of a scope stricter, and act on its open orders."""
    if state <= scope.book.state:
        return
    impose(kernel, scope, state, reason)


def impose(kernel: Any, scope: risk.Scope, state: int, reason: str) -> None:
    """Set the state of a scope, stricter or looser, and act on its open orders."""
    scope.book.state = state
    concerned = [slot for slot in kernel.slots if scope is kernel.account or slot.scope is scope]
    kernel.note_state(concerned[0].number if scope is not kernel.account else -1, state, reason)
    for slot in concerned:
        for order in list(_open(kernel, slot.number)):
            if state >= risk.FLATTEN or (state == risk.REDUCE_ONLY and _increases(slot, order)):
                kernel.cancel(order)
        if state == risk.FLATTEN:
            kernel.flatten(slot)


def _open(kernel: Any, number: int) -> Iterable[Order]:
    for book in kernel.market.books:
        for order in book:
            if order.strategy == number:
                yield order


def _increases(slot: Any, order: Order) -> bool:
    """Whether a working order may bring the strategy's position away from zero, all of its side's orders counted."""
    book = slot.scope.book
    increases: bool = book.highest(order.symbol) > 0 if order.side > 0 else book.lowest(order.symbol) < 0
    return increases


def _passing(kernel: Any, slot: Any, order: Order) -> int:
    """Return the largest whole number of shares below the order's that passes every chain; 0 for none."""
    low, high = 0, order.quantity // _SHARE
    while low < high:
        middle = (low + high + 1) // 2
        if kernel.violation(slot, order, middle * _SHARE) is None:
            low = middle
        else:
            high = middle - 1
    return low * _SHARE
