"""The strategy that a manifest declares, shown bars by hand: what it says and what it wants."""

from collections.abc import Sequence

import pytest

from support import engine_data, plain_desk
from tradeplane_engine import declarative, errors
from tradeplane_engine.domain import bars, numbers, orders
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


def shown(
    one: bars.BarSlice,
    model: predictor.Predictor | None = None,
    *,
    warm: Sequence[bars.BarSlice] = MARKET[:60],
) -> plain_desk.Context:
    """Return the context of one decision, after some history."""
    declared = engine_data.strategy()
    features = sources.LastBars(declared.features, declared.symbols)
    for past in (*warm, one):
        features.observe(past)
    made = declarative.Declarative(declared, features=features, model=model or engine_data.LastReturn())
    ctx = plain_desk.Context(one.end)
    made.shown(one.bars.values())(ctx)
    return ctx


def test_a_decision_holds_what_it_was_made_of() -> None:
    """Signals with feature rows, directions and the digest, and a target for every symbol that has a bar."""
    ctx = shown(MARKET[60])
    said = ctx.said
    assert said.outcome is orders.Outcome.TRADED
    assert [one.symbol for one in said.signals] == list(engine_data.SYMBOLS)
    assert {(len(one.features), one.model) for one in said.signals} == {(157, engine_data.DIGEST)}
    ranked = sorted(said.signals, key=lambda one: -one.score)
    assert [one.direction for one in ranked] == [1, 1, 0, 0, -1]
    assert list(ctx.targets) == sorted(MARKET[60].bars)
    assert {one.symbol: (ctx.targets[one.symbol] > 0) - (ctx.targets[one.symbol] < 0) for one in ranked} == {
        one.symbol: one.direction for one in ranked
    }


def test_targets_are_the_capital_in_equal_whole_shares() -> None:
    """A third of 300,000 USD for each name, at the last close, rounded toward zero."""
    ctx = shown(MARKET[60])
    for symbol, wanted in ctx.targets.items():
        close = MARKET[60].bars[symbol].close
        assert abs(wanted) in {0, numbers.shares(numbers.money("100000"), close)}


@pytest.mark.parametrize(
    "reason,outcome",
    [
        ("late", orders.Outcome.PREDICTION_LATE),
        ("failed", orders.Outcome.NO_SIGNAL),
        ("wrong-digest", orders.Outcome.NO_SIGNAL),
    ],
)
def test_a_failed_prediction_is_no_signal_and_no_target(reason: str, outcome: orders.Outcome) -> None:
    """Recorded with its reason; positions stay."""
    ctx = shown(MARKET[60], Failing(reason))
    assert (ctx.said.outcome, ctx.targets, ctx.said.signals) == (outcome, {}, [])
    assert ctx.said.detail.startswith(reason)


@pytest.mark.parametrize("scores", [[1.0], [1.0, 2.0, 3.0, 4.0, float("nan")], [1.0, 2.0, 3.0, 4.0, float("inf")]])
def test_an_answer_that_cannot_be_ranked_is_no_signal(scores: list[float]) -> None:
    """Too few scores, NaN or infinity never become targets."""
    ctx = shown(MARKET[60], Failing(scores=scores))
    assert (ctx.said.outcome, ctx.targets) == (orders.Outcome.NO_SIGNAL, {})


def test_an_answer_of_another_model_is_no_signal() -> None:
    """The digest of each answer is checked against the settings."""
    ctx = shown(MARKET[60], engine_data.LastReturn("sha256:" + "1" * 64))
    assert ctx.said.detail.startswith("wrong-digest: expected sha256:0000")
    assert ctx.targets == {}


def test_without_full_windows_there_is_no_signal() -> None:
    """60 bars are one too few; the model is not even asked."""
    model = engine_data.LastReturn()
    ctx = shown(MARKET[59], model, warm=MARKET[:59])
    assert ctx.said.detail == "too-few-scores: at least 3 needed, got 0"
    assert model.asked == []


def test_too_few_scores_leave_positions_alone() -> None:
    """Two symbols with a window are no ranking of three; their signals are recorded all the same."""
    found = [one for symbol in ("AAA", "BBB") for one in engine_data.walk(symbol, range(70))]
    late = [one for symbol in ("CCC", "DDD", "EEE") for one in engine_data.walk(symbol, range(30, 70))]
    slices = engine_data.slices([*found, *late])
    ctx = shown(slices[-1], warm=slices[:-1])
    assert (ctx.said.outcome, ctx.targets) == (orders.Outcome.NO_SIGNAL, {})
    assert [(one.symbol, one.direction) for one in ctx.said.signals] == [("AAA", 0), ("BBB", 0)]


def test_a_symbol_with_a_bar_and_no_score_is_closed() -> None:
    """Its target is zero; what has no bar gets none."""
    found = [one for symbol in engine_data.SYMBOLS[:4] for one in engine_data.walk(symbol, range(70))]
    slices = engine_data.slices([*found, *engine_data.walk("EEE", range(40, 70))])
    ctx = shown(slices[-1], warm=slices[:-1])
    assert ctx.targets["EEE"] == 0
    assert list(ctx.targets) == list(engine_data.SYMBOLS)
    without = engine_data.slices(found)
    assert "EEE" not in shown(without[-1], warm=without[:-1]).targets


def test_rows_of_another_bar_are_refused() -> None:
    """Features that have not seen the bars of the decision, or newer ones, decide nothing."""
    declared = engine_data.strategy()
    features = sources.LastBars(declared.features, declared.symbols)
    for past in MARKET[:61]:
        features.observe(past)
    made = declarative.Declarative(declared, features=features, model=engine_data.LastReturn())
    with pytest.raises(errors.ValueRefused, match="features"):
        made.shown(MARKET[61].bars.values())(plain_desk.Context(MARKET[61].end))


def test_rows_computed_beforehand_are_those_of_the_last_bars() -> None:
    """Bit for bit, for every slice."""
    declared = engine_data.strategy()
    last = sources.LastBars(declared.features, declared.symbols)
    computed = sources.precompute(
        MARKET, symbols=declared.symbols, features=declared.features, start=engine_data.ending(0)
    )
    for one in MARKET:
        last.observe(one)
        names, rows = last.rows_at(one.end)
        again, same = computed.rows_at(one.end)
        assert (names, rows.tobytes()) == (again, same.tobytes())
