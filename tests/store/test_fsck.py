"""`fsck`: every kind of damage is found, set aside and named; what is sound stays where it is."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bmzoo.errors import StoreError
from bmzoo.plan.fingerprint import fingerprint
from bmzoo.store import fsck
from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import Entry, Store

MATERIAL = {"kind": "test"}
KEY = fingerprint(MATERIAL)
OTHER = "cd" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "build")
    publish(store, OTHER, {})
    return store


def publish(store: Store, key: str = KEY, facts: dict[str, object] | None = None) -> Entry:
    with store.scratch() as folder:
        (folder / "out.bin").write_bytes(b"result" * 1000)
        (folder / "note.txt").write_text("said in passing")
        return store.publish(
            key, folder, ("out.bin", "note.txt"), {"material": MATERIAL} if facts is None else facts
        )


def put(name: str, data: bytes) -> Callable[[Entry], None]:
    def damage(entry: Entry) -> None:
        """As a careful vandal: the file's time and mode are as before."""
        stat = entry.path(name).stat() if entry.path(name).exists() else None
        entry.path(name).unlink(missing_ok=True)
        entry.path(name).write_bytes(data)
        if stat is not None:
            os.utime(entry.path(name), ns=(stat.st_mtime_ns, stat.st_mtime_ns))

    return damage


def link(entry: Entry) -> None:
    copy = shutil.copy2(entry.path("out.bin"), entry.folder.parents[2] / "copy")
    entry.path("out.bin").unlink()
    entry.path("out.bin").symlink_to(copy)


def empty(entry: Entry) -> None:
    for path in entry.folder.iterdir():
        path.unlink()


def rename(entry: Entry) -> None:
    (entry.folder.parents[1] / "00").mkdir()
    entry.folder.rename(entry.folder.parents[1] / "00" / KEY)


DAMAGES: dict[str, tuple[Callable[[Entry], None], str]] = {
    "same size": (put("out.bin", b"RESULT" * 1000), "out.bin: sha256 is "),
    "truncated": (put("out.bin", b"result"), "out.bin: 6 bytes, not 6000"),
    "missing": (lambda entry: entry.path("out.bin").unlink(), "out.bin: missing"),
    "one too many": (put("more.txt", b""), "more.txt: not part of the result"),
    "a link": (link, "out.bin: "),
    "no manifest": (lambda entry: entry.path(MANIFEST).unlink(), "manifest.json is missing"),
    "broken manifest": (put(MANIFEST, b"{"), "manifest.json is not JSON"),
    "empty": (empty, "manifest.json is missing"),
}


def check(store: Store) -> list[fsck.Bad]:
    return fsck.check_store(store, lambda count: None)


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_set_aside(what: str, store: Store, tmp_path: Path) -> None:
    damage, problem = DAMAGES[what]
    damage(publish(store))
    (bad,) = check(store)
    assert bad.fingerprint == KEY and bad.problem.startswith(problem)
    assert bad.now == f"now build/quarantine/{KEY}-1" and (tmp_path / f"build/quarantine/{KEY}-1").is_dir()
    assert store.lookup(KEY) is None and store.lookup(OTHER) is not None
    assert check(store) == []
    DAMAGES["same size"][0](publish(store))  # made again, and damaged again
    assert check(store)[0].now.endswith(f"{KEY}-2")


def test_an_entry_under_another_fingerprint_is_found(store: Store) -> None:
    rename(publish(store))
    publish(store, "ef" * 32, {"material": MATERIAL})
    problems = {bad.fingerprint: bad.problem for bad in check(store)}
    assert "material gives another fingerprint" in problems["ef" * 32]
    assert problems[KEY] == "lies in the wrong folder: 00"


def test_a_sound_store_is_read_whole(store: Store) -> None:
    publish(store)
    told: list[int] = []
    assert fsck.check_store(store, told.append) == []
    assert sum(told) == 2 * (6000 + len("said in passing"))
    assert check(Store(Path("/nowhere"))) == []


def test_what_cannot_be_set_aside_is_still_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    DAMAGES["truncated"][0](publish(store))

    def refuse(store: Store, folder: Path) -> None:
        raise StoreError("build/quarantine: cannot be written: Read-only file system")

    monkeypatch.setattr(fsck, "set_aside", refuse)
    assert "still in the store: build/quarantine: cannot be written" in str(check(store)[0])


def test_an_entry_removed_meanwhile_is_no_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = publish(store)
    shutil.rmtree(entry.folder)
    monkeypatch.setattr(store, "folders", lambda: [entry.folder])
    assert check(store) == []
    assert fsck.set_aside(store, entry.folder) is None
