import numpy as np
import pytest

from bmzoo.errors import ConfigError, SessionError
from bmzoo.runtime.decode import DECODERS, DecoderSpec, decode
from bmzoo.runtime.preprocess import Geometry
from bmzoo.runtime.priors import prior_boxes

SIZE = (64, 96)
SPEC = DecoderSpec("retinaface")
COUNT = len(prior_boxes(*SIZE))


def empty_heads(batch: int = 1) -> dict[str, np.ndarray]:
    heads = {"loc": (4,), "conf": (2,), "landms": (10,)}
    return {name: np.zeros((batch, COUNT, *width), np.float32) for name, width in heads.items()}


def encode(box: list[float], anchor: int) -> np.ndarray:
    """The offsets that make `box` (xyxy, pixels) out of a prior: the textbook formula turned round."""
    height, width = SIZE
    prior = prior_boxes(*SIZE)[anchor]
    x1, y1, x2, y2 = np.array(box) / (width, height, width, height)
    centre = (np.array([(x1 + x2) / 2, (y1 + y2) / 2]) - prior[:2]) / (0.1 * prior[2:])
    return np.concatenate([centre, np.log(np.array([x2 - x1, y2 - y1]) / prior[2:]) / 0.2])


def put(heads: dict[str, np.ndarray], slot: int, anchor: int, box: list[float], score: float) -> None:
    heads["loc"][slot, anchor] = encode(box, anchor)
    heads["conf"][slot, anchor] = (1 - score, score)


def test_boxes_scores_and_landmarks() -> None:
    heads = empty_heads()
    put(heads, 0, 10, [3, 4, 23, 30], 0.6)
    put(heads, 0, 50, [40, 10, 60, 40], 0.9)
    prior = prior_boxes(*SIZE)[50]
    target = np.float32([[44, 12], [55, 12], [50, 20], [45, 30], [55, 31]])
    heads["landms"][0, 50] = ((target / (96, 64) - prior[:2]) / (0.1 * prior[2:])).ravel()
    (faces,) = decode(heads, SPEC, SIZE, 0.5, 0.4)
    np.testing.assert_allclose(faces.boxes, [[40, 10, 60, 40], [3, 4, 23, 30]], atol=1e-3)
    np.testing.assert_allclose(faces.scores, [0.9, 0.6])
    np.testing.assert_allclose(faces.landmarks[0], target, atol=1e-3)
    assert {array.dtype for array in (faces.boxes, faces.scores, faces.landmarks)} == {np.dtype(np.float32)}


def test_confidence_is_inclusive_and_comes_before_nms() -> None:
    heads = empty_heads()
    put(heads, 0, 0, [0, 0, 20, 20], 0.5)
    put(heads, 0, 1, [0, 0, 21, 20], 0.25)
    assert len(decode(heads, SPEC, SIZE, 0.5, 0.9)[0]) == 1
    assert len(decode(heads, SPEC, SIZE, 0.2, 1.0)[0]) == 2
    assert len(decode(heads, SPEC, SIZE, 0.2, 0.4)[0]) == 1
    (nobody,) = decode(heads, SPEC, SIZE, 0.6, 0.4)
    assert (nobody.boxes.shape, nobody.landmarks.shape) == ((0, 4), (0, 5, 2))


def test_a_batch_gives_what_its_images_give_in_any_head_order() -> None:
    heads = empty_heads(3)
    put(heads, 0, 3, [0, 0, 20, 20], 0.8)
    put(heads, 2, 7, [10, 10, 30, 50], 0.7)
    shuffled = {f"{name}_Softmax_f32": heads[name] for name in ("landms", "conf", "loc")}
    together = decode(shuffled, SPEC, SIZE, 0.1, 0.4)
    assert [len(faces) for faces in together] == [1, 0, 1]
    for i, faces in enumerate(together):
        (alone,) = decode({name: head[i : i + 1] for name, head in heads.items()}, SPEC, SIZE, 0.1, 0.4)
        np.testing.assert_array_equal(faces.boxes, alone.boxes)


def test_geometries_give_original_pixels_and_drop_unused_slots() -> None:
    heads = empty_heads(2)
    put(heads, 0, 3, [10, 20, 30, 40], 0.8)
    put(heads, 1, 3, [10, 20, 30, 40], 0.8)
    (faces,) = decode(heads, SPEC, SIZE, 0.1, 0.4, [Geometry(0.5, 0.5, 2, 4, 100, 100)])
    np.testing.assert_allclose(faces.boxes, [[16, 32, 56, 72]], atol=1e-2)


def test_absurd_sizes_do_not_overflow() -> None:
    heads = empty_heads()
    heads["loc"][0, 0] = 1e6
    heads["conf"][0, 0, 1] = 1
    (faces,) = decode(heads, SPEC, SIZE, 0.5, 0.4)
    assert np.isfinite(faces.boxes).all()


def test_wrong_heads_are_explained() -> None:
    heads = empty_heads()
    cases = {
        "exactly one output": {**heads, "conf": heads["conf"][..., :1]},
        f"`loc`: needs {COUNT} anchors, has: {COUNT - 1}": {**heads, "loc": heads["loc"][:, 1:]},
        "batch differs": {**heads, "loc": np.concatenate([heads["loc"]] * 2)},
        "no outputs": {},
    }
    for message, given in cases.items():
        with pytest.raises(SessionError, match=message):
            decode(given, SPEC, SIZE, 0.5, 0.4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_name_the_head(value: float) -> None:
    heads = empty_heads()
    heads["landms"][0, 5, 3] = value
    with pytest.raises(SessionError, match=r"`landms`.*1 of \d+, the first at \[0, 5, 3\]"):
        decode(heads, SPEC, SIZE, 0.5, 0.4)


def test_none_finds_nothing_in_any_output() -> None:
    found = decode({"y": np.zeros((2, 7), np.float32)}, DecoderSpec("none"), SIZE, 0.5, 0.4)
    assert [len(faces) for faces in found] == [0, 0]


def test_unknown_decoder() -> None:
    with pytest.raises(ConfigError) as caught:
        decode({}, DecoderSpec("retinafce"), SIZE, 0.5, 0.4)
    assert caught.value.hint == "did you mean `retinaface`?"
    assert set(DECODERS) == {"retinaface", "none"}
