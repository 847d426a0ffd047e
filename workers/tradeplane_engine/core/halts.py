"""Breaches and states: what a policy does about an order that breaks a limit, and what a stricter state does to orders.

A breach whose family says more than ``reject`` opens a halt of the scope: its state becomes stricter, never looser. A
state acts at once on what is open: ``reduce-only`` cancels what increases a position, ``flatten`` and ``halted`` cancel
everything, and ``flatten`` then closes what is held.
"""

from typing import Any

from tradeplane_engine.core import order as orders
from tradeplane_engine.core import requests, risk
from tradeplane_engine.core.limits import Breach
from tradeplane_engine.core.order import Order

_SHARE = 1_000_000_000
_STATES = {Breach.REDUCE_ONLY: risk.REDUCE_ONLY, Breach.FLATTEN: risk.FLATTEN, Breach.HALTED: risk.HALTED}


def breach(flow: Any, slot: Any, order: Order, refusal: tuple[risk.Scope, risk.Violation]) -> bool:
    """Act on a breach; say whether the order, cut to what passes, may go on. One with exits is never cut."""
    scope, violation = refusal
    action = scope.policy.on_breach(violation.family)
    if action is Breach.CLIP and not order.legs:
        passing = _passing(flow, slot, order)
        if passing:
            order.cut(passing)
        return passing > 0
    if action in _STATES:
        _tighten(flow, slot, scope, _STATES[action], violation.reason)
    return False


def losses(flow: Any) -> None:
    """Open the halts of loss limits that are exceeded by the marks alone, where their policies ask for one."""
    for slot in (*flow.slots, None):
        scope = flow.account if slot is None else slot.scope
        state = _STATES.get(scope.policy.on_breach("loss"))
        if state is not None and scope.book.state < state:
            violation = risk.loss_violation(scope)
            if violation is not None:
                impose(flow, slot, state, violation.reason)


def impose(flow: Any, slot: Any, state: int, reason: str) -> None:
    """Set the state of a strategy, or (None) of the account, stricter or looser, and act on open orders."""
    flow.enter(slot, state, reason)
    for one in flow.slots if slot is None else (slot,):
        for order in _open(flow, one.number):
            if state >= risk.FLATTEN or (state == risk.REDUCE_ONLY and _increases(one, order)):
                requests.cancel(flow, order)
        if state == risk.FLATTEN:
            flow.close_out(one)


def _tighten(flow: Any, slot: Any, scope: risk.Scope, state: int, reason: str) -> None:
    if state > scope.book.state:
        impose(flow, None if scope is flow.account else slot, state, reason)


def _open(flow: Any, number: int) -> list[Order]:
    return [order for book in flow.market.books for order in book if order.strategy == number]


def _increases(slot: Any, order: Order) -> bool:
    """Whether a working order may bring the strategy's position away from zero, all of its side's orders counted."""
    book = slot.scope.book
    increases: bool = book.highest(order.symbol) > 0 if order.side > 0 else book.lowest(order.symbol) < 0
    return increases and order.status != orders.PENDING_CANCEL


def _passing(flow: Any, slot: Any, order: Order) -> int:
    """Return the largest whole number of shares below the order's that passes every chain; 0 for none."""
    low, high = 0, order.quantity // _SHARE
    while low < high:
        middle = (low + high + 1) // 2
        if flow.refusal(slot, order, middle * _SHARE) is None:
            low = middle
        else:
            high = middle - 1
    return low * _SHARE
