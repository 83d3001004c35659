"""Shared stores: a directory and a real S3 server (moto's), and entries that are damaged."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from damaged_remotes import DAMAGES, KEY, OTHER, read, rewrite
from shared_stores import Said, publish

from bmzoo.store import fsck
from bmzoo.store import remote as remote_module
from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.remote_files import RemoteFiles
from bmzoo.store.shared import SharedStore

pytest_plugins = ["shared_store_fixtures"]


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
