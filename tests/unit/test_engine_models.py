from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.models import lightgbm, ranking, samples

COUNT = 150
CUT = 120
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
TRAINING = lightgbm.Training(
    symbols=SYMBOLS,
    features=engine_data.ALPHA,
    horizon=1,
    start=engine_data.opening(0),
    end=engine_data.opening(CUT),
    seed=7,
    parameters={"num_leaves": "7", "learning_rate": "0.1", "num_iterations": "12", "min_data_in_leaf": "5"},
)


@pytest.fixture(scope="module", name="history")
def _history() -> tuple[bars.BarSlice, ...]:
    return engine_data.market(COUNT, symbols=SYMBOLS)


@pytest.fixture(scope="module", name="trained")
def _trained(history: Sequence[bars.BarSlice]) -> lightgbm.Trained:
    return lightgbm.train(TRAINING, history)


@pytest.fixture(scope="module", name="built")
def _built(history: Sequence[bars.BarSlice]) -> samples.Samples:
    return samples.build(history, symbols=SYMBOLS, features=engine_data.ALPHA, horizon=1)


def test_training_repeats_to_the_byte(trained: lightgbm.Trained, history: Sequence[bars.BarSlice]) -> None:
    """The same bars and settings give the same artifact and summary."""
    assert lightgbm.train(TRAINING, history) == trained


def test_nothing_after_the_cut_is_used(trained: lightgbm.Trained, history: Sequence[bars.BarSlice]) -> None:
    """Doubling every later price changes no byte of the artifact."""
    changed = [
        replace(
            one,
            bars={
                symbol: replace(bar, open=numbers.Price(bar.open * 2), high=numbers.Price(bar.high * 2))
                for symbol, bar in one.bars.items()
            },
        )
        if one.end > TRAINING.end
        else one
        for one in history
    ]
    assert changed != list(history)
    assert lightgbm.train(TRAINING, changed).artifact == trained.artifact


def test_what_happened_before_the_cut_is_used(trained: lightgbm.Trained, history: Sequence[bars.BarSlice]) -> None:
    """The test above can fail: changing the last bar before the cut changes the artifact."""
    at = max(number for number, one in enumerate(history) if one.end <= TRAINING.end)
    bar = history[at].bars["AAA"]
    changed = list(history)
    changed[at] = replace(
        changed[at],
        bars={
            **changed[at].bars,
            "AAA": replace(bar, open=numbers.Price(bar.open * 2), high=numbers.Price(bar.open * 2)),
        },
    )
    assert lightgbm.train(TRAINING, changed).artifact != trained.artifact


def test_the_summary_says_what_was_seen(trained: lightgbm.Trained) -> None:
    """Last bar and label end before the cut; one trial."""
    assert trained.last_bar_available_at == engine_data.ending(CUT - 1) + times.SECOND
    assert trained.last_label_end == engine_data.opening(CUT - 1)
    assert trained.first_bar == engine_data.ending(60)
    assert (trained.trials, trained.rows) == (1, len(SYMBOLS) * (CUT - 62))
    assert trained.digest == lightgbm.digest(trained.artifact)


def test_a_bar_published_after_the_cut_is_not_known(history: Sequence[bars.BarSlice]) -> None:
    """A cut between a bar's end and its publication leaves the bar out."""
    known = samples.known_at(history, engine_data.ending(10))
    assert known[-1].end == engine_data.ending(9)


def test_labels_are_open_to_open(built: samples.Samples, history: Sequence[bars.BarSlice]) -> None:
    """A decision at t buys at the open of t + 1 and is judged at the open of t + 2."""
    first = history[61].bars["AAA"].open
    assert built.labels[0] == pytest.approx(history[62].bars["AAA"].open / first - 1, rel=1e-12)
    assert (built.bar_ends[0], built.label_starts[0], built.label_ends[0]) == (
        engine_data.ending(60),
        engine_data.opening(61),
        engine_data.opening(62),
    )


