"""A shared directory of several users: who may use what others made."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from damaged_remotes import KEY
from shared_stores import Said, publish

from bmzoo.store import fsck
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore

pytest_plugins = ["shared_store_fixtures"]
MISSING = [f"{number:02x}" * 32 for number in range(1, 4)]
NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="bmzoo-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """An empty folder to share."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def as_somebody(work: Callable[[], list[str]]) -> list[str]:
    """What `work` says in a process of a user to whom permissions apply: of another one, where this is root."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writer, "\n".join(work()).encode())
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  # told to the test
            os.write(writer, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as told:
        lines = told.read().splitlines()
    assert os.waitpid(child, 0)[1] == 0, lines
    return lines


def modes(root: Path) -> set[tuple[str, str]]:
    """(kind, mode) of all below."""
    paths = [path for path in root.rglob("*")]
    return {("folder" if path.is_dir() else "file", oct(stat.S_IMODE(path.stat().st_mode))) for path in paths}


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022, 0o000])
@pytest.mark.parametrize(
    ("root", "file"), [(0o2775, 0o444), (0o2770, 0o440), (0o755, 0o444), (0o700, 0o400), (0o1777, 0o444)]
)
def test_new_files_and_folders_take_the_roots_mode_whatever_the_umask(
    root: int, file: int, umask: int, entry: Entry, shared: Path, said: Said
) -> None:
    shared.chmod(root)
    remote = Remote(str(shared), said.append)
    before = os.umask(umask)
    try:
        remote.push(entry)
        assert modes(shared) == {("folder", oct(root)), ("file", oct(file))}
        remote.set_aside(KEY)
    finally:
        os.umask(before)
    assert modes(shared) == {("folder", oct(root)), ("file", oct(file))} and said == []


def test_folders_of_before_that_are_too_narrow_are_opened_by_their_owner(
    entry: Entry, shared: Path, said: Said
) -> None:
    (shared / KEY[:2]).mkdir()
    (shared / KEY[:2]).chmod(0o700)
    shared.chmod(0o2775)
    Remote(str(shared), said.append).push(entry)
    assert modes(shared) == {("folder", oct(0o2775)), ("file", oct(0o444))}


def test_a_root_in_a_groups_folder_is_as_open_as_that(entry: Entry, tmp_path: Path, said: Said) -> None:
    before = os.umask(0o077)
    try:
        for mode, wanted in ((0o2775, 0o2775), (0o755, 0o700)):
            parent = tmp_path / oct(mode)
            parent.mkdir()
            parent.chmod(mode)
            Remote(str(parent / "zoo"), said.append).push(entry)
            assert stat.S_IMODE((parent / "zoo").stat().st_mode) == wanted
    finally:
        os.umask(before)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user, or give files to a group")


@needs_root
def test_new_files_and_folders_take_the_roots_group(entry: Entry, shared: Path, said: Said) -> None:
    os.chown(shared, -1, NOBODY)
    shared.chmod(0o770)  # without the setgid bit, which would do it alone
    Remote(str(shared), said.append).push(entry)
    assert {path.stat().st_gid for path in shared.rglob("*")} == {NOBODY}


@needs_root
def test_one_closed_entry_costs_that_entry_and_the_doctor_names_it(entry: Entry, place: Path, said: Said) -> None:
    shared = place / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    remote = Remote(str(shared), said.append)
    entries = [entry, *(publish(Store(place / "mine"), key) for key in MISSING[:3])]
    for one in entries:
        remote.push(one)
    (shared / KEY[:2] / KEY).chmod(0)
    (shared / MISSING[0][:2]).chmod(0)
    (shared / MISSING[1][:2] / MISSING[1] / "out.bin").chmod(0)
    (place / "yours").mkdir()
    (place / "yours").chmod(0o777)

    def use() -> list[str]:
        told: list[str] = []
        remote = Remote(str(shared), told.append)
        store = SharedStore(place / "yours", remote)
        got = [store.fetch(one.fingerprint) is not None for one in entries]
        for one in entries:
            remote.push(one)  # none of this user's business where it is closed, and said once
        (place / "yours" / "trial").mkdir()
        found = remote.trial(place / "yours" / "trial")
        bad = fsck.check_remote(remote, store, [one.fingerprint for one in entries], lambda count: None)
        return [str(got), str(found.closed), f"{found.reading}{found.writing}", str(len(bad)), *told]

    got, closed, trouble, bad, *told = as_somebody(use)
    assert got == "[False, False, False, True]" and trouble == "" and bad == "3"
    assert KEY[:2] in closed and MISSING[0][:2] in closed
    assert "access denied" in told[0] and "counts as missing" in told[0] and len(told) <= 2, told
    for path in (shared / KEY[:2] / KEY, shared / MISSING[0][:2]):
        path.chmod(0o755)


def test_what_one_user_made_under_a_narrow_umask_another_reads_and_adds_to(
    entry: Entry, place: Path, said: Said
) -> None:
    shared, yours = place / "shared", place / "yours"
    for folder in (shared, yours):
        folder.mkdir()
        folder.chmod(0o2777)
    before = os.umask(0o077)
    try:
        Remote(str(shared), said.append).push(entry)
        same_folder = KEY[:2] + "00" * 31
        other = publish(Store(place / "mine"), same_folder)

        def use() -> list[str]:
            told: list[str] = []
            store = SharedStore(yours, Remote(str(shared), told.append))
            filled = publish(Store(yours / "made"), same_folder)
            store.push(filled)
            return [str(store.fetch(KEY) is not None), *told]

        assert as_somebody(use) == ["True"]
        got = SharedStore(place / "third", Remote(str(shared), said.append)).fetch(same_folder)
    finally:
        os.umask(before)
    assert got is not None and got.files == other.files and said == []
