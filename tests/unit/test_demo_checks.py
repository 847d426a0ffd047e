"""Each check of the demo passes on a session that adds up, and fails when its one fact is broken."""

import dataclasses
from collections.abc import Callable

import pytest

from support import demo_facts
from tradeplane_cli.demo import checks, figures, report
from tradeplane_cli.demo import facts as f
from tradeplane_engine.domain import numbers

# Checks that need 250 sessions cannot pass on five.
_LONG = {"one_decision_per_session", "holdout_ic_measured", "refused_while_halted"}


@pytest.mark.parametrize("name", sorted(checks.CHECKS.keys() - _LONG))
def test_a_session_that_adds_up_passes(name: str) -> None:
    """A session in which everything adds up passes the check."""
    result = checks.CHECKS[name](demo_facts.facts())
    assert result.passed, result


def _ledger(facts: f.Facts, **changes: object) -> f.Facts:
    return dataclasses.replace(facts, ledger=dataclasses.replace(facts.ledger, **changes))  # type: ignore[arg-type]


def _broker(facts: f.Facts, **changes: object) -> f.Facts:
    return dataclasses.replace(facts, broker=dataclasses.replace(facts.broker, **changes))  # type: ignore[arg-type]


def _halt(facts: f.Facts, **changes: object) -> f.Facts:
    return dataclasses.replace(facts, halt=dataclasses.replace(facts.halt, **changes))  # type: ignore[arg-type]


def _cent_more(amount: numbers.Money) -> numbers.Money:
    return numbers.Money(amount + numbers.ONE_CENT)


_BREAKS: dict[str, Callable[[f.Facts], f.Facts]] = {
    "resources_ready": lambda x: dataclasses.replace(x, resources={**x.resources, "Model/one": {"Ready": "False"}}),
    "one_decision_per_session": lambda x: _ledger(x, decisions=x.ledger.decisions[:-1]),
    "edit_is_a_new_generation": lambda x: _ledger(
        x, decisions=[dataclasses.replace(d, generation=1) for d in x.ledger.decisions]
    ),
    "edit_changes_orders_from_its_bar": lambda x: dataclasses.replace(
        x, replays=dataclasses.replace(x.replays, without_edit=x.replays.same)
    ),
    "model_saw_nothing_later": lambda x: dataclasses.replace(
        x, training=dataclasses.replace(x.training, last_label_end="2012-03-02T14:30:00Z")
    ),
    "served_predictions_equal_artifact": lambda x: dataclasses.replace(
        x, recomputed_scores={k: v + 2**-54 for k, v in x.recomputed_scores.items()}
    ),
    "orders_equal_broker": lambda x: _broker(x, orders=x.broker.orders[:-1]),
    "fills_equal_broker": lambda x: _broker(x, fills=(*x.broker.fills, x.broker.fills[0])),
    "positions_equal_broker": lambda x: _broker(x, positions={"AAPL": numbers.quantity("10")}),
    "cash_equals_broker": lambda x: _broker(x, cash=_cent_more(x.broker.cash)),
    "fees_equal_broker": lambda x: _ledger(x, fees=_cent_more(x.ledger.fees)),
    "equity_equals_broker": lambda x: _broker(x, equity=_cent_more(x.broker.equity)),
    "backtest_gives_the_same_orders": lambda x: dataclasses.replace(
        x, replays=dataclasses.replace(x.replays, same=x.replays.same[:-1])
    ),
    "backtest_without_halt_orders_in_window": lambda x: dataclasses.replace(
        x, replays=dataclasses.replace(x.replays, without_halt=x.replays.same)
    ),
    "halt_cancelled_open_orders": lambda x: _halt(x, proof={**x.halt.proof, "open": ["y"]}),
    "refused_while_halted": lambda x: _ledger(x, orders=[o for o in x.ledger.orders if not o.reason]),
    "no_order_after_halt": lambda x: dataclasses.replace(
        x, received=(*x.received, f.Received(x.received[0].client_order_id, 5_000_000_000, 5_001_000_000))
    ),
    "halt_acts_within_a_second": lambda x: dataclasses.replace(
        x, received=(*x.received, f.Received(x.received[0].client_order_id, 3_100_000_000, 3_101_000_000))
    ),
    "orders_after_lift": lambda x: dataclasses.replace(x, received=x.received[:-1]),
}


