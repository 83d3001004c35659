"""Shared stores of which one entry is in trouble: it costs that entry, and is said once."""

import http.server
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from damaged_remotes import KEY
from test_remote import Said, entry, publish, s3, s3_server, said, serve, web  # noqa: F401  # fixtures
from web_servers import Answers, WithoutListing, answering

from bmzoo.errors import StoreError
from bmzoo.store import fsck, urls
from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore
from bmzoo.store.trouble import PATIENCE

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
MISSING = [f"{number:02x}" * 32 for number in range(1, 7)]


def hang_up(handler: Answers) -> None:
    handler.close_connection = True


def wait(handler: Answers) -> None:
    time.sleep(0.6)
    handler.close_connection = True


# Answers of servers about one file; what they have in common is that the other entries are fine.
ANSWERS: dict[str, tuple[Callable[[Answers], None], str]] = {
    "403": (lambda h: h.send_error(403), "access denied"),
    "401": (lambda h: h.send_error(401), "access denied"),
    "410": (lambda h: h.send_error(410), ""),
    "a page": (lambda h: h.say(200, PAGE), "a web page came in place of a result"),
    "a page after blanks": (lambda h: h.say(200, b"\xef\xbb\xbf\r\n <html>"), "a web page"),
    "a text": (lambda h: h.say(200, b"not found", "text/plain"), "is not JSON"),
    "an error as JSON": (lambda h: h.say(200, b'{"error": "no such key"}', "application/json"), "lacks files"),
    "nothing": (lambda h: h.say(200, b""), "is not JSON"),
    "500": (lambda h: h.send_error(500), "cannot be used"),
    "503": (lambda h: h.send_error(503), "cannot be used"),
    "cut off": (lambda h: h.say(200, b"{", length=500), "cannot be used"),
    "hung up": (hang_up, "cannot be reached"),
    "no answer": (wait, "cannot be reached"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_about_what_is_missing_costs_that_entry_and_is_said_once(
    what: str,
    serve: Callable[..., http.server.HTTPServer],  # noqa: F811
    entry: Entry,  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(urls, "READ_TIMEOUT", 0.2)
    Remote(str(tmp_path / "shared"), said.append).push(entry)
    answer, expected = ANSWERS[what]
    store = SharedStore(tmp_path / "yours", web(serve(answering(answer)), said))
    for key in MISSING[: PATIENCE - 1]:
        assert store.fetch(key) is None
    got = store.fetch(KEY)
    assert got is not None and got.files == entry.files
    for key in MISSING[PATIENCE - 1 : 2 * (PATIENCE - 1)]:
        assert store.fetch(key) is None
    assert expected in said.one() if expected else said == []


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("name", [MANIFEST, "out.bin"])
def test_an_entry_that_the_server_does_not_give_costs_that_entry(
    name: str,
    what: str,
    serve: Callable[..., http.server.HTTPServer],  # noqa: F811
    entry: Entry,  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(urls, "READ_TIMEOUT", 0.2)
    shared = Remote(str(tmp_path / "shared"), said.append)
    shared.push(entry)
    other = publish(Store(tmp_path / "mine"), MISSING[0])
    shared.push(other)
    server = serve(answering(ANSWERS[what][0], touched=f"{KEY}/{name}"))
    store = SharedStore(tmp_path / "yours", web(server, said))
    assert store.fetch(KEY) is None and store.lookup(KEY) is None
    assert store.fetch(MISSING[0]) is not None
    assert len(said) == (0 if what == "410" and name == MANIFEST else 1), said


def test_a_store_that_fails_for_every_entry_is_given_up_after_some(
    serve: Callable[..., http.server.HTTPServer],  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(urls, "READ_TIMEOUT", 0.1)
    store = SharedStore(tmp_path / "yours", web(serve(answering(wait)), said))
    for key in MISSING[:PATIENCE]:
        assert store.fetch(key) is None
    assert said[-1].endswith("going on without it") and len(said) == 2
    start = time.monotonic()
    assert store.fetch(MISSING[-1]) is None and time.monotonic() - start < 0.05 and len(said) == 2


# --- S3 without the right to list ----------------------------------------------------------------------------


@pytest.fixture
def unlisted(s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # noqa: F811
    """The bucket, for somebody who may read and write what is there."""
    handler = type("Front", (WithoutListing,), {"upstream": s3_server})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield s3
    server.shutdown()
    server.server_close()


def test_a_bucket_that_may_not_be_listed_is_used(
    unlisted: str,
    entry: Entry,  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
) -> None:
    remote = Remote(unlisted, said.append)
    store = SharedStore(tmp_path / "yours", remote)
    for key in MISSING:
        assert store.fetch(key) is None
    assert "access denied" in said.one() and "s3:ListBucket" in said[0]
    store.push(entry)
    got = SharedStore(tmp_path / "third", remote).fetch(KEY)
    assert got is not None and got.files == entry.files and len(said) == 1
    (tmp_path / "trial").mkdir()
    found = remote.trial(tmp_path / "trial")
    assert (found.reading, found.writing, found.closed) == ("", "", ())


def test_what_was_made_is_shared_before_anything_was_asked_for(
    unlisted: str,
    entry: Entry,  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
) -> None:
    Remote(unlisted, said.append).push(entry)
    assert SharedStore(tmp_path / "yours", Remote(unlisted, said.append)).fetch(KEY) is not None and said == []


# --- a directory of several users ----------------------------------------------------------------------------

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="bmzoo-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


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
    root: int,
    file: int,
    umask: int,
    entry: Entry,  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
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
    entry: Entry,  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
) -> None:
    shared = tmp_path / "shared"
    (shared / KEY[:2]).mkdir(parents=True)
    (shared / KEY[:2]).chmod(0o700)
    shared.chmod(0o2775)
    Remote(str(shared), said.append).push(entry)
    assert modes(shared) == {("folder", oct(0o2775)), ("file", oct(0o444))}


def test_a_root_in_a_groups_folder_is_as_open_as_that(entry: Entry, tmp_path: Path, said: Said) -> None:  # noqa: F811
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
def test_new_files_and_folders_take_the_roots_group(entry: Entry, tmp_path: Path, said: Said) -> None:  # noqa: F811
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, -1, NOBODY)
    shared.chmod(0o770)  # without the setgid bit, which would do it alone
    Remote(str(shared), said.append).push(entry)
    assert {path.stat().st_gid for path in shared.rglob("*")} == {NOBODY}


@needs_root
def test_one_closed_entry_costs_that_entry_and_the_doctor_names_it(entry: Entry, place: Path, said: Said) -> None:  # noqa: F811
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
    entry: Entry,  # noqa: F811
    place: Path,
    said: Said,  # noqa: F811
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


def test_fsck_goes_on_past_what_cannot_be_read_but_not_without_a_store(
    serve: Callable[..., http.server.HTTPServer],  # noqa: F811
    entry: Entry,  # noqa: F811
    tmp_path: Path,
    said: Said,  # noqa: F811
) -> None:
    Remote(str(tmp_path / "shared"), said.append).push(entry)
    server = serve(answering(lambda h: h.send_error(500)))
    store, remote = Store(tmp_path / "mine"), web(server, said)
    (bad,) = fsck.check_remote(remote, store, [MISSING[0], KEY], lambda count: None)
    assert bad.fingerprint == MISSING[0] and "cannot be read" in bad.problem and bad.now == "left where it is"
    with pytest.raises(StoreError, match="cannot be used"):
        fsck.check_remote(remote, store, MISSING, lambda count: None)
