from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from support import engine_data
from tradeplane_engine import errors, execution, loop
from tradeplane_engine.domain import bars, orders, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor

MARKET = engine_data.market(70)
FAR = engine_data.ending(10_000)


@dataclass
class Gateway:
    """Remembers decisions and holds what it is told."""

    holdings: dict[str, execution.Holding] = field(default_factory=dict)
    decisions: list[orders.Decision] = field(default_factory=list)

    def book(self) -> Mapping[str, execution.Holding]:
        """Return the holdings."""
        return self.holdings

    def submit(self, decision: orders.Decision) -> None:
        """Remember the decision."""
        self.decisions.append(decision)


@dataclass
class Hand:
    """A clock that stands where it was put."""

    at: times.Nanos = FAR

    def now(self) -> times.Nanos:
        """Return where it stands."""
        return self.at


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


def looped(
    venue: Gateway, model: predictor.Predictor | None = None, *, clock: Hand | None = None, warm: int = 60
) -> loop.Loop:
    """Return a loop that has seen the first sessions."""
    strategy = engine_data.strategy()
    ports = loop.Ports(
        features=sources.LastBars(strategy.features, strategy.symbols),
        predictor=model or engine_data.LastReturn(),
        venue=venue,
        clock=clock or Hand(),
    )
    made = loop.Loop(strategy, ports)
    made.warm(MARKET[:warm])
    return made


def test_each_slice_gives_exactly_one_decision() -> None:
    """Keyed by the end of its bar."""
    venue = Gateway()
    looped(venue).run(MARKET[60:])
    assert [one.trigger for one in venue.decisions] == [one.end for one in MARKET[60:]]


def test_warming_up_decides_nothing() -> None:
    """The past is taken in silently."""
    venue = Gateway()
    looped(venue)
    assert venue.decisions == []


def test_a_decision_holds_what_it_was_made_of() -> None:
    """Signals with their feature rows, the digest, and intents in the order of symbols."""
    decision = looped(Gateway()).step(MARKET[60])
    assert decision.outcome is orders.Outcome.TRADED
    assert [one.symbol for one in decision.signals] == list(engine_data.SYMBOLS)
    assert {len(one.features) for one in decision.signals} == {157}
    assert decision.model_digest == engine_data.DIGEST
    assert [one.symbol for one in decision.intents] == sorted(one.symbol for one in decision.intents)
    assert len(decision.intents) == 3


def test_working_orders_are_taken_into_account() -> None:
    """The same targets with everything already working order nothing."""
    first = looped(Gateway()).step(MARKET[60])
    held = {
        one.symbol: execution.Holding(
            working_buy=one.quantity if one.side is orders.Side.BUY else engine_data.shares(0),
            working_sell=one.quantity if one.side is orders.Side.SELL else engine_data.shares(0),
        )
        for one in first.intents
    }
    assert looped(Gateway(held)).step(MARKET[60]).intents == ()


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
    held = {"AAA": execution.Holding(position=engine_data.shares(5))}
    decision = looped(Gateway(held), Failing(reason)).step(MARKET[60])
    assert (decision.outcome, decision.intents) == (outcome, ())
    assert decision.detail.startswith(reason)


@pytest.mark.parametrize("scores", [[1.0], [1.0, 2.0, 3.0, 4.0, float("nan")], [1.0, 2.0, 3.0, 4.0, float("inf")]])
def test_an_answer_that_cannot_be_ranked_is_no_signal(scores: list[float]) -> None:
    """Too few scores, NaN or infinity never become targets."""
    decision = looped(Gateway(), Failing(scores=scores)).step(MARKET[60])
    assert (decision.outcome, decision.intents) == (orders.Outcome.NO_SIGNAL, ())


def test_an_answer_of_another_model_is_no_signal() -> None:
    """The digest of each answer is checked against the settings."""
    decision = looped(Gateway(), engine_data.LastReturn("sha256:" + "1" * 64)).step(MARKET[60])
    assert decision.detail.startswith("wrong-digest: expected sha256:0000")
    assert decision.intents == ()


def test_without_full_windows_there_is_no_signal() -> None:
    """60 bars are one too few; the model is not even asked."""
    model = engine_data.LastReturn()
    decision = looped(Gateway(), model, warm=59).step(MARKET[59])
    assert decision.detail == "too-few-scores: at least 3 needed, got 0"
    assert model.asked == []


def test_too_few_scores_leave_positions_alone() -> None:
    """Two symbols with a window are no ranking of three."""
    found = [one for symbol in ("AAA", "BBB") for one in engine_data.walk(symbol, range(70))]
    late = [one for symbol in ("CCC", "DDD", "EEE") for one in engine_data.walk(symbol, range(30, 70))]
    venue = Gateway({"AAA": execution.Holding(position=engine_data.shares(5))})
    strategy = engine_data.strategy()
    features = sources.LastBars(strategy.features, strategy.symbols)
    made = loop.Loop(strategy, loop.Ports(features, engine_data.LastReturn(), venue, Hand()))
    decision = [made.step(one) for one in engine_data.slices([*found, *late])][-1]
    assert (decision.outcome, decision.intents) == (orders.Outcome.NO_SIGNAL, ())
    assert [one.symbol for one in decision.signals] == ["AAA", "BBB"]


def test_a_held_symbol_without_a_score_is_closed() -> None:
    """Its target is zero, if the slice has its bar."""
    extra = engine_data.bar("ZZZ", 60)
    one = replace(MARKET[60], bars={**MARKET[60].bars, "ZZZ": extra})
    held = {symbol: execution.Holding(position=engine_data.shares(5)) for symbol in ("ZZZ", "YYY")}
    decision = looped(Gateway(held)).step(one)
    closing = [one for one in decision.intents if one.symbol in held]
    assert closing == [orders.Intent("ZZZ", orders.Side.SELL, engine_data.shares(5))]


def test_a_missed_bar_is_recorded_and_learnt_from() -> None:
    """The decision is empty, the next one uses the bar."""
    calm, missing = Gateway(), Gateway()
    looped(calm).run(MARKET[60:62])
    made = looped(missing)
    made.missed(MARKET[60].end, detail="backfilled", one=MARKET[60])
    made.step(MARKET[61])
    assert missing.decisions[0] == orders.Decision(MARKET[60].end, orders.Outcome.MISSED, detail="backfilled")
    assert missing.decisions[1].signals == calm.decisions[1].signals


def test_a_bar_from_the_future_is_refused() -> None:
    """Nothing is used before it was available."""
    made = looped(Gateway(), clock=Hand(times.Nanos(engine_data.ending(60) + times.SECOND)))
    made.step(MARKET[60])
    with pytest.raises(errors.DataRefused, match="not-yet-available: AAA"):
        made.step(MARKET[61])


def test_a_bar_of_the_past_is_refused() -> None:
    """A repeated or older slice never decides again."""
    venue = Gateway()
    made = looped(venue)
    made.step(MARKET[60])
    with pytest.raises(errors.DataRefused, match="out-of-order"):
        made.step(MARKET[60])
    assert len(venue.decisions) == 1


def test_another_timeframe_is_refused() -> None:
    """A strategy on daily bars never sees minutes."""
    other = bars.BarSlice("1m", MARKET[60].end, MARKET[60].bars)
    with pytest.raises(errors.DataRefused, match="wrong-timeframe"):
        looped(Gateway()).step(other)
