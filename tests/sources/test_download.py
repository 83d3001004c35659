"""Pinned downloads from a server on this machine: what goes wrong is one line, and never leaves a file behind."""

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bmzoo.errors import SourceError
from bmzoo.sources import cache, download

CONTENT = bytes(range(256)) * 4096  # 1 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def handle_error(self, *_: object) -> None: ...  # clients that hang up are part of the tests


class Handler(BaseHTTPRequestHandler):
    """One path for each way in which a server answers."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        getattr(self, self.path.strip("/").replace("-", "_"))()

    def answer(self, content: bytes, kind: str = "application/octet-stream", length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def good(self) -> None:
        self.answer(CONTENT)

    def other(self) -> None:
        self.answer(CONTENT[:-1] + b"x")

    def short(self) -> None:
        self.answer(CONTENT[: len(CONTENT) // 2], length=len(CONTENT))

    def page(self) -> None:
        self.answer(b"<html>log in first</html>", "text/html; charset=utf-8")

    def gone(self) -> None:
        self.send_error(404)

    def to_a_page(self) -> None:
        self.redirect("/page")

    def moved(self) -> None:
        self.redirect("/good")

    def to_ftp(self) -> None:
        self.redirect("ftp://127.0.0.1/good")

    def redirect(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.end_headers()

    def silent(self) -> None:
        time.sleep(2)

    def drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(30):
            self.wfile.write(b"drop")
            self.wfile.flush()
            time.sleep(0.05)

    def nonsense(self) -> None:
        self.wfile.write(b"what?\r\n\r\n")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("no_proxy", "*")
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_a_file_is_fetched_once(url: str, server: Server, tmp_path: Path) -> None:
    for path in ("good", "good", "moved"):
        assert download.fetch(f"{url}/{path}", DIGEST, tmp_path / "kept").read_bytes() == CONTENT
    assert server.asked == ["/good"]
    assert [p.name for p in (tmp_path / "kept").iterdir()] == [DIGEST]


def test_a_redirect_is_followed(url: str, tmp_path: Path) -> None:
    assert download.fetch(f"{url}/moved", DIGEST, tmp_path).read_bytes() == CONTENT


def test_a_kept_file_that_was_damaged_is_fetched_again(url: str, tmp_path: Path) -> None:
    (tmp_path / DIGEST).write_bytes(CONTENT[:100])
    assert download.fetch(f"{url}/good", DIGEST, tmp_path).read_bytes() == CONTENT


FAILURES = [
    ("other", "not the file that the config pins: sha256 "),
    ("short", f"ended after {len(CONTENT) // 2} of {len(CONTENT)} bytes"),
    ("page", "gives a web page and no file"),
    ("to-a-page", "gives a web page and no file"),
    ("to-ftp", "cannot be fetched: redirected from http to ftp"),
    ("gone", "cannot be fetched: Not Found"),
    ("silent", "cannot be fetched: timed out"),
    ("drip", "took too long and was given up after "),
    ("nonsense", "cannot be fetched: what?"),
]


@pytest.mark.parametrize(("path", "said"), FAILURES, ids=[path for path, _ in FAILURES])
def test_a_failure_is_one_line_and_leaves_nothing(url: str, tmp_path: Path, path: str, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        download.fetch(f"{url}/{path}", DIGEST, tmp_path, timeout=0.5, total=0.6)
    assert caught.value.message.startswith(f"{url}/{path}: {said}"), caught.value.message
    assert "\n" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_too_large_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LARGEST", 1000)
    with pytest.raises(SourceError, match="larger than the"):
        download.fetch(f"{url}/good", DIGEST, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_one_line(url: str, server: Server, tmp_path: Path) -> None:
    server.socket.close()
    with pytest.raises(SourceError, match="cannot be fetched: "):
        download.fetch(f"{url}/good", DIGEST, tmp_path, timeout=0.5)
    with pytest.raises(SourceError, match="cannot be fetched: "):
        download.fetch("https://name.invalid/file", DIGEST, tmp_path, timeout=0.5)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_one_line(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match="cache of downloads cannot be written: Not a directory"):
        download.fetch(f"{url}/good", DIGEST, tmp_path / "file" / "below")


def test_where_downloads_are_kept() -> None:
    assert cache.folder({"HOME": "/home/me"}) == Path("/home/me/.cache/bmzoo/weights")
    assert cache.folder({"HOME": "/home/me", "XDG_CACHE_HOME": "/cache"}) == Path("/cache/bmzoo/weights")


def test_a_cache_that_cannot_be_used_is_not_called_a_failed_download(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").touch()
    url = f"http://127.0.0.1:{server.server_address[1]}/good"
    with pytest.raises(SourceError, match=r"cache of downloads cannot be written: ") as caught:
        download.fetch(url, DIGEST, tmp_path / "file" / "weights")
    assert "XDG_CACHE_HOME" in caught.value.hint and server.asked == []
    (tmp_path / "cache" / DIGEST).mkdir(parents=True)
    with pytest.raises(SourceError, match=r"cache of downloads cannot be written: Is a directory"):
        download.fetch(url, DIGEST, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [DIGEST]


def test_a_full_disk_under_the_cache_is_said(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        name = str(tmp_path / "part")

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", lambda handle, mode: Full())
    with pytest.raises(SourceError, match="cache of downloads cannot be written: No space left on device"):
        download.fetch(f"{url}/good", DIGEST, tmp_path)
    assert list(tmp_path.iterdir()) == []
