"""Drawn scenes in configs: of no section may they be those of another, or those that weights are trained on."""

from itertools import combinations
from pathlib import Path

import pytest

from bmzoo.config import model as config
from bmzoo.config.drawn import with_scenes
from bmzoo.config.scene_sets import FIRST_TRAINED_SCENE, SceneSet
from bmzoo.config.weights import SceneSets
from bmzoo.errors import ConfigError
from bmzoo.scenes import FIRST_TRAINING_SEED

SECTIONS = tuple(SceneSets.model_fields)
# Below FIRST_TRAINING_SEED, and far from each other.
APART = {name: (1000 * number, 10) for number, name in enumerate(SECTIONS)}
WAYS = ("by weights", "by folder")


def text(by_weights: dict[str, tuple[int, int]], by_folder: dict[str, tuple[int, int]]) -> str:
    """A config whose sections draw scenes: (seed, count) by section, said by the weights or by a path."""

    def place(name: str) -> str:
        found = SceneSet(32, 32, *by_folder[name]) if name in by_folder else None
        if name == "evaluate":
            return found.truth if found else "wider_val/gt.json"
        return found.pictures if found else f"pictures/{name}"

    scenes = ", ".join(f"{name}: {{seed: {seed}, count: {count}}}" for name, (seed, count) in by_weights.items())
    return f"""\
weights:
  - {{name: first, file: a.onnx, sha256: {"a" * 64}}}
  - {{name: second, file: b.onnx, sha256: {"b" * 64}{f", scenes: {{{scenes}}}" if scenes else ""}}}
input: {{height: 32, width: 32}}
decoder: {{kind: none}}
calibration: {{images: {{folder: {place("calibration")}}}}}
quantization: {{images: {{folder: {place("quantization")}}}}}
verify: {{images: {{folder: {place("verify")}}}}}
evaluate: {{truth: {place("evaluate")}}}
targets:
  - {{chip: bm1684, precision: int8}}
"""


def refusal(folder: Path, by_weights: dict[str, tuple[int, int]], by_folder: dict[str, tuple[int, int]]) -> str:
    """Why the config is refused; empty when it is not."""
    path = folder / "tiny.yaml"
    path.write_text(text(by_weights, by_folder))
    try:
        config.load(path, "configs/tiny.yaml")
    except ConfigError as error:
        return error.message
    return ""


def test_the_border_is_that_of_training() -> None:
    assert FIRST_TRAINED_SCENE == FIRST_TRAINING_SEED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("section", SECTIONS)
def test_no_section_alone_or_beside_others_reaches_into_the_training_seeds(
    section: str, way: str, tmp_path: Path
) -> None:
    last = FIRST_TRAINING_SEED - 1
    for others in ({}, {name: found for name, found in APART.items() if name != section}):
        for seed, count, reaches in ((last, 100, True), (last, 2, True), (last, 1, False), (last - 9, 10, False)):
            own = {section: (seed, count)}
            said = refusal(tmp_path, *(({**others, **own}, {}) if way == "by weights" else (others, own)))
            assert bool(said) == reaches, said
            if reaches:
                assert f"that weights are trained on: {FIRST_TRAINING_SEED} to {seed + count - 1}" in said
                assert section in said and said.startswith("configs/tiny.yaml:")


def test_a_folder_of_training_scenes_alone_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, {}, {"verify": (123_456_789, 5)})
    assert (
        "verify.images.folder: reaches into the scenes that weights are trained on: 123456789 to 123456793" in said
    )


@pytest.mark.parametrize("ways", ["both by weights", "both by folder", "one each", "the other each"])
@pytest.mark.parametrize(("one", "other"), list(combinations(SECTIONS, 2)))
def test_no_two_sections_draw_the_same_scenes(one: str, other: str, ways: str, tmp_path: Path) -> None:
    for seed, count, shared in ((1000, 100, "1050 to 1059"), (1051, 1, "1051 to 1051"), (1060, 9, "")):
        sets = {one: (1050, 10), other: (seed, count)}
        first, second = {one: sets[one]}, {other: sets[other]}
        by_weights, by_folder = {
            "both by weights": (sets, {}),
            "both by folder": ({}, sets),
            "one each": (first, second),
            "the other each": (second, first),
        }[ways]
        said = refusal(tmp_path, by_weights, by_folder)
        # Pictures of the verdict may be among those to choose by; scenes of the same weights are kept apart.
        free = {one, other} == {"quantization", "verify"} and ways != "both by weights"
        assert (shared in said and one in said and other in said) if shared and not free else said == "", said


def test_a_section_that_the_weights_replace_does_not_count_for_them(tmp_path: Path) -> None:
    """But it does for the others, which are calibrated and judged by what the sections name."""
    assert refusal(tmp_path, {"calibration": (5, 5)}, {"calibration": (50, 5), "verify": (70, 5)}) == ""
    said = refusal(tmp_path, {"calibration": (5, 5)}, {"calibration": (70, 5), "verify": (70, 5)})
    assert "verify.images.folder: draws scenes of calibration.images.folder: 70 to 74" in said


def test_a_recognizer_of_text_is_shown_lines(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(text({"verify": (70, 5), "evaluate": (90, 5)}, {}).replace("kind: none", "kind: ctc_text"))
    model = config.load(path, "configs/tiny.yaml")
    drawn = with_scenes(model.config, model.config.weights[1])
    assert drawn.verify.images is not None and drawn.verify.images.folder == "lines/32x32-70-5/images"
    assert drawn.evaluate is not None and drawn.evaluate.truth == "lines/32x32-90-5/gt.txt"


def test_lines_of_two_sections_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    told = text({}, {"calibration": (50, 5), "verify": (54, 5)}).replace("scenes/", "lines/")
    path.write_text(told)
    with pytest.raises(ConfigError, match="draws scenes of calibration.images.folder: 54 to 54"):
        config.load(path, "configs/tiny.yaml")
