"""What a set of pictures is like, in a few numbers for each, and how far it is from another set.

Sets are compared by the share of pairs in which one is the larger (Mann and Whitney, 1947): half for sets that are
alike, and 0 or 1 where they do not even overlap.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bmzoo.errors import SourceError
from bmzoo.runtime.preprocess import read_image

# The longer side that pictures are looked at in, in pixels.
_SIDE = 128
# So much of the pairs: sets that hardly overlap. Two random halves of 16 pictures reach 0.85 in one of 1000.
APART = 0.95
# Of fewer pictures nothing is said.
_FEWEST = 5
# Grey levels: night is below, and far below what it is compared with.
NIGHT, _DARKER = 60.0, 0.6
# Neighbours in a picture are alike (Kersten, Predictability and redundancy of natural images, 1987): 0.9 and more;
# in noise they are not. Half is neither.
_NOISE = 0.5
# Two pictures that differ by less than this share of their contrast are one, looked at in so many cells a side.
SAME = 0.1
_GRID = 16
# Grey levels: a picture whose deviation is below is of one colour.
_FLAT = 2.0

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Statistics:
    """Of one picture: grey levels 0 to 255, how colourful it is, and how alike neighbours are, -1 to 1."""

    brightness: float
    contrast: float
    colour: float
    neighbours: float

    @property
    def empty(self) -> bool:
        """Whether it is of one colour, or noise."""
        return self.contrast < _FLAT or self.neighbours < _NOISE


def statistics(picture: Picture) -> Statistics:
    """Of a picture, uint8 [H,W,3] BGR."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    ratio = min(1.0, _SIDE / max(grey.shape))
    small = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA) if ratio < 1 else picture
    spread = small.max(axis=2).astype(np.float32) - small.min(axis=2)
    return Statistics(float(grey.mean()), float(grey.std()), float(spread.mean()), _neighbours(grey))


def of_folder(folder: Path) -> list[Statistics]:
    """Of the pictures of a folder that can be read; none where there is no folder."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(SourceError):  # whoever feeds the network warns of it
            found.append(statistics(read_image(path)))
    return found


def _neighbours(grey: NDArray[np.float32]) -> float:
    """The correlation of pixels with those on their right."""
    left, right = grey[:, :-1].ravel(), grey[:, 1:].ravel()
    if not left.size or left.std() == 0 or right.std() == 0:
        return 1.0
    return float(np.corrcoef(left, right)[0, 1])


def nearly_same(pictures: Sequence[Picture]) -> list[tuple[int, int]]:
    """Pairs of pictures that are one and the same, or nearly. Those of one colour are none."""
    small = [cv2.resize(one, (_GRID, _GRID), interpolation=cv2.INTER_AREA).mean(axis=2).ravel() for one in pictures]
    return copies(np.asarray(small, np.float32)) if small else []


def copies(small: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs of rows that are one and the same, or nearly. `small`: a picture a row; one colour is none."""
    contrast = small.std(axis=1)
    found = []
    for second in range(1, len(small)):
        apart = np.sqrt(np.mean((small[:second] - small[second]) ** 2, axis=1))
        limit = SAME * np.minimum(contrast[:second], contrast[second])
        found += [(int(first), second) for first in np.flatnonzero(apart < limit)]
    return found


def larger(one: Sequence[float], other: Sequence[float]) -> float:
    """In what share of pairs that of the first is the larger; ties are half."""
    a, b = np.asarray(one)[:, None], np.asarray(other)[None]
    return float(((a > b) + 0.5 * (a == b)).mean())


def unlike(own: Sequence[Statistics], other: Sequence[Statistics], named: str) -> list[str]:
    """How a set of pictures is unlike another, which is `named`: night only, or hardly alike. Mostly nothing."""
    if min(len(own), len(other)) < _FEWEST:
        return []
    ours, theirs = (float(np.median([one.brightness for one in some])) for some in (own, other))
    if ours < NIGHT and ours < _DARKER * theirs and _share(own, other, "brightness") < 1 - APART:
        return [f"night pictures only: brightness {ours:.0f} of 255, {theirs:.0f} in {named}"]
    said = []
    for key, word in _WORDS.items():
        share = _share(own, other, key)
        if max(share, 1 - share) > APART:
            values = (float(np.median([getattr(one, key) for one in some])) for some in (own, other))
            said.append("{word} {:.0f}, {:.0f} there".format(*values, word=word))
    return [f"unlike the pictures of {named}: {'; '.join(said)}"] if said else []


_WORDS: Mapping[str, str] = {"brightness": "brightness", "contrast": "contrast", "colour": "colour"}


def _share(own: Sequence[Statistics], other: Sequence[Statistics], key: str) -> float:
    return larger([getattr(one, key) for one in own], [getattr(one, key) for one in other])
