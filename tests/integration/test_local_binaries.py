"""Where the control plane's programs come from: lookup order, download from a release site, build."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tradeplane_cli.local import binaries, download, go_build, preflight, processes

PROGRAM = b"#!/bin/sh\necho 'Kubernetes v1.36.3'\n"


@dataclass
class Site:
    """A release site on loopback: path to (status, body, announced length)."""

    url: str
    files: dict[str, tuple[int, bytes, int | None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, body: bytes, *, status: int = 200, length: int | None = None) -> None:
        """Publish a file."""
        self.files[path] = (status, body, length)


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve files on a free loopback port."""
    shown = Site(url="")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.asked.append(self.path)
            status, body, length = shown.files.get(self.path, (404, b"", None))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        shown.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield shown
        server.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point every way of finding programs at empty places."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return binaries.cache()


def _program(site: Site, tmp_path: Path, *, member: str | None = None) -> binaries.Program:
    suffix = ".tar.gz" if member else ""
    return binaries.Program(
        name="kube-apiserver",
        version="v1.36.3",
        release=download.Release(url=f"{site.url}/kube-apiserver{suffix}", checksums=f"{site.url}/sums", member=member),
        source=go_build.Source(module=tmp_path, package="example.org/none"),
    )


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _say(_text: str) -> None:
    pass


def _left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def _install(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "kube-apiserver"
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)
    return path


def test_download_with_the_published_checksum_is_kept(site: Site, cache: Path, tmp_path: Path) -> None:
    """A program whose checksum is the published one is installed, executable, and found the next time."""
    site.put("/kube-apiserver", PROGRAM)
    site.put("/sums", _sum(PROGRAM))
    program = _program(site, tmp_path)
    path = binaries.ensure(program, say=_say)
    assert path.read_bytes() == PROGRAM
    assert binaries.find(program) == path == cache / "kube-apiserver-v1.36.3"
    asked = len(site.asked)
    assert binaries.ensure(program, say=_say) == path
    assert len(site.asked) == asked


def test_member_of_an_archive_is_installed(site: Site, cache: Path, tmp_path: Path) -> None:
    """Of an archive only the named program is taken, and its checksum line is found among others."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, body in (("etcd-v3/README", b"no"), ("etcd-v3/etcd", PROGRAM)):
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    body = buffer.getvalue()
    site.put("/kube-apiserver.tar.gz", body)
    site.put("/sums", _sum(b"other") + b"  other.tar.gz\n" + _sum(body) + b"  kube-apiserver.tar.gz\n")
    path = binaries.ensure(_program(site, tmp_path, member="etcd-v3/etcd"), say=_say)
    assert path.read_bytes() == PROGRAM
    assert _left(cache) == ["kube-apiserver-v1.36.3"]


@pytest.mark.parametrize(
    "case,reason",
    [
        ("wrong checksum", "sha256 must be"),
        ("truncated", "must have 4096 bytes, got"),
        ("missing", "404"),
        ("no checksum", "404"),
        ("checksum of another file", "must hold the sha256"),
        ("checksum is a web page", "must hold the sha256"),
        ("unreachable", "refused"),
    ],
)
def test_bad_download_is_refused_and_leaves_nothing(
    site: Site, cache: Path, tmp_path: Path, case: str, reason: str
) -> None:
    """A bad download is never installed; without Go the command fails and names every way that it tried."""
    site.put("/kube-apiserver", PROGRAM)
    site.put("/sums", _sum(PROGRAM))
    program = _program(site, tmp_path)
    if case == "wrong checksum":
        site.put("/kube-apiserver", PROGRAM + b"evil")
    elif case == "truncated":
        site.put("/kube-apiserver", PROGRAM, length=4096)
    elif case == "missing":
        del site.files["/kube-apiserver"]
    elif case == "no checksum":
        del site.files["/sums"]
    elif case == "checksum of another file":
        site.put("/sums", _sum(PROGRAM) + b"  kubectl\n")
    elif case == "checksum is a web page":
        site.put("/sums", b"<html>not found</html>")
    else:
        gone = download.Release(url="http://127.0.0.1:1/x", checksums="http://127.0.0.1:1/x.sha256")
        program = binaries.Program(program.name, program.version, gone, program.source)
    with pytest.raises(processes.NotAvailable, match=reason) as failure:
        binaries.ensure(program, say=_say)
    assert "go must be on PATH" in str(failure.value)
    assert _left(cache) == []
    assert binaries.find(program) is None


def test_bad_download_falls_on_to_the_build(site: Site, cache: Path, tmp_path: Path) -> None:
    """After a wrong checksum the program is built, loudly."""
    site.put("/kube-apiserver", b"evil")
    site.put("/sums", _sum(PROGRAM))
    go = tmp_path / "path" / "go"
    go.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho built > "$2"\n')
    go.chmod(0o755)
    said: list[str] = []
    path = binaries.ensure(_program(site, tmp_path), say=said.append)
    assert path.read_text() == "built\n"
    assert any("sha256 must be" in text for text in said)
    assert _left(cache) == ["kube-apiserver-v1.36.3"]


def test_failed_build_shows_what_go_said(site: Site, cache: Path, tmp_path: Path) -> None:
    """A failing build is an error with the end of Go's output, and leaves nothing."""
    go = tmp_path / "path" / "go"
    go.write_text("#!/bin/sh\necho 'missing go.sum entry' >&2\nexit 1\n")
    go.chmod(0o755)
    with pytest.raises(processes.NotAvailable, match=r"missing go\.sum entry"):
        binaries.ensure(_program(site, tmp_path), say=_say)
    assert _left(cache) == []


