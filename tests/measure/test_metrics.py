"""Every metric against the same, computed in loops."""

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import ConfigError, SourceError
from bmzoo.measure.metrics.class_iou import MaskJudge
from bmzoo.measure.metrics.coco import ObjectsJudge
from bmzoo.measure.metrics.faces import METRIC as FACES
from bmzoo.measure.metrics.found_regions import RegionsJudge, common_area, polygon_area
from bmzoo.measure.metrics.read_text import METRIC as TEXT
from bmzoo.measure.metrics.read_text import TextJudge
from bmzoo.measure.metrics.registry import METRICS, metric_document, ordered, told_metric
from bmzoo.measure.metrics.top_classes import ClassesJudge
from bmzoo.measure.truths.class_words import ClassWord
from bmzoo.measure.truths.coco import Objects
from bmzoo.measure.truths.outlines import Outlines
from bmzoo.measure.truths.sample import Sample
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.text import Text
from bmzoo.runtime.resizing import Geometry

Boxes = NDArray[np.float64]


def sample(answer: Any, name: str = "a") -> Sample:  # noqa: ANN401
    return Sample(name, Path("truth") / name, answer)


# --- COCO ----------------------------------------------------------------------------------------------------


def objects(boxes: Any, classes: Any, names: tuple[str, ...], crowds: Any = None, points: Any = None) -> Objects:  # noqa: ANN401
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    crowd = np.zeros(len(boxes), bool) if crowds is None else np.array(crowds, bool)
    known = np.zeros((len(boxes), 0, 3)) if points is None else np.array(points, np.float64)
    return Objects(boxes, boxes[:, 2] * boxes[:, 3], np.array(classes, np.int64), crowd, known, names)


def detections(boxes: Any, scores: Any, labels: Any, names: Any = (), points: int = 0) -> Detections:  # noqa: ANN401
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    landmarks = np.zeros((len(corners), points, 2), np.float32)
    return Detections(corners, np.array(scores, np.float32), landmarks, np.array(labels, np.int64), names=names)


NOTHING = detections([], [], [])


def overlap(a: Any, b: Any, crowd: bool) -> float:  # noqa: ANN401
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    union = a[2] * a[3] if crowd else a[2] * a[3] + b[2] * b[3] - common
    return float(common / union)


def average_precision(truths: list[Objects], found: list[Detections], label: int, least: float) -> float | None:
    """One class at one IoU: greedy by score, the best of what is left, at 101 recalls."""
    rows, wanted = [], 0
    for truth, some in zip(truths, found, strict=True):
        left = [i for i in range(len(truth.boxes)) if truth.classes[i] == label]
        wanted += sum(not truth.crowds[i] for i in left)
        mine = [i for i in range(len(some)) if some.labels[i] == label]
        for i in sorted(mine, key=lambda i: -some.scores[i]):
            x1, y1, x2, y2 = some.boxes[i].tolist()
            box = (x1, y1, x2 - x1, y2 - y1)
            near = [(overlap(box, truth.boxes[j], bool(truth.crowds[j])), j) for j in left]
            certain = [(iou, j) for iou, j in near if iou >= least and not truth.crowds[j]]
            if certain:
                left.remove(max(certain)[1])
                rows.append((float(some.scores[i]), 1))
            elif not any(iou >= least for iou, j in near):
                rows.append((float(some.scores[i]), 0))
    if not wanted:
        return None
    rows.sort(key=lambda row: -row[0])
    curve, right = [], 0
    for count, (_, hit) in enumerate(rows, start=1):
        right += hit
        curve.append((right / wanted, right / count))
    return float(np.mean([max((p for r, p in curve if r >= at), default=0.0) for at in np.linspace(0, 1, 101)]))


def random_scene(draw: np.random.Generator) -> tuple[Objects, Detections]:
    count = int(draw.integers(0, 7))
    boxes = np.concatenate([draw.uniform(0, 200, (count, 2)), draw.uniform(20, 120, (count, 2))], axis=1)
    classes, crowds = draw.integers(0, 3, count), draw.random(count) < 0.15
    moved = boxes + draw.normal(0, 3, boxes.shape)
    extra = np.concatenate([draw.uniform(0, 200, (4, 2)), draw.uniform(20, 120, (4, 2))], axis=1)
    labels = np.concatenate([np.where(draw.random(count) < 0.8, classes, 0), draw.integers(0, 3, 4)])
    scores = draw.permutation(np.linspace(0.01, 0.99, count + 4)) + draw.random() * 1e-3
    return objects(boxes, classes, ("x", "y", "z"), crowds), detections(
        np.concatenate([moved, extra]), scores, labels
    )


