"""The model's core: what is loaded answers, to the bit, and what does not fit is refused by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.models import lightgbm
from tradeplane_workers import artifacts, messages
from tradeplane_workers.model import core

COLUMNS = engine_data.ALPHA.columns


def trained(seed: int) -> bytes:
    """Train a small artifact."""
    training = lightgbm.Training(
        symbols=engine_data.SYMBOLS,
        features=engine_data.ALPHA,
        horizon=1,
        start=engine_data.opening(0),
        end=engine_data.ending(150),
        seed=seed,
        parameters={"num_iterations": "5", "num_leaves": "4", "bagging_fraction": "0.5", "bagging_freq": "1"},
    )
    return lightgbm.train(training, engine_data.market(150)).artifact


@pytest.fixture(scope="module")
def two() -> tuple[bytes, bytes]:
    """Train two artifacts that differ."""
    first, second = trained(1), trained(2)
    assert first != second
    return first, second


@pytest.fixture
def store(tmp_path: Path) -> artifacts.ArtifactStore:
    """Give an empty store."""
    return artifacts.ArtifactStore(tmp_path.as_uri())


def user_config(store: artifacts.ArtifactStore, content: bytes, **changed: Any) -> dict[str, Any]:
    """Store an artifact and return what the operator would tell a replica."""
    digest = store.put(content)
    return {
        "model": "alpha",
        "artifact": store.url(digest),
        "digest": digest,
        "features": {"set": "alpha158", "version": "v1"},
        "max_batch": 3,
    } | changed


def rows(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows with some undefined features."""
    made = np.random.default_rng(7).normal(size=(count, len(COLUMNS)))
    made[made > 2] = np.nan
    return made


def request(content: np.ndarray[Any, np.dtype[np.float64]]) -> messages.PredictRequest:
    """Return rows as they travel."""
    return messages.PredictRequest(
        features=COLUMNS, rows=tuple(tuple(None if np.isnan(value) else value for value in row) for row in content)
    )


def test_a_prediction_is_the_artifacts_own_to_the_bit(store: artifacts.ArtifactStore, two: tuple[bytes, bytes]) -> None:
    """However requests are batched and batches cut, each row scores as the artifact alone scores it."""
    served = core.Core(store)
    served.load(user_config(store, two[0]))
    content = rows(11)
    parts = [content[:1], content[1:6], content[6:]]
    answers = served.answer([request(part) for part in parts])
    scores = [score for answer in answers if isinstance(answer, messages.PredictResponse) for score in answer.scores]
    alone = lightgbm.load(two[0]).predict(COLUMNS, content).scores
    assert np.array(scores).tobytes() == np.array(alone).tobytes()


def test_a_new_artifact_answers_from_the_next_batch_on(
    store: artifacts.ArtifactStore, two: tuple[bytes, bytes]
) -> None:
    """Every answer names the digest that computed it."""
    served = core.Core(store)
    seen = []
    for content in two:
        served.load(user_config(store, content))
        (answer,) = served.answer([request(rows(2))])
        assert isinstance(answer, messages.PredictResponse)
        expected = lightgbm.load(content).predict(COLUMNS, rows(2)).scores
        assert (answer.digest, answer.scores) == (artifacts.digest_of(content), expected)
        seen.append(answer.scores)
    assert seen[0] != seen[1]


