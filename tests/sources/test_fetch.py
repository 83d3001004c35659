"""Texts from paths and URLs; the web server is a real one on this machine."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bmzoo.errors import SourceError
from bmzoo.sources.fetch import text


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/zoo.json":
            self._send(200, b'{"a": 1}')
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            time.sleep(2)
        else:
            self._send(404, b"no")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_paths_are_relative_to_the_checkout_and_urls_work(tmp_path: Path, server: str) -> None:
    (tmp_path / "a.json").write_text("hä")
    assert text("a.json", tmp_path, 100) == "hä"
    assert text(str(tmp_path / "a.json"), Path("/"), 100) == "hä"
    assert text(f"file://{tmp_path}/a.json", Path("/"), 100) == "hä"
    assert text(f"{server}/zoo.json", tmp_path, 100) == '{"a": 1}'


def test_what_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 200_000)
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="a: larger than the 0 MiB allowed"):
        text("a", tmp_path, 100_000)
    assert len(text("a", tmp_path, 200_000)) == 200_000
    with pytest.raises(SourceError, match="b: not text in UTF-8"):
        text("b", tmp_path, 100)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.json", "none.json: cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("gopher://host/x", "gopher://host/x: cannot be read: Protocol not known: gopher"),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x: cannot be read: .*Connection refused"),
        ("https://user:secret@127.0.0.1:9/x?token=1", "^https://127.0.0.1:9/x: cannot be read"),
        ("http://", "http://: cannot be read"),
        ("a\0b", "cannot be read: embedded null byte"),
    ],
)
def test_what_cannot_be_read_is_said_without_passwords(
    tmp_path: Path, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(SourceError, match=said) as caught:
        text(name, tmp_path, 100)
    assert "secret" not in caught.value.render()


def test_a_server_that_says_no_or_points_at_files_is_refused(tmp_path: Path, server: str) -> None:
    with pytest.raises(SourceError, match="cannot be read: Not Found"):
        text(f"{server}/none", tmp_path, 100)
    with pytest.raises(SourceError, match="cannot be read: .*Redirection to url"):
        text(f"{server}/away", tmp_path, 100)


def test_a_server_that_is_too_slow_is_given_up(tmp_path: Path, server: str) -> None:
    with pytest.raises(SourceError, match="timed out"):
        text(f"{server}/slow", tmp_path, 100, timeout=0.3)