def coco_figures(truths: list[Objects], found: list[Detections], blank: Detections = NOTHING) -> dict[str, float]:
    samples = [sample(truth, str(i)) for i, truth in enumerate(truths)]
    judge = ObjectsJudge(samples, blank)
    for one, some in zip(samples, found, strict=True):
        judge.add(one, some)
    return dict(judge.score().figures)


def test_coco_is_the_mean_over_classes_and_overlaps() -> None:
    draw = np.random.default_rng(5)
    scenes = [random_scene(draw) for _ in range(12)]
    truths, found = [one for one, _ in scenes], [one for _, one in scenes]
    figures = coco_figures(truths, found)

    def mean(ious: list[float]) -> float:
        each = [average_precision(truths, found, label, iou) for label in range(3) for iou in ious]
        return float(np.mean([value for value in each if value is not None]))

    assert figures["mAP"] == pytest.approx(mean([0.5 + 0.05 * i for i in range(10)]), abs=1e-6)
    assert figures["AP50"] == pytest.approx(mean([0.5]), abs=1e-6)
    assert figures["AP75"] == pytest.approx(mean([0.75]), abs=1e-6)
    assert 0.2 < figures["mAP"] < 0.9


def test_coco_sizes_that_are_not_there_have_no_figure() -> None:
    truth = objects([[10, 10, 50, 50]], [0], ("x",))
    figures = coco_figures([truth], [detections([[10, 10, 50, 50]], [0.9], [0])])
    assert figures == pytest.approx({"mAP": 1.0, "AP50": 1.0, "AP75": 1.0, "medium": 1.0})
    assert coco_figures([truth], [NOTHING])["mAP"] == 0


def test_the_first_annotation_can_be_found() -> None:
    """pycocotools takes an id of 0 for no match."""
    truth = objects([[10, 10, 50, 50], [100, 100, 50, 50]], [0, 0], ("x",))
    assert coco_figures([truth], [detections([[10, 10, 50, 50]], [0.9], [0])])["AP50"] == pytest.approx(51 / 101)


def test_categories_go_by_name_where_the_decoder_has_names() -> None:
    truth = objects([[10, 10, 50, 50]], [0], ("dog",))
    blank = detections([], [], [], names=("cat", "dog"))
    both = detections([[10, 10, 50, 50], [10, 10, 50, 50]], [0.9, 0.8], [0, 1], names=("cat", "dog"))
    assert coco_figures([truth], [both], blank)["mAP"] == pytest.approx(1), "cats are not in the ground truth"
    with pytest.raises(SourceError, match=r"category wolf: class is not known: wolf"):
        coco_figures([objects([[1, 1, 9, 9]], [0], ("dog", "wolf"))], [both], blank)
    others = objects([[10, 10, 50, 50]], [1], ("Katze", "Hund"))
    assert coco_figures([others], [both.take(np.array([1]))], blank)["mAP"] == pytest.approx(1), "as many: by order"


def test_a_class_beyond_the_categories_is_refused() -> None:
    truth = objects([[10, 10, 50, 50]], [0], ("x",))
    with pytest.raises(SourceError, match="1 categories, and the network found class 7"):
        coco_figures([truth], [detections([[10, 10, 50, 50]], [0.9], [7])])


def test_keypoints_are_judged_where_both_sides_have_seventeen() -> None:
    at = np.stack([np.linspace(20, 50, 17), np.linspace(20, 50, 17), np.full(17, 2)], axis=1)
    truth = objects([[10, 10, 50, 50]], [0], ("person",), points=[at])
    found = detections([[10, 10, 50, 50]], [0.9], [0], points=17)
    sigmas = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
    for away in (1.0, 3.0, 6.0):
        found.landmarks[0] = at[:, :2] + (away, 0)
        oks = sum(math.exp(-(away**2) / (2 * 2500 * (2 * s) ** 2)) for s in sigmas) / 17
        figures = coco_figures([truth], [found], detections([], [], [], points=17))
        assert figures["keypoints"] == pytest.approx(np.mean([oks >= 0.5 + 0.05 * i for i in range(10)]))
    assert "keypoints" not in coco_figures([truth], [detections([[10, 10, 50, 50]], [0.9], [0])])


def test_faces_are_not_judged_by_what_tells_classes_apart() -> None:
    with pytest.raises(ConfigError, match="the ground truth lists faces, and the decoder tells classes apart"):
        FACES.accepts(detections([], [], [], names=("cat",)))
    FACES.accepts(detections([], [], [], names=None))


# --- classes -------------------------------------------------------------------------------------------------


