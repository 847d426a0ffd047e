from pathlib import Path

import pytest

from tradeplane_engine import errors
from tradeplane_workers import artifacts, messages


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> artifacts.ArtifactStore:
    """Give one store per kind of filesystem: a local folder, and one that is not."""
    url = tmp_path.as_uri() if request.param == "file" else f"memory://{tmp_path.name}"
    return artifacts.ArtifactStore(url)


def test_what_was_stored_is_read_by_its_digest(store: artifacts.ArtifactStore) -> None:
    """The digest of the content is its address."""
    assert store.get(store.put(b"tree")) == b"tree"


def test_storing_twice_gives_the_same_digest(store: artifacts.ArtifactStore) -> None:
    """The store is content-addressed."""
    assert store.put(b"tree") == store.put(b"tree") == artifacts.digest_of(b"tree")


def test_a_url_leads_to_the_same_bytes(store: artifacts.ArtifactStore) -> None:
    """What `url` names can be fetched and verified by anyone."""
    digest = store.put(b"tree")
    assert artifacts.fetch(store.url(digest), digest) == b"tree"


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """Bytes that do not match their digest are never handed out."""
    store = artifacts.ArtifactStore(tmp_path.as_uri())
    digest = store.put(b"tree")
    (tmp_path / "sha256" / digest.removeprefix("sha256:")).write_bytes(b"evil")
    with pytest.raises(errors.ModelRefused, match="digest: must be"):
        store.get(digest)


def test_a_changed_file_is_repaired_by_storing_again(tmp_path: Path) -> None:
    """A broken file at an address does not stay there when the right content comes."""
    store = artifacts.ArtifactStore(tmp_path.as_uri())
    digest = store.put(b"tree")
    (tmp_path / "sha256" / digest.removeprefix("sha256:")).write_bytes(b"evil")
    store.put(b"tree")
    assert store.get(digest) == b"tree"


def test_a_missing_artifact_is_refused(store: artifacts.ArtifactStore) -> None:
    """A digest that the store does not hold is named in the error."""
    digest = artifacts.digest_of(b"never stored")
    with pytest.raises(errors.ModelRefused, match=digest):
        store.get(digest)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:" + "0" * 63, "md5:" + "0" * 64, "sha256:../" + "0" * 61])
def test_a_bad_digest_is_refused(store: artifacts.ArtifactStore, digest: str) -> None:
    """Only sha256 with 64 hex digits is a digest."""
    with pytest.raises(errors.ModelRefused, match="digest: must be sha256"):
        store.get(digest)


@pytest.mark.parametrize("submission_id", ["", "../x", "a/b", ".hidden", "a" * 201])
def test_a_submission_id_cannot_leave_the_folder(store: artifacts.ArtifactStore, submission_id: str) -> None:
    """An id becomes a file name and is checked as one."""
    with pytest.raises(errors.ValueRefused, match="submission_id"):
        store.run(submission_id)


def test_a_run_is_read_back(store: artifacts.ArtifactStore) -> None:
    """The result of a run is found by its submission id."""
    result = messages.TrainingResult(submission_id="training-u-1-1", error="no rows", metrics={"ic": 0.25})
    store.put_run(result)
    assert store.run("training-u-1-1") == result


def test_an_unknown_run_is_nothing(store: artifacts.ArtifactStore) -> None:
    """A run without a result is told apart from a failed one."""
    assert store.run("training-u-1-1") is None


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that is cut off is invisible to readers."""
    store = artifacts.ArtifactStore(tmp_path.as_uri())

    def fail(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        store.put(b"tree")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
