import errno
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from damaged_entries import DAMAGES, truncate
from other_process import another

from bmzoo.errors import StoreError
from bmzoo.plan.step import HOUR
from bmzoo.store import scratch as scratch_module
from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import SEALED_NS, Entry, Store
from bmzoo.store.scratch import DAY
from bmzoo.system.files import cannot_write
from bmzoo.system.hashing import sha256

KEY = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "build")


def publish(store: Store, key: str = KEY, content: str = "result") -> Entry:
    with store.scratch() as folder:
        (folder / "out.txt").write_text(content)
        (folder / "left.txt").write_text("not an output")
        return store.publish(key, folder, ("out.txt",), {"seconds": 1})


def files(tmp_path: Path) -> list[str]:
    """Everything below `build/` but the lock files of work in progress."""
    found = (p.relative_to(tmp_path / "build") for p in (tmp_path / "build").rglob("*") if p.is_file())
    return sorted(str(p) for p in found if p.parts[:2] != ("scratch", "making"))


def test_what_is_published_is_found_again(store: Store, tmp_path: Path) -> None:
    assert store.lookup(KEY) is None
    entry = publish(store)
    assert store.lookup(KEY) == entry
    assert entry.path("out.txt").read_text() == "result"
    assert entry.files == {"out.txt": sha256(entry.path("out.txt"))} and entry.facts == {"seconds": 1}
    assert store.lookup(OTHER) is None
    assert files(tmp_path) == [f"store/ab/{KEY}/{name}" for name in (MANIFEST, "out.txt")]


def test_published_files_are_read_only(store: Store) -> None:
    entry = publish(store)
    assert {p.stat().st_mode & 0o777 for p in entry.folder.iterdir()} == {0o444}


def test_the_first_result_of_a_fingerprint_stays(store: Store) -> None:
    first = publish(store)
    assert publish(store, content="another").files == first.files
    assert first.path("out.txt").read_text() == "result"


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_entry_counts_as_none_and_is_replaced(what: str, store: Store) -> None:
    DAMAGES[what](publish(store))
    assert store.lookup(KEY) is None
    again = publish(store, content="made again")
    assert store.lookup(KEY) == again
    assert again.path("out.txt").read_text() == "made again"