def classes(scores: NDArray[np.float64], names: tuple[str, ...] = ()) -> Classes:
    order = np.argsort(-scores, kind="stable").astype(np.int64)
    return Classes(order, scores[order].astype(np.float32), names)


def test_the_right_class_among_the_best() -> None:
    draw = np.random.default_rng(1)
    samples = [sample(ClassWord(str(draw.integers(0, 9)), None, "l:1"), str(i)) for i in range(40)]
    scores = draw.random((40, 9))
    judge = ClassesJudge(samples, classes(scores[0]))
    hits = {1: 0, 5: 0}
    for one, row in zip(samples, scores, strict=True):
        judge.add(one, classes(row))
        better = sum(row[k] > row[int(one.answer.word)] for k in range(9))
        for most in hits:
            hits[most] += better < most
    figures = judge.score().figures
    assert figures == {"top1": hits[1] / 40, "top5": hits[5] / 40} and 0 < hits[1] < hits[5]


def folder_samples(*words: str) -> list[Sample]:
    return [sample(ClassWord(word, order, f"folder {word}"), word) for order, word in enumerate(words)]


def test_of_few_classes_five_say_nothing() -> None:
    judge = ClassesJudge(folder_samples("a", "b"), classes(np.array([0.4, 0.6])))
    judge.add(folder_samples("a", "b")[1], classes(np.array([0.4, 0.6])))
    assert judge.score().figures == {"top1": 1.0} and judge.score().counts["by_order"]


@pytest.mark.parametrize(
    ("words", "names", "message"),
    [
        (("cat", "dog"), (), "2 folders of classes, and the network has 3"),
        (("cat", "dg"), ("cat", "dog", "eel"), "folder dg: class is not known: dg"),
        (("cat", "3"), ("cat", "dog", "eel"), "the network has 3 classes, from 0 on: 3"),
        (("cat",), ("cat", "dog", "cat"), "the network has several classes of that name: cat"),
    ],
)
def test_classes_that_cannot_be_told(words: tuple[str, ...], names: tuple[str, ...], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        ClassesJudge(folder_samples(*words), classes(np.array([0.1, 0.2, 0.3]), names))


# --- segmentation --------------------------------------------------------------------------------------------


class GivenMap:
    """A label map without a file."""

    def __init__(self, values: NDArray[np.int64]) -> None:
        self.values, self.path = values, Path("labels/a.png")

    def read(self) -> NDArray[np.int64]:
        return self.values


def mask(labels: NDArray[Any], names: tuple[str, ...] = (), geometry: Geometry | None = None) -> Mask:
    grid = labels.astype(np.int16)
    return Mask(grid, grid, np.ones(grid.shape, np.float32), (grid.shape[0], grid.shape[1]), names, geometry)


def test_mean_iou_over_classes_that_are_there() -> None:
    draw = np.random.default_rng(2)
    truths = [draw.choice([0, 1, 2, 4, 255], (6, 8)) for _ in range(3)]
    given = [np.where(draw.random((6, 8)) < 0.6, truth, 1) % 255 for truth in truths]
    judge = MaskJudge([], mask(given[0]))
    for truth, labels in zip(truths, given, strict=True):
        judge.add(sample(GivenMap(truth)), mask(labels))
    pixels = [
        (int(t), int(g)) for a, b in zip(truths, given, strict=True) for t, g in zip(a.flat, b.flat, strict=True)
    ]
    pixels = [(t, g) for t, g in pixels if t != 255]
    ious = []
    for label in range(5):
        both = sum(t == label and g == label for t, g in pixels)
        either = sum(label in (t, g) for t, g in pixels)
        ious += [both / either] if either else []
    right = sum(t == g for t, g in pixels) / len(pixels)
    assert len(ious) == 4
    assert judge.score().figures == pytest.approx({"mIoU": np.mean(ious), "pixels": right})


def test_what_the_network_did_not_see_is_wrong() -> None:
    # The picture is twice as wide as what the network saw of it.
    geometry = Geometry(1.0, 1.0, 0, 0, 8, 4)
    judge = MaskJudge([], mask(np.zeros((4, 4))))
    judge.add(sample(GivenMap(np.zeros((4, 8), np.int64))), mask(np.zeros((4, 4)), geometry=geometry))
    assert judge.score().figures == {"mIoU": 0.5, "pixels": 0.5}


def test_label_maps_of_foreign_classes_or_of_none() -> None:
    blank = mask(np.zeros((2, 2)), ("a", "b"))
    judge = MaskJudge([], blank)
    with pytest.raises(SourceError, match=r"labels/a.png: class is not below 2: 2"):
        judge.add(sample(GivenMap(np.full((2, 2), 2))), blank)
    judge.add(sample(GivenMap(np.full((2, 2), 255))), blank)
    with pytest.raises(SourceError, match="every pixel of all label maps is void"):
        judge.score()


# --- text ----------------------------------------------------------------------------------------------------


def edits(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))


