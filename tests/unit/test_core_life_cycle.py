import os
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import pytest

from support import engine_orders as given
from support import engine_wild
from tradeplane_engine import errors
from tradeplane_engine.core import kernel, log, order

_SEEDS = range(40)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(seed=st.integers(0, 2**32), steps=st.integers(2, 12))
def test_any_interleaving_keeps_filled_and_open_and_the_books(seed: int, steps: int) -> None:
    """Partial fills, cancels, replaces, expiries, pairs and splits in any order.

    After every word to the strategy the books count exactly what the open orders have open, and filled + open is the
    quantity (``Script.check``). Here: words follow the state machine, a terminal one is the last, and positions are the
    sum of the fills.
    """
    found, script = engine_wild.wild(seed, splits=False, steps=steps)
    _assert_words(script)
    held = dict.fromkeys(range(len(found.table.symbols)), 0)
    filled = dict.fromkeys([one.id for one in found.orders], 0)
    for kind, _, _, symbol, number, signed, *_ in found.log.rows().tolist():
        if kind == log.FILL:
            held[symbol] += signed
            filled[number] += abs(signed)
    assert filled == {one.id: one.filled for one in found.orders}
    assert held == dict(enumerate(found.account.book.ledger.quantities))


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(seed=st.integers(0, 2**32), steps=st.integers(2, 12))
def test_splits_in_any_interleaving_keep_the_books(seed: int, steps: int) -> None:
    """Forward and reverse splits between anything else."""
    _, script = engine_wild.wild(seed, steps=steps)
    _assert_words(script)


_ENDS = {"fill", "canceled", "expired", "rejected", "refused", "replaced"}


def _assert_words(script: given.Script) -> None:
    ended: set[int] = set()
    for event, number, _ in script.heard:
        assert number not in ended, f"{event} of {number} after its end"
        if event in _ENDS and number:
            ended.add(number)
    assert script.kernel is not None
    assert ended == {one.id for one in script.kernel.orders if one.ended}


def test_each_step_that_the_machine_lacks_is_an_error() -> None:
    """From every status to every other: allowed exactly where the table says so."""
    for before in range(len(order.STATUSES)):
        for after in range(len(order.STATUSES)):
            one = order.Order(0, 0, 1, 10)
            for step in _way_to(before):
                one.move(step)
            if before == order.HELD:
                order.bracket(order.Order(0, 0, 1, 10), (one,))
            if after in order.ALLOWED[before]:
                one.move(after)
                assert one.status == after
            else:
                with pytest.raises(errors.LedgerBroken):
                    one.move(after)
                assert one.status == before


def _way_to(status: int) -> list[int]:
    if status in {order.ACCEPTED, order.HELD}:
        return []
    return [order.NEW, status] if status != order.NEW else [order.NEW]


@pytest.mark.parametrize("quantity", [0, -1, 11])
def test_a_fill_of_nothing_or_beyond_what_is_open_breaks_the_ledger(quantity: int) -> None:
    """It names the order."""
    one = order.Order(0, 0, 1, 10)
    with pytest.raises(errors.LedgerBroken, match="order 0"):
        one.fill(quantity, 1)
    with pytest.raises(errors.LedgerBroken, match="order 0"):
        one.shrink(quantity)


def _digest(seed: int) -> str:
    found, _ = engine_wild.wild(seed)
    return found.log.digest({"seed": seed})


def test_the_same_run_twice_has_one_hash() -> None:
    """Nothing of a run stays behind in the process."""
    assert [_digest(seed) for seed in _SEEDS] == [_digest(seed) for seed in _SEEDS]


def test_wild_runs_reach_what_they_are_for() -> None:
    """A generator that never fills a pair or lets an order expire would prove nothing."""
    words: set[str] = set()
    ends: set[tuple[int, int]] = set()
    reasons: set[str] = set()
    for seed in range(150):
        found, script = engine_wild.wild(seed)
        words |= {event for event, *_ in script.heard}
        ends |= {(one.kind, one.status) for one in found.orders}
        reasons |= {one.reason for one in found.orders}
    assert words >= {
        *("new", "held", "partial_fill", "fill", "canceled", "expired", "rejected", "replaced", "restated"),
        *("pending_cancel", "pending_replace", "refused"),
    }
    assert ends >= {(kind, end) for kind in range(len(order.KINDS)) for end in (order.FILLED, order.CANCELED)}
    assert reasons >= {"oco", "ioc", "fok", "opg", "cls", "corporate-action", "order-not-open"}


def test_interpreted_and_compiled_wild_runs_have_the_same_hashes() -> None:
    """Every kind of order, time in force, policy and request gives the same event log both ways."""
    code = f"""
from support import engine_wild
from tradeplane_engine import core
for seed in range({len(_SEEDS)}):
    found, _ = engine_wild.wild(seed)
    print(core.compiled(), found.log.digest({{"seed": seed}}))
"""
    answers = {}
    for interpreted in ("0", "1"):
        environment = {**os.environ, "TRADEPLANE_INTERPRETED": interpreted}
        environment["PYTHONPATH"] = os.pathsep.join(["tests", environment.get("PYTHONPATH", "")])
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        lines = [line.split() for line in done.stdout.splitlines()]
        answers[interpreted] = [digest for _, digest in lines]
        if interpreted == "1":
            assert {compiled for compiled, _ in lines} == {"False"}
    assert answers["0"] == answers["1"]


def test_a_kernel_names_its_update() -> None:
    """Strategies annotate with the kernel's name."""
    assert kernel.Update.__name__ == "Update"
