"""What the demo proves. Each check is a pure function of the facts; a failed one makes the command fail."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from tradeplane_cli.demo import facts as f
from tradeplane_cli.demo import figures
from tradeplane_engine.domain import numbers

SESSIONS = 250
MIN_REFUSED = 5
MAX_HALT_MS = 1000.0
MIN_IC_SESSIONS = 200

# The conditions that `kubectl apply` alone must bring about, by kind.
EXPECTED = {
    "Environment": {"Ready": "True"},
    "RiskPolicy": {"Ready": "True"},
    "Model": {"Ready": "True"},
    "Strategy": {"Ready": "True", "RiskPolicyBound": "True", "ModelsReady": "True", "TradingHalted": "True"},
}


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check; ``limit`` says what would have passed."""

    passed: bool
    value: object
    limit: str


def run(facts: f.Facts) -> dict[str, Check]:
    """Run every check, in the order of the session."""
    return {name: check(facts) for name, check in CHECKS.items()}


def resources_ready(facts: f.Facts) -> Check:
    """All resources reached their conditions from `kubectl apply` alone, while halted by the absent person."""
    wrong = []
    for name, conditions in facts.resources.items():
        kind = name.partition("/")[0]
        for condition, status in EXPECTED[kind].items():
            if conditions.get(condition) != status:
                wrong.append(f"{name}: {condition}={conditions.get(condition)}")
    missing = sorted(EXPECTED.keys() - {name.partition("/")[0] for name in facts.resources})
    return _none([*wrong, *(f"{kind}: none" for kind in missing)], "no condition off")


def one_decision_per_session(facts: f.Facts) -> Check:
    """Each of the 250 sessions has exactly one decision, and there is no other."""
    counts = Counter(decision.trigger for decision in facts.ledger.decisions)
    exact = sum(1 for session in facts.sessions if counts[session] == 1)
    return Check(
        passed=exact == len(facts.sessions) == SESSIONS and counts.total() == SESSIONS,
        value=f"{exact} of {len(facts.sessions)} sessions, {counts.total()} decisions",
        limit=f"{SESSIONS} of {SESSIONS} sessions, {SESSIONS} decisions",
    )


def edit_is_a_new_generation(facts: f.Facts) -> Check:
    """The edited Strategy decides from the bar after the held one on, as a new generation."""
    before = {d.generation for d in facts.ledger.decisions if d.trigger <= facts.edit.held_trigger}
    after = {d.generation for d in facts.ledger.decisions if d.trigger > facts.edit.held_trigger}
    value = f"generations {sorted(before)} up to the held bar, {sorted(after)} after it"
    passed = len(before) == len(after) == 1 and min(after) > max(before)
    return Check(passed=passed, value=value, limit="one generation each, the later one higher")


def edit_changes_orders_from_its_bar(facts: f.Facts) -> Check:
    """A backtest without the edit gives other orders from exactly the first bar after it."""
    with_edit, without = _by_trigger(facts.replays.same), _by_trigger(facts.replays.without_edit)
    differing = sorted(t for t in with_edit.keys() | without.keys() if with_edit.get(t) != without.get(t))
    first = differing[0] if differing else "none"
    return Check(passed=first == facts.edit.next_trigger, value=first, limit=facts.edit.next_trigger)


def model_saw_nothing_later(facts: f.Facts) -> Check:
    """The last bar and the last label of the training were known before the cut."""
    latest = max(facts.training.last_bar_available_at, facts.training.last_label_end)
    return Check(
        passed=bool(latest) and latest < facts.training.end, value=latest, limit=f"before {facts.training.end}"
    )


def served_predictions_equal_artifact(facts: f.Facts) -> Check:
    """Every served score equals the artifact's own for the stored feature row, bit for bit."""
    different = [
        f"{signal.trigger} {signal.symbol}"
        for signal in facts.ledger.signals
        if facts.recomputed_scores.get((signal.trigger, signal.symbol)) != signal.score
    ]
    value = f"{len(different)} of {len(facts.ledger.signals)} differ"
    return Check(
        passed=not different and bool(facts.ledger.signals), value=value, limit="0 differ, at least one served"
    )


def holdout_ic_measured(facts: f.Facts) -> Check:
    """The holdout's rank IC was measured on enough sessions; its sign is a result, not a check."""
    values = figures.rank_ics(facts)
    finite = bool(values) and math.isfinite(sum(values))
    return Check(
        passed=finite and len(values) >= MIN_IC_SESSIONS,
        value=len(values),
        limit=f"at least {MIN_IC_SESSIONS} sessions",
    )


def orders_equal_broker(facts: f.Facts) -> Check:
    """Every order at the broker is in the ledger as sent, and the reverse."""
    return _none(figures.order_differences(facts), "no order on one side only")


def fills_equal_broker(facts: f.Facts) -> Check:
    """Ledger and broker hold the same executions."""
    return _none(figures.fill_differences(facts), "no fill on one side only")


