import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.config.decoding import Decoder
from bmzoo.errors import ConfigError, SessionError
from bmzoo.measure.specs import decoder_spec
from bmzoo.runtime.decoders.decode import BadOutputs, DecoderSpec, decode, decode_boxes, load
from bmzoo.runtime.decoders.priors import prior_boxes
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.runtime.preprocess import prepare, read_image
from bmzoo.runtime.resizing import Geometry

SIZE = (64, 96)
SPEC = DecoderSpec("retinaface")
COUNT = len(prior_boxes(*SIZE))


def empty_heads(batch: int = 1) -> dict[str, NDArray[Any]]:
    heads = {"loc": (4,), "conf": (2,), "landms": (10,)}
    return {name: np.zeros((batch, COUNT, *width), np.float32) for name, width in heads.items()}


def encode(box: list[float], anchor: int) -> NDArray[Any]:
    """The offsets that make `box` (xyxy, pixels) out of a prior: the textbook formula turned round."""
    height, width = SIZE
    prior = prior_boxes(*SIZE)[anchor]
    x1, y1, x2, y2 = np.array(box) / (width, height, width, height)
    centre = (np.array([(x1 + x2) / 2, (y1 + y2) / 2]) - prior[:2]) / (0.1 * prior[2:])
    return np.concatenate([centre, np.log(np.array([x2 - x1, y2 - y1]) / prior[2:]) / 0.2])


def put(heads: dict[str, NDArray[Any]], slot: int, anchor: int, box: list[float], score: float) -> None:
    heads["loc"][slot, anchor] = encode(box, anchor)
    heads["conf"][slot, anchor] = (1 - score, score)


def test_boxes_scores_and_landmarks() -> None:
    heads = empty_heads()
    put(heads, 0, 10, [3, 4, 23, 30], 0.6)
    put(heads, 0, 50, [40, 10, 60, 40], 0.9)
    prior = prior_boxes(*SIZE)[50]
    target = np.array([[44, 12], [55, 12], [50, 20], [45, 30], [55, 31]], np.float32)
    heads["landms"][0, 50] = ((target / (96, 64) - prior[:2]) / (0.1 * prior[2:])).ravel()
    (faces,) = decode_boxes(heads, SPEC, SIZE, 0.5, 0.4)
    np.testing.assert_allclose(faces.boxes, [[40, 10, 60, 40], [3, 4, 23, 30]], atol=1e-3)
    np.testing.assert_allclose(faces.scores, [0.9, 0.6])
    np.testing.assert_allclose(faces.landmarks[0], target, atol=1e-3)
    assert {array.dtype for array in (faces.boxes, faces.scores, faces.landmarks)} == {np.dtype(np.float32)}


def test_confidence_is_inclusive_and_comes_before_nms() -> None:
    heads = empty_heads()
    put(heads, 0, 0, [0, 0, 20, 20], 0.5)
    put(heads, 0, 1, [0, 0, 21, 20], 0.25)
    assert len(decode_boxes(heads, SPEC, SIZE, 0.5, 0.9)[0]) == 1
    assert len(decode_boxes(heads, SPEC, SIZE, 0.2, 1.0)[0]) == 2
    assert len(decode_boxes(heads, SPEC, SIZE, 0.2, 0.4)[0]) == 1
    (nobody,) = decode_boxes(heads, SPEC, SIZE, 0.6, 0.4)
    assert (nobody.boxes.shape, nobody.landmarks.shape) == ((0, 4), (0, 5, 2))


