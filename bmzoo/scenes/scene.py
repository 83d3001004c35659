"""Composition of scenes: background, objects, people from back to front, and camera effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.errors import ConfigError, nearest
from bmzoo.scenes.backgrounds import background
from bmzoo.scenes.camera import photograph
from bmzoo.scenes.canvas import Image
from bmzoo.scenes.faces import person
from bmzoo.scenes.head import Head, pose
from bmzoo.scenes.lookalikes import lookalike

KINDS = ("single", "group", "crowd", "empty")
SMALLEST = 8.0  # pixels; the height of the smallest head
# Probability of each of KINDS where the seed chooses.
_SHARES = (0.3, 0.35, 0.2, 0.15)
# Kind -> smallest and largest number of heads; and ranges of their height, as a share of the shorter side.
_HEADS = {"single": (1, 1), "group": (2, 8), "crowd": (8, 36), "empty": (0, 0)}
_HEIGHTS = {"single": (0.08, 0.625), "group": (0.05, 0.32), "crowd": (0.0125, 0.11), "empty": (0.05, 0.3)}
# Largest share of the smaller of two heads that the other may occlude.
_HIDDEN = 0.2


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and the faces in it.

    image uint8 [H,W,3] BGR. boxes float32 [n,4]: x1, y1, x2, y2 of the heads' silhouettes, without hair and
    ears, within 0..W and 0..H. landmarks float32 [n,5,2]: x, y of left eye, right eye, tip of the nose, left and
    right corner of the mouth, left as seen in the picture, all inside it. Pixel i covers i to i + 1.
    """

    image: Image
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]


def draw(seed: int, height: int, width: int, kind: str | None = None) -> Scene:
    """The scene of a seed >= 0; equal arguments give equal bytes in every process.

    `kind` is one of KINDS; None lets the seed choose. Heads are 8 pixels to 5/8 of the shorter side high.
    Raises ConfigError for an unknown kind and for sides below 32.
    """
    if kind is not None and kind not in KINDS:
        near = nearest(kind, KINDS)
        hint = f"did you mean `{near}`?" if near else f"allowed: {', '.join(KINDS)}"
        raise ConfigError(f"scene: kind: unknown: {kind}", hint)
    if min(height, width) < 32:
        raise ConfigError(f"scene: sides must be at least 32: {height}x{width}")
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, height, width))))
    chosen = str(random.choice(KINDS, p=_SHARES))
    kind = kind or chosen
    image = background(random, height, width)
    _things(image, random, kind)
    heads = _people(image, random, kind)
    smallest = min((head.size for head in heads), default=0.1 * min(height, width))
    image = photograph(image, random, smallest)
    boxes = np.array([head.box() for head in heads], np.float32).reshape(-1, 4)
    landmarks = np.array([head.landmarks() for head in heads], np.float32).reshape(-1, 5, 2)
    return Scene(image, np.clip(boxes, 0, np.array([width, height] * 2, np.float32)), landmarks)


def _things(image: Image, random: Generator, kind: str) -> None:
    height, width = image.shape[:2]
    for _ in range(random.poisson(5 if kind == "empty" else 2)):
        x, y = random.uniform(0, (width, height))
        lookalike(image, random, x, y, _log_uniform(random, 6, 0.2 * min(height, width)))


def _people(image: Image, random: Generator, kind: str) -> list[Head]:
    """Paint people; returns the heads with a visible face, which are the ground truth."""
    height, width = image.shape[:2]
    light = _lamp(random)
    fewest, most = _HEADS[kind]
    heads = _placed(random, (height, width), kind, int(random.integers(fewest, most + 1)))
    # Heads without a visible face are hard negatives.
    blank = random.random(len(heads)) < 0.07
    if kind == "empty" and random.random() < 0.4:
        heads = _placed(random, (height, width), "group", int(random.integers(1, 5)))
        blank = np.ones(len(heads), np.bool_)
    # In order of chin height: shoulders begin below the chin, so no body covers a face that is already drawn.
    for head, hidden in sorted(zip(heads, blank, strict=True), key=lambda one: one[0].y + one[0].unit):
        person(image, head, light + random.normal(0, 0.06, 3), random, face=not hidden)
    return [head for head, hidden in zip(heads, blank, strict=True) if not hidden]


def _placed(random: Generator, size: tuple[int, int], kind: str, count: int) -> list[Head]:
    """Up to `count` heads with little mutual occlusion and all landmarks inside the picture."""
    height, width = size
    low, high = (share * min(size) for share in _HEIGHTS[kind])
    low = max(low, SMALLEST)
    typical = _log_uniform(random, low, max(high, low))
    heads: list[Head] = []
    for _ in range(4 * count):
        tall = float(np.clip(typical * math.exp(random.normal(0, 0.3)), low, max(high, low)))
        x, y = random.uniform(0, width), random.uniform(0.1 if kind == "crowd" else 0, 1) * height
        head = pose(random, x, y, tall)
        if len(heads) < count and _fits(head, heads, size):
            heads.append(head)
    return heads


def _fits(head: Head, others: Sequence[Head], size: tuple[int, int]) -> bool:
    inside = head.landmarks()
    if (inside < 1).any() or (inside >= np.array(size[::-1]) - 1).any():
        return False
    for other in others:
        x = abs(head.x - other.x) / (head.size + other.size)
        y = abs(head.y - other.y) / (head.size + other.size)
        reach = 0.5 - _HIDDEN * min(head.size, other.size) / (head.size + other.size)
        if x < 0.85 * reach and y < reach + 0.12:
            return False
    return True


def _lamp(random: Generator) -> NDArray[np.float64]:
    """A random direction of light, for `features.relief`."""
    lamp = np.array([random.normal(0, 0.3), random.uniform(-0.35, 0.1), random.uniform(0.2, 0.7)])
    return np.clip(lamp, -0.6, 0.7)


def _log_uniform(random: Generator, low: float, high: float) -> float:
    return math.exp(random.uniform(math.log(low), math.log(max(high, low))))
