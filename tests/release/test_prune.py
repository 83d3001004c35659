import json
import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.errors import ConfigError
from bmzoo.release.prune import Orphan, find_orphans, lines, remove
from bmzoo.results import calibration
from bmzoo.results import model as imported
from bmzoo.sources.git import tracked
from bmzoo.system import files


@pytest.fixture
def built(project: Project) -> Project:
    """Two targets built, with the model and a table; then a config that wants only one of them."""
    project.build("bm1684_fp32_1b")
    project.build("bm1688_fp32_1b")
    at = project.open()
    imported.import_model(at, at.models["tiny"])
    calibration.calibrate(at, at.models["tiny"], "")
    return project


def found(project: Project, git: Collection[Path] | None = frozenset()) -> dict[str, str]:
    """Leftovers by path from the checkout: why each is spared, empty for those that would go."""
    at = project.open()
    return {at.layout.shown(one.path): one.spared for one in find_orphans(at, git)}


GONE = dict.fromkeys((f"build/BM1684/tiny_fp32_1b.{kind}" for kind in ("bmodel", "json", "profile.json")), "")


def test_what_a_config_wants_is_no_leftover(built: Project) -> None:
    assert found(built) == {}


def test_artifacts_of_removed_targets_are_found_and_removed(built: Project) -> None:
    built.edit("chip: [bm1684, bm1688]", "chip: bm1688")
    assert found(built) == GONE
    at = built.open()
    remove(find_orphans(at, frozenset()))
    assert found(built) == {} and (at.layout.build / "BM1688" / "tiny_fp32_1b.bmodel").is_file()


def test_a_cvimodel_goes_too_and_a_file_of_the_other_kind_stays(project: Project) -> None:
    project.edit("chip: [bm1684, bm1688], precision: [fp32, int8]", "chip: [cv181x, bm1684], precision: int8")
    project.build("cv181x_int8_1b")
    assert (project.root / "build/CV181X/tiny_int8_1b.cvimodel").is_file()
    assert found(project) == {}
    project.edit("[cv181x, bm1684]", "bm1684")
    (project.root / "build/CV181X/tiny_int8_1b.bmodel").write_bytes(b"of somebody else")
    kinds = ("cvimodel", "json", "profile.json")
    assert found(project) == dict.fromkeys((f"build/CV181X/tiny_int8_1b.{kind}" for kind in kinds), "")


def test_everything_of_a_removed_model_goes(built: Project) -> None:
    built.config.rename(built.config.with_name("other.yaml"))
    evaluation = built.root / "build" / "eval" / "tiny.given.onnx.json"
    told = {"schema": 1, "model": "tiny", "weights": "given", "engine": "onnx"}
    files.write(files.json_text(told), evaluation)
    assert found(built) == {
        **GONE,
        "build/BM1688/tiny_fp32_1b.bmodel": "",
        "build/BM1688/tiny_fp32_1b.json": "",
        "build/BM1688/tiny_fp32_1b.profile.json": "",
        "build/eval/tiny.given.onnx.json": "",
        "models/onnx/tiny.given.onnx": "",
        "calibration/tiny.given.table": "",
    }


def test_benchmarks_and_evidence_go_with_what_they_are_of(built: Project) -> None:
    build = built.root / "build"
    for network in (
        "build/BM1684/tiny_fp32_1b.bmodel",
        "build/BM1688/tiny_fp32_1b.bmodel",
        "models/onnx/tiny.given.onnx",
    ):
        path = Path(network)
        name = path.stem if path.suffix == ".onnx" else f"{path.parent.name}.{path.stem}"
        files.write(files.json_text({"schema": 1, "network": network}), build / "bench" / f"{name}.json")
    (build / "bench" / "notes.json").write_text("{}")
    kept = ("BM1688/tiny_fp32_1b", "import.tiny.given", "deploy.tiny.given.bm1688_fp32_1b", "mine")
    gone = (
        "BM1684/tiny_fp32_1b",
        "BM1684/tiny_int8_1b.reproduce",
        "deploy.tiny.given.bm1684_fp32_1b",
        "import.old.given",
    )
    for name in (*kept, *gone):
        (build / "failed" / name).mkdir(parents=True)
        (build / "failed" / name / "log.txt").write_text("why")
    built.edit("chip: [bm1684, bm1688]", "chip: bm1688")
    assert found(built) == {
        **GONE,
        "build/bench/BM1684.tiny_fp32_1b.json": "",
        **{f"build/failed/{name}": "" for name in gone},
    }
    remove(find_orphans(built.open(), frozenset()))
    assert found(built) == {}
    assert all((build / "failed" / name / "log.txt").is_file() for name in kept)
    assert not any((build / "failed" / name).exists() for name in gone)


