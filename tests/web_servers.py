"""Web servers that serve a folder: as they should, and as they should not; and a word to moto's S3 server."""

from __future__ import annotations

import http.server
import threading
import time
import urllib.request
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


def check_signatures(server: str, after: bytes) -> None:
    """Let the S3 server check who asks, after that many requests."""
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{server}/moto-api/reset-auth", data=after, headers=plain, method="POST")
    urllib.request.urlopen(request).close()
