"""`audit` from the config to the table: what is planted is named, with the line that mends it, and no more."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from colour_finder import SIDE, colour_finder, write_patches
from conftest import Project

from bmzoo.errors import BmzooError, ConfigError, SourceError, VerifyFailed
from bmzoo.plan.step import Command
from bmzoo.results.audit import audit_model
from bmzoo.tasks.actions.audit import run_audit

UNIT = "scale: [0.00392156862745098, 0.00392156862745098, 0.00392156862745098]"
PICTURES = 12


@pytest.fixture
def finder(tmp_path: Path) -> Project:
    """A checkout with a network that finds red, and a config that feeds it rightly."""
    project = Project(tmp_path / "checkout", colour_finder(tmp_path / "model.onnx"))
    project.edit(
        "{height: 32, width: 32}", f"{{height: {SIDE}, width: {SIDE}, pixel_format: rgb, {UNIT}, resize: stretch}}"
    )
    project.edit("kind: none", "kind: segmentation")
    fill(project, PICTURES)
    write_patches(project.data / "pictures" / "selection", 6, first=900)
    return project


def fill(project: Project, count: int, **how: Any) -> None:
    """Other pictures to calibrate with."""
    folder = project.data / "pictures" / "calibration"
    for path in folder.iterdir():
        path.unlink()
    write_patches(folder, count, **how)


def asked(project: Project, count: int = 32) -> str:
    at = project.open()
    return audit_model(at, at.models["tiny"], count)


def told(project: Project) -> dict[str, Any]:
    path = project.root / "build" / "audit" / "tiny.given.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_a_right_config_has_nothing_named(finder: Project) -> None:
    text = asked(finder)
    assert told(finder)["wrong"] == [] and told(finder)["yaml"] == ""
    assert text.startswith(f"{PICTURES} pictures, ") and "judged by what is found again in another view" in text
    verdicts = {row["axis"]: row["verdict"] for row in told(finder)["axes"]}
    assert verdicts["channel order"] == verdicts["mean"] == "as trained"
    assert "padding" not in verdicts  # a stretched picture has none


@pytest.mark.parametrize(
    ("old", "new", "axis", "line"),
    [
        ("pixel_format: rgb", "pixel_format: bgr", "channel order", "input: {pixel_format: rgb}"),
        (UNIT, "scale: [1, 1, 1]", "scale", "scale: [0.00392"),
        (UNIT, "scale: [0.0000153787, 0.0000153787, 0.0000153787]", "scale", "scale: [0.0039"),
        (UNIT, f"mean: [127, 127, 127], {UNIT}", "mean", "input: {mean: [0.0, 0.0, 0.0]}"),
    ],
)
def test_what_is_planted_is_named_and_mended(finder: Project, old: str, new: str, axis: str, line: str) -> None:
    finder.edit(old, new)
    with pytest.raises(VerifyFailed) as caught:
        asked(finder)
    assert told(finder)["wrong"] == [axis]
    assert axis in caught.value.message and line in told(finder)["yaml"] and line in caught.value.hint
    assert any("wrong" in said and axis in said for said in finder.report.said)


def test_what_the_network_cannot_tell_is_said(finder: Project) -> None:
    """As much blue as red: either order finds a patch in every picture."""
    fill(finder, PICTURES, blue=True)
    assert "channel order" in asked(finder)
    row = next(row for row in told(finder)["axes"] if row["axis"] == "channel order")
    assert row["verdict"] == "cannot be told" and row["alternative"] == {"pixel_format": "bgr"}


def test_five_pictures_are_too_few_and_it_says_how_many_are_not(finder: Project) -> None:
    fill(finder, 5)
    with pytest.raises(VerifyFailed, match="too few pictures"):
        asked(finder)
    said = told(finder)["of_pictures"][0]["said"]
    assert said.startswith("5 pictures: nothing is sure with fewer than 1")


def test_copies_count_once(finder: Project) -> None:
    folder = finder.data / "pictures" / "calibration"
    for index in range(4, PICTURES):
        (folder / f"{index:02d}.png").write_bytes((folder / "00.png").read_bytes())
    with pytest.raises(VerifyFailed, match="too few pictures"):
        asked(finder)
    assert told(finder)["different"] == 4 and ["00.png", "04.png"] in told(finder)["copies"]


@pytest.mark.parametrize("kind", ["noise", "one colour", "nothing to find"])
def test_pictures_of_another_world_are_named(finder: Project, kind: str) -> None:
    random = np.random.default_rng(3)
    for path in (finder.data / "pictures" / "calibration").iterdir():
        noise = random.integers(0, 256, (64, 96, 3)).astype(np.uint8)
        grey = np.full((64, 96, 3), random.integers(10, 40), np.uint8)
        dim = cv2.resize(noise[:5, :7] // 7, (96, 64), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), {"noise": noise, "one colour": grey}.get(kind, dim))
    with pytest.raises(VerifyFailed, match="pictures of another world") as caught:
        asked(finder)
    assert "channel order" not in caught.value.message
    assert "other pictures" in caught.value.hint


def test_pictures_unlike_those_of_verify_in_what_is_found_are_of_another_world(finder: Project) -> None:
    """Two of twelve have something to find: enough by themselves, and few beside nine of nine."""
    for index, path in enumerate(sorted((finder.data / "pictures" / "calibration").iterdir())[2:]):
        cv2.imwrite(str(path), _dim(index))
    with pytest.raises(VerifyFailed, match="pictures of another world"):
        asked(finder)
    said = told(finder)["of_pictures"][-1]["said"]
    assert said == "something is found in 2 of 12, and in 9 of 9 of `verify`"
    assert told(finder)["axes"] == [], "of pictures in which there is little to find nothing else is told"


def _dim(seed: int) -> Any:  # noqa: ANN401
    """A picture with nothing to find."""
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 36, (5, 7, 3)).astype(np.uint8), (96, 64), interpolation=cv2.INTER_CUBIC)


def test_night_pictures_are_noted_and_no_fault(finder: Project) -> None:
    folder = finder.data / "pictures" / "selection"
    for path in folder.iterdir():
        image = cv2.imread(str(path))
        cv2.imwrite(str(path), np.clip(image.astype(int) + 150, 0, 255).astype(np.uint8))
    text = asked(finder)
    assert "note: night pictures only: brightness " in text and told(finder)["wrong"] == []


def test_without_a_decoder_the_first_layer_tells_a_scale_and_no_more(finder: Project, tmp_path: Path) -> None:
    project = Project(tmp_path / "other", colour_finder(tmp_path / "biased.onnx", bias=True))
    project.edit("{height: 32, width: 32}", f"{{pixel_format: rgb, {UNIT.replace('0.0039', '0.0000039')}}}")
    fill(project, PICTURES)
    with pytest.raises(VerifyFailed, match="scale"):
        asked(project)
    assert told(project)["judged_by"] == ["first layer"]
    verdicts = {row["axis"]: row["verdict"] for row in told(project)["axes"]}
    assert verdicts["channel order"] == verdicts["padding"] == "cannot be told"


def test_a_network_that_shows_nothing_says_so(project: Project) -> None:
    """The tiny network has no decoder, and its first layer a bias: no axis is named."""
    project.edit("{height: 32, width: 32}", f"{{height: 32, width: 32, {UNIT}}}")
    fill(project, PICTURES)
    assert "cannot be told" in asked(project)
    assert told(project)["wrong"] == []


def test_nothing_is_made_again(finder: Project) -> None:
    asked(finder)
    asked(finder)
    assert "audit" not in finder.toolchain.ran
    assert asked(finder, 11) and "audit" in finder.toolchain.ran
    assert told(finder)["pictures"] == 11


def test_what_was_tried_before_a_kill_is_kept(finder: Project) -> None:
    pieces: list[int] = []

    def kill(command: Command, folder: Path) -> None:
        if command.tool == "audit":
            pieces.append(len(list((folder / "partial").glob("*.json"))))

    finder.toolchain.before = kill
    original = audit_with_a_failure(finder)
    assert original
    asked(finder)
    assert pieces[0] == 0 and pieces[1] > 3


def audit_with_a_failure(project: Project) -> bool:
    """Audit until a trial fails, as by a kill."""
    from bmzoo.measure.audit.trials import AskedNetwork

    before: Callable[..., Any] = AskedNetwork.tried
    calls: list[int] = []

    def failing(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > 5:
            raise SourceError("killed")
        return before(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AskedNetwork, "tried", failing)
        with pytest.raises(BmzooError, match="killed"):
            asked(project)
    return len(calls) == 6


def test_a_network_without_pictures_has_nothing_to_ask_about(project: Project) -> None:
    project.edit(
        "input: {height: 32, width: 32}", "inputs: {x: {random: {distribution: normal}, shape: [1, 3, 32, 32]}}"
    )
    project.edit("calibration: {images: {folder: pictures/calibration}, minimum: 2}\n", "")
    project.edit("verify: {images: {folder: pictures/selection}}", "verify: {floats: 2}")
    project.edit("precision: [fp32, int8]", "precision: fp32")
    assert asked(project).startswith("the network takes no pictures")
    assert "audit" not in project.toolchain.ran


def test_pictures_of_verify_stand_in(finder: Project) -> None:
    finder.edit("calibration: {images: {folder: pictures/calibration}, minimum: 2}\n", "")
    finder.edit("precision: [fp32, int8]", "precision: fp32")
    with pytest.raises(VerifyFailed, match="too few pictures"):
        asked(finder)
    assert told(finder)["pictures"] == 9


def test_a_folder_without_pictures_is_an_error_for_people(finder: Project) -> None:
    for path in (finder.data / "pictures" / "calibration").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(SourceError, match="no picture that can be read"):
        asked(finder)


def test_a_number_of_pictures_is_a_number(finder: Project) -> None:
    at = finder.open()
    for text in ("many", "0", "-3", "1.5"):
        with pytest.raises(ConfigError, match="--pictures"):
            run_audit(at, at.models["tiny"], pictures=text)
