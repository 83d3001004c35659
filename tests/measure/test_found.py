"""What two networks found, picture by picture, for people to look at."""

import base64
import json
from typing import Any

import cv2
import numpy as np

from bmzoo.measure.comparisons.boxes import COMPARISON
from bmzoo.measure.comparisons.comparison import MatchRule
from bmzoo.measure.found import DIFFERS, MOST_FACES, OPACITY, pictures_compared
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections, nothing
from bmzoo.runtime.predictions.drawing import colour
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.tensors import Tensors
from bmzoo.runtime.predictions.text import Text

RULE = MatchRule(0.5, 0.02, 0.5)
Faces = list[tuple[list[float], float]]


def faces(*found: Faces) -> list[Detections]:
    """Of each picture its faces."""
    return [
        Detections(
            np.array([box for box, _ in own], np.float32).reshape(-1, 4),
            np.array([score for _, score in own], np.float32),
            np.zeros((len(own), 0, 2), np.float32),
        )
        for own in found
    ]


LEFT, RIGHT, LOW = [0.0, 0.0, 40.0, 50.0], [100.0, 0.0, 150.0, 50.0], [0.0, 60.0, 40.0, 100.0]


def test_every_box_is_told_with_its_partner_or_as_missed_or_extra() -> None:
    reference = faces([(LEFT, 0.9), (RIGHT, 0.8)], [(LOW, 0.7)])
    test = faces([(LEFT, 0.85), (LOW, 0.6)], [(LOW, 0.7)])
    found = pictures_compared(reference, test, RULE)
    assert found is not None
    first, second = found
    assert first["onnx"] == [[0.0, 0.0, 40.0, 50.0, 0.9], [100.0, 0.0, 150.0, 50.0, 0.8]]
    assert [box[4] for box in first["artifact"]] == [0.85, 0.6]
    assert (first["pairs"], first["missed"], first["extra"]) == ([[0, 0]], [1], [1])
    assert (second["pairs"], second["missed"], second["extra"]) == ([[0, 0]], [], [])
    figures = COMPARISON.figures(reference, test, RULE)
    assert (figures["missed"], figures["extra"]) == (1, 1)


def test_predictions_without_boxes_have_nothing_to_show() -> None:
    other = Tensors({"y": np.zeros(3, np.float32)})
    assert pictures_compared([other], [other], RULE) is None
    assert pictures_compared([nothing()], [other], RULE) is None


def test_there_is_an_end_to_boxes_and_all_of_them_are_json() -> None:
    boxes = [[4.0 * i, 0.0, 4.0 * i + 2, 2.0] for i in range(MOST_FACES + 20)]
    found = pictures_compared(faces([(box, 0.9) for box in boxes]), faces([(LEFT, np.inf)]), RULE)
    assert found is not None and len(found[0]["onnx"]) == MOST_FACES
    assert max(found[0]["missed"]) == MOST_FACES - 1
    json.loads(json.dumps(found, allow_nan=False))


def regions(*found: tuple[list[list[float]], float]) -> Regions:
    quads = np.array([quad for quad, _ in found], np.float32).reshape(-1, 4, 2)
    return Regions(quads, np.array([score for _, score in found], np.float32))


SLANTED = [[10.0, 0.0], [40.0, 10.0], [30.0, 40.0], [0.0, 30.0]]
FAR = [[x + 100, y] for x, y in SLANTED]


def test_regions_are_told_by_their_corners() -> None:
    reference, test = regions((SLANTED, 0.9), (FAR, 0.8)), regions((SLANTED, 0.85))
    found = pictures_compared([reference], [test], RULE)
    assert found is not None
    assert found[0]["onnx"][0] == [*sum(SLANTED, []), 0.9] and len(found[0]["artifact"]) == 1
    assert (found[0]["pairs"], found[0]["missed"], found[0]["extra"]) == ([[0, 0]], [1], [])


def mask(labels: list[list[int]], lead: float = 1.0, names: tuple[str, ...] = ()) -> Mask:
    grid = np.array(labels, np.int16)
    return Mask(grid, np.zeros_like(grid), np.full(grid.shape, lead, np.float32), (40, 60), names)


def pixels(overlay: str) -> np.ndarray[Any, Any]:
    data = np.frombuffer(base64.b64decode(overlay), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


def test_masks_are_overlays_with_what_surely_differs_in_red() -> None:
    reference, test = mask([[0, 0, 3], [1, 1, 3]], names=("sky", "cat")), mask([[0, 0, 3], [1, 2, 3]])
    found = pictures_compared([reference], [test], RULE)
    assert found is not None
    first, second = map(pixels, found[0]["overlays"])
    assert first.shape == (2, 3, 4)
    assert first[0, :2, 3].tolist() == [0, 0], "class 0 lets the picture through"
    assert first[0, 2].tolist() == second[0, 2].tolist() == [*colour(3), OPACITY]
    assert first[1, 1].tolist() == second[1, 1].tolist() == [*DIFFERS, 255]
    assert first[1, 0].tolist() == [*colour(1), OPACITY]
    assert found[0]["said"][0].startswith("sky, cat, ") and found[0]["said"][1].startswith("class 0, ")
    assert (found[0]["differs"], found[0]["difference"]) == (1, "16.67% of cells differ")


def test_a_doubtful_cell_differs_from_nothing() -> None:
    found = pictures_compared([mask([[0, 1]], lead=0.01)], [mask([[0, 0]])], RULE)
    assert found is not None and (found[0]["differs"], found[0]["difference"]) == (0, "")


def test_large_masks_are_shown_by_every_few_cells() -> None:
    large = mask(np.ones((600, 300), int).tolist())
    found = pictures_compared([large], [large], RULE)
    assert found is not None and pixels(found[0]["overlays"][0]).shape == (200, 100, 4)


def text(labels: list[int]) -> Text:
    scores = np.full(len(labels), 0.5, np.float32)
    return Text(np.array(labels, np.int64), scores, scores, ("a", "b", "<c>"))


def test_lines_of_text_are_said_with_how_many_characters_differ() -> None:
    found = pictures_compared([text([0, 1, 2])] * 2, [text([0, 2]), text([0, 1, 2])], RULE)
    assert found is not None
    assert found[0] == {"said": ["ab<c> (0.50)", "a<c> (0.50)"], "differs": 1, "difference": "1 character differs"}
    assert (found[1]["differs"], found[1]["difference"]) == (0, "")


def test_classes_are_said_and_differ_by_the_best() -> None:
    scores = np.array([0.7, 0.2, 0.1], np.float32)
    cat, dog = (Classes(np.array(labels), scores, ("cat", "dog", "cow")) for labels in ([0, 1, 2], [1, 0, 2]))
    found = pictures_compared([cat, cat], [dog, cat], RULE)
    assert found is not None
    assert found[0]["said"] == ["cat (0.70), dog (0.20), cow (0.10)", "dog (0.70), cat (0.20), cow (0.10)"]
    assert [one["difference"] for one in found] == ["another class", ""]
    json.loads(json.dumps(found, allow_nan=False))