def test_nothing_of_a_broken_config_is_touched(built: Project) -> None:
    (built.root / "configs" / "other.yaml").write_text(built.config.read_text())
    built.config.write_text("weights: [")
    spared = found(built)
    assert len(spared) == 8
    assert set(spared.values()) == {"the config of tiny is broken, so it may still be wanted"}


def test_without_any_config_nothing_is_a_leftover(built: Project) -> None:
    built.config.unlink()
    with pytest.raises(ConfigError, match="no config at all"):
        find_orphans(built.open(), frozenset())


def test_what_was_edited_or_is_not_ours_stays(built: Project) -> None:
    built.config.rename(built.config.with_name("other.yaml"))
    build = built.root / "build"
    artifact = build / "BM1684" / "tiny_fp32_1b.bmodel"
    artifact.write_bytes(b"mine")
    told = json.loads((build / "BM1688" / "tiny_fp32_1b.json").read_text())
    told["target"]["chip"] = "bm1684"
    (build / "BM1688" / "tiny_fp32_1b.json").write_text(json.dumps(told))
    table = built.root / "calibration" / "tiny.given.table"
    table.write_text(table.read_text() + "# my note\n")
    (built.root / "models" / "onnx" / "tiny.given.onnx").write_bytes(b"mine")
    (build / "BM1684" / "notes.txt").write_text("mine")
    (build / "BM1684" / "tiny_fp32.bmodel").write_text("mine")
    (build / "BM1684" / "tiny_fp32_1b_1core.bmodel").write_text("mine")
    (build / "BM1684" / "tiny_int8_1b.bmodel").write_text("mine")
    (build / "BM1684" / "tiny_int8_1b.json").symlink_to("tiny_fp32_1b.json")
    edited = "not as bmzoo wrote it"
    assert found(built) == {
        "build/BM1684/tiny_fp32_1b.bmodel": edited,
        "build/BM1684/tiny_fp32_1b.json": "",
        "build/BM1684/tiny_fp32_1b.profile.json": "",
        "build/BM1684/tiny_int8_1b.bmodel": edited,
        "build/BM1688/tiny_fp32_1b.bmodel": edited,
        "build/BM1688/tiny_fp32_1b.json": edited,
        "build/BM1688/tiny_fp32_1b.profile.json": edited,
        "models/onnx/tiny.given.onnx": "not known to be written by bmzoo",
        "calibration/tiny.given.table": "written or edited by hand",
    }


def test_what_git_tracks_or_may_track_stays(built: Project) -> None:
    built.config.rename(built.config.with_name("other.yaml"))
    table = built.root / "calibration" / "tiny.given.table"
    assert found(built, {table})["calibration/tiny.given.table"] == "git tracks it"
    unknown = found(built, None)
    assert unknown["calibration/tiny.given.table"] == "git does not say whether it tracks it"
    assert unknown["build/BM1684/tiny_fp32_1b.bmodel"] == ""


def test_people_are_told(built: Project) -> None:
    layout = built.open().layout
    leftovers = [Orphan(layout.build / "a"), Orphan(layout.build / "b", "git tracks it")]
    assert list(lines(leftovers, layout, removed=False)) == [
        "build/a",
        "spared: build/b: git tracks it",
        "1 file in no config any more; ./doit prune yes=1 removes what is listed",
    ]
    assert list(lines(leftovers, layout, removed=True))[-1] == "1 file in no config any more, removed"
    assert list(lines(leftovers[1:], layout, removed=False))[-1] == "nothing to prune"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_is_asked_what_it_tracks(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert tracked(root, environ) == frozenset()
    subprocess.run(["git", "init", "-q", root], check=True, env=environ)
    (root / "a\nb").write_text("")
    (root / "other").write_text("")
    subprocess.run(["git", "-C", root, "add", "a\nb"], check=True, env=environ)
    assert tracked(root, environ) == frozenset({root / "a\nb"})
    shutil.rmtree(root / ".git")
    (root / ".git").write_text("no repository")
    assert tracked(root, environ) is None
