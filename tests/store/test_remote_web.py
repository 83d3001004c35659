"""Shared stores at a web server: read only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damaged_remotes import KEY
from shared_stores import Said, web
from web_servers import Denied, Endless, Quiet, Silent

from bmzoo.errors import StoreError
from bmzoo.store import urls
from bmzoo.store.local import Entry
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore

pytest_plugins = ["shared_store_fixtures"]


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


@pytest.mark.usefixtures("filled")
def test_an_endless_answer_is_cut_off(serve: Callable[..., Any], tmp_path: Path, said: Said) -> None:
    server = serve(Endless)
    assert SharedStore(tmp_path / "yours", web(server, said)).fetch(KEY) is None
    assert "is larger than" in said.one() and server.cut_off.wait(5)


def test_a_server_that_denies_or_never_answers_is_left_alone(
    serve: Callable[..., Any], tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SharedStore(tmp_path / "yours", web(serve(Denied), said)).fetch(KEY) is None
    assert "access denied" in said.pop() and not said
    monkeypatch.setattr(urls, "READ_TIMEOUT", 0.2)
    assert SharedStore(tmp_path / "yours", web(serve(Silent), said)).fetch(KEY) is None
    assert "cannot be reached" in said.one()
