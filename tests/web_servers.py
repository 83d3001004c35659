"""Web servers that serve a folder: as they should, and as they should not; and a word to moto's S3 server."""

from __future__ import annotations

import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bmzoo.store.entry import MANIFEST


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, handler: type[Quiet], folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        self.cut_off = threading.Event()


class Quiet(http.server.SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None: ...


class Denied(Quiet):
    def do_GET(self) -> None:
        self.send_error(403)


class Endless(Quiet):
    """Serves the manifest, and for every other file more than it should."""

    def do_GET(self) -> None:
        if self.path.endswith(MANIFEST):
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100_000):
                self.wfile.write(b"x" * 10_000)
        except OSError:
            self.server.cut_off.set()


class Silent(Quiet):
    def do_GET(self) -> None:
        time.sleep(1)
        self.close_connection = True


class Answers(Quiet):
    """Has its own answer for what is missing, and for the files below `touched` where they are there."""

    touched = "nothing"

    def do_GET(self) -> None:
        if self.touched in self.path or not Path(self.translate_path(self.path)).is_file():
            self.answer()
        else:
            super().do_GET()

    def answer(self) -> None:
        raise NotImplementedError

    def say(self, status: int, body: bytes, kind: str = "text/html", length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


def answering(answer: Callable[[Answers], None], touched: str = "nothing") -> type[Answers]:
    return type("Answering", (Answers,), {"answer": answer, "touched": touched})


class WithoutListing(http.server.BaseHTTPRequestHandler):
    """An S3 server for somebody without s3:ListBucket: what is missing is denied, and so are lists."""

    protocol_version = "HTTP/1.1"  # clients ask whether to send what they have
    upstream = ""

    def log_message(self, *_: object) -> None: ...

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "expect")}
        headers.setdefault("Content-Type", "binary/octet-stream")  # or urllib says that it is a form
        request = urllib.request.Request(self.upstream + self.path, body, headers, method=self.command)
        try:
            with urllib.request.urlopen(request) as found:
                status, told, data = found.status, found.headers, found.read()
        except urllib.error.HTTPError as error:
            status, told, data = error.code, error.headers, error.read()
        if status == 404 or "list-type" in self.path:
            status, data = 403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(status)
        for name, value in told.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                self.send_header(name, value)
        size = told.get("Content-Length", "0") if self.command == "HEAD" and status == 200 else str(len(data))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on


def check_signatures(server: str, after: bytes) -> None:
    """Let the S3 server check who asks, after that many requests."""
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{server}/moto-api/reset-auth", data=after, headers=plain, method="POST")
    urllib.request.urlopen(request).close()
