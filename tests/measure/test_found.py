"""What two networks found, picture by picture, for people to look at."""

import json

import numpy as np
from numpy.typing import NDArray

from bmzoo.commands.measure import detection_figures
from bmzoo.config.schema import Decoder
from bmzoo.measure.found import MOST_FACES, pictures_compared

REQUEST = {
    "decoder": Decoder(kind="ultraface").model_dump(),
    "confidence": 0.5,
    "margin": 0.02,
    "iou": 0.5,
    "input": {"height": 100, "width": 200},
}


def heads(*faces: list[tuple[list[float], float]]) -> dict[str, NDArray[np.float32]]:
    """Heads of a network whose boxes come decoded, in shares of the picture; for each picture its faces."""
    most = max(map(len, faces))
    filled = [[*own, *[([0.0, 0, 0, 0], 0.0)] * (most - len(own))] for own in faces]
    boxes = np.array([[box for box, _ in own] for own in filled], np.float32)
    scores = np.array([[[1 - score, score] for _, score in own] for own in filled], np.float32)
    return {"scores": scores, "boxes": boxes}


LEFT, RIGHT, LOW = [0.0, 0.0, 0.2, 0.5], [0.5, 0.0, 0.75, 0.5], [0.0, 0.6, 0.2, 1.0]


def test_every_box_is_told_with_its_partner_or_as_missed_or_extra() -> None:
    reference = heads([(LEFT, 0.9), (RIGHT, 0.8)], [(LOW, 0.7)])
    test = heads([(LEFT, 0.85), (LOW, 0.6)], [(LOW, 0.7)])
    found = pictures_compared(reference, test, REQUEST)
    assert found is not None
    first, second = found
    assert first["onnx"] == [[0.0, 0.0, 40.0, 50.0, 0.9], [100.0, 0.0, 150.0, 50.0, 0.8]]
    assert [box[4] for box in first["artifact"]] == [0.85, 0.6]
    assert (first["pairs"], first["missed"], first["extra"]) == ([[0, 0]], [1], [1])
    assert (second["pairs"], second["missed"], second["extra"]) == ([[0, 0]], [], [])
    figures = detection_figures(reference, test, REQUEST)
    assert figures is not None and (figures["missed"], figures["extra"]) == (1, 1)


def test_a_model_without_a_decoder_has_nothing_to_show() -> None:
    assert pictures_compared({}, {}, {**REQUEST, "decoder": {"kind": "none"}}) is None


def test_there_is_an_end_to_boxes_and_all_of_them_are_json() -> None:
    corners = [(column / 50, row / 25) for column in range(50) for row in range(25)][: MOST_FACES + 20]
    many = [([x, y, x + 0.01, y + 0.02], 0.9) for x, y in corners]
    found = pictures_compared(heads(many), heads([(LEFT, 0.9)]), REQUEST)
    assert found is not None and len(found[0]["onnx"]) == MOST_FACES
    assert max(found[0]["missed"]) < MOST_FACES
    json.loads(json.dumps(found, allow_nan=False))
