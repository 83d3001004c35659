"""What two networks found in each picture, and what of it differs: for people to look at."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.comparisons.characters import aligned_text
from bmzoo.measure.comparisons.comparison import MatchRule
from bmzoo.measure.comparisons.pixels import surely_differ
from bmzoo.measure.comparisons.quads import quad_iou
from bmzoo.measure.matching import Match, match_detections, match_scored
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.drawing import colour
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.prediction import Prediction
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.text import Text

# Past these nobody looks at single boxes.
MOST_FACES = 500
# Cells of a mask on a side: there may be eight on a page, each twice.
MOST_CELLS = 256
# Of a class over the picture, 0 to 255, and BGR of cells that surely differ, which are opaque.
OPACITY, DIFFERS = 140, (60, 0, 255)
Told = dict[str, Any]


def pictures_compared(
    reference: Sequence[Prediction], test: Sequence[Prediction], rule: MatchRule
) -> list[Told] | None:
    """By picture what `reference` and `test` found, and what differs by the comparison of verdicts; JSON-able.

    Both are decoded down to `rule.confidence - rule.margin`. `onnx`, `artifact`: a row for each box or region, in
    pixels of the network's input and best first, x and y of its corners (of boxes two) and its score; `pairs`,
    `missed` and `extra` are indices of these. Masks have `overlays` in their place, two PNG in base64, and what has
    no place in the picture has `said`, two texts; `differs` is a number of cells, characters or classes. None for
    predictions that nobody could look at.
    """
    kinds = {type(one) for one in (*reference, *test)}
    told = _KINDS.get(kinds.pop()) if len(kinds) == 1 else None
    return None if told is None else [told(a, b, rule) for a, b in zip(reference, test, strict=True)]


def _boxes(reference: Detections, test: Detections, rule: MatchRule) -> Told:
    match = match_detections(reference, test, rule.confidence, rule.margin, rule.iou)
    return _matched((reference.boxes, reference.scores), (test.boxes, test.scores), match)


def _regions(reference: Regions, test: Regions, rule: MatchRule) -> Told:
    overlap, scores = quad_iou(reference.quads, test.quads), (reference.scores, test.scores)
    match = match_scored(overlap, scores, rule.confidence, rule.margin, rule.iou)
    first, second = ((one.quads.reshape(-1, 8), one.scores) for one in (reference, test))
    return _matched(first, second, match)


def _matched(reference: tuple[Any, Any], test: tuple[Any, Any], match: Match) -> Told:
    return {
        "onnx": _rows(*reference),
        "artifact": _rows(*test),
        "pairs": [list(pair) for pair in match.pairs if max(pair) < MOST_FACES],
        "missed": [index for index in match.missing if index < MOST_FACES],
        "extra": [index for index in match.extra if index < MOST_FACES],
    }


def _rows(corners: NDArray[np.float32], scores: NDArray[np.float32]) -> list[list[float]]:
    """Corners and score of each; what is not finite is no box."""
    rows: NDArray[np.float64] = np.column_stack([corners, scores]).astype(np.float64)[:MOST_FACES]
    return [[round(value, 4) for value in row] for row in np.nan_to_num(rows, posinf=1e6, neginf=-1e6).tolist()]


def _masks(reference: Mask, test: Mask, rule: MatchRule) -> Told:
    odd = surely_differ(reference, test, rule.margin)
    share = f"{odd.mean():.2%} of cells differ" if odd.any() else ""
    return {
        "overlays": [_overlay(one, odd) for one in (reference, test)],
        "said": [_largest(one) for one in (reference, test)],
        "differs": int(odd.sum()),
        "difference": share,
    }


def _largest(mask: Mask) -> str:
    """The classes that take most of the picture."""
    return ("" if mask.names else "class ") + ", ".join(line.partition(" ")[2] for line in mask.lines()[1:6])


def _overlay(mask: Mask, odd: NDArray[np.bool_]) -> str:
    """A PNG in base64: class 0 is clear, the others have their colours, and what surely differs is red."""
    step = -(-max(mask.labels.shape) // MOST_CELLS)
    labels, odd = mask.labels[::step, ::step], odd[::step, ::step]
    pixels = np.zeros((*labels.shape, 4), np.uint8)
    for label in np.unique(labels[labels > 0]).tolist():
        pixels[labels == label] = (*colour(label), OPACITY)
    pixels[odd] = (*DIFFERS, 255)
    return base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode("ascii")


def _texts(reference: Text, test: Text, rule: MatchRule) -> Told:
    distance, _ = aligned_text(reference.labels.tolist(), test.labels.tolist())
    said = [f"{one} ({one.score:.2f})" for one in (reference, test)]
    return {"said": said, "differs": distance, "difference": _count(distance, "character") if distance else ""}


def _classes(reference: Classes, test: Classes, rule: MatchRule) -> Told:
    differs = int(reference.labels[0] != test.labels[0])
    said = [", ".join(_name_first(line) for line in one.lines()[1:4]) for one in (reference, test)]
    return {"said": said, "differs": differs, "difference": "another class" if differs else ""}


def _name_first(line: str) -> str:
    score, _, name = line.partition(" ")
    return f"{name} ({float(score):.2f})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s differ' if number > 1 else ' differs'}"


_KINDS: Mapping[type, Callable[[Any, Any, MatchRule], Told]] = {
    **{Detections: _boxes, Regions: _regions, Mask: _masks},
    **{Text: _texts, Classes: _classes},
}
