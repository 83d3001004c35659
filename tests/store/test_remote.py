"""Shared stores: a directory, a real S3 server (moto's), a web server; and all that can be wrong with them."""

import errno
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from damaged_remotes import DAMAGES, KEY, OTHER, read, rewrite
from web_servers import Denied, Endless, Quiet, Server, Silent, check_signatures

from bmzoo.errors import ConfigError, StoreError
from bmzoo.store import fsck, urls
from bmzoo.store import remote as remote_module
from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.remote_files import RemoteFiles
from bmzoo.store.shared import SharedStore
from bmzoo.system.files import NO_ROOM


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


class Said(list[str]):
    """Warnings, each as often as it was said."""

    def one(self) -> str:
        assert len(self) == 1, self
        return self[0]


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def remote(url: str, said: Said) -> Remote:
    return Remote(url, said.append)


def publish(store: Store, key: str = KEY, **facts: Any) -> Entry:
    with store.scratch() as folder:
        (folder / "out.bin").write_bytes(bytes(range(256)) * 300)
        (folder / "note.txt").write_text("said in passing")
        return store.publish(key, folder, ("out.bin", "note.txt"), facts)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return publish(Store(tmp_path / "mine"))


@pytest.fixture
def yours(tmp_path: Path, remote: Remote) -> SharedStore:
    """Another checkout, on the same shared store."""
    return SharedStore(tmp_path / "yours", remote)


def test_what_one_made_another_gets_whole_and_read_only(remote: Remote, entry: Entry, yours: SharedStore) -> None:
    assert yours.fetch(KEY) is None
    remote.push(entry)
    got = yours.fetch(KEY)
    assert got is not None and got == yours.lookup(KEY)
    assert (got.files, got.facts) == (entry.files, entry.facts)
    for path in got.folder.iterdir():
        assert path.read_bytes() == entry.path(path.name).read_bytes() and path.stat().st_mode & 0o222 == 0
    assert read(remote, MANIFEST) == entry.path(MANIFEST).read_bytes()
    assert yours.fetch(OTHER) is None


def test_an_entry_that_is_there_already_wins(remote: Remote, entry: Entry) -> None:
    remote.push(entry)
    rewrite(remote, "note.txt", b"as it was")
    remote.push(entry)
    assert read(remote, "note.txt") == b"as it was"


