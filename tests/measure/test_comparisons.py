"""Two sets of predictions compared, for each kind against a count by hand."""

from typing import Any

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from bmzoo.commands.registry import COMMANDS
from bmzoo.measure.comparisons.boxes import COMPARISON as BOXES
from bmzoo.measure.comparisons.characters import COMPARISON as CHARACTERS
from bmzoo.measure.comparisons.characters import aligned_text
from bmzoo.measure.comparisons.comparison import MatchRule
from bmzoo.measure.comparisons.keypoints import COMPARISON as POINTS
from bmzoo.measure.comparisons.labels import COMPARISON as PICTURES
from bmzoo.measure.comparisons.pixels import COMPARISON as PIXELS
from bmzoo.measure.comparisons.quads import COMPARISON as QUADS
from bmzoo.measure.comparisons.quads import quad_iou
from bmzoo.measure.comparisons.registry import COMPARISONS, comparison_of
from bmzoo.measure.found import pictures_compared
from bmzoo.measure.nouns import NOUNS
from bmzoo.measure.poses import COCO_SIGMAS, similarity
from bmzoo.measure.sureness import figure_of
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.points import PointSet
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.registry import PREDICTIONS
from bmzoo.runtime.predictions.tensors import Tensors
from bmzoo.runtime.predictions.text import Text

RULE = MatchRule(0.5, 0.1, 0.5)
SIGMAS = (Params(iouType="keypoints").kpt_oks_sigmas).tolist()


def f32(values: Any) -> Any:
    return np.array(values, np.float32)


def objects(*found: tuple[float, float, int]) -> Detections:
    """Squares of 10 at x, with a score and a class."""
    boxes = f32([[x, 0, x + 10, 10] for x, _, _ in found]).reshape(-1, 4)
    labels = np.array([label for _, _, label in found], np.int64)
    scores = f32([score for _, score, _ in found])
    return Detections(boxes, scores, np.zeros((len(found), 0, 2), np.float32), labels, names=())


def counts(told: dict[str, Any]) -> tuple[int, int, int]:
    return told["expected"], told["missed"], told["extra"]


def test_an_object_of_another_class_is_missed_and_extra() -> None:
    wanted = [objects((0, 0.9, 1), (50, 0.8, 2), (90, 0.55, 1))]
    found = [objects((0, 0.9, 1), (50, 0.8, 3), (130, 0.55, 1))]
    told = BOXES.figures(wanted, found, RULE)
    assert counts(told) == (2, 1, 1) and told["what"] == "objects" and told["mean_iou"] == 1.0
    assert BOXES.agreement(wanted, wanted, 0.1) == 1.0
    assert BOXES.agreement(wanted, found, 0.6) == pytest.approx(0.5)
    assert BOXES.agreement([objects()], found, 0.6) is None


def kept(wanted: Any, found: Any) -> float:
    assert BOXES.kept is not None
    return figure_of(BOXES.kept(wanted, found), len(wanted))


def test_what_is_kept_of_ap_counts_each_thing_as_often_as_its_score_says() -> None:
    """By hand: AP is 0.9 * 0.9 + 0.1 * 0.5 before, where precision at the faint one is (0.9 + 0.1) / 2."""
    wanted = [objects((0, 0.9, 1), (50, 0.1, 1))]
    assert kept(wanted, wanted) == pytest.approx(1.0)
    faint_lost, sure_lost = [objects((0, 0.9, 1))], [objects((50, 0.1, 1))]
    assert kept(wanted, faint_lost) == pytest.approx(1 - 0.1 * 0.5, abs=1e-6)
    assert kept(wanted, sure_lost) == pytest.approx(1 - (0.86 - 0.1 * 0.1), abs=1e-6)
    assert kept(wanted, faint_lost) > kept(wanted, sure_lost)


def test_what_is_kept_of_ap_falls_with_what_is_not_there_and_with_swapped_ranks() -> None:
    wanted = [objects((0, 0.9, 1), (50, 0.5, 1))]
    false_and_first = [objects((200, 0.95, 1), (0, 0.9, 1), (50, 0.5, 1))]
    twice = [objects((0, 0.9, 1), (1, 0.8, 1), (50, 0.5, 1))]
    swapped = [objects((0, 0.4, 1), (50, 0.5, 1))]
    other_class = [objects((0, 0.9, 2), (50, 0.5, 1))]
    for found in (false_and_first, twice, swapped, other_class):
        assert kept(wanted, found) < 1 - 1e-3


def test_faces_keep_their_figures() -> None:
    one = Detections(f32([[0, 0, 9, 9]]), f32([0.9]), np.zeros((1, 5, 2), np.float32))
    told = BOXES.figures([one], [one], RULE)
    assert told == {
        **{"expected": 1, "missed": 0, "extra": 0, "mean_iou": 1.0},
        **{"expected_per_image": [1], "missed_per_image": [0], "extra_per_image": [0]},
    }


