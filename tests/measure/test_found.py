"""What two networks found, picture by picture, for people to look at."""

import json

import numpy as np

from bmzoo.measure.comparisons.boxes import COMPARISON
from bmzoo.measure.comparisons.comparison import MatchRule
from bmzoo.measure.found import MOST_FACES, pictures_compared
from bmzoo.runtime.predictions.detections import Detections, nothing
from bmzoo.runtime.predictions.tensors import Tensors

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