def text(value: str, characters: str = "abc d") -> Text:
    labels = np.array([characters.index(c) for c in value], np.int64)
    ones = np.ones(len(labels), np.float32)
    return Text(labels, ones, ones, tuple(characters))


def test_lines_without_a_mistake_and_their_distance() -> None:
    pairs = [("abc", "abc"), ("a b", "ab"), ("dada", "add"), ("bb", ""), ("xb", "ab")]
    samples = [sample(wanted, str(i)) for i, (wanted, _) in enumerate(pairs)]
    judge = TextJudge(samples, text(""))
    for one, (_, read) in zip(samples, pairs, strict=True):
        judge.add(one, text(read))
    near = np.mean([1 - edits(a, b) / max(len(a), len(b)) for a, b in pairs])
    assert judge.score().figures == pytest.approx({"accuracy": 0.2, "similarity": near})
    assert judge.score().counts == {"unknown": 1}


def test_text_needs_characters() -> None:
    with pytest.raises(ConfigError, match=r"decoder.characters: missing key"):
        TEXT.accepts(text("", ""))


# --- regions -------------------------------------------------------------------------------------------------


def drawn_area(*polygons: Boxes) -> float:
    """Pixels that all of the polygons cover, a hundred to a unit."""
    planes = [np.zeros((1200, 1200), np.uint8) for _ in polygons]
    for plane, corners in zip(planes, polygons, strict=True):
        cv2.fillPoly(plane, [(corners * 10).round().astype(np.int32)], 1)
    return float(np.prod(planes, axis=0).sum()) / 100


def test_areas_of_polygons_are_those_of_their_pixels() -> None:
    draw = np.random.default_rng(3)
    hollow = np.array([[10.0, 10], [90, 10], [90, 90], [50, 30], [10, 90]])
    assert polygon_area(hollow) == pytest.approx(80 * 80 - 80 * 60 / 2)
    for turn in range(12):
        size = tuple(draw.uniform(20, 60, 2).tolist())
        quad = cv2.boxPoints((tuple(draw.uniform(40, 80, 2).tolist()), size, 15.0 * turn)).astype(np.float64)
        for corners in (quad, quad[::-1]):
            assert common_area(hollow, corners) == pytest.approx(drawn_area(hollow, quad), abs=14)
    assert common_area(hollow, np.array([[200.0, 0], [210, 0], [210, 9], [200, 9]])) == 0


def square(x: float, y: float, side: float = 10) -> Boxes:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], np.float64)


def regions(*quads: Boxes) -> Regions:
    return Regions(
        np.array(quads, np.float32).reshape(-1, 4, 2), np.linspace(0.9, 0.5, len(quads), dtype=np.float32)
    )


def test_regions_are_found_once_and_unreadable_ones_do_not_count() -> None:
    answer = Outlines((square(0, 0), square(50, 0), square(0, 50, 30)), (True, True, False))
    other = Outlines((square(0, 0),), (True,))
    judge = RegionsJudge([sample(answer), sample(other, "b")], regions())
    # Right, the same again, too far (an IoU of 0.43), inside the unreadable one, and nowhere.
    found = regions(square(1, 0), square(0, 1), square(54, 0), square(5, 55), square(100, 100))
    judge.add(sample(answer), found)
    judge.add(sample(other, "b"), regions())
    score = judge.score()
    assert score.counts == {"found": 4, "regions": 3}
    assert score.figures == pytest.approx({"precision": 1 / 4, "recall": 1 / 3, "hmean": 2 / 7})


def test_pictures_without_regions_are_refused() -> None:
    with pytest.raises(SourceError, match="no region in any of 1 pictures"):
        RegionsJudge([sample(Outlines((square(0, 0),), (False,)))], regions())


# --- the table -----------------------------------------------------------------------------------------------


def test_figures_are_told_by_metric_and_come_in_its_order() -> None:
    assert metric_document("AP", {"easy": 0.5}) == {"ap": {"easy": 0.5}}
    for metric in METRICS:
        figures = dict.fromkeys(reversed(METRICS[metric].figures), 0.5)
        assert told_metric(metric_document(metric, figures)) == (metric, figures)
        assert ordered(metric, ["zz", *figures]) == [*METRICS[metric].figures, "zz"]
    assert ordered("of tomorrow", ["b", "a"]) == ["a", "b"]