def poses(*moved: float, sure: float = 0.9, points: int = 17) -> Detections:
    """People of 100 x 200 in a row, whose points lie `moved` pixels to the right of where they are expected."""
    boxes = f32([[300 * n, 0, 300 * n + 100, 200] for n in range(len(moved))])
    grid = np.stack([np.linspace(10, 90, points), np.linspace(10, 190, points)], axis=1)
    landmarks = f32([grid + (300 * n + away, 0) for n, away in enumerate(moved)])
    scores = np.full(landmarks.shape[:2], sure, np.float32)
    return Detections(boxes, np.full(len(moved), 0.9, np.float32), landmarks, point_scores=scores, names=())


def oks(away: float) -> float:
    """By COCO's formula, of a person of 100 x 200 whose points have all moved alike."""
    area = 0.53 * 100 * 200
    return float(np.mean([np.exp(-(away**2) / (2 * area * (2 * sigma) ** 2)) for sigma in SIGMAS]))


def test_a_pose_whose_points_have_moved_is_missed_and_extra() -> None:
    near, far = 5.0, 40.0
    assert oks(near) > 0.7 and oks(far) < 0.3
    told = BOXES.figures([poses(0, 0, 0)], [poses(0, near, far)], RULE)
    assert counts(told) == (3, 1, 1)
    assert pictures_compared([poses(0)], [poses(far)], RULE) == [
        {**one, "pairs": [], "missed": [0], "extra": [0]}
        for one in pictures_compared([poses(0)], [poses(0)], RULE) or ()
    ]
    assert BOXES.agreement([poses(0, 0)], [poses(0, far)], 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize("iou", [0.5, 0.8])
def test_the_limit_is_that_of_boxes(iou: float) -> None:
    just = next(away for away in np.arange(0, 40, 0.25) if oks(away + 0.25) < iou)
    rule = MatchRule(0.5, 0.1, iou)
    assert counts(BOXES.figures([poses(0)], [poses(just)], rule)) == (1, 0, 0)
    assert counts(BOXES.figures([poses(0)], [poses(just + 0.5)], rule)) == (1, 1, 1)


def test_similarity_is_what_pycocotools_takes() -> None:
    assert COCO_SIGMAS.tolist() == pytest.approx(SIGMAS)
    assert similarity(poses(0, 0), poses(3, 12))[0, 0] == pytest.approx(oks(3))
    assert similarity(poses(0, 0), poses(3, 12))[1, 1] == pytest.approx(oks(12))


def test_points_that_the_reference_is_not_sure_of_do_not_count() -> None:
    assert counts(BOXES.figures([poses(0, sure=0.2)], [poses(90)], RULE)) == (1, 0, 0)
    assert counts(BOXES.figures([poses(0)], [poses(90, sure=0.2)], RULE)) == (1, 1, 1)


def test_the_points_of_a_face_change_no_verdict() -> None:
    assert counts(BOXES.figures([poses(0, points=5)], [poses(90, points=5)], RULE)) == (1, 0, 0)
    assert counts(BOXES.figures([poses(0, points=6)], [poses(90, points=6)], RULE)) == (1, 1, 1)


def classes(*scores: float) -> Classes:
    order = np.argsort(-np.array(scores), kind="stable")
    return Classes(order, f32(scores)[order])


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (classes(0.8, 0.1, 0.1), classes(0.6, 0.3, 0.1), (1, 0, 0)),
        (classes(0.8, 0.1, 0.1), classes(0.3, 0.6, 0.1), (1, 1, 1)),
        (classes(0.8, 0.1, 0.1), classes(0.45, 0.5, 0.05), (1, 0, 0)),  # doubtful in the test
        (classes(0.45, 0.5, 0.05), classes(0.8, 0.1, 0.1), (0, 0, 0)),  # doubtful in the reference
        (classes(0.45, 0.5, 0.05), classes(0.1, 0.1, 0.8), (0, 0, 1)),  # but not between these
    ],
)
def test_a_picture_is_certain_where_only_one_class_is_possible(
    wanted: Classes, found: Classes, expected: tuple[int, int, int]
) -> None:
    told = PICTURES.figures([wanted], [found], RULE)
    assert counts(told) == expected and told["what"] == "pictures"


def test_agreement_of_classes_is_the_share_of_equal_best_ones() -> None:
    a, b, faint = classes(0.8, 0.2), classes(0.2, 0.8), classes(0.05, 0.04)
    assert PICTURES.agreement([a, a, b, faint], [a, b, b, b], 0.1) == pytest.approx(2 / 3)
    assert PICTURES.agreement([faint], [faint], 0.1) is None


def mask(labels: Any, lead: float = 1.0, second: int = 0) -> Mask:
    cells = np.array(labels, np.int16)
    return Mask(cells, np.full_like(cells, second), np.full(cells.shape, lead, np.float32), (1, 1))


