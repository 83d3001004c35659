"""Fixtures of tests of shared stores: where they are, and what is in them."""

import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_stores import Said, publish
from web_servers import Quiet, Server

from bmzoo.store import urls
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket; credentials and endpoint where everybody has them."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST")).close()
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/bucket", method="PUT")).close()
    return "s3://bucket/zoo"


@pytest.fixture(params=["directory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shared") if request.param == "directory" else str(request.getfixturevalue("s3"))


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def remote(url: str, said: Said) -> Remote:
    return Remote(url, said.append)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return publish(Store(tmp_path / "mine"))


@pytest.fixture
def yours(tmp_path: Path, remote: Remote) -> SharedStore:
    """Another checkout, on the same shared store."""
    return SharedStore(tmp_path / "yours", remote)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[type[Quiet]], Any]]:
    servers = []

    def start(handler: type[Quiet]) -> Any:
        (tmp_path / "shared").mkdir(exist_ok=True)
        server = Server(handler, tmp_path / "shared")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def filled(entry: Entry, tmp_path: Path, said: Said) -> Remote:
    """A shared directory, `shared`, that has the entry."""
    remote = Remote(str(tmp_path / "shared"), said.append)
    remote.push(entry)
    return remote


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are waited for a fifth of a second."""
    monkeypatch.setattr(urls, "READ_TIMEOUT", 0.2)