def test_each_face_has_its_own_landmarks() -> None:
    random, heads = np.random.RandomState(0), empty_heads()
    heads["landms"][:] = random.randn(*heads["landms"].shape)
    heads["loc"][:] = random.randn(*heads["loc"].shape)
    heads["conf"][0, :, 1] = random.permutation(COUNT) / COUNT  # so a score tells the anchor
    geometry = Geometry(0.5, 0.25, 3, 5, 200, 300)
    (faces,), (moved,) = (decode_boxes(heads, SPEC, SIZE, 0.3, 0.4, at) for at in (None, [geometry]))
    priors, offsets = prior_boxes(*SIZE), heads["landms"].reshape(-1, 5, 2)
    assert 10 < len(faces) < COUNT * 0.6
    for found in (faces, moved):
        anchors = np.array([np.flatnonzero(heads["conf"][0, :, 1] == score)[0] for score in found.scores])
        points = priors[anchors, None, :2] + offsets[anchors] * 0.1 * priors[anchors, None, 2:]
        points = points * (SIZE[1], SIZE[0])
        if found is moved:
            points = (points - (3, 5)) / (0.5, 0.25)
        np.testing.assert_allclose(found.landmarks, points, rtol=1e-4, atol=1e-3)
        arrays = (found.boxes, found.scores, found.landmarks)
        assert all(array.flags.c_contiguous and array.dtype == np.float32 for array in arrays)


def test_a_batch_gives_what_its_images_give_in_any_head_order() -> None:
    heads = empty_heads(3)
    put(heads, 0, 3, [0, 0, 20, 20], 0.8)
    put(heads, 2, 7, [10, 10, 30, 50], 0.7)
    shuffled = {f"{name}_Softmax_f32": heads[name] for name in ("landms", "conf", "loc")}
    together = decode_boxes(shuffled, SPEC, SIZE, 0.1, 0.4)
    assert [len(faces) for faces in together] == [1, 0, 1]
    for i, faces in enumerate(together):
        (alone,) = decode_boxes({name: head[i : i + 1] for name, head in heads.items()}, SPEC, SIZE, 0.1, 0.4)
        np.testing.assert_array_equal(faces.boxes, alone.boxes)


def test_geometries_give_original_pixels_and_drop_unused_slots() -> None:
    heads = empty_heads(2)
    put(heads, 0, 3, [10, 20, 30, 40], 0.8)
    put(heads, 1, 3, [10, 20, 30, 40], 0.8)
    (faces,) = decode_boxes(heads, SPEC, SIZE, 0.1, 0.4, [Geometry(0.5, 0.5, 2, 4, 100, 100)])
    np.testing.assert_allclose(faces.boxes, [[16, 32, 56, 72]], atol=1e-2)


