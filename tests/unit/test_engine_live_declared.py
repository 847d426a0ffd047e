"""What a manifest declares, live: the decisions of one host on features, model and what the ledger says it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from support import engine_data, live_runs
from tradeplane_engine import declarative, errors, live, settings
from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor

MARKET = engine_data.market(70)


class Failing:
    """A predictor that fails for a reason, or answers nonsense."""

    def __init__(self, reason: str = "", scores: Sequence[float] = ()) -> None:
        self.reason = reason
        self.scores = tuple(scores)

    def predict(self, names: Sequence[str], rows: predictor.FloatArray) -> predictor.Prediction:
        """Fail or answer."""
        if self.reason:
            raise errors.PredictionFailed(self.reason, f"{len(rows)} rows, {len(names)} features")
        return predictor.Prediction(engine_data.DIGEST, self.scores)


def hosted(
    model: predictor.Predictor | None = None,
    *,
    now: live_runs.Now | None = None,
    warm: int = 60,
    told: settings.StrategySettings | None = None,
    held: Mapping[str, int] | None = None,
    working: Sequence[orders.Intent] = (),
) -> tuple[live.Host, live_runs.Venue]:
    """Return a host that has seen the first sessions, whose strategy holds shares and waits for orders."""
    told = told or engine_data.strategy()
    venue = live_runs.Venue(MARKET[0].end)
    for symbol, shares in (held or {}).items():
        bought = engine_data.shares(shares)
        told_of = {"symbol": symbol, "quantity": bought, "executed": bought, "price": numbers.price("100")}
        venue.happen(live.Happened.FILL, f"held-{symbol}", **told_of)
    for one in working:
        venue.happen(live.Happened.SENT, f"open-{one.symbol}", symbol=one.symbol, side=one.side, quantity=one.quantity)
    features = sources.LastBars(told.features, told.symbols)
    declared = declarative.Declarative(told, features=features, model=model or engine_data.LastReturn())
    host = live.Host(told, declared, venue, now or live_runs.Now(), features=features)
    host.warm(MARKET[:warm])
    return host, venue


def test_each_slice_gives_exactly_one_decision() -> None:
    """Keyed by the end of its bar."""
    host, venue = hosted()
    for one in MARKET[60:]:
        host.step(one)
    assert [one.trigger for one in venue.decisions] == [one.end for one in MARKET[60:]]


def test_warming_up_decides_nothing() -> None:
    """The past is taken in silently."""
    assert hosted()[1].decisions == []


def test_a_decision_holds_what_it_was_made_of() -> None:
    """Signals with their feature rows, the digest, and intents in the order of symbols."""
    decision = hosted()[0].step(MARKET[60])
    assert decision.outcome is orders.Outcome.TRADED
    assert [one.symbol for one in decision.signals] == list(engine_data.SYMBOLS)
    assert {len(one.features) for one in decision.signals} == {157}
    assert decision.model_digest == engine_data.DIGEST
    assert [one.symbol for one in decision.intents] == sorted(one.symbol for one in decision.intents)
    assert len(decision.intents) == 3


def test_working_orders_are_taken_into_account() -> None:
    """The same targets with everything already working order nothing."""
    first = hosted()[0].step(MARKET[60])
    assert hosted(working=first.intents)[0].step(MARKET[60]).intents == ()


@pytest.mark.parametrize(
    "reason,outcome",
    [
        ("late", orders.Outcome.PREDICTION_LATE),
        ("failed", orders.Outcome.NO_SIGNAL),
        ("wrong-digest", orders.Outcome.NO_SIGNAL),
    ],
)
def test_a_failed_prediction_is_no_signal_and_no_order(reason: str, outcome: orders.Outcome) -> None:
    """Recorded with its reason; positions stay."""
    decision = hosted(Failing(reason), held={"AAA": 5})[0].step(MARKET[60])
    assert (decision.outcome, decision.intents) == (outcome, ())
    assert decision.detail.startswith(reason)


@pytest.mark.parametrize("scores", [[1.0], [1.0, 2.0, 3.0, 4.0, float("nan")], [1.0, 2.0, 3.0, 4.0, float("inf")]])
def test_an_answer_that_cannot_be_ranked_is_no_signal(scores: list[float]) -> None:
    """Too few scores, NaN or infinity never become targets."""
    decision = hosted(Failing(scores=scores))[0].step(MARKET[60])
    assert (decision.outcome, decision.intents) == (orders.Outcome.NO_SIGNAL, ())


def test_an_answer_of_another_model_is_no_signal() -> None:
    """The digest of each answer is checked against the settings."""
    decision = hosted(engine_data.LastReturn("sha256:" + "1" * 64))[0].step(MARKET[60])
    assert decision.detail.startswith("wrong-digest: expected sha256:0000")
    assert decision.intents == ()


def test_without_full_windows_there_is_no_signal() -> None:
    """60 bars are one too few; the model is not even asked."""
    model = engine_data.LastReturn()
    decision = hosted(model, warm=59)[0].step(MARKET[59])
    assert decision.detail == "too-few-scores: at least 3 needed, got 0"
    assert model.asked == []


def test_too_few_scores_leave_positions_alone() -> None:
    """Two symbols with a window are no ranking of three."""
    found = [one for symbol in ("AAA", "BBB") for one in engine_data.walk(symbol, range(70))]
    late = [one for symbol in ("CCC", "DDD", "EEE") for one in engine_data.walk(symbol, range(30, 70))]
    host, _ = hosted(warm=0, held={"AAA": 5})
    decision = [host.step(one) for one in engine_data.slices([*found, *late])][-1]
    assert (decision.outcome, decision.intents) == (orders.Outcome.NO_SIGNAL, ())
    assert [one.symbol for one in decision.signals] == ["AAA", "BBB"]


def test_a_held_symbol_without_a_score_is_closed() -> None:
    """Its target is zero, if the slice has its bar."""
    extra = engine_data.bar("ZZZ", 60)
    one = replace(MARKET[60], bars={**MARKET[60].bars, "ZZZ": extra})
    told = engine_data.strategy(symbols=(*engine_data.SYMBOLS, "YYY", "ZZZ"))
    held = {"YYY": 5, "ZZZ": 5, "GONE": 5}
    decision = hosted(told=told, held=held)[0].step(one)
    closing = [one for one in decision.intents if one.symbol in held]
    assert closing == [orders.Intent("ZZZ", orders.Side.SELL, engine_data.shares(5))]


def test_a_missed_bar_is_recorded_and_learnt_from() -> None:
    """The decision is empty, the next one uses the bar."""
    calm, missing = hosted()[0], hosted()[0]
    calm.step(MARKET[60])
    missed = missing.missed(MARKET[60].end, detail="backfilled", one=MARKET[60])
    assert missed == orders.Decision(MARKET[60].end, orders.Outcome.MISSED, detail="backfilled", heard=0)
    assert missing.step(MARKET[61]).signals == calm.step(MARKET[61]).signals


def test_it_asks_for_the_window_and_some_slices_more() -> None:
    """Days without a bar are few; of shorter bars as many again may be missing."""
    assert hosted()[0].warm_up == 61 + 10
    assert hosted(told=replace(engine_data.strategy(), timeframe="5m"), warm=0)[0].warm_up == 61 + 61