def test_plain_http_is_refused() -> None:
    """Only an authenticated connection may say what the checksum is."""
    release = download.Release(url="http://example.org/x", checksums="http://example.org/x.sha256")
    with pytest.raises(download.DownloadFailed, match="must be https"):
        download.fetch(release, Path("/nonexistent/x"), say=_say)


def test_two_processes_prepare_once(site: Site, cache: Path, tmp_path: Path) -> None:
    """Who waited for the lock takes what the other one installed."""
    site.put("/kube-apiserver", PROGRAM)
    site.put("/sums", _sum(PROGRAM))
    program = _program(site, tmp_path)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(binaries.ensure(program, say=_say))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cache / "kube-apiserver-v1.36.3"] * 4
    assert site.asked.count("/kube-apiserver") == 1


def test_lookup_order_is_per_program(site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KUBEBUILDER_ASSETS wins over PATH, PATH over the cache."""
    program = _program(site, tmp_path)
    cache.mkdir(parents=True)
    cached = cache / "kube-apiserver-v1.36.3"
    cached.write_bytes(PROGRAM)
    cached.chmod(0o755)
    assert binaries.find(program) == cached
    on_path = _install(tmp_path / "path", "Kubernetes v1.36.0")
    assert binaries.find(program) == on_path
    assets = _install(tmp_path / "assets", "whatever")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert binaries.find(program) == assets


@pytest.mark.parametrize("answer", ["Kubernetes v1.35.9", "Kubernetes v2.36.3", "no version", ""])
def test_other_minor_version_on_path_is_passed_over(site: Site, cache: Path, tmp_path: Path, answer: str) -> None:
    """A program on PATH of another minor version, or of none, is not used."""
    _install(tmp_path / "path", answer)
    assert binaries.find(_program(site, tmp_path)) is None
    assert not cache.exists()


@pytest.mark.parametrize("name", sorted(binaries.PROGRAMS))
def test_pinned_module_builds_the_pinned_version(name: str) -> None:
    """The wrapper module pins the version that the lookup asks for."""
    program = binaries.PROGRAMS[name]
    text = (program.source.module / "go.mod").read_text()
    module = "k8s.io/kubernetes" if name.startswith("kube") else "go.etcd.io/etcd/server/v3"
    assert f"{module} {program.version}" in text


def test_preflight_asks_for_the_same_programs() -> None:
    """The preflight, which imports nothing of ours, knows the same programs."""
    assert set(preflight.PROGRAMS) == set(binaries.PROGRAMS)