def test_pixels_of_the_background_count_only_where_the_other_side_has_more() -> None:
    wanted = mask([[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 2, 2]])
    found = mask([[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 2, 1]])
    told = PIXELS.figures([wanted], [found], RULE)
    assert counts(told) == (4, 2, 2) and told["what"] == "pixels"
    assert told["mean_iou"] == pytest.approx((7 / 9 + 1 / 4 + 1 / 2) / 3, abs=1e-6)
    assert PIXELS.agreement([wanted], [wanted], 0.1) == 1.0


def test_doubtful_pixels_may_be_their_second_best() -> None:
    wanted, doubtful = mask([[0, 0, 1]]), mask([[0, 0, 2]], lead=0.05, second=1)
    assert counts(PIXELS.figures([wanted], [doubtful], RULE)) == (1, 0, 0)
    assert counts(PIXELS.figures([doubtful], [wanted], RULE)) == (0, 0, 0)
    assert counts(PIXELS.figures([wanted], [mask([[0, 0, 2]])], RULE)) == (1, 1, 1)


def text(word: str, *doubtful: int) -> Text:
    lead = f32([0.05 if i in doubtful else 0.9 for i in range(len(word))])
    return Text(np.array([ord(letter) for letter in word], np.int64), f32([0.9] * len(word)), lead)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (text("kitten"), text("kitten"), (6, 0, 0)),
        (text("kitten"), text("sitting"), (6, 2, 3)),
        (text("kitten", 0), text("sitten"), (5, 0, 0)),
        (text("kitten"), text("sitten", 0), (6, 0, 0)),
        (text("kitten", 5), text("kitte"), (5, 0, 0)),
        (text("kitte"), text("kitten"), (5, 0, 1)),
        (text("ab"), text(""), (2, 2, 0)),
    ],
)
def test_characters_are_aligned(wanted: Text, found: Text, expected: tuple[int, int, int]) -> None:
    assert counts(CHARACTERS.figures([wanted], [found], RULE)) == expected


def test_edit_distances_and_agreement_of_text() -> None:
    assert aligned_text([1, 2, 3, 3, 4, 5], [6, 2, 3, 3, 2, 5, 7])[0] == 3  # kitten, sitting
    assert CHARACTERS.agreement([text("kitten"), text("ab")], [text("sitting"), text("ab")], 0.1) == pytest.approx(
        (4 / 7 + 1) / 2
    )
    assert CHARACTERS.agreement([text("")], [text("a")], 0.1) is None


def test_quads_overlap_by_their_area() -> None:
    square = f32([[[0, 0], [10, 0], [10, 10], [0, 10]]])
    diamond = f32([[[5, 0], [10, 5], [5, 10], [0, 5]]])  # half of the square
    away = square + 100
    np.testing.assert_allclose(quad_iou(square, np.concatenate([square, diamond, away])), [[1, 0.5, 0]], atol=1e-6)
    wanted = Regions(np.concatenate([square, away]), f32([0.9, 0.8]))
    found = Regions(np.concatenate([diamond, square + 50]), f32([0.9, 0.8]))
    told = QUADS.figures([wanted], [found], RULE)
    assert counts(told) == (2, 1, 1) and told["what"] == "regions" and told["mean_iou"] == pytest.approx(0.5)
    assert QUADS.agreement([wanted], [wanted], 0.1) == 1.0


def test_points_must_lie_near_by_the_size_of_what_they_mark() -> None:
    wanted = PointSet(f32([[0, 0], [30, 40], [30, 0]]))  # the diagonal is 50, so a twentieth is 2.5
    found = PointSet(f32([[2, 0], [30, 43], [30, 0]]))
    told = POINTS.figures([wanted], [found], RULE)
    assert counts(told) == (3, 1, 0) and told["closeness"] == pytest.approx((0.6 + 0.4 + 1) / 3, abs=1e-6)
    assert POINTS.agreement([wanted], [wanted], 0.1) == 1.0


def test_every_kind_but_tensors_is_compared_and_has_a_noun() -> None:
    assert set(COMPARISONS) == set(PREDICTIONS) - {"tensors"}
    assert comparison_of([Tensors({})]) is None and comparison_of([]) is None
    examples = (objects(), classes(1), mask([[0]]), text(""), PointSet(f32([[0, 0]])))
    assert [comparison_of([one]) for one in examples] == [BOXES, PICTURES, PIXELS, CHARACTERS, POINTS]
    counted = {row.what(examples[0]) for row in (BOXES, PICTURES, PIXELS, CHARACTERS, POINTS, QUADS)}
    assert counted | {"faces"} == set(NOUNS)


@pytest.mark.parametrize("command", ["measure", "compare", "agree"])
def test_a_comparison_counts_for_the_commands_that_use_it(command: str) -> None:
    assert "measure/comparisons/*.py" in COMMANDS[command].sources
