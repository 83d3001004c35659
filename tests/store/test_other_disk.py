"""`build/store` on another disk than the rest of `build/`, by a link or a mount."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from bmzoo.errors import BmzooError, ToolFailed
from bmzoo.plan.step import Command
from bmzoo.results.artifact import build_artifact
from bmzoo.store import fsck, gc, scratch
from bmzoo.store.local import Store
from bmzoo.store.scratch import apart

KEY = "ab" * 32


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that behaves as a disk of its own: no rename reaches into it or out of it."""
    there = (tmp_path / "disk").resolve()
    there.mkdir()
    real_mount = scratch._mount

    def mount(folder: Path) -> tuple[int, str]:
        device, number = real_mount(folder)
        return device, f"{number} {folder.resolve().is_relative_to(there)}"

    def checked(rename: Callable[..., Any]) -> Callable[..., Any]:
        def call(source: Any, target: Any, **more: Any) -> Any:
            sides = {Path(path).parent.resolve().is_relative_to(there) for path in (source, target)}
            if len(sides) > 1:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
            return rename(source, target, **more)

        return call

    monkeypatch.setattr(scratch, "_mount", mount)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, checked(getattr(os, name)))
        monkeypatch.setattr(f"pathlib._normal_accessor.{name}", checked(getattr(os, name)))
    return there


@pytest.fixture
def build(disk: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "store").symlink_to(disk)
    return folder


def fail(command: Command, folder: Path) -> None:
    (folder / "log.txt").write_text("said")
    raise ToolFailed(f"{command.tool}: no")


def published(store: Store) -> Path:
    with store.scratch() as folder:
        (folder / "result").write_text("whole")
        return store.publish(KEY, folder, ("result",), {}).folder


def test_a_result_is_published_and_nothing_is_left(build: Path, disk: Path) -> None:
    store = Store(build)
    assert published(store).resolve().is_relative_to(disk)
    entry = store.lookup(KEY)
    assert entry is not None and entry.path("result").read_text() == "whole"
    assert store.folders() == [build / "store" / KEY[:2] / KEY]
    assert list((disk / "scratch").glob("*-*")) == []
    (disk / "scratch/old").mkdir()
    os.utime(disk / "scratch/old", (0, 0))
    store.sweep()
    assert not (disk / "scratch/old").exists()


def test_what_is_damaged_is_set_aside_and_what_is_old_removed(build: Path) -> None:
    store = Store(build)
    file = published(store) / "result"
    file.chmod(0o644)
    file.write_text("wrong")
    (bad,) = fsck.check_store(store, lambda count: None)
    assert "now build/quarantine/" in str(bad) and store.lookup(KEY) is None
    assert [path.read_text() for path in (build / "quarantine").glob("*/result")] == ["wrong"]
    published(store)
    assert [gc.evict(store, usage) for usage in gc.usages(store)] == [True]
    assert store.lookup(KEY) is None


def test_a_target_is_built_and_a_failure_leaves_its_evidence(project: Project, disk: Path) -> None:
    (project.root / "build").mkdir()
    (project.root / "build/store").symlink_to(disk)
    assert project.build("bm1684_fp32_1b")
    assert (project.root / "build/BM1684/tiny_fp32_1b.bmodel").is_file()
    at = project.open()
    project.toolchain.before = fail
    with pytest.raises(BmzooError) as caught:
        build_artifact(at, at.target("bm1684_fp32_2b"))
    assert (project.root / caught.value.evidence).is_file()


def test_mounts_are_told_apart_and_links_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert not apart(tmp_path / "a", tmp_path) and not apart(tmp_path / "link", tmp_path)
    assert not apart(tmp_path / "missing", tmp_path)
    (tmp_path / "proc").symlink_to("/proc")
    assert apart(tmp_path / "proc", tmp_path)
    shutil.rmtree(tmp_path / "a")
