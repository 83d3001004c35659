"""Painting people: body, hair, head, face, and what they wear."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.scenes.canvas import Canvas, Image
from bmzoo.scenes.features import Look, eyes, mouth, nose, relief
from bmzoo.scenes.features import look as some_look
from bmzoo.scenes.head import Head
from bmzoo.scenes.palette import darker, hair, mixed, noise, paint, skin
from bmzoo.scenes.wear import beard, glasses, hair_before, hair_behind, hat, mask, obstacle, scarf, style

_FINE = 72  # smallest height in pixels at which a head is drawn, before it is scaled down
_MOST_ZOOM = 7
# Probability of each of these for a head.
_BEARD, _GLASSES, _HAT, _SCARF, _MASK, _OBSTACLE = 0.2, 0.18, 0.1, 0.05, 0.02, 0.1


def person(image: Image, head: Head, light: NDArray[np.float64], random: Generator, face: bool = True) -> None:
    """Paint a person into the picture; without `face` a head that shows none, seen from behind or featureless.

    `light` [3] is that of `relief`.
    """
    look = some_look(random, skin(random), hair(random))
    if random.random() < 0.9:
        _body(image, head, random, look)
    canvas = _canvas(image, head)
    if canvas.empty:
        return
    _neck(canvas, head, look)
    worn = style(random)
    hooded = random.random() < _SCARF
    if hooded:
        scarf(canvas, head, random)
    else:
        hair_behind(canvas, head, random, look, worn)
    if worn in ("short", "bald", "bun") and not hooded:
        _ears(canvas, head, look)
    blank = None if face else random.choice(["behind", "featureless"])
    canvas.fill(head.outline(), look.hair if blank == "behind" else look.skin)
    if face and random.random() < _BEARD:
        beard(canvas, head, random, look)
    _light(canvas, head, light, random, hollows=face)
    if face:
        nose(canvas, head, look, lit_from_left=light[0] < 0)
        mouth(canvas, head, look)
        eyes(canvas, head, look)
    if not hooded:
        hair_before(canvas, head, random, look, worn)
    _accessories(canvas, head, random, look, face)
    canvas.paste()


def _canvas(image: Image, head: Head) -> Canvas:
    """A window around head and shoulders; heads are enlarged until they are at least 72 pixels high."""
    unit = head.unit
    window = (head.x - 2.1 * unit, head.y - 2.0 * unit, head.x + 2.1 * unit, head.y + 2.5 * unit)
    return Canvas(image, window, zoom=int(np.clip(math.ceil(_FINE / head.size), 1, _MOST_ZOOM)))


def _body(image: Image, head: Head, random: Generator, look: Look) -> None:
    """Shoulders, arms and legs, as far as the picture goes."""
    unit, cloth, trousers = head.unit, paint(random), darker(paint(random, 0.6), 0.7)
    middle = np.array([head.x - math.sin(head.roll) * 0.3 * unit, head.y])
    canvas = Canvas(image, (head.x - 4 * unit, head.y, head.x + 4 * unit, head.y + 14 * unit))
    if canvas.empty:
        return
    wide, slope, waist = random.uniform(1.4, 1.9), random.uniform(1.35, 1.6), random.uniform(5.0, 6.0)
    for side in (-1, 1):
        foot = middle + np.array([side * random.uniform(0.5, 1.0), 13.0]) * unit
        canvas.line(np.stack([middle + np.array([side * 0.5, waist]) * unit, foot]), trousers, 0.9 * unit)
        elbow, hand = (
            np.array([side * random.uniform(1.6, 2.6), 3.8]),
            np.array([side * random.uniform(0.3, 2.8), 5.5]),
        )
        arm = middle + np.stack([np.array([side * (wide - 0.35), slope + 0.5]), elbow, hand]) * unit
        canvas.line(arm, darker(cloth, 0.8), 0.55 * unit)
        canvas.ellipse(arm[2], (0.3 * unit, 0.36 * unit), 0, darker(look.skin, 0.85))
    half = [
        (-wide * 0.75, waist + 0.6),
        (-wide * 0.8, 4.0),
        (-wide, slope + 0.4),
        (-wide * 0.8, slope),
        (-0.4, slope - 0.3),
    ]
    torso = middle + np.array([*half, *((-x, y) for x, y in reversed(half))]) * unit
    canvas.fill(torso, cloth)
    detail = paint(random)
    if random.random() < 0.35:
        for y in np.arange(slope + 0.5, waist, random.uniform(0.3, 0.6)).tolist():
            canvas.line(middle + np.array([(-wide * 0.8, y), (wide * 0.8, y)]) * unit, detail, 0.12 * unit)
    if random.random() < 0.5:
        collar = np.array([(-0.45, slope - 0.2), (0, slope + 0.5), (0.45, slope - 0.2)])
        canvas.line(middle + collar * unit, detail, 0.12 * unit)
        canvas.line(middle + np.array([(0, slope + 0.5), (0, waist)]) * unit, darker(detail, 0.8), 0.1 * unit)
    rough = np.float32(random.uniform(0.1, 0.4))
    corners = np.stack([torso.min(0), torso.max(0)])
    canvas.shade(1 + noise(random, 40, 28, 4, 0.8) * rough, corners, torso)
    canvas.paste()


def _neck(canvas: Canvas, head: Head, look: Look) -> None:
    middle = np.array([head.x - math.sin(head.roll) * 0.3 * head.unit, head.y])
    neck = np.array([(-0.4, 0.4), (0.4, 0.4), (0.44, 1.35), (0.0, 1.65), (-0.44, 1.35)])
    canvas.fill(middle + neck * head.unit, darker(look.skin, 0.7))


def _ears(canvas: Canvas, head: Head, look: Look) -> None:
    for side in (-1, 1):
        centre = head.project(np.array([(side * head.width * 1.0, 0.02, -0.08)]))[0]
        size = (0.12 * head.unit, 0.22 * head.unit)
        canvas.ellipse(centre, size, head.roll, darker(look.skin, 0.85))
        canvas.ellipse(centre, (size[0] * 0.5, size[1] * 0.6), head.roll, darker(look.skin, 0.65))


def _light(canvas: Canvas, head: Head, light: NDArray[np.float64], random: Generator, hollows: bool) -> None:
    outline = head.outline()
    corners = np.stack([outline.min(0), outline.max(0)])
    shade = relief(head, light, hollows)
    shade *= 1 + noise(random, shade.shape[0], shade.shape[1], 3, 0.9) * np.float32(random.uniform(0.05, 0.22))
    canvas.shade(shade, corners, outline)


def _accessories(canvas: Canvas, head: Head, random: Generator, look: Look, face: bool) -> None:
    if face and random.random() < _GLASSES:
        glasses(canvas, head, random)
    if random.random() < _HAT:
        hat(canvas, head, random)
    if face and random.random() < _MASK:
        mask(canvas, head, random)
    if face and random.random() < _OBSTACLE:
        obstacle(canvas, head, random, mixed(look.skin, paint(random), 0.2))
