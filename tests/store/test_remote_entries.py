"""Shared stores of which one entry is in trouble: it costs that entry, and is said once."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from damaged_remotes import KEY
from shared_stores import Said, publish, web
from web_servers import Answers, WithoutListing, answering

from bmzoo.errors import StoreError
from bmzoo.store import fsck, urls
from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore
from bmzoo.store.trouble import PATIENCE

pytest_plugins = ["shared_store_fixtures"]

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


@pytest.mark.usefixtures("filled", "impatient")
@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_about_what_is_missing_costs_that_entry_and_is_said_once(
    what: str, serve: Callable[..., http.server.HTTPServer], entry: Entry, tmp_path: Path, said: Said
) -> None:
    answer, expected = ANSWERS[what]
    store = SharedStore(tmp_path / "yours", web(serve(answering(answer)), said))
    for key in MISSING[: PATIENCE - 1]:
        assert store.fetch(key) is None
    got = store.fetch(KEY)
    assert got is not None and got.files == entry.files
    for key in MISSING[PATIENCE - 1 : 2 * (PATIENCE - 1)]:
        assert store.fetch(key) is None
    assert expected in said.one() if expected else said == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("name", [MANIFEST, "out.bin"])
def test_an_entry_that_the_server_does_not_give_costs_that_entry(
    name: str,
    what: str,
    serve: Callable[..., http.server.HTTPServer],
    filled: Remote,
    tmp_path: Path,
    said: Said,
) -> None:
    filled.push(publish(Store(tmp_path / "mine"), MISSING[0]))
    server = serve(answering(ANSWERS[what][0], touched=f"{KEY}/{name}"))
    store = SharedStore(tmp_path / "yours", web(server, said))
    assert store.fetch(KEY) is None and store.lookup(KEY) is None
    assert store.fetch(MISSING[0]) is not None
    assert len(said) == (0 if what == "410" and name == MANIFEST else 1), said


def test_a_store_that_fails_for_every_entry_is_given_up_after_some(
    serve: Callable[..., http.server.HTTPServer], tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urls, "READ_TIMEOUT", 0.1)
    store = SharedStore(tmp_path / "yours", web(serve(answering(wait)), said))
    for key in MISSING[:PATIENCE]:
        assert store.fetch(key) is None
    assert said[-1].endswith("going on without it") and len(said) == 2
    start = time.monotonic()
    assert store.fetch(MISSING[-1]) is None and time.monotonic() - start < 0.05 and len(said) == 2


@pytest.fixture
def unlisted(s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The bucket, for somebody who may read and write what is there."""
    handler = type("Front", (WithoutListing,), {"upstream": s3_server})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield s3
    server.shutdown()
    server.server_close()


def test_a_bucket_that_may_not_be_listed_is_used(unlisted: str, entry: Entry, tmp_path: Path, said: Said) -> None:
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
    unlisted: str, entry: Entry, tmp_path: Path, said: Said
) -> None:
    Remote(unlisted, said.append).push(entry)
    assert SharedStore(tmp_path / "yours", Remote(unlisted, said.append)).fetch(KEY) is not None and said == []


@pytest.mark.usefixtures("filled")
def test_fsck_goes_on_past_what_cannot_be_read_but_not_without_a_store(
    serve: Callable[..., http.server.HTTPServer], tmp_path: Path, said: Said
) -> None:
    server = serve(answering(lambda h: h.send_error(500)))
    store, remote = Store(tmp_path / "mine"), web(server, said)
    (bad,) = fsck.check_remote(remote, store, [MISSING[0], KEY], lambda count: None)
    assert bad.fingerprint == MISSING[0] and "cannot be read" in bad.problem and bad.now == "left where it is"
    with pytest.raises(StoreError, match="cannot be used"):
        fsck.check_remote(remote, store, MISSING, lambda count: None)