def test_absurd_sizes_do_not_overflow() -> None:
    heads = empty_heads()
    heads["loc"][0, 0] = 1e6
    heads["conf"][0, 0, 1] = 1
    (faces,) = decode_boxes(heads, SPEC, SIZE, 0.5, 0.4)
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
            decode_boxes(given, SPEC, SIZE, 0.5, 0.4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_name_the_head(value: float) -> None:
    heads = empty_heads()
    heads["landms"][0, 5, 3] = value
    with pytest.raises(SessionError, match=r"`landms`.*1 of \d+, the first at \[0, 5, 3\]"):
        decode_boxes(heads, SPEC, SIZE, 0.5, 0.4)


def test_none_gives_the_outputs_and_no_detections() -> None:
    found = decode({"y": np.zeros((2, 7), np.float32)}, DecoderSpec("none"), SIZE, 0.5, 0.4)
    assert [one.lines() for one in found] == [["1", "y [7] 0 0"]] * 2
    with pytest.raises(ConfigError, match="decoder: none gives tensors, not detections"):
        decode_boxes({"y": np.zeros((2, 7), np.float32)}, DecoderSpec("none"), SIZE, 0.5, 0.4)


def test_unknown_decoder() -> None:
    with pytest.raises(ConfigError) as caught:
        decode_boxes({}, DecoderSpec("retinafce"), SIZE, 0.5, 0.4)
    assert caught.value.hint == "did you mean `retinaface`?"
    with pytest.raises(ConfigError, match="differ in length: 1, 3"):
        DecoderSpec("scrfd", strides=(8,))


def ultraface_heads() -> dict[str, NDArray[Any]]:
    scores, boxes = np.zeros((2, 5, 2), np.float32), np.zeros((2, 5, 4), np.float32)
    scores[1, 3] = 0.1, 0.9
    boxes[1, 3] = 0.25, 0.125, 0.5, 0.75
    return {"boxes": boxes, "scores": scores}


def scrfd_heads(layout: str = "rows", points: bool = True) -> dict[str, NDArray[Any]]:
    """Anchor 1 of cell (row 2, column 3) at stride 16, corner at (48, 32), holds BOX and POINTS."""
    heads: dict[str, NDArray[Any]] = {}
    widths = {"score": 1, "bbox": 4, "kps": 10} if points else {"score": 1, "bbox": 4}
    for name, width in widths.items():
        for stride in (8, 16, 32):
            rows, columns = SIZE[0] // stride, SIZE[1] // stride
            head = np.zeros((1, rows, columns, 2, width), np.float32)
            if stride == 16:
                value = {"score": 0.9, "bbox": [1.5, 1.5, 0, 1], "kps": (POINTS - (48, 32)).ravel() / 16}[name]
                head[0, 2, 3, 1] = value
            heads[f"{name}_{stride}"] = as_layout(head, layout)
    return heads


def as_layout(head: NDArray[Any], layout: str) -> NDArray[Any]:
    batch, rows, columns, anchors, width = head.shape
    if layout == "maps":
        return head.reshape(batch, rows, columns, -1).transpose(0, 3, 1, 2)
    flat = head.reshape(batch, -1, width)
    return flat[0] if layout == "no batch" else flat


def maps_heads() -> dict[str, NDArray[Any]]:
    """The smaller anchor (64 pixels, so the second of its cell) of cell (1, 2) at stride 16 holds BOX."""
    heads: dict[str, NDArray[Any]] = {}
    for stride in (32, 16, 8):
        rows, columns = SIZE[0] // stride, SIZE[1] // stride
        scores, boxes, points = (np.zeros((1, n, rows, columns), np.float32) for n in (4, 8, 20))
        scores[:, :2] = 1
        if stride == 16:
            scores[0, 1, 1, 2], scores[0, 3, 1, 2] = 0.1, 0.9
            centre = np.array([2, 1]) * 16 + 7.5
            # Pixels are counted, so a side is one more than the difference of corners.
            boxes[0, 4:, 1, 2] = *((np.array([36, 28]) - centre) / 64), np.log(25 / 64), np.log(41 / 64)
            points[0, 10:, 1, 2] = ((POINTS - centre) / 64).ravel()
        heads |= {f"prob{stride}": scores, f"box{stride}": boxes, f"points{stride}": points}
    return heads


BOX = [24, 8, 48, 48]
POINTS = np.array([[30, 20], [42, 20], [36, 28], [31, 38], [41, 39]], np.float32)
# Decoder -> heads in which one image, the last, has one face: BOX, score 0.9 and POINTS, where it has points.
CASES = {
    "ultraface": ("ultraface", ultraface_heads()),
    "scrfd": ("scrfd", scrfd_heads()),
    "scrfd without a batch": ("scrfd", scrfd_heads("no batch")),
    "scrfd as maps": ("scrfd", scrfd_heads("maps")),
    "scrfd without points": ("scrfd", scrfd_heads(points=False)),
    "retinaface_maps": ("retinaface_maps", maps_heads()),
}


@pytest.mark.parametrize("case", CASES)
def test_a_face_is_found_where_it_was_put(case: str) -> None:
    kind, heads = CASES[case]
    for given in (heads, dict(reversed(heads.items()))):
        *others, faces = decode_boxes(given, DecoderSpec(kind), SIZE, 0.5, 0.4)
        assert [len(other) for other in others] == [0] * len(others)
        np.testing.assert_allclose(faces.boxes, [BOX], atol=1e-4)
        np.testing.assert_allclose(faces.scores, [0.9])
        has_points = any("points" in name or "kps" in name for name in heads)
        assert faces.landmarks.shape == (1, 5 if has_points else 0, 2)
        np.testing.assert_allclose(faces.landmarks, [POINTS][: int(has_points)] or np.empty((1, 0, 2)), atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_other_heads_than_wanted_are_listed(case: str) -> None:
    kind, heads = CASES[case]
    for name in heads:
        if case == "scrfd" and name.startswith("kps"):
            continue  # then it counts as a model without points
        wrong = {**heads, name: heads[name][..., :-1]}
        with pytest.raises(SessionError) as caught:
            decode_boxes(wrong, DecoderSpec(kind), SIZE, 0.5, 0.4)
        assert caught.value.message.startswith(kind)
        assert f"{name} {list(wrong[name].shape)}" in caught.value.message or f"`{name}`" in caught.value.message


@pytest.mark.parametrize("case", CASES)
def test_every_decoder_names_a_head_that_is_not_finite(case: str) -> None:
    kind, heads = CASES[case]
    for name in heads:
        bad = heads[name].copy()
        bad[(-1,) * bad.ndim] = np.nan
        with pytest.raises(BadOutputs, match=f"{kind}: output `{name}`.*1 of"):
            decode_boxes({**heads, name: bad}, DecoderSpec(kind), SIZE, 0.5, 0.4)


def test_every_decoder_has_a_case() -> None:
    faces = {kind for kind, row in DECODERS.items() if row.what == "faces"}  # the others: test_object_decoders.py
    assert faces == {kind for kind, _ in CASES.values()} | {"retinaface", "yunet"}


@pytest.mark.parametrize("kind", DECODERS)
def test_a_row_reads_settings_that_there_are(kind: str) -> None:
    assert set(DECODERS[kind].reads) <= {field.name for field in fields(DecoderSpec)} | {"nms"} - {"kind"}
    assert load(kind).input.channels == 3


def test_a_config_has_the_decoders_settings() -> None:
    section = Decoder(kind="scrfd")
    assert decoder_spec(section.model_dump()) == DecoderSpec("scrfd")
    assert set(Decoder.model_fields) == {field.name for field in fields(DecoderSpec)} | {"nms"}


def test_retinafaces_offsets_are_not_taken_for_ultrafaces_boxes() -> None:
    with pytest.raises(SessionError, match="ultraface: needs two outputs.*landms"):
        decode_boxes(empty_heads(), DecoderSpec("ultraface"), SIZE, 0.5, 0.4)


def test_outputs_for_fewer_images_than_fed() -> None:
    geometry = Geometry(1, 1, 0, 0, *SIZE[::-1])
    with pytest.raises(SessionError, match="fewer images than the 2 fed.*score_8") as caught:
        decode_boxes(scrfd_heads(), DecoderSpec("scrfd"), SIZE, 0.5, 0.4, [geometry] * 2)
    assert "baked" in caught.value.hint


def test_caffes_retinaface_finds_the_faces_of_group_photos(data: Path) -> None:
    folder = data / "caffe"
    files = [str(folder / f"mnet-deconv-0517.{suffix}") for suffix in ("prototxt", "caffemodel")]
    net = cv2.dnn.readNetFromCaffe(*files)
    kinds = ("cls_prob_reshape", "bbox_pred", "landmark_pred")
    names = [f"face_rpn_{kind}_stride{stride}" for stride in (32, 16, 8) for kind in kinds]
    name = "2008_001322.jpg"
    tensor, geometry = prepare(read_image(data / "group_photos" / name), load("retinaface_maps").input)
    net.setInput(tensor[None])
    heads = dict(zip(names, net.forward(names), strict=True))
    (faces,) = decode_boxes(heads, DecoderSpec("retinaface_maps"), (640, 640), 0.5, 0.4, [geometry])
    truth = json.loads((data / "group_photos" / "gt.json").read_text())[name]["boxes"]
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    assert len(faces) == len(truth)
    for x, y, w, h in truth:
        assert any(x < cx < x + w and y < cy < y + h for cx, cy in centres)
    eyes_and_mouths = faces.landmarks[:, [0, 1, 3, 4]]
    assert (eyes_and_mouths[:, :2, 1] < eyes_and_mouths[:, 2:, 1]).all()