def test_a_dividend_belongs_to_the_label() -> None:
    """A total return: 2 USD on the day after the fill count."""
    found = engine_data.walk("AAA", range(70))
    paid = bars.CorporateAction("AAA", engine_data.opening(65), (1, 1), numbers.money("2"))

    def labels(*actions: bars.CorporateAction) -> dict[int, float]:
        one = samples.build(engine_data.slices(found, actions), symbols=["AAA"], features=engine_data.ALPHA, horizon=1)
        return dict(zip(one.label_ends.tolist(), one.labels.tolist(), strict=True))

    plain, paying = labels(), labels(paid)
    end = engine_data.opening(65)
    factor = 1 + 2 / (found[65].close / 10_000)
    assert paying[end] == pytest.approx((1 + plain[end]) * factor - 1, rel=1e-9)
    assert [at for at in plain if plain[at] != pytest.approx(paying[at], abs=1e-12)] == [end]


def test_a_split_is_no_return() -> None:
    """Halved prices after a 2:1 split give the labels of unhalved ones."""
    found = engine_data.walk("AAA", range(70))
    halved = [
        replace(
            one,
            open=numbers.Price(one.open // 2),
            high=numbers.Price(one.high // 2),
            low=numbers.Price(one.low // 2),
            close=numbers.Price(one.close // 2),
        )
        if one.start >= engine_data.opening(65)
        else one
        for one in found
    ]
    split = bars.CorporateAction("AAA", engine_data.opening(65), (2, 1), numbers.Money(0))
    plain = samples.build(engine_data.slices(found), symbols=["AAA"], features=engine_data.ALPHA, horizon=1)
    after = samples.build(engine_data.slices(halved, [split]), symbols=["AAA"], features=engine_data.ALPHA, horizon=1)
    assert after.labels == pytest.approx(plain.labels, abs=1e-4)


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_validation_split_is_purged(history: Sequence[bars.BarSlice], horizon: int) -> None:
    """No training label reaches into the validation block, and exactly the overlapping rows are dropped."""
    found = samples.build(history, symbols=SYMBOLS, features=engine_data.ALPHA, horizon=horizon)
    fitted, held_out = samples.purged_split(found, fraction=0.2)
    assert fitted.label_ends.max() < held_out.bar_ends.min()
    assert len(found) - len(fitted) - len(held_out) == horizon * len(SYMBOLS)


def test_all_symbols_of_a_session_are_on_one_side(built: samples.Samples) -> None:
    """Splits are in time, never within a timestamp."""
    fitted, held_out = samples.purged_split(built, fraction=0.2)
    assert not set(fitted.bar_ends.tolist()) & set(held_out.bar_ends.tolist())


def test_labels_end_by_the_cut(built: samples.Samples) -> None:
    """A row whose label runs past the cut is dropped."""
    kept = samples.before(built, engine_data.opening(100))
    assert kept.label_ends.max() == engine_data.opening(100)
    assert len(kept) < len(built)


def test_the_seed_is_part_of_the_artifact(history: Sequence[bars.BarSlice]) -> None:
    """With sampling, another seed gives another model."""
    sampled = replace(TRAINING, parameters={**TRAINING.parameters, "feature_fraction": "0.3"})
    one = lightgbm.train(sampled, history).artifact
    assert one == lightgbm.train(sampled, history).artifact
    assert one != lightgbm.train(replace(sampled, seed=8), history).artifact


def test_one_row_scores_as_inside_a_batch(trained: lightgbm.Trained, built: samples.Samples) -> None:
    """Serving batches of any size gives the same bits."""
    model = lightgbm.load(trained.artifact, expected=trained.digest)
    names = engine_data.ALPHA.columns
    whole = model.predict(names, built.rows).scores
    alone = tuple(model.predict(names, built.rows[at : at + 1]).scores[0] for at in range(0, len(built), 11))
    assert alone == whole[::11]


def test_a_loaded_artifact_scores_the_same_bits(trained: lightgbm.Trained, built: samples.Samples) -> None:
    """Two loads of one text agree, and say the digest of that text."""
    one = lightgbm.load(trained.artifact).predict(engine_data.ALPHA.columns, built.rows)
    two = lightgbm.load(trained.artifact).predict(engine_data.ALPHA.columns, built.rows)
    assert (one.scores, one.digest) == (two.scores, trained.digest)


def test_missing_features_are_scored(trained: lightgbm.Trained) -> None:
    """NaN is a value for a tree."""
    rows = np.full((1, len(engine_data.ALPHA.columns)), np.nan)
    scores = lightgbm.load(trained.artifact).predict(engine_data.ALPHA.columns, rows).scores
    assert np.isfinite(scores[0])


def test_other_columns_are_refused(trained: lightgbm.Trained) -> None:
    """A model never scores features in another order."""
    names = list(engine_data.ALPHA.columns)
    names[3], names[4] = names[4], names[3]
    with pytest.raises(errors.PredictionFailed, match="column 3: 'KUP' and 'KUP2'"):
        lightgbm.load(trained.artifact).predict(names, np.zeros((1, len(names))))


def test_another_artifact_is_refused(trained: lightgbm.Trained) -> None:
    """What does not have the expected digest is not served."""
    with pytest.raises(errors.ModelRefused, match="digest must be"):
        lightgbm.load(trained.artifact + b"\n", expected=trained.digest)


@pytest.mark.parametrize("artifact", [b"", b"\x80\x04pickle", b"tree\nnonsense", b"tree\n\xff"])
def test_what_is_no_model_is_refused(artifact: bytes) -> None:
    """Never a crash, never a guess."""
    with pytest.raises(errors.ModelRefused, match="artifact"):
        lightgbm.load(artifact)


@pytest.mark.parametrize(
    "name,value",
    [
        ("num_leaves", "1"),
        ("num_leaves", "15.5"),
        ("learning_rate", "0"),
        ("learning_rate", "nan"),
        ("learning_rate", "1.5"),
        ("num_iterations", "0"),
        ("num_iterations", "many"),
        ("objective", "binary"),
        ("num_threads", "8"),
        ("device_type", "gpu"),
    ],
)
def test_parameters_are_checked_by_name_and_range(name: str, value: str) -> None:
    """An unknown parameter or a value outside its range names itself."""
    with pytest.raises(errors.ValueRefused) as refused:
        replace(TRAINING, parameters={name: value})
    assert refused.value.field == f"parameters.{name}"


@pytest.mark.parametrize(
    "change,field",
    [
        ({"horizon": 0}, "label.horizon"),
        ({"seed": -1}, "training.seed"),
        ({"start": TRAINING.end}, "training.start"),
    ],
)
def test_training_settings_are_checked(change: dict[str, int], field: str) -> None:
    """Field, limit and value."""
    with pytest.raises(errors.ValueRefused) as refused:
        replace(TRAINING, **change)  # type: ignore[arg-type]  # fields by name
    assert refused.value.field == field


def test_too_little_history_is_refused(history: Sequence[bars.BarSlice]) -> None:
    """Fewer rows than a fit can use say so instead of fitting."""
    with pytest.raises(errors.ModelRefused, match="at least 50 labelled rows"):
        lightgbm.train(TRAINING, history[:65])


@pytest.mark.parametrize(
    "left,right,expected",
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 2, 3], [1, 2, 3, 4], 0.9486832980505138),
    ],
)
def test_rank_correlation_uses_average_ranks(left: list[float], right: list[float], expected: float) -> None:
    """Spearman with ties, as scipy computes it."""
    assert ranking.spearman(left, right) == pytest.approx(expected, rel=1e-12)


def test_a_constant_side_has_no_rank_correlation() -> None:
    """Undefined is nothing, not zero."""
    assert ranking.spearman([1, 1, 1], [1, 2, 3]) is None


def test_sessions_with_too_few_scores_do_not_count() -> None:
    """The information coefficient is a mean over sessions with enough symbols."""
    groups = np.array([1, 1, 1, 1, 2, 2])
    found = ranking.rank_ic(np.arange(6.0), np.arange(6.0), groups)
    assert found.tolist() == [1.0]
