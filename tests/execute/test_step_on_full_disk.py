"""A step on a disk that is full: what its tools were silent about is not taken for a result."""

from pathlib import Path

import pytest
from conftest import Project

from bmzoo.errors import StoreError, ToolFailed
from bmzoo.execute import run
from bmzoo.plan.step import Command
from bmzoo.results.artifact import build_artifact
from bmzoo.system import files


def test_what_a_step_wrote_on_a_full_disk_is_not_taken(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "is_full", lambda folder: True)
    at = project.open()
    with pytest.raises(StoreError, match="cannot be written: No space left on device") as caught:
        build_artifact(at, at.target("bm1684_fp32_1b"))
    assert "free some space" in caught.value.hint and caught.value.evidence
    assert list((at.layout.build / "store").glob("*/*")) == []


def test_evidence_on_a_full_disk_leaves_out_what_filled_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_written(command: Command, folder: Path) -> None:
        (folder / "log.txt").write_text("what the tool said")
        (folder / "samples").mkdir()
        (folder / "samples" / "0.npz").write_bytes(bytes(run.LARGE + 1))
        raise ToolFailed("broke off")

    project.toolchain.before = half_written
    kept = {}
    for full in (False, True):
        monkeypatch.setattr(run, "is_full", lambda folder, full=full: full)
        at = project.open()
        with pytest.raises(ToolFailed) as caught:
            build_artifact(at, at.target("bm1684_fp32_1b"))
        folder = (at.root / caught.value.evidence).parent
        kept[full] = {path.name for path in folder.rglob("*")}
    assert kept[False] - kept[True] == {"0.npz"}
    assert "log.txt" in kept[True]


def test_a_disk_says_whether_it_is_full(project: Project) -> None:
    assert not files.is_full(project.root) and not files.is_full(project.root / "none")
    assert not files.is_full(Path("/proc"))  # has no blocks at all
