import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bmzoo.system import hashing
from bmzoo.system.hashing import Digests, sha256


class Reads:
    """Counts how often files are really read."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: Path) -> str:
        self.count += 1
        return sha256(path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counter = Reads()
    monkeypatch.setattr(hashing, "sha256", counter)
    return counter


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as old enough to be trusted."""
    monkeypatch.setattr(hashing, "_YOUNG_NS", -(10**18))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_empty_and_a_large_file_have_the_usual_sha256(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(b"x" * (2 << 20) + b"y")
    assert sha256(tmp_path / "empty") == digest(b"")
    assert sha256(tmp_path / "large") == digest(b"x" * (2 << 20) + b"y")


def test_an_unchanged_file_is_read_once_even_by_later_runs(
    file: Path, tmp_path: Path, reads: Reads, settled: None
) -> None:
    memory = tmp_path / "new" / "folder" / "digests.json"
    first = Digests(memory)
    assert first.of(file) == first.of(file) == digest(b"content")
    assert reads.count == 1
    first.save()
    assert Digests(memory).of(file) == digest(b"content")
    assert reads.count == 1


def replace_by_another(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"CONTENT")
    stat = file.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(file)


def rewrite_with_its_old_time(file: Path) -> None:
    stat = file.stat()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def append(file: Path) -> None:
    stat = file.stat()
    with file.open("ab") as out:
        out.write(b"!")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def touch(file: Path) -> None:
    os.utime(file, ns=(1, 1))


@pytest.mark.parametrize("change", [replace_by_another, rewrite_with_its_old_time, append, touch])
def test_whatever_shows_in_size_times_or_inode_is_read_again(
    change: Callable[[Path], None], file: Path, tmp_path: Path, reads: Reads, settled: None
) -> None:
    memory = Digests(tmp_path / "digests.json")
    memory.of(file)
    change(file)
    assert memory.of(file) == digest(file.read_bytes())
    assert reads.count == 2


def test_a_file_changed_just_now_is_not_trusted(file: Path, tmp_path: Path, reads: Reads) -> None:
    memory = Digests(tmp_path / "digests.json")
    os.utime(file, (1, 1))  # an old mtime does not make it old: its ctime is now
    memory.of(file)
    memory.of(file)
    assert reads.count == 2
    memory.save()
    assert not (tmp_path / "digests.json").exists()


def test_a_link_is_known_by_its_own_name(file: Path, tmp_path: Path, settled: None) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"CONTENT")
    link = tmp_path / "link"
    link.symlink_to(file)
    memory = Digests(tmp_path / "digests.json")
    assert memory.of(link) == digest(b"content")
    link.unlink()
    link.symlink_to(other)
    assert memory.of(link) == digest(b"CONTENT")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"FILE": 5}',
        b'{"FILE": null}',
        b'{"FILE": [1, 2]}',
        b'{"FILE": {}}',
    ],
)
def test_a_damaged_memory_is_forgotten(text: bytes, file: Path, tmp_path: Path, settled: None) -> None:
    path = tmp_path / "digests.json"
    path.write_bytes(text.replace(b"FILE", str(file).encode()))
    memory = Digests(path)
    assert memory.of(file) == digest(b"content")
    memory.save()
    assert json.loads(path.read_text())[str(file)][-1] == digest(b"content")


def test_a_memory_that_cannot_be_saved_is_no_failure(file: Path, tmp_path: Path, settled: None) -> None:
    (tmp_path / "taken" / "digests.json").mkdir(parents=True)
    for place in (file / "digests.json", tmp_path / "taken" / "digests.json"):
        memory = Digests(place)
        memory.of(file)
        memory.save()
    assert file.read_bytes() == b"content"


def test_a_missing_file_is_an_error_not_an_old_digest(file: Path, tmp_path: Path, settled: None) -> None:
    memory = Digests(tmp_path / "digests.json")
    memory.of(file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        memory.of(file)


def test_threads_may_ask_and_save_at_once(tmp_path: Path, settled: None) -> None:
    files = [tmp_path / str(n) for n in range(20)]
    for path in files:
        path.write_text(path.name)
    memory = Digests(tmp_path / "digests.json")
    wrong: list[Path] = []

    def work() -> None:
        for path in files:
            if memory.of(path) != digest(path.name.encode()):
                wrong.append(path)
            memory.save()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    memory.save()
    assert len(json.loads((tmp_path / "digests.json").read_text())) == 20
    assert {p.name for p in tmp_path.iterdir()} == {"digests.json", *(p.name for p in files)}
