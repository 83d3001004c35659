from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import SessionError, SourceError
from bmzoo.measure.evaluate import detect_all, evaluate, evaluation_curves
from bmzoo.measure.groundtruth import load
from bmzoo.measure.picture import Picture
from bmzoo.measure.stages import STAGES, machine, stage_times
from bmzoo.onnx_import.checkpoint import load_state_dict
from bmzoo.onnx_import.retinaface import build
from bmzoo.runtime.decoders.priors import prior_boxes
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.tensor_info import TensorInfo
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.preprocess import InputSpec
from bmzoo.runtime.settings import Settings

SIDE = 64
QUARTER = {"easy": 0.833, "medium": 0.740, "hard": 0.485}
PRIORS = prior_boxes(SIDE, SIDE)
SETTINGS = Settings(
    InputSpec(SIDE, SIDE, "bgr", (104.0, 117.0, 123.0), (1.0,) * 3, "letterbox"), DecoderSpec("retinaface")
)


class OnePrior:
    """A network that finds prior `number` in a picture whose first pixel is `number`, in BGR minus mean."""

    outputs: tuple[TensorInfo, ...] = ()

    def __init__(self, batch: int = 2, score: float = 0.05) -> None:
        self.inputs: tuple[TensorInfo, ...] = (TensorInfo("x", (batch, 3, SIDE, SIDE), "float32"),)
        self.score = score
        self.batches: list[NDArray[Any]] = []

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        array = feeds["x"]
        self.batches.append(array)
        widths = {"loc": 4, "conf": 2, "landms": 10}
        heads = {name: np.zeros((len(array), len(PRIORS), width), np.float32) for name, width in widths.items()}
        for slot, image in enumerate(array):
            heads["conf"][slot, round(float(image[0, 0, 0]) + 104), 1] = self.score
        return heads

    def close(self) -> None: ...


def picture_at(folder: Path, number: int) -> Picture:
    """A picture of twice the network's size, stored small, with one face just where the prior lies."""
    path = folder / f"{number}.png"
    cv2.imwrite(str(path), np.full((16, 16, 3), number, np.uint8))
    x, y, w, h = PRIORS[number] * 2 * SIDE
    face = np.array([[x - w / 2, y - h / 2, w, h]], np.float64)
    return Picture(path.stem, path, 2 * SIDE, 2 * SIDE, face, {"all": np.array([0])}, (16, 16))


@pytest.mark.parametrize("batch", [-1, 1, 2, 4])
def test_every_picture_is_evaluated_whatever_the_batch(tmp_path: Path, batch: int) -> None:
    pictures = [picture_at(tmp_path, number) for number in (30, 40, 55)]
    session, heard = OnePrior(batch), list[tuple[int, int]]()
    found = detect_all(session, pictures, SETTINGS, progress=lambda done, total: heard.append((done, total)))
    for faces, picture in zip(found, pictures, strict=True):
        corners = np.concatenate([picture.boxes[:, :2], picture.boxes[:, :2] + picture.boxes[:, 2:]], axis=1)
        np.testing.assert_allclose(faces.boxes, corners, rtol=1e-5)
    assert evaluate(found, pictures) == {"all": 1.0}
    assert {len(array) for array in session.batches} == {max(1, batch)}
    assert all(np.shares_memory(array, session.batches[0]) for array in session.batches)
    assert batch < 2 or not session.batches[-1][3 % batch :].any(), "slots of the batch before are not fed again"
    assert heard[-1] == (3, 3)
    assert len(heard) == len(session.batches)


def test_doubtful_faces_count_unless_told_otherwise(tmp_path: Path) -> None:
    pictures = [picture_at(tmp_path, 30)]
    assert evaluate(detect_all(OnePrior(score=0.019), pictures, SETTINGS), pictures) == {"all": 0.0}
    assert evaluate(detect_all(OnePrior(score=0.02), pictures, SETTINGS), pictures) == {"all": 1.0}
    assert evaluate(detect_all(OnePrior(score=0.02), pictures, SETTINGS, confidence=0.1), pictures) == {"all": 0.0}


def test_suppression_is_done_in_pixels_of_the_picture(tmp_path: Path) -> None:
    class Two(OnePrior):
        def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            heads = super().run(feeds)
            heads["conf"][:, 1, 1] = 0.04
            heads["loc"][:, 0], heads["loc"][:, 1] = (0, 0, -10.397, -10.397), (0.36875, 0, -13.863, -13.863)
            return heads

    # Two boxes of 2x2 pixels, 1.18 apart. With a pixel more on every side they overlap by 0.44 at the network's
    # scale, and by 0.36 at twice that.
    picture = picture_at(tmp_path, 0)
    assert len(detect_all(Two(), [picture], SETTINGS)[0]) == 2


def test_whole_pixels_are_cut_towards_zero() -> None:
    picture = Picture("p", None, 9, 9, np.array([[0.0, 0, 0, 0]]), {"all": np.array([0])})
    box, score = np.array([[-0.9, 0.9, 0.9, 1.9]], np.float32), np.array([0.5], np.float32)
    faces = Detections(box, score, np.empty((1, 0, 2), np.float32))
    assert evaluate([faces], [picture], whole_pixels=True) == {"all": 1.0}  # 0, 0, w 0, h 1
    assert evaluate([faces], [picture]) == {"all": 0.0}
    assert evaluation_curves([faces], [picture])["all"].faces == 1


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    picture = picture_at(tmp_path, 30)
    (tmp_path / "30.png").write_bytes(b"text")
    with pytest.raises(SourceError, match=r"30.png: not a picture"):
        detect_all(OnePrior(), [picture], SETTINGS)


def test_a_network_with_two_inputs_is_refused() -> None:
    session = OnePrior()
    session.inputs *= 2
    with pytest.raises(SessionError, match="one input"):
        detect_all(session, [], SETTINGS)


def test_stage_times() -> None:
    ticks = iter(range(1000))
    images = [np.zeros((10, 20, 3), np.uint8)] * 3
    session = OnePrior(batch=2)
    times = stage_times(session, images, SETTINGS, rounds=2, clock=lambda: next(ticks) / 1000)
    assert times == pytest.approx(dict.fromkeys(STAGES, 0.5))  # one tick of a millisecond for two images
    assert len(session.batches) == 3
    assert np.shares_memory(session.batches[0], session.batches[2])
    with pytest.raises(SourceError, match="at least one picture"):
        stage_times(session, [], SETTINGS)


def test_machine_names_what_times_depend_on() -> None:
    assert {"cpu", "cores", "numpy", "onnxruntime"} <= machine().keys()


def test_the_real_network(data: Path) -> None:
    # A quarter of the pictures. All 122 give 0.835, 0.762 and 0.518, and as whole pixels 0.835, 0.761 and 0.512.
    state = load_state_dict(data / "weights" / "retinaface_mobilenet0.25_Final.pth")
    session = OnnxSession(build(state, 640, 640).SerializeToString())
    pictures = load(data / "wider_val" / "gt.json")[::4]
    found = detect_all(session, pictures, Settings())
    assert evaluate(found, pictures) == pytest.approx(QUARTER, abs=0.005)
    whole = evaluate(found, pictures, whole_pixels=True)
    assert whole["hard"] < QUARTER["hard"]  # small faces lose most when corners are cut off
