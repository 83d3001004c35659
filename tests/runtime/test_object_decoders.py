"""Detectors of several classes: each decoder against plain loops over cells and anchors, written here."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.decode import BadOutputs, DecoderSpec, decode_boxes, load
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.resizing import Geometry

SIZE = (64, 96)
STRIDES = (8, 16, 32)
CLASSES = 3
Heads = dict[str, NDArray[Any]]
Row = tuple[float, ...]  # x1, y1, x2, y2, score, class, and points as x, y in turn, then their scores


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def cells(stride: int) -> list[tuple[int, int]]:
    """(row, column) of all cells of a stride, row by row."""
    return [(y, x) for y in range(SIZE[0] // stride) for x in range(SIZE[1] // stride)]


def centred(cx: float, cy: float, w: float, h: float) -> Row:
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def best(scores: list[float]) -> tuple[float, float]:
    at = max(range(len(scores)), key=lambda i: scores[i])
    return scores[at], at


def random(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def logits(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return random(*shape, seed=seed, low=-4, high=4)


# Each maker gives heads of two pictures, and a function from the number of a picture to the rows of all anchors.
Made = tuple[Heads, Callable[[int], list[Row]]]
ANCHORS = DecoderSpec.anchors


def yolov5_decoded() -> Made:
    head = random(2, 40, 5 + CLASSES)
    head[..., :4] *= 50

    def rows(i: int) -> list[Row]:
        return [(*centred(*map(float, r[:4])), *best([float(r[4] * c) for c in r[5:]])) for r in head[i]]

    return {"output": head}, rows


def yolov5_maps(layout: str, squashed: bool = False) -> Made:
    maps = {s: logits(2, 3, SIZE[0] // s, SIZE[1] // s, 5 + CLASSES, seed=s) for s in STRIDES}

    def rows(i: int) -> list[Row]:
        found = []
        for stride, sizes in zip(STRIDES, ANCHORS, strict=True):
            for a in range(3):
                for y, x in cells(stride):
                    v = [sigmoid(float(n)) for n in maps[stride][i, a, y, x]]
                    cx, cy = (v[0] * 2 - 0.5 + x) * stride, (v[1] * 2 - 0.5 + y) * stride
                    w, h = (v[2] * 2) ** 2 * sizes[2 * a], (v[3] * 2) ** 2 * sizes[2 * a + 1]
                    found.append((*centred(cx, cy, w, h), *best([v[4] * c for c in v[5:]])))
        return found

    shown = {s: 1 / (1 + np.exp(-m)) for s, m in maps.items()} if squashed else maps
    if layout == "5d":
        return {f"m{s}": m for s, m in shown.items()}, rows
    flat = {s: m.transpose(0, 1, 4, 2, 3).reshape(2, -1, *m.shape[2:4]) for s, m in shown.items()}
    return {f"m{s}": m for s, m in flat.items()}, rows


def yolox(layout: str) -> Made:
    boxes = {s: random(2, len(cells(s)), 4, seed=s, low=-1, high=2) for s in STRIDES}
    raw = {s: logits(2, len(cells(s)), 1 + CLASSES, seed=s + 1) for s in STRIDES}

    def rows(i: int) -> list[Row]:
        found = []
        for stride in STRIDES:
            for at, (y, x) in enumerate(cells(stride)):
                b = [float(n) for n in boxes[stride][i, at]]
                v = [sigmoid(float(n)) for n in raw[stride][i, at]]
                box = ((b[0] + x) * stride, (b[1] + y) * stride, math.exp(b[2]) * stride, math.exp(b[3]) * stride)
                found.append((*centred(*box), *best([v[0] * c for c in v[1:]])))
        return found

    if layout == "one":
        squashed = [np.concatenate([boxes[s], 1 / (1 + np.exp(-raw[s]))], axis=2) for s in STRIDES]
        return {"output": np.concatenate(squashed, axis=1)}, rows
    heads: Heads = {}
    for s in STRIDES:  # classes, boxes, objectness: the order in which the network computes them
        heads |= {f"cls{s}": as_map(raw[s][..., 1:], s), f"reg{s}": as_map(boxes[s], s)}
        heads |= {f"obj{s}": as_map(raw[s][..., :1], s)}
    return heads, rows


def as_map(rows: NDArray[Any], stride: int) -> NDArray[Any]:
    return rows.reshape(len(rows), SIZE[0] // stride, SIZE[1] // stride, -1).transpose(0, 3, 1, 2)


def every_cell() -> int:
    return sum(len(cells(s)) for s in STRIDES)


def yolov8_decoded(layout: str) -> Made:
    boxes, scores = random(2, 4, every_cell(), seed=1, high=60), random(2, CLASSES, every_cell(), seed=2)

    def rows(i: int) -> list[Row]:
        return [
            (*centred(*map(float, boxes[i, :, a])), *best([float(n) for n in scores[i, :, a]]))
            for a in range(every_cell())
        ]

    if layout == "two":
        return {"scores": scores, "boxes": boxes}, rows
    whole = np.concatenate([boxes, scores], axis=1)
    return {"output0": whole.transpose(0, 2, 1) if layout == "rows" else whole}, rows


def distance(bins: list[float]) -> float:
    """The mean of a distribution over 0 to 15."""
    weights = [math.exp(b) for b in bins]
    return sum(i * w for i, w in enumerate(weights)) / sum(weights)


def dfl_box(raw: NDArray[Any], y: int, x: int, stride: int) -> Row:
    left, top, right, bottom = (distance([float(n) for n in raw[16 * k : 16 * k + 16]]) for k in range(4))
    return (
        (x + 0.5 - left) * stride,
        (y + 0.5 - top) * stride,
        (x + 0.5 + right) * stride,
        (y + 0.5 + bottom) * stride,
    )


def yolov8_maps(layout: str) -> Made:
    raw = {s: logits(2, 64 + CLASSES, SIZE[0] // s, SIZE[1] // s, seed=s) for s in STRIDES}

    def rows(i: int) -> list[Row]:
        return [
            (*dfl_box(raw[s][i, :64, y, x], y, x, s), *best([sigmoid(float(n)) for n in raw[s][i, 64:, y, x]]))
            for s in STRIDES
            for y, x in cells(s)
        ]

    if layout == "one":
        return {f"m{s}": m for s, m in raw.items()}, rows
    return {f"{k}{s}": m for s in STRIDES for k, m in (("c", raw[s][:, 64:]), ("b", raw[s][:, :64]))}, rows


def pose_decoded() -> Made:
    whole = random(2, 5 + 3 * 4, every_cell(), seed=3)
    whole[:, :4] *= 60

    def rows(i: int) -> list[Row]:
        found = []
        for a in range(every_cell()):
            v = [float(n) for n in whole[i, :, a]]
            points = [v[5 + 3 * k + j] for k in range(4) for j in range(2)]
            found.append((*centred(*v[:4]), v[4], 0, *points, *(v[7 + 3 * k] for k in range(4))))
        return found

    return {"output0": whole}, rows


def pose_maps() -> Made:
    raw = {s: logits(2, 64 + 1 + 3 * 4, SIZE[0] // s, SIZE[1] // s, seed=s) for s in STRIDES}

    def rows(i: int) -> list[Row]:
        found = []
        for s in STRIDES:
            for y, x in cells(s):
                v = [float(n) for n in raw[s][i, :, y, x]]
                points = [(v[65 + 3 * k + j] * 2 + (x, y)[j]) * s for k in range(4) for j in range(2)]
                sure = [sigmoid(v[67 + 3 * k]) for k in range(4)]
                found.append((*dfl_box(raw[s][i, :64, y, x], y, x, s), sigmoid(v[64]), 0, *points, *sure))
        return found

    parts = (("b", slice(64)), ("c", slice(64, 65)), ("k", slice(65, None)))
    return {f"{k}{s}": raw[s][:, at] for s in STRIDES for k, at in parts}, rows


def yolov10() -> Made:
    head = random(2, 30, 6, seed=4, high=60)
    head[..., 4] /= 60
    head[..., 5] = np.arange(30) % CLASSES
    return {"output0": head}, lambda i: [tuple(map(float, row)) for row in head[i]]


CASES: Mapping[str, tuple[str, Made]] = {
    "yolov5 decoded": ("yolov5", yolov5_decoded()),
    "yolov5 maps of five dimensions": ("yolov5", yolov5_maps("5d")),
    "yolov5 maps": ("yolov5", yolov5_maps("4d")),
    "yolov5 maps with their sigmoid": ("yolov5", yolov5_maps("4d", squashed=True)),
    "yolox": ("yolox", yolox("one")),
    "yolox maps": ("yolox", yolox("maps")),
    "yolov8": ("yolov8", yolov8_decoded("columns")),
    "yolov8 the other way around": ("yolov8", yolov8_decoded("rows")),
    "yolov8 cut in two": ("yolov8", yolov8_decoded("two")),
    "yolov8 maps": ("yolov8", yolov8_maps("one")),
    "yolov8 maps in pairs": ("yolov8", yolov8_maps("pairs")),
    "yolov8_pose": ("yolov8_pose", pose_decoded()),
    "yolov8_pose maps": ("yolov8_pose", pose_maps()),
    "yolov10": ("yolov10", yolov10()),
}


def table(found: Detections) -> NDArray[np.float64]:
    """Detections as rows: box, score, class, points and their scores."""
    points = found.landmarks.reshape(len(found), -1)
    sure = np.empty((len(found), 0)) if found.point_scores is None else found.point_scores
    return np.concatenate([found.boxes, found.scores[:, None], found.labels[:, None], points, sure], axis=1)


@pytest.mark.parametrize("case", CASES)
def test_it_gives_what_plain_loops_give(case: str) -> None:
    kind, (heads, rows) = CASES[case]
    found = decode_boxes(heads, DecoderSpec(kind), SIZE, 0.4, 1.0)
    assert len(found) == 2
    for i, one in enumerate(found):
        wanted = sorted((row for row in rows(i) if row[4] >= 0.4), key=lambda row: -row[4])
        assert len(wanted) > 5
        np.testing.assert_allclose(table(one), wanted, rtol=2e-5, atol=2e-4)
        assert one.names == ()


@pytest.mark.parametrize("case", CASES)
def test_its_parts_are_scores_and_boxes_of_every_anchor(case: str) -> None:
    kind, (heads, rows) = CASES[case]
    parts = load(kind).parts({name: head[:1] for name, head in heads.items()}, DecoderSpec(kind), SIZE)
    wanted = rows(0)
    assert len(parts["scores"]) == len(parts["boxes"]) == len(wanted)
    np.testing.assert_allclose(parts["scores"].max(axis=1), [row[4] for row in wanted], rtol=1e-4, atol=1e-5)
    assert parts["boxes"].shape[1] == 4 and ("landmarks" in parts) == (kind == "yolov8_pose")


@pytest.mark.parametrize("case", CASES)
def test_heads_that_do_not_fit_and_values_that_are_none(case: str) -> None:
    kind, (heads, _) = CASES[case]
    name = next(iter(heads))
    with pytest.raises(SessionError, match=kind):
        decode_boxes({name: heads[name][:, :2, ..., :3]}, DecoderSpec(kind), SIZE, 0.5, 0.5)
    bad = {**heads, name: heads[name].copy()}
    bad[name][0, 0, ...] = np.nan
    with pytest.raises(BadOutputs, match=f"{kind}: output `{name}`"):
        decode_boxes(bad, DecoderSpec(kind), SIZE, 0.5, 0.5)


@pytest.mark.parametrize("kind", ["yolov5", "yolox", "yolov8"])
def test_as_many_names_as_classes(kind: str) -> None:
    heads = next(made for name, made in CASES.values() if name == kind)[0]
    named = decode_boxes(heads, DecoderSpec(kind, classes=("a", "b", "c")), SIZE, 0.4, 1.0)
    assert named[0].names == ("a", "b", "c")
    with pytest.raises(SessionError, match="classes: 2 names, the network has 3 classes"):
        decode_boxes(heads, DecoderSpec(kind, classes=("a", "b")), SIZE, 0.4, 1.0)


def test_boxes_are_suppressed_within_a_class_only() -> None:
    """Against the greedy loop, class by class."""
    heads, rows = yolov8_decoded("columns")
    found = decode_boxes(heads, DecoderSpec("yolov8"), SIZE, 0.2, 0.45)
    for i, one in enumerate(found):
        kept: list[Row] = []
        for row in sorted((row for row in rows(i) if row[4] >= 0.2), key=lambda row: -row[4]):
            if all(row[5] != other[5] or iou(row, other) <= 0.45 for other in kept):
                kept.append(row)
        assert 3 < len(kept) < every_cell()
        np.testing.assert_allclose(table(one), kept, rtol=2e-5, atol=2e-4)


def iou(a: Row, b: Row) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0) * max(h, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def test_yolov10_suppresses_nothing() -> None:
    head = np.tile(np.array([[10, 10, 50, 50, 0.9, 1]], np.float32), (1, 5, 1))
    assert len(decode_boxes({"y": head}, DecoderSpec("yolov10"), SIZE, 0.5, 0.1)[0]) == 5


def test_poses_go_to_the_pictures_pixels_with_their_points() -> None:
    heads, rows = pose_decoded()
    geometry = Geometry(0.5, 0.25, 4, 2, 400, 400)
    (found,) = decode_boxes(heads, DecoderSpec("yolov8_pose"), SIZE, 0.4, 1.0, [geometry])
    wanted = sorted((row for row in rows(0) if row[4] >= 0.4), key=lambda row: -row[4])
    np.testing.assert_allclose(
        found.landmarks[0, 1], [(wanted[0][8] - 4) / 0.5, (wanted[0][9] - 2) / 0.25], rtol=1e-4
    )
    assert found.point_scores is not None and found.point_scores.shape == (len(wanted), 4)


def yunet_heads() -> Heads:
    heads: Heads = {}
    for s in STRIDES:
        count = len(cells(s))
        heads |= {f"cls_{s}": random(2, count, 1, seed=s), f"obj_{s}": random(2, count, 1, seed=s + 1)}
        heads |= {
            f"bbox_{s}": random(2, count, 4, seed=s + 2, low=-1),
            f"kps_{s}": random(2, count, 10, seed=s + 3),
        }
    return heads


@pytest.mark.parametrize("raw", [False, True])
def test_yunet_against_plain_loops(raw: bool) -> None:
    heads = yunet_heads()
    found = decode_boxes(heads, DecoderSpec("yunet"), SIZE, 0.5, 1.0)[1]
    wanted: list[Row] = []
    for s in STRIDES:
        for at, (y, x) in enumerate(cells(s)):
            score = math.sqrt(float(heads[f"cls_{s}"][1, at, 0]) * float(heads[f"obj_{s}"][1, at, 0]))
            b, k = ([float(n) for n in heads[f"{name}_{s}"][1, at]] for name in ("bbox", "kps"))
            box = centred((b[0] + x) * s, (b[1] + y) * s, math.exp(b[2]) * s, math.exp(b[3]) * s)
            wanted.append((*box, score, 0, *((n + (x, y)[j % 2]) * s for j, n in enumerate(k))))
    wanted = sorted((row for row in wanted if row[4] >= 0.5), key=lambda row: -row[4])
    assert len(wanted) > 5 and found.names is None
    np.testing.assert_allclose(table(found), wanted, rtol=2e-5, atol=2e-4)
    if raw:  # cut before its Sigmoid
        for name in [name for name in heads if name[:3] in ("cls", "obj")]:
            heads[name] = np.log(heads[name] / (1 - heads[name]))
        again = decode_boxes(heads, DecoderSpec("yunet"), SIZE, 0.5, 1.0)[1]
        np.testing.assert_allclose(table(again), wanted, rtol=1e-4, atol=1e-3)


def test_yunet_before_2022_against_plain_loops() -> None:
    sizes = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}
    priors = [
        ((x + 0.5) * s / SIZE[1], (y + 0.5) * s / SIZE[0], side / SIZE[1], side / SIZE[0])
        for s, sides in sizes.items()
        for y in range(-(-SIZE[0] // s))
        for x in range(-(-SIZE[1] // s))
        for side in sides
    ]
    heads = {"loc": random(1, len(priors), 14, low=-1), "conf": random(1, len(priors), 2, seed=1)}
    heads["iou"] = random(1, len(priors), 1, seed=2)
    wanted = []
    for i, (px, py, pw, ph) in enumerate(priors):
        loc = [float(n) for n in heads["loc"][0, i]]
        box = centred(
            (px + loc[0] * 0.1 * pw) * SIZE[1],
            (py + loc[1] * 0.1 * ph) * SIZE[0],
            pw * math.exp(loc[2] * 0.2) * SIZE[1],
            ph * math.exp(loc[3] * 0.2) * SIZE[0],
        )
        points = [
            ((px + loc[j] * 0.1 * pw) * SIZE[1], (py + loc[j + 1] * 0.1 * ph) * SIZE[0]) for j in range(4, 14, 2)
        ]
        score = math.sqrt(float(heads["conf"][0, i, 1]) * float(heads["iou"][0, i, 0]))
        wanted.append((*box, score, 0, *(n for point in points for n in point)))
    wanted = sorted((row for row in wanted if row[4] >= 0.7), key=lambda row: -row[4])
    (found,) = decode_boxes(heads, DecoderSpec("yunet"), SIZE, 0.7, 1.0)
    assert len(wanted) > 5
    np.testing.assert_allclose(table(found), wanted, rtol=2e-5, atol=2e-4)


def test_probabilities_that_int8_rounded_up_are_no_logits() -> None:
    heads, _ = yolov8_decoded("columns")
    heads["output0"][:, 4:] *= 1.04
    assert float(decode_boxes(heads, DecoderSpec("yolov8"), SIZE, 0.9, 1.0)[0].scores.max()) > 1