def test_links_are_published_as_what_they_point_to(store: Store, tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.write_text("from elsewhere")
    with store.scratch() as folder:
        (folder / "out.txt").symlink_to(original)
        entry = store.publish(KEY, folder, ("out.txt",), {})
    assert not entry.path("out.txt").is_symlink()
    original.write_text("changed")
    assert entry.path("out.txt").read_text() == "from elsewhere"
    assert original.stat().st_mode & 0o200


def test_a_failure_at_any_moment_of_publishing_leaves_nothing_visible(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("mkdir", "write_text", "chmod", "rename"):
        with store.scratch() as folder, monkeypatch.context() as patch:
            (folder / "out.txt").touch()
            patch.setattr(Path, name, full)
            with pytest.raises(StoreError, match="No space left on device") as caught:
                store.publish(KEY, folder, ("out.txt",), {})
        assert "free some space" in caught.value.hint
        assert store.lookup(KEY) is None and files(tmp_path) == []
    with store.scratch() as folder, pytest.raises(StoreError):
        store.publish(KEY, folder, ("not written",), {})
    assert files(tmp_path) == []
    publish(store)


def scratch_folders(tmp_path: Path) -> list[Path]:
    return [p for p in (tmp_path / "build/scratch").glob("*-*") if p.is_dir()]


FILLING = """
with store.scratch() as folder:
    (folder / "out.txt").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_kill_leaves_nothing_visible_and_its_folder_is_swept_only_then(store: Store, tmp_path: Path) -> None:
    with another(tmp_path, FILLING):
        (folder,) = scratch_folders(tmp_path)
        store.sweep()
        assert (folder / "out.txt").read_text() == "half"
    assert (folder / "out.txt").exists() and store.lookup(KEY) is None
    with store.scratch() as mine:
        store.sweep()
        assert mine.is_dir()
        assert scratch_folders(tmp_path) == [mine]
    assert files(tmp_path) == []


def test_a_kill_between_fill_and_rename_leaves_nothing_visible(store: Store, tmp_path: Path) -> None:
    code = f"""
Path.rename = lambda self, to: (print("ready", flush=True), os.kill(os.getpid(), 9))
with store.scratch() as folder:
    (folder / "out.txt").write_text("whole")
    store.publish({KEY!r}, folder, ("out.txt",), {{}})
"""
    with another(tmp_path, code) as other:
        assert other.wait() == -9
    assert store.lookup(KEY) is None
    store.sweep()
    assert files(tmp_path) == []
    assert publish(store).path("out.txt").read_text() == "result"


def test_a_scratch_folder_goes_with_the_error_that_ends_it(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), store.scratch() as folder:
        (folder / "sub").mkdir()
        raise RuntimeError
    assert not folder.exists() and files(tmp_path) == []


def test_only_one_works_on_a_fingerprint_at_a_time(store: Store) -> None:
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with store.working_on(KEY):
            inside.set()
            time.sleep(0.1)
            order.append("first ends")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with store.working_on(OTHER):  # another fingerprint does not wait
        order.append("other")
    with store.working_on(KEY):
        order.append("second")
    thread.join()
    assert order == ["other", "first ends", "second"]


def test_another_process_waits_for_its_turn_too(store: Store, tmp_path: Path) -> None:
    code = f"""
with store.working_on({KEY!r}):
    print("ready", flush=True)
    time.sleep(0.2)
    print("done", flush=True)
"""
    with another(tmp_path, code) as other, store.working_on(KEY):
        assert other.stdout is not None
        assert other.stdout.readline() == "done\n"


def test_a_killed_worker_does_not_block_the_next(store: Store, tmp_path: Path) -> None:
    with another(tmp_path, f"with store.working_on({KEY!r}):\n  print('ready', flush=True)\n  time.sleep(60)"):
        pass
    with store.working_on(KEY):
        pass


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("a file, not a folder")
    store = Store(tmp_path / "build")
    for work in (store.scratch(), store.working_on(KEY)):
        with pytest.raises(StoreError, match="cannot be written: "), work:
            pass
    store.sweep()
    assert store.lookup(KEY) is None


def test_an_error_inside_the_work_is_not_taken_for_one_of_the_store(store: Store) -> None:
    with pytest.raises(PermissionError), store.working_on(KEY):
        raise PermissionError("of the step's own")


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "read-only"), (errno.EACCES, "who owns")]
)
def test_the_cause_of_a_failed_write_has_its_hint(number: int, hint: str) -> None:
    error = cannot_write(Path("build"), OSError(number, os.strerror(number)))
    assert error.message == f"build: cannot be written: {os.strerror(number)}"
    assert hint in error.hint


def test_a_store_that_was_moved_still_serves(store: Store, tmp_path: Path) -> None:
    publish(store)
    shutil.move(tmp_path / "build", tmp_path / "moved")
    entry = Store(tmp_path / "moved").lookup(KEY)
    assert entry is not None
    assert str(tmp_path) not in json.dumps(json.loads(entry.path(MANIFEST).read_text()))


def test_a_copy_of_a_store_serves_and_is_read_once_to_see_that_it_is_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store)
    shutil.copytree(tmp_path / "build", tmp_path / "copy", copy_function=shutil.copyfile)
    copy = Store(tmp_path / "copy")
    entry = copy.lookup(KEY)
    assert entry is not None and entry.path("out.txt").stat().st_mtime_ns == SEALED_NS
    monkeypatch.setattr("bmzoo.store.local.sha256", lambda path: pytest.fail("read again"))
    assert copy.lookup(KEY) == entry


# --- several machines on one disk ----------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same store as another machine sees it, one whose locks do not reach this one."""
    with monkeypatch.context() as patch:
        patch.setattr(scratch_module, "_boot", lambda: "elsewher")
        return Store(tmp_path / "build")


def age(path: Path, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(path, (when, when))


def test_scratch_of_another_machine_goes_after_a_day_and_not_before(
    store: Store, elsewhere: Store, tmp_path: Path
) -> None:
    work = elsewhere.scratch()
    folder = work.__enter__()
    folder.with_suffix(".lock").unlink()  # this machine sees no lock of theirs
    for hours in (0, 3, 23):
        age(folder, hours * HOUR)
        store.sweep()
        assert folder.is_dir()
    age(folder, DAY + HOUR)
    store.sweep()
    assert not folder.exists() and files(tmp_path) == []
    work.__exit__(None, None, None)


def test_a_clock_that_is_wrong_by_years_sweeps_nothing_in_use(
    store: Store, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time()
    with elsewhere.scratch() as theirs, store.scratch() as mine:
        for skew in (-400 * DAY, 400 * DAY):
            monkeypatch.setattr(time, "time", lambda skew=skew: real + skew)
            store.sweep()
            elsewhere.sweep()
            assert theirs.is_dir() and mine.is_dir()
            entry = publish(store)
            assert store.lookup(KEY) == entry


def test_whatever_is_left_in_scratch_goes_after_a_day(store: Store, tmp_path: Path) -> None:
    publish(store)
    with store.working_on(KEY):
        pass
    scratch = tmp_path / "build/scratch"
    for name in (f"{KEY}.making", "ghost.lock", "young.lock", "file"):
        (scratch / name).touch()
    (scratch / "folder/inside").mkdir(parents=True)
    (scratch / "link").symlink_to(tmp_path)
    for path in scratch.iterdir():
        if path.name != "young.lock":
            os.utime(path, (0, 0), follow_symlinks=False)
    store.sweep()
    assert sorted(path.name for path in scratch.iterdir()) == ["making", "young.lock"]
    assert (scratch / "making" / KEY[:3]).exists() and tmp_path.is_dir()


def test_two_machines_that_make_the_same_at_once_end_with_one_whole_entry(store: Store, tmp_path: Path) -> None:
    """Where locks do not reach: both make it, and both get what the first one published."""
    code = f"""
def make(content):
    with store.scratch() as folder:
        (folder / "out.txt").write_text(content)
        return store.publish({KEY!r}, folder, ("out.txt",), {{}}).path("out.txt").read_text()
print("ready", flush=True)
while not Path({str(tmp_path / "go")!r}).exists(): pass
print(make(str(os.getpid()) * 1000), flush=True)
"""
    with another(tmp_path, code) as one, another(tmp_path, code) as two:
        (tmp_path / "go").touch()
        assert one.stdout is not None and two.stdout is not None
        contents = {one.stdout.readline(), two.stdout.readline()}
    entry = store.lookup(KEY)
    assert entry is not None and contents == {entry.path("out.txt").read_text() + "\n"}


def test_a_damaged_entry_that_two_replace_at_once_is_replaced_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    truncate(publish(store))
    rename = Path.rename
    calls = []

    def late(self: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == 2:  # just before the damaged one is set aside, another process has replaced it
            shutil.rmtree(self)
            monkeypatch.setattr(Path, "rename", rename)
            publish(store, content="theirs")
            monkeypatch.setattr(Path, "rename", late)
            raise FileNotFoundError
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", late)
    assert publish(store, content="mine").path("out.txt").read_text() == "theirs"


# --- places that cannot be written ---------------------------------------------------------------------------


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A small file system in memory, where this user may mount one."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this user cannot mount file systems")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_keeps_what_it_has_and_takes_more_when_there_is_room(tmp_path: Path) -> None:
    root = tmp_path / "build"
    with mounted(root, "-t", "tmpfs", "-o", "size=256k", "tmpfs"):
        store = Store(root)
        first = publish(store)
        with store.scratch() as folder:
            (folder / "linked").symlink_to(first.path("out.txt"))
            (root / "filler").write_bytes(bytes(shutil.disk_usage(root).free))
            with pytest.raises(StoreError, match="No space left on device") as caught:
                store.publish(OTHER, folder, ("linked",), {})
        assert "./doit gc" in caught.value.hint
        assert store.lookup(KEY) == first and store.lookup(OTHER) is None
        (root / "filler").unlink()
        assert publish(store, OTHER) == store.lookup(OTHER)


def test_a_store_on_a_read_only_mount_is_read_and_refuses_new_results(store: Store, tmp_path: Path) -> None:
    entry = publish(store)
    age(entry.path(MANIFEST), 9 * DAY)
    root = tmp_path / "build"
    with mounted(root, "--bind", "-o", "ro", str(root)):
        if os.access(root, os.W_OK):
            pytest.skip("the mount is not read-only here")
        store.sweep()
        assert store.lookup(KEY) == entry
        with pytest.raises(StoreError, match="Read-only file system") as caught, store.scratch():
            pass
        assert "mounted read-only" in caught.value.hint