@pytest.mark.parametrize("name", sorted(_BREAKS))
def test_a_broken_fact_fails_its_check(name: str) -> None:
    """Breaking the one fact that a check is about makes the check fail."""
    assert not checks.CHECKS[name](_BREAKS[name](demo_facts.facts())).passed


def test_every_check_but_the_measurement_has_a_break() -> None:
    """No check is left without a way to fail."""
    assert checks.CHECKS.keys() - _BREAKS.keys() == {"holdout_ic_measured"}


def test_too_few_sessions_with_an_ic_fail() -> None:
    """The rank IC counts only when enough sessions had enough scores."""
    assert not checks.holdout_ic_measured(demo_facts.facts()).passed


def test_rank_ic_is_the_spearman_correlation_of_a_session() -> None:
    """Scores in the order of the returns give 1, in the reverse order -1."""
    base = demo_facts.facts()
    symbols = ("A", "B", "C", "D")
    signals = [
        f.Signal(base.sessions[s], n, sign * i, ()) for s, sign in ((0, 1.0), (1, -1.0)) for i, n in enumerate(symbols)
    ]
    returns = {base.sessions[s]: {n: i / 100 for i, n in enumerate(symbols)} for s in (0, 1)}
    facts = dataclasses.replace(_ledger(base, signals=signals), forward_returns=returns)
    assert figures.rank_ics(facts) == pytest.approx([1.0, -1.0])


def test_a_session_with_three_scores_has_no_rank_ic() -> None:
    """Fewer than four symbols say nothing about a ranking."""
    base = demo_facts.facts()
    signals = [f.Signal(base.sessions[0], name, float(i), ()) for i, name in enumerate("ABC")]
    facts = dataclasses.replace(
        _ledger(base, signals=signals), forward_returns={base.sessions[0]: {"A": 0.1, "B": 0.2, "C": 0.3}}
    )
    assert figures.rank_ics(facts) == []


def test_orders_while_the_clock_stood_still_are_before_the_halt() -> None:
    """The time to the last order is zero when that order came before the answer to the patch."""
    assert figures.halt_to_last_order_ms(demo_facts.facts()) == 0.0


def test_the_report_has_the_promised_keys() -> None:
    """`report.json` has every key that programs rely on."""
    facts = demo_facts.facts()
    summary = report.as_json(facts, checks.run(facts), {"trading": 1.0})
    promised = {
        "passed",
        "checks",
        "orders",
        "fills",
        "rejects",
        "ledger_differences",
        "backtest_order_differences",
        "orders_after_halt",
        "halt_to_last_order_ms",
        "holdout_ic",
        "holdout_ic_se",
        "trials",
        "pnl",
        "phases_s",
    }
    assert promised <= summary.keys()


def test_each_difference_between_ledger_and_broker_is_counted() -> None:
    """A missing order, an extra fill and a cent of cash are three differences; none are none."""
    facts = demo_facts.facts()
    assert figures.ledger_differences(facts) == 0
    broken = _broker(
        facts,
        orders=facts.broker.orders[:-1],
        fills=(*facts.broker.fills, facts.broker.fills[0]),
        cash=_cent_more(facts.broker.cash),
    )
    assert figures.ledger_differences(broken) == 3


def test_one_failed_check_fails_the_report() -> None:
    """The whole passes only when each part does."""
    facts = demo_facts.facts()
    assert report.as_json(facts, checks.run(facts), {})["passed"] is False


def test_the_page_needs_no_network() -> None:
    """The page loads nothing: no script, no link, no address."""
    facts = demo_facts.facts()
    page = report.as_html(facts, report.as_json(facts, checks.run(facts), {"trading": 1.0}))
    assert not [word for word in ("<script", "<link", "http://", "https://", "@import", "url(") if word in page]