def test_an_interrupted_upload_does_not_count(
    remote: Remote, entry: Entry, yours: SharedStore, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, names = RemoteFiles.put, []

    def dies(self: RemoteFiles, source: Path, path: str) -> None:
        names.append(source.name)
        if source.name == MANIFEST:
            raise KeyboardInterrupt
        put(self, source, path)

    monkeypatch.setattr(RemoteFiles, "put", dies)
    with pytest.raises(KeyboardInterrupt):
        remote.push(entry)
    assert sorted(names[:-1]) == sorted(entry.files) and names[-1] == MANIFEST
    assert yours.fetch(KEY) is None and said == []
    monkeypatch.undo()


# The manifest is judged by the same code wherever it comes from, so few of them go through S3.
EVERYWHERE = ("one bit", "truncated", "longer", "file missing", "manifest cut off", "name upwards")
CASES = [("directory", what) for what in DAMAGES] + [("s3", what) for what in EVERYWHERE]


@pytest.mark.parametrize(("url", "what"), CASES, indirect=["url"])
def test_a_damaged_entry_is_never_used_and_is_replaced_by_the_next_that_is_made(
    what: str,
    remote: Remote,
    entry: Entry,
    yours: SharedStore,
    said: Said,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_module, "MAX_ENTRY_MANIFEST_BYTES", 60_000)
    remote.push(entry)
    DAMAGES[what](remote)
    before = sorted(p for p in tmp_path.rglob("*") if "yours" not in p.parts)
    assert yours.fetch(KEY) is None and yours.lookup(KEY) is None
    assert "is not used, it is damaged: " in said.one() and KEY[:16] in said[0]
    assert [p for p in (tmp_path / "yours").rglob("*") if p.is_file()] == []
    assert before == sorted(p for p in tmp_path.rglob("*") if "yours" not in p.parts)
    yours.push(entry)  # made again here
    assert yours.fetch(KEY) is not None and len(said) == 1


def test_links_and_pipes_in_a_shared_directory_are_not_followed(tmp_path: Path, entry: Entry, said: Said) -> None:
    remote = Remote(f"file://{tmp_path}/shared", said.append)
    remote.push(entry)
    place = tmp_path / "shared/ab" / KEY / "note.txt"
    (tmp_path / "into").mkdir()
    makers: tuple[Callable[[], None], ...] = (
        lambda: place.symlink_to(entry.path("note.txt")),
        lambda: os.mkfifo(place),
        place.mkdir,
    )
    for make in makers:
        place.unlink()
        make()
        assert remote.fetch(KEY, tmp_path / "into") is None
        assert "is not a plain file" in said.pop()


def test_fsck_finds_what_is_damaged_and_sets_it_aside(
    remote: Remote, entry: Entry, tmp_path: Path, said: Said
) -> None:
    mine = Store(tmp_path / "mine")
    remote.push(entry)
    remote.push(publish(mine, OTHER))
    assert remote.fingerprints() == [KEY, OTHER]
    assert fsck.check_remote(remote, mine, remote.fingerprints(), lambda count: None) == []
    rewrite(remote, "out.bin", read(remote, "out.bin")[::-1])
    (bad,) = fsck.check_remote(remote, mine, remote.fingerprints(), lambda count: None)
    assert bad.fingerprint == KEY and "out.bin: sha256 is " in bad.problem
    assert bad.now.startswith(f"now {remote.url}/quarantine/{KEY}-")
    assert remote.fingerprints() == [OTHER] and said == []
    remote.push(entry)
    assert remote.fingerprints() == [KEY, OTHER]


# --- a web server: read only ---------------------------------------------------------------------------------


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


def web(server: Any, said: Said) -> Remote:
    return Remote(f"http://127.0.0.1:{server.server_port}", said.append)


def test_a_web_server_is_read_from_and_never_written(
    serve: Callable[..., Any], entry: Entry, tmp_path: Path, said: Said
) -> None:
    server = serve(Quiet)
    remote = web(server, said)
    store = SharedStore(tmp_path / "yours", remote)
    assert store.fetch(KEY) is None
    store.push(entry)
    assert list((tmp_path / "shared").rglob("*")) == [] and said == []
    Remote(str(tmp_path / "shared"), said.append).push(entry)
    got = store.fetch(KEY)
    assert got is not None and got.files == entry.files and said == []
    (tmp_path / "shared/ab" / KEY / "out.bin").unlink()
    assert SharedStore(tmp_path / "third", remote).fetch(KEY) is None and "out.bin is missing" in said.one()
    with pytest.raises(StoreError, match="does not list"):
        remote.fingerprints()


def test_an_endless_answer_is_cut_off(serve: Callable[..., Any], entry: Entry, tmp_path: Path, said: Said) -> None:
    Remote(str(tmp_path / "shared"), said.append).push(entry)
    server = serve(Endless)
    assert SharedStore(tmp_path / "yours", web(server, said)).fetch(KEY) is None
    assert "is larger than" in said.one() and server.cut_off.wait(5)


def test_a_server_that_denies_or_never_answers_is_left_alone(
    serve: Callable[..., Any], entry: Entry, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SharedStore(tmp_path / "yours", web(serve(Denied), said)).fetch(KEY) is None
    assert "access denied" in said.pop() and not said
    monkeypatch.setattr(urls, "READ_TIMEOUT", 0.2)
    assert SharedStore(tmp_path / "yours", web(serve(Silent), said)).fetch(KEY) is None
    assert "cannot be reached" in said.one()


# --- a store that cannot be used -----------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("kind", ["s3", "http"])
def test_an_unreachable_store_is_said_once_and_then_not_asked_again(
    kind: str, closed_port: int, s3: str, entry: Entry, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    store = SharedStore(
        tmp_path / "yours", Remote(s3 if kind == "s3" else f"http://127.0.0.1:{closed_port}/x", said.append)
    )
    start = time.monotonic()
    assert store.fetch(KEY) is None
    assert time.monotonic() - start < 10
    assert "cannot be reached" in said.one() and said[0].endswith("going on without it")
    start = time.monotonic()
    store.push(entry)
    assert store.fetch(OTHER) is None and len(said) == 1
    assert time.monotonic() - start < 0.2


def test_a_store_that_goes_away_while_sharing_is_said_once(
    closed_port: int, s3: str, entry: Entry, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    remote = Remote(s3, said.append)
    remote.push(entry)
    assert remote.fetch(KEY, tmp_path) is None
    assert "cannot be reached" in said.one() and "not shared" in said[0]


def test_wrong_credentials_are_said_as_such(
    s3: str, s3_server: str, entry: Entry, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_signatures(s3_server, after=b"0")
    try:
        store = SharedStore(tmp_path / "yours", Remote(s3, said.append))
        assert store.fetch(KEY) is None
        store.push(entry)
    finally:
        check_signatures(s3_server, after=b"inf")
    assert "access denied (" in said.one() and "check AWS_ACCESS_KEY_ID" in said[0]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert SharedStore(tmp_path / "other", Remote(s3, said.append)).fetch(KEY) is None
    assert "access denied" in said[1] and "credentials" in said[1].lower() and "secret" not in "".join(said)


def test_a_bucket_that_does_not_exist_is_said_when_something_is_to_be_shared(
    s3: str, entry: Entry, tmp_path: Path, said: Said
) -> None:
    store = SharedStore(tmp_path / "yours", Remote("s3://nobodys", said.append))
    assert store.fetch(KEY) is None
    store.push(entry)
    store.push(entry)
    assert "not shared" in said.one()


def test_a_folder_that_cannot_be_made_is_not_used(entry: Entry, tmp_path: Path, said: Said) -> None:
    """Its parent is missing: a mount that is not there must not be written below."""
    store = SharedStore(tmp_path / "yours", Remote(str(tmp_path / "mnt/shared"), said.append))
    assert store.fetch(KEY) is None
    store.push(entry)
    assert "cannot be used: No such file or directory" in said.one()
    assert not (tmp_path / "mnt").exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_still_read(
    number: int, entry: Entry, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(str(tmp_path / "shared"), said.append)
    remote.push(entry)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(remote.files.fs, "put_file", refuse)
        for key in (OTHER, "ef" * 32):
            remote.push(publish(Store(tmp_path / "mine"), key))
    assert os.strerror(number) in said.one() and "not shared" in said[0]
    assert SharedStore(tmp_path / "yours", remote).fetch(KEY) is not None
    assert [p for p in (tmp_path / "shared").rglob("*.part")] == []


def test_a_file_that_is_too_large_there_costs_its_entry(
    entry: Entry, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(str(tmp_path / "shared"), said.append)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    with monkeypatch.context() as patch:
        patch.setattr(remote.files.fs, "put_file", refuse)
        remote.push(entry)
    other = publish(Store(tmp_path / "mine"), OTHER)
    remote.push(other)
    assert "File too large" in said.one() and remote.fingerprints() == [OTHER]


@pytest.mark.parametrize("number", NO_ROOM)
def test_a_full_disk_here_is_not_the_shared_stores_fault(
    number: int, entry: Entry, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(str(tmp_path / "shared"), said.append)
    remote.push(entry)

    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(remote.files.fs, "get_file", full)
    with pytest.raises(StoreError, match=os.strerror(number)):
        SharedStore(tmp_path / "yours", remote).fetch(KEY)
    assert said == []


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        Remote("s3://bucket", print)
    assert caught.value.message == "store: s3fs is not installed: s3://bucket"
    assert caught.value.hint.startswith(".venv/bin/pip install s3fs==20")
    with pytest.raises(ConfigError, match="aiohttp is not installed"):
        Remote("https://example.org/zoo", print)
    Remote("/mnt/shared", print)


def test_an_unknown_failure_is_told_in_one_line() -> None:
    s3, folder = "s3://bucket", "/mnt/shared"
    assert urls.cause(ValueError("first\nsecond"), s3) == "cannot be used: ValueError: first"
    assert urls.cause(TimeoutError(), s3) == "cannot be reached (TimeoutError)"
    denied = PermissionError(errno.EACCES, "Permission denied")
    assert "AWS_ACCESS_KEY_ID" in urls.cause(denied, s3) and "AWS" not in urls.cause(denied, folder)


def test_two_machines_that_share_the_same_entry_at_once_leave_a_sound_one(
    entry: Entry, tmp_path: Path, said: Said
) -> None:
    start = threading.Barrier(4)

    def push() -> None:
        remote = Remote(str(tmp_path / "shared"), said.append)
        start.wait()
        remote.push(entry)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = SharedStore(tmp_path / "yours", Remote(str(tmp_path / "shared"), said.append)).fetch(KEY)
    assert got is not None and said == []
