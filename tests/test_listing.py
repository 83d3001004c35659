"""One rule for all that list folders: what begins with a dot was not put there by anybody."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Project

from bmzoo.config.catalogue import Catalogue
from bmzoo.config.model import load_all
from bmzoo.config.project import read_project
from bmzoo.config.scene_sets import SceneSet
from bmzoo.config.search_methods import LOCKED
from bmzoo.errors import ConfigError, SourceError
from bmzoo.plan.step import Pictures, Tree
from bmzoo.release.prune import find_orphans
from bmzoo.runtime.listing import READABLE_SUFFIXES, is_picture, is_stray
from bmzoo.runtime.pictures import find
from bmzoo.sources import scene_files
from bmzoo.sources.lookup import Sources

STRAYS = ("._{}", ".#{}", ".{}.swp", ".DS_Store", ".{}", ".hidden/{}")
PNG = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def strew(folder: Path, name: str) -> None:
    """What macOS and editors leave beside a file, and a lock that leads nowhere."""
    for stray in STRAYS:
        path = folder / stray.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if stray.startswith(".#"):
            path.symlink_to("somebody@nowhere.1234")
        else:
            path.write_bytes(b"\0\5\x16\7" + bytes(60))


def test_pictures_are_the_same_for_all_readers(tmp_path: Path) -> None:
    names = sorted(f"{i}{suffix}" for i, suffix in enumerate([*READABLE_SUFFIXES, ".JPG", ".Png"]))
    for name in names:
        (tmp_path / name).write_bytes(PNG)
        strew(tmp_path, name)
    (tmp_path / "notes.txt").touch()
    listed = Sources([tmp_path.parent]).pictures(Pictures(tmp_path.name))
    assert [path.name for path in listed.files] == names
    assert listed.skipped == ("notes.txt",)
    assert [source.name for source in find([tmp_path])] == names
    assert [source.name for source in find([f"{tmp_path}/**"])] == names
    assert sorted(Sources([tmp_path.parent]).tree(Tree(tmp_path.name))) == sorted([*names, "notes.txt"])
    assert all(is_picture(name) and not is_stray(name) for name in names)


def test_a_folder_of_strays_holds_no_pictures(tmp_path: Path) -> None:
    strew(tmp_path, "a.jpg")
    for search in (lambda: Sources([tmp_path.parent]).pictures(Pictures(tmp_path.name)), lambda: find([tmp_path])):
        with pytest.raises(SourceError, match="no pictures"):
            search()


def test_configs(project: Project) -> None:
    folder = project.root / "configs"
    before = load_all(folder, project.root, LOCKED)
    for name in ("tiny.yaml", "zoo.yaml"):
        strew(folder, name)
    assert list(load_all(folder, project.root, LOCKED)[0]) == list(before[0]) and not before[1]
    assert not load_all(folder, project.root, LOCKED)[1]
    assert read_project(folder / "zoo.yaml", project.root)


@pytest.mark.parametrize("name", ["other.yml", "other.YAML", "other.Yml"])
def test_a_config_with_another_suffix_is_told_by_name(project: Project, name: str) -> None:
    folder = project.root / "configs"
    (folder / name).write_bytes((folder / "tiny.yaml").read_bytes())
    models, broken = load_all(folder, project.root, LOCKED)
    assert list(models) == ["tiny"]
    assert broken["other"].message == f"configs/{name}: a config's name ends in .yaml: {name}"
    assert broken["other"].hint == "rename it to other.yaml"
    with pytest.raises(ConfigError, match=re.escape(name)):
        Catalogue.read(folder, project.root, LOCKED).target("other.bm1688_fp32_1b")


def test_one_beside_a_config_of_the_name_does_not_stop_that(project: Project) -> None:
    folder = project.root / "configs"
    (folder / "tiny.yml").write_bytes((folder / "tiny.yaml").read_bytes())
    models, broken = load_all(folder, project.root, LOCKED)
    assert (list(models), list(broken)) == (["tiny"], ["tiny.yml"])


def test_settings_of_the_project_with_another_suffix(project: Project) -> None:
    folder = project.root / "configs"
    (folder / "zoo.yml").write_text("default_model: tiny\n")
    with pytest.raises(ConfigError, match=r"configs/zoo.yml: a config's name ends in .yaml"):
        read_project(folder / "zoo.yaml", project.root)
    assert not load_all(folder, project.root, LOCKED)[1], "it is no model"


def test_scenes_are_whole_whatever_lies_beside_them(tmp_path: Path) -> None:
    scenes = SceneSet(32, 32, 0, 2)
    place = scene_files.folder(tmp_path, scenes)
    strew(place / "images", "00000.png")
    strew(place, "gt.json")
    before = (place / "images" / "00000.png").stat().st_mtime_ns
    assert scene_files.folder(tmp_path, scenes) == place
    assert (place / "images" / "00000.png").stat().st_mtime_ns == before, "not drawn again"
    assert (place / "images" / ".DS_Store").exists()


def test_strays_are_nothing_to_prune(project: Project) -> None:
    at = project.open()
    for folder, name in (
        (project.root / "calibration", "gone.official.table"),
        (project.root / "qtables", "gone.official.bm1688.qtable"),
        (project.root / "models" / "onnx", "gone.official.onnx"),
        (at.layout.build / "BM1688", "gone_fp32_1b.bmodel"),
        (at.layout.build / "eval", "gone.official.onnx.json"),
        (at.layout.build / "failed", "import.gone.official"),
    ):
        strew(folder, name)
        (folder / f"._{name}_folder").mkdir()
    assert find_orphans(at, frozenset()) == ()
