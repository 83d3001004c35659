"""Drawn scenes as pictures in files: once, whole, the same everywhere, with a truth that evaluation reads."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bmzoo.config import model as config
from bmzoo.config import scene_sets
from bmzoo.config.scene_sets import SceneSet
from bmzoo.config.weights import SceneRange
from bmzoo.errors import SourceError
from bmzoo.measure.groundtruth import load
from bmzoo.measure.truths import text_lines
from bmzoo.plan.step import File, Pictures, Tree
from bmzoo.scenes import FIRST_TRAINING_SEED, draw, draw_line
from bmzoo.sources import scene_files
from bmzoo.sources.lookup import Sources
from bmzoo.system.hashing import sha256

ROOT = Path(__file__).parents[2]
SCENES = SceneSet(96, 128, 7, 3)
LINES = SceneSet(48, 320, 7, 3, scene_sets.LINES)


def test_pictures_are_the_scenes_to_the_last_bit(tmp_path: Path) -> None:
    place = scene_files.folder(tmp_path, SCENES)
    assert sorted(p.name for p in (place / "images").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    for index in range(3):
        picture = cv2.imread(str(place / "images" / f"{index:05d}.png"))
        np.testing.assert_array_equal(picture, draw(7 + index, 96, 128).image)


def test_the_truth_is_what_evaluation_reads(tmp_path: Path) -> None:
    for index, picture in enumerate(load(scene_files.folder(tmp_path, SCENES) / "gt.json")):
        scene = draw(7 + index, 96, 128)
        assert (picture.width, picture.height, picture.read().shape) == (128, 96, (96, 128, 3))
        corners = np.concatenate([picture.boxes[:, :2], picture.boxes[:, :2] + picture.boxes[:, 2:]], axis=1)
        np.testing.assert_allclose(corners, scene.boxes, atol=2e-3)
        assert list(picture.kept) == ["all"]


def test_the_truth_of_lines_is_what_evaluation_reads(tmp_path: Path) -> None:
    place = scene_files.folder(tmp_path, LINES)
    samples = text_lines.load(place / "gt.txt")
    assert [sample.answer for sample in samples] == [draw_line(seed, 48, 320).text for seed in (7, 8, 9)]
    for seed, sample in zip((7, 8, 9), samples, strict=True):
        np.testing.assert_array_equal(sample.read(), draw_line(seed, 48, 320).image)


def test_lines_lie_apart_from_scenes_of_their_size(tmp_path: Path) -> None:
    both = [SceneSet(64, 64, 1, 1, drawn) for drawn in (scene_sets.SCENES, scene_sets.LINES)]
    assert len({scene_files.folder(tmp_path, one) for one in both}) == 2
    for one in both:
        assert (scene_files.folder(tmp_path, one) / Path(one.truth).name).is_file()


def test_they_are_drawn_once_and_again_when_one_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = scene_files.folder(tmp_path, SCENES)
    before = {path.name: sha256(path) for path in place.rglob("*.*")}
    stamps = {path.name: path.stat().st_mtime_ns for path in place.rglob("*.*")}
    assert scene_files.folder(tmp_path, SCENES) == place
    assert stamps == {path.name: path.stat().st_mtime_ns for path in place.rglob("*.*")}
    (place / "images" / "00001.png").unlink()
    assert {path.name: sha256(path) for path in scene_files.folder(tmp_path, SCENES).rglob("*.*")} == before
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == ["making"], "nothing is left behind"
    monkeypatch.setattr(scene_files, "drawing", lambda: "other code")
    assert scene_files.folder(tmp_path, SCENES) != place, "changed drawing code never uses old pictures"


def test_the_cache_key_covers_every_source_of_the_scenes() -> None:
    names = {str(path.relative_to(ROOT / "bmzoo")) for path in scene_files.drawing_sources()}
    assert names >= {"scenes/scene.py", "scenes/head.py", "scenes/backgrounds.py", "sources/scene_files.py"}


def test_two_at_once_draw_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    once = scene_files._pictures

    def counted(*args: Any) -> Any:
        times.append(1)
        return once(*args)

    monkeypatch.setattr(scene_files, "_pictures", counted)
    threads = [threading.Thread(target=scene_files.folder, args=(tmp_path, SCENES)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times == [1]


def test_a_name_leads_to_its_set_and_nothing_else_does() -> None:
    assert scene_sets.split(SCENES.pictures) == (SCENES, "images")
    assert scene_sets.split(SCENES.truth) == (SCENES, "gt.json")
    assert scene_sets.split(str(SCENES)) == (SCENES, "")
    assert scene_sets.split(f"{SCENES.pictures}/00001.png") == (SCENES, "images/00001.png")
    assert scene_sets.split(LINES.pictures) == (LINES, "images")
    assert scene_sets.split(f"{LINES.pictures}/00001.png") == (LINES, "images/00001.png")
    assert scene_sets.split(LINES.truth) == (LINES, "gt.txt")
    assert scene_sets.split(f"{LINES}/gt.json") is None and scene_sets.split(f"{SCENES}/gt.txt") is None
    for other in (
        "lines/mine/images",
        "scenes",
        "scenes/mine/images",
        "scenes/0x640-1-1",
        "scenes/640x640-1-0",
        "pictures/scenes",
        "",
    ):
        assert scene_sets.split(other) is None, other


def test_sources_find_scenes_by_name(tmp_path: Path) -> None:
    sources = Sources([tmp_path / "data"], tmp_path / "cache")
    assert sources.has(SCENES.truth) and not (tmp_path / "cache").exists(), "asking draws nothing"
    found = sources.pictures(Pictures(SCENES.pictures, 2))
    assert [p.name for p in found.files] == ["00000.png", "00001.png"] and found.skipped == ()
    assert set(sources.tree(Tree(str(SCENES)))) == {"gt.json", *(f"images/{i:05d}.png" for i in range(3))}
    assert not sources.has("wider_val/gt.json")
    with pytest.raises(SourceError, match="no such folder of pictures"):
        Sources([tmp_path]).pictures(Pictures(SCENES.pictures))


def test_a_pinned_file_is_taken_from_the_first_place_that_has_the_right_one(tmp_path: Path) -> None:
    for name, content in (("a", b"wrong"), ("b", b"right")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(content)
    right = sha256(tmp_path / "b" / "file")
    sources = Sources([tmp_path / "a", tmp_path / "b"])
    assert sources.pinned(File("file", right), sha256) == (tmp_path / "b" / "file", right)
    assert sources.pinned(File("file"), sha256)[0] == tmp_path / "a" / "file"
    with pytest.raises(SourceError, match="a/file: not the file that the config pins"):
        sources.pinned(File("file", "0" * 64), sha256)


def test_the_sets_that_ship_are_apart_and_unseen_in_training() -> None:
    """Also apart from the scenes of the model card's empty scenes and of tests/test_embedded_model.py."""
    model = config.load(ROOT / "configs" / "retinaface_mobilenet0.25.yaml", "shipped")
    scenes = next(w.scenes for w in model.config.weights if w.name == "embedded")
    assert scenes is not None
    ranges = {name: range(r.seed, r.seed + r.count) for name, r in scenes if isinstance(r, SceneRange)}
    assert set(ranges) == {"calibration", "quantization", "verify", "evaluate"}
    seeds = [seed for found in ranges.values() for seed in found]
    assert len(set(seeds)) == len(seeds) and max(seeds) < 500_000 < FIRST_TRAINING_SEED
    assert scenes.evaluate is not None and scenes.evaluate.seed == 0, "those of the model's card"
