"""The project's own weights: the model keeps its contract, and finds drawn faces that it was not trained on."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from bmzoo.measure.average_precision import Predictions, Truth, curves
from bmzoo.onnx_import.contract import io_signature, violations
from bmzoo.runtime.decoders.decode import decode_boxes
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.preprocess import prepare_batch
from bmzoo.runtime.settings import Settings
from bmzoo.scenes import FIRST_TRAINING_SEED, Scene, draw
from bmzoo.system.hashing import sha256

MODEL = Path(__file__).parents[1] / "models" / "onnx" / "retinaface_mobilenet0.25.embedded.onnx"
SIZE = 640
# Far from the seeds of the model card's figures, and never used for training.
SEEDS = range(800_000, 800_020)


@cache
def session() -> OnnxSession:
    return OnnxSession(MODEL)


def detect(scenes: list[Scene], confidence: float = 0.02) -> list[Detections]:
    found = []
    for scene in scenes:
        batch, geometries = prepare_batch([scene.image], Settings().input, 1)
        heads = session().run({"input": batch})
        found += decode_boxes(heads, Settings().decoder, (SIZE, SIZE), confidence, Settings().nms, geometries)
    return found


def xywh(corners: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    assert max(SEEDS) < FIRST_TRAINING_SEED
    return [draw(seed, SIZE, SIZE) for seed in SEEDS]


@pytest.fixture(scope="module")
def found(scenes: list[Scene]) -> list[Detections]:
    """Doubtful ones as well."""
    return detect(scenes)


def test_contract() -> None:
    model = onnx.load(str(MODEL))
    onnx.checker.check_model(model, full_check=True)
    assert violations(model) == []
    assert model.ir_version <= 6
    assert [opset.version for opset in model.opset_import] == [11]
    assert MODEL.stat().st_size < 2_000_000


def test_heads() -> None:
    signature = io_signature(onnx.load(str(MODEL)))
    assert [(port.name, port.shape) for port in signature.inputs] == [("input", ("batch", 3, SIZE, SIZE))]
    widths = {"loc": 4, "conf": 2, "landms": 10}
    ports = {port.name: port.shape for port in signature.outputs}
    assert ports == {name: ("batch", 16800, width) for name, width in widths.items()}


def test_normalization_is_folded() -> None:
    kinds = {node.op_type for node in onnx.load(str(MODEL)).graph.node}
    assert "BatchNormalization" not in kinds
    assert {"Conv", "LeakyRelu", "Relu", "Softmax"} <= kinds


def test_weights_are_finite_and_none_is_a_copy_of_another() -> None:
    weights = [numpy_helper.to_array(tensor) for tensor in onnx.load(str(MODEL)).graph.initializer]
    kernels = [weight for weight in weights if weight.ndim == 4]
    assert all(np.isfinite(weight).all() for weight in weights)
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)


def test_two_pictures_give_what_each_gives_alone(scenes: list[Scene]) -> None:
    batch, _ = prepare_batch([scene.image for scene in scenes[:2]], Settings().input, 2)
    together = session().run({"input": batch})
    for i in range(2):
        for name, head in session().run({"input": batch[i : i + 1]}).items():
            np.testing.assert_allclose(together[name][i], head[0], rtol=1e-4, atol=1e-4)


def test_it_finds_drawn_faces_it_never_saw(scenes: list[Scene], found: list[Detections]) -> None:
    truths = [
        Truth(xywh(scene.boxes), {"tall": np.flatnonzero(scene.boxes[:, 3] - scene.boxes[:, 1] >= 16)})
        for scene in scenes
    ]
    curve = curves([Predictions(xywh(faces.boxes), faces.scores) for faces in found], truths)["tall"]
    assert curve.faces > 50
    assert curve.ap >= 0.95


def test_landmarks_are_where_a_face_of_16_pixels_or_more_has_them(
    scenes: list[Scene], found: list[Detections]
) -> None:
    errors = []
    for scene, doubtful in zip(scenes, found, strict=True):
        faces = doubtful.take(np.flatnonzero(doubtful.scores >= 0.5))
        for box, points in zip(scene.boxes, scene.landmarks, strict=True):
            if not len(faces) or box[3] - box[1] < 16:
                continue
            centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
            away = np.linalg.norm(centres - (box[:2] + box[2:]) / 2, axis=1)
            size = float(np.sqrt((box[2:] - box[:2]).prod()))
            if away.min() < 0.25 * size:
                errors.append(np.linalg.norm(faces.landmarks[away.argmin()] - points, axis=1).mean() / size)
    assert len(errors) > 40
    assert np.mean(errors) < 0.05


def test_it_finds_nothing_where_nobody_is() -> None:
    empty = [draw(seed, SIZE, SIZE, "empty") for seed in range(850_000, 850_060)]
    assert sum(len(faces) for faces in detect(empty, confidence=0.5)) <= 1


def test_the_card_tells_of_this_model() -> None:
    digest = sha256(MODEL)
    figures = json.loads(MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["sha256"] == digest
    card = (MODEL.parent / "README.md").read_text(encoding="utf-8")
    assert digest in card
    for key in ("ap_all", "ap_16_pixels_and_higher"):
        assert f"| {figures[key]:.3f} |" in card, f"{key} in the card is not the measured one"
    assert f"| {figures['landmark_error']:.1%} |" in card
    assert f"| {figures['false_faces_per_100_empty_scenes']:g} |" in card
