"""Shared stores that cannot be used, or not be written: said once, and then left alone."""

import errno
import os
import socket
import time
from pathlib import Path

import pytest
from damaged_remotes import KEY, OTHER
from shared_stores import Said, publish
from web_servers import check_signatures

from bmzoo.errors import ConfigError, StoreError
from bmzoo.store import urls
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore
from bmzoo.system.files import NO_ROOM

pytest_plugins = ["shared_store_fixtures"]


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
    number: int, filled: Remote, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(filled.files.fs, "put_file", refuse)
        for key in (OTHER, "ef" * 32):
            filled.push(publish(Store(tmp_path / "mine"), key))
    assert os.strerror(number) in said.one() and "not shared" in said[0]
    assert SharedStore(tmp_path / "yours", filled).fetch(KEY) is not None
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
    number: int, filled: Remote, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:

    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filled.files.fs, "get_file", full)
    with pytest.raises(StoreError, match=os.strerror(number)):
        SharedStore(tmp_path / "yours", filled).fetch(KEY)
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
