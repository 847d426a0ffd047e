"""A training run: history in, artifact and result out, the same bytes every time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support import engine_data
from tradeplane_engine.domain import bars, times
from tradeplane_engine.models import lightgbm
from tradeplane_workers import artifacts, history_client, messages
from tradeplane_workers.jobs import training

END = "2020-05-20"
SPEC: dict[str, Any] = {
    "framework": "lightgbm",
    "features": {"set": "alpha158", "version": "v1"},
    "label": {"horizon": 1},
    "source": {
        "training": {
            "start": "2020-01-01",
            "end": END,
            "seed": 7,
            "parameters": {"num_iterations": "5", "num_leaves": "4"},
        }
    },
    "serving": {"maxBatch": 64, "deadline": "2s"},
}


class History:
    """Gives everything it has; remembers what was asked."""

    def __init__(self, slices_of_market: Sequence[bars.BarSlice], *, error: Exception | None = None) -> None:
        self._slices = slices_of_market
        self._error = error
        self.asked: list[tuple[tuple[str, ...], times.Nanos, times.Nanos | None]] = []

    def slices(
        self, symbols: Sequence[str], *, timeframe: str, start: times.Nanos, end: times.Nanos | None, session: str
    ) -> tuple[bars.BarSlice, ...]:
        """Return all slices, later ones too: the job must not rely on being protected."""
        assert (timeframe, session) == ("1d", "regular")
        self.asked.append((tuple(symbols), start, end))
        if self._error is not None:
            raise self._error
        return tuple(self._slices)


def config(spec: dict[str, Any] | None = None, symbols: Sequence[str] = engine_data.SYMBOLS) -> messages.TrainingConfig:
    """Return a job's configuration."""
    return messages.TrainingConfig(
        submission_id="training-u-1-1",
        name="alpha",
        uid="u",
        generation=1,
        spec=SPEC if spec is None else spec,
        symbols=tuple(symbols),
    )


@pytest.fixture
def store(tmp_path: Path) -> artifacts.ArtifactStore:
    """Give an empty store."""
    return artifacts.ArtifactStore(tmp_path.as_uri())


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a store."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_leaves_artifact_and_result(store: artifacts.ArtifactStore) -> None:
    """The artifact is in the store under its digest and can be served; the result says what it saw."""
    result = training.run(config(), History(engine_data.market(200)), store)
    assert result.error == ""
    assert store.run("training-u-1-1") == result
    assert lightgbm.load(store.get(result.digest)).names == engine_data.ALPHA.columns
    assert result.artifact == store.url(result.digest)
    assert result.rows >= 50
    assert result.trials == 1


def test_nothing_after_the_end_is_seen(store: artifacts.ArtifactStore) -> None:
    """Bars that became known after the end change nothing, and the result proves what was last seen."""
    cut = times.instant(f"{END}T00:00:00Z")
    market = engine_data.market(200)
    known = [one for one in market if one.end < cut]
    everything = training.run(config(), History(market), store)
    again = artifacts.ArtifactStore("memory://only-known")
    assert everything.digest == training.run(config(), History(known), again).digest
    assert times.instant(everything.last_bar_available_at) <= cut
    assert times.instant(everything.last_label_end) <= cut


def test_history_is_asked_for_the_declared_span(store: artifacts.ArtifactStore) -> None:
    """Symbols and days of the spec reach the provider."""
    history = History(engine_data.market(200))
    training.run(config(), history, store)
    start, end = times.instant("2020-01-01T00:00:00Z"), times.instant(f"{END}T00:00:00Z")
    assert history.asked == [(engine_data.SYMBOLS, start, end)]


def test_a_repeated_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two runs in two stores leave the same files, and a repetition in one changes none."""
    folders = [tmp_path / "one", tmp_path / "two"]
    found = []
    for folder in folders:
        kept = artifacts.ArtifactStore(folder.as_uri())
        training.run(config(), History(engine_data.market(200)), kept)
        found.append({name: data.replace(str(folder).encode(), b"") for name, data in content(folder).items()})
    assert found[0] == found[1]
    before = content(folders[0])
    training.run(config(), History([]), artifacts.ArtifactStore(folders[0].as_uri()))
    assert content(folders[0]) == before


def test_a_lost_artifact_is_made_again(tmp_path: Path) -> None:
    """A result whose artifact is gone is no reason to do nothing."""
    kept = artifacts.ArtifactStore(tmp_path.as_uri())
    first = training.run(config(), History(engine_data.market(200)), kept)
    (tmp_path / "sha256" / first.digest.removeprefix("sha256:")).unlink()
    again = training.run(config(), History(engine_data.market(200)), kept)
    assert kept.get(again.digest)
    assert again == first


def changed(**fields: Any) -> dict[str, Any]:
    """Return the spec with blocks replaced."""
    return SPEC | fields


def recipe(**fields: Any) -> dict[str, Any]:
    """Return the spec with fields of its training replaced."""
    return SPEC | {"source": {"training": SPEC["source"]["training"] | fields}}


@pytest.mark.parametrize(
    "spec, parts",
    [
        (changed(framework="torch"), ("framework", "lightgbm", "torch")),
        (changed(features={"set": "alpha360", "version": "v1"}), ("features", "alpha158 v1", "alpha360")),
        (changed(features={"set": "alpha158", "version": "v2"}), ("features", "alpha158 v1", "v2")),
        (changed(label={"horizon": 61}), ("label.horizon", "1 to 60", "61")),
        (changed(label={"horizont": 1}), ("label.horizont", "no such field")),
        (changed(source={"artifact": {"uri": "x", "sha256": "y"}}), ("source", "training")),
        (changed(source={}), ("source", "training")),
        (recipe(start="2020-06-01"), ("training.start", "before", "2020-06-01")),
        (recipe(end="May"), ("source.training.end", "a day", "May")),
        (recipe(seed=-1), ("training.seed", "-1")),
        (recipe(parameters={"num_leaves": "1"}), ("parameters.num_leaves", "from 2 to 4096", "1")),
        (recipe(parameters={"gpu": "yes"}), ("parameters.gpu", "one of")),
        (recipe(parameters={"num_leaves": 4}), ("source.training.parameters.num_leaves", "a text", "4")),
        (recipe(surprise=1), ("source.training.surprise", "no such field", "1")),
    ],
)
def test_a_spec_that_cannot_be_trained_is_refused_by_name(
    store: artifacts.ArtifactStore, spec: dict[str, Any], parts: tuple[str, ...]
) -> None:
    """The result's error names field, limit and value."""
    result = training.run(config(spec), History(engine_data.market(200)), store)
    assert result.digest == ""
    for part in parts:
        assert part in result.error
    assert store.run("training-u-1-1") == result


@pytest.mark.parametrize(
    "history, error",
    [
        (History([]), "at least 50 labelled rows needed"),
        (History([], error=history_client.HistoryRefusedError("not-known-yet: end")), "not-known-yet"),
        (History([], error=history_client.HistoryUnavailableError("down")), "down"),
    ],
)
def test_missing_history_is_a_result_too(store: artifacts.ArtifactStore, history: History, error: str) -> None:
    """A run without enough bars says so in the store, and a later run with them succeeds."""
    assert error in training.run(config(), history, store).error
    assert training.run(config(), History(engine_data.market(200)), store).error == ""


def test_no_symbols_is_refused(store: artifacts.ArtifactStore) -> None:
    """A Model that no Strategy names has nothing to learn from."""
    assert "symbols" in training.run(config(symbols=()), History([]), store).error