def positions_equal_broker(facts: f.Facts) -> Check:
    """Positions are equal, and equal the sum of the ledger's fills."""
    return _none(figures.position_differences(facts), "no symbol differs")


def cash_equals_broker(facts: f.Facts) -> Check:
    """Cash, recomputed from fills and fees, equals the ledger's and the broker's to the cent."""
    return _amounts(facts, "cash")


def fees_equal_broker(facts: f.Facts) -> Check:
    """Fees, recomputed from the fills by the venue profile, equal the ledger's and the broker's to the cent."""
    return _amounts(facts, "fees")


def equity_equals_broker(facts: f.Facts) -> Check:
    """Equity at the last close, recomputed from the ledger, equals the broker's to the cent."""
    return _amounts(facts, "equity")


def backtest_gives_the_same_orders(facts: f.Facts) -> Check:
    """The backtest from the session record gives the ledger's orders, one by one, byte for byte."""
    return Check(
        passed=figures.backtest_differences(facts) == 0 and bool(facts.replays.same),
        value=f"{figures.backtest_differences(facts)} of {len(facts.replays.same)} differ",
        limit="0 differ, at least one order",
    )


def backtest_without_halt_orders_in_window(facts: f.Facts) -> Check:
    """Without the halt, the same backtest would have ordered in the window."""
    window = [
        t for t in map(_trigger, facts.replays.without_halt) if facts.halt.first_trigger <= t <= facts.halt.last_trigger
    ]
    return Check(passed=bool(window), value=f"{len(window)} orders", limit="at least 1 order")


def halt_cancelled_open_orders(facts: f.Facts) -> Check:
    """The halt cancelled at least one open order, and its proof is complete with none left open."""
    cancelled, still_open = facts.halt.proof.get("cancelled", []), facts.halt.proof.get("open", [])
    return Check(
        passed=facts.halt.proof.get("complete") is True and len(cancelled) >= 1 and not still_open,
        value=f"complete={facts.halt.proof.get('complete')}, {len(cancelled)} cancelled, {len(still_open)} open",
        limit="complete, at least 1 cancelled, 0 open",
    )


def refused_while_halted(facts: f.Facts) -> Check:
    """Strategies went on deciding while halted, and the gateway refused."""
    refused = [
        order
        for order in facts.ledger.orders
        if order.reason == "halted" and facts.halt.first_trigger <= order.trigger <= facts.halt.last_trigger
    ]
    return Check(passed=len(refused) >= MIN_REFUSED, value=len(refused), limit=f"at least {MIN_REFUSED}")


def no_order_after_halt(facts: f.Facts) -> Check:
    """The broker received no order between the answer to the halting patch and the sending of the lift."""
    count = figures.orders_after_halt(facts)
    return Check(passed=count == 0, value=count, limit="0")


def halt_acts_within_a_second(facts: f.Facts) -> Check:
    """The last order before the lift arrived at most a second after the answer to the halting patch."""
    value = figures.halt_to_last_order_ms(facts)
    return Check(passed=value <= MAX_HALT_MS, value=round(value, 3), limit=f"at most {MAX_HALT_MS:.0f} ms")


def orders_after_lift(facts: f.Facts) -> Check:
    """Trading went on after the lift."""
    after = sum(1 for received in facts.received if received.received_ns > facts.halt.lift_sent_ns)
    return Check(passed=after > 0, value=after, limit="at least 1")


CHECKS: Mapping[str, Callable[[f.Facts], Check]] = {
    check.__name__: check
    for check in (
        resources_ready,
        one_decision_per_session,
        edit_is_a_new_generation,
        edit_changes_orders_from_its_bar,
        model_saw_nothing_later,
        served_predictions_equal_artifact,
        holdout_ic_measured,
        orders_equal_broker,
        fills_equal_broker,
        positions_equal_broker,
        cash_equals_broker,
        fees_equal_broker,
        equity_equals_broker,
        backtest_gives_the_same_orders,
        backtest_without_halt_orders_in_window,
        halt_cancelled_open_orders,
        refused_while_halted,
        no_order_after_halt,
        halt_acts_within_a_second,
        orders_after_lift,
    )
}


def _none(problems: Sequence[str], limit: str) -> Check:
    return Check(passed=not problems, value=problems[:10] or 0, limit=limit)


def _amounts(facts: f.Facts, name: str) -> Check:
    values = figures.amounts(facts)[name]
    recomputed, ledger, broker = map(numbers.money_text, values)
    return Check(
        passed=not figures.differ(values),
        value=f"{name}: recomputed {recomputed}, ledger {ledger}, broker {broker}",
        limit="equal to the cent",
    )


def _trigger(canonical: str) -> str:
    return str(orjson.loads(canonical)["bar_end"])


def _by_trigger(canonical: Sequence[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for line in canonical:
        grouped.setdefault(_trigger(line), []).append(line)
    return grouped
