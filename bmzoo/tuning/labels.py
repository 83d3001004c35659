"""Label placement in a scatter plot, without overlap of labels, points, lines and the border. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, cos, hypot, pi, sin

Pixel = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
# Candidate distances of a label from its point (pixels), and the number of directions tried at each.
REACH = (0, 8, 16, 26, 38, 52, 70, 92, 120, 150)
DIRECTIONS = 24
# Half the side of a marker, and of the squares that approximate a line (pixels).
MARKER = 7.0
LINE = 2.0


@dataclass(frozen=True)
class Label:
    """A text, and the centre of its position in pixels."""

    text: str
    at: Pixel
    far: bool  # so far from its point that it needs a leader line


def place_labels(
    points: Sequence[Pixel], texts: Sequence[str], lines: Sequence[Pixel], size: Pixel, glyph: Pixel
) -> list[Label]:
    """Greedily place a label near each point, in a plot of `size` (width, height); empty texts stay empty.

    `lines`: the corners of a polyline to avoid. `glyph`: width and height of a letter. All in pixels. Earlier texts
    have priority; a label that fits nowhere is placed where it overlaps least.
    """
    taken = [(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in points]
    taken += [box for a, b in zip(lines, lines[1:], strict=False) for box in _along(a, b)]
    labels = []
    for point, text in zip(points, texts, strict=True):
        if not text:
            labels.append(Label("", point, False))
            continue
        rows = text.split("\n")
        half = (max(map(len, rows)) * glyph[0] / 2 + 2, len(rows) * glyph[1] / 2)
        best = min(_around(point, half), key=lambda at: _badness(at, point, half, taken, size))
        taken.append(_box(best, half))
        taken += _joint(best, point, half)
        labels.append(Label(text, best, bool(_joint(best, point, half))))
    return labels


def _around(point: Pixel, half: Pixel) -> Iterator[Pixel]:
    for reach in REACH:
        for step in range(DIRECTIONS):
            angle = 2 * pi * step / DIRECTIONS
            far = MARKER + 2 + reach
            yield point[0] + cos(angle) * (half[0] + far), point[1] - sin(angle) * (half[1] + far)


def _badness(at: Pixel, point: Pixel, half: Pixel, taken: Sequence[Box], size: Pixel) -> tuple[float, float]:
    """Cost of a position: overlap (square pixels) of the text and its leader line, then the distance."""
    covered = _covered(_box(at, half), taken, size)
    covered += sum(_covered(box, taken, size) for box in _joint(at, point, half))
    return covered, _away(at, point, half)


def _joint(at: Pixel, point: Pixel, half: Pixel) -> list[Box]:
    """Boxes along the leader line from a text to its point, if it needs one, without the end at the point."""
    if _away(at, point, half) <= 2 * MARKER:
        return []
    edge = tuple(min(max(p, c - h), c + h) for p, c, h in zip(point, at, half, strict=True))
    away = hypot(edge[0] - point[0], edge[1] - point[1])
    start = tuple(p + (e - p) * 1.5 * MARKER / away for p, e in zip(point, edge, strict=True))
    return _along((start[0], start[1]), (edge[0], edge[1]))[:-1]


def _along(start: Pixel, end: Pixel) -> list[Box]:
    """Small squares that approximate a line."""
    count = max(1, ceil(hypot(end[0] - start[0], end[1] - start[1]) / (2 * LINE)))
    between = (tuple(s + (e - s) * i / count for s, e in zip(start, end, strict=True)) for i in range(count + 1))
    return [(x - LINE, y - LINE, x + LINE, y + LINE) for x, y in between]


def _box(at: Pixel, half: Pixel) -> Box:
    return at[0] - half[0], at[1] - half[1], at[0] + half[0], at[1] + half[1]


def _away(at: Pixel, point: Pixel, half: Pixel) -> float:
    """Distance from the point to the nearest edge of the text, in pixels."""
    return hypot(max(abs(at[0] - point[0]) - half[0], 0.0), max(abs(at[1] - point[1]) - half[1], 0.0))


def _covered(box: Box, taken: Sequence[Box], size: Pixel) -> float:
    """Overlap of a box with others and with the outside of the plot, in square pixels."""
    left, top, right, bottom = box
    inside = max(min(right, size[0]) - max(left, 0.0), 0.0) * max(min(bottom, size[1]) - max(top, 0.0), 0.0)
    shared = sum(
        max(min(right, r) - max(left, x), 0.0) * max(min(bottom, b) - max(top, y), 0.0) for x, y, r, b in taken
    )
    return (right - left) * (bottom - top) - inside + shared