def test_a_batch_is_answered_by_one_artifact(
    store: artifacts.ArtifactStore, two: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An artifact that is swapped in while a batch is computed does not mix with the one before."""
    served = core.Core(store)
    served.load(user_config(store, two[0]))
    original = lightgbm.LightGbmPredictor.predict

    def swapping(self: lightgbm.LightGbmPredictor, *arguments: Any) -> Any:
        served.load(user_config(store, two[1]))
        return original(self, *arguments)

    monkeypatch.setattr(lightgbm.LightGbmPredictor, "predict", swapping)
    (answer,) = served.answer([request(rows(7))])
    monkeypatch.undo()
    assert isinstance(answer, messages.PredictResponse)
    assert answer.digest == artifacts.digest_of(two[0])
    assert answer.scores == lightgbm.load(two[0]).predict(COLUMNS, rows(7)).scores


def test_nothing_loaded_answers_nothing(store: artifacts.ArtifactStore) -> None:
    """A replica without an artifact refuses."""
    assert core.Core(store).answer([request(rows(1))]) == [core.Refused("model: nothing is loaded")]


def refusals() -> Iterator[Any]:
    """Requests that do not fit, with the reason."""
    good = request(rows(1))
    swapped = (COLUMNS[1], COLUMNS[0], *COLUMNS[2:])
    yield pytest.param(
        good.model_copy(update={"features": swapped}),
        f"features[0]: must be {COLUMNS[0]!r}, got {COLUMNS[1]!r}",
        id="order",
    )
    yield pytest.param(
        good.model_copy(update={"features": COLUMNS[:-1]}),
        f"features: must be {len(COLUMNS)} columns, got {len(COLUMNS) - 1}",
        id="missing",
    )
    yield pytest.param(
        good.model_copy(update={"rows": (good.rows[0][:-1],)}),
        f"rows[0]: must have {len(COLUMNS)} values, got {len(COLUMNS) - 1}",
        id="width",
    )


@pytest.mark.parametrize("bad, message", list(refusals()))
def test_a_request_that_does_not_fit_spoils_no_other(
    store: artifacts.ArtifactStore, two: tuple[bytes, bytes], bad: messages.PredictRequest, message: str
) -> None:
    """Wrong columns and widths are refused by name; the rest of the batch is answered."""
    served = core.Core(store)
    served.load(user_config(store, two[0]))
    refused, answered = served.answer([bad, request(rows(2))])
    assert refused == core.Refused(message)
    assert isinstance(answered, messages.PredictResponse)
    assert answered.scores == lightgbm.load(two[0]).predict(COLUMNS, rows(2)).scores


def test_a_config_that_cannot_be_loaded_keeps_the_old_artifact(
    store: artifacts.ArtifactStore, two: tuple[bytes, bytes]
) -> None:
    """A missing artifact is an error, and what answered before goes on answering under its own digest."""
    served = core.Core(store)
    served.load(user_config(store, two[0]))
    missing = artifacts.digest_of(b"nothing")
    with pytest.raises(errors.ModelRefused, match=missing):
        served.load(user_config(store, two[1], digest=missing, artifact=""))
    (answer,) = served.answer([request(rows(1))])
    assert isinstance(answer, messages.PredictResponse)
    assert answer.digest == artifacts.digest_of(two[0])


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"features": {"set": "alpha158", "version": "v9"}}, "v9"),
        ({"features": {"set": "alpha360"}}, "alpha360"),
        ({"max_batch": 0}, "max_batch"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused_by_name(
    store: artifacts.ArtifactStore, two: tuple[bytes, bytes], changed: dict[str, Any], message: str
) -> None:
    """Unknown features, sizes and fields are named."""
    with pytest.raises(errors.ValueRefused, match=message):
        core.Core(store).load(user_config(store, two[0], **changed))


def test_an_artifact_with_other_columns_is_refused(store: artifacts.ArtifactStore, two: tuple[bytes, bytes]) -> None:
    """The artifact must have been trained on the declared feature set."""
    other = two[0].replace(COLUMNS[0].encode(), b"OTHER")
    with pytest.raises(errors.ModelRefused, match="its columns must be those of alpha158 v1"):
        core.Core(store).load(user_config(store, other))


def test_an_artifact_made_elsewhere_is_fetched_and_verified(
    store: artifacts.ArtifactStore, two: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """A URI outside the store serves when its bytes have the digest, and only then."""
    place = tmp_path / "elsewhere.txt"
    place.write_bytes(two[0])
    digest = artifacts.digest_of(two[0])
    config = user_config(artifacts.ArtifactStore(f"memory://{tmp_path.name}"), two[0], artifact=place.as_uri())
    assert core.Core(store).load(config).predictor.digest == digest
    place.write_bytes(two[1])
    with pytest.raises(errors.ModelRefused, match="digest: must be"):
        core.Core(store).load(config)


def test_a_served_row_survives_json(store: artifacts.ArtifactStore, two: tuple[bytes, bytes]) -> None:
    """What a client sends as JSON scores as the array it came from."""
    served = core.Core(store)
    served.load(user_config(store, two[0]))
    travelled = messages.PredictRequest.model_validate_json(request(rows(4)).model_dump_json())
    (answer,) = served.answer([travelled])
    assert isinstance(answer, messages.PredictResponse)
    assert answer.scores == lightgbm.load(two[0]).predict(COLUMNS, rows(4)).scores
