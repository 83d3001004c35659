"""Eyes, brows, nose and mouth, painted where a head has them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.scenes.canvas import Canvas, Colour, Points
from bmzoo.scenes.head import EYE, Head
from bmzoo.scenes.palette import darker, mixed

_RELIEF = 28  # cells across the map of a face's light and shadow
# Soft hollows (below 0) and bulges of a face: x, y, radius in x and y, strength.
_HOLLOWS = (
    *((side * EYE[0], EYE[1] - 0.02, 0.24, 0.15, -0.24) for side in (-1, 1)),
    *((side * 0.42, 0.22, 0.2, 0.18, 0.1) for side in (-1, 1)),
    (0.0, -0.5, 0.45, 0.2, 0.07),
    (0.0, 0.36, 0.2, 0.07, -0.2),
    (0.0, 0.14, 0.06, 0.2, 0.12),
    (0.0, 0.72, 0.2, 0.07, -0.15),
    (0.0, 0.87, 0.2, 0.1, 0.06),
)


@dataclass(frozen=True)
class Look:
    """Parameters of a face; lengths in units of half the head's height."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    eye_width: float
    eye_height: float  # 0 is closed
    brow: float  # thickness
    brow_raised: float
    smile: float  # how much higher the corners are than the middle
    open_mouth: float
    nose_width: float


def look(random: Generator, skin: Colour, hair: Colour) -> Look:
    """A random face."""
    irises = ((40, 52, 78), (24, 32, 48), (150, 116, 82), (86, 110, 80), (60, 80, 110))
    lips = mixed(darker(skin, 0.82), (86, 70, 190), random.uniform(0.1, 0.55))
    closed = random.random() < 0.08
    return Look(
        skin,
        hair,
        iris=irises[random.integers(len(irises))],
        lips=lips,
        eye_width=random.uniform(0.13, 0.18),
        eye_height=0.0 if closed else random.uniform(0.045, 0.095),
        brow=random.uniform(0.035, 0.085),
        brow_raised=random.uniform(0.15, 0.24),
        smile=random.normal(0.04, 0.05),
        open_mouth=max(0.0, random.normal(0.02, 0.09)),
        nose_width=random.uniform(0.11, 0.18),
    )


def eyes(canvas: Canvas, head: Head, look: Look) -> None:
    """Both eyes and brows."""
    unit = head.unit
    for side in (-1, 1):
        x, y = side * EYE[0], EYE[1]
        inner, centre, outer = head.at((x - 0.1, y), (x, y), (x + 0.1, y))
        width = look.eye_width * math.dist(inner, outer) / 0.2
        angle = math.atan2(outer[1] - inner[1], outer[0] - inner[0])
        height = look.eye_height * unit
        along = np.array([math.cos(angle), math.sin(angle)])
        down = np.array([-along[1], along[0]])
        lid = [centre - along * width * 1.1, centre - down * height * 1.15, centre + along * width * 1.1]
        if height:
            canvas.ellipse(centre, (width, height), angle, mixed(darker(look.skin, 0.5), (235, 235, 240), 0.75))
            radius = min(0.078 * unit, height * 1.15)
            canvas.ellipse(centre, (min(radius, width * 0.7), min(radius, height)), angle, look.iris)
            canvas.ellipse(centre, (radius * 0.45, radius * 0.45), 0, (14, 12, 12))
            canvas.ellipse(centre - down * radius * 0.35 + along * radius * 0.3, (radius * 0.2,) * 2, 0, (240,) * 3)
        curve = bow(lid[0], lid[2], -look.eye_height * 1.2 * unit if height else 0.04 * unit)
        canvas.line(curve, darker(look.skin, 0.32), 0.035 * unit)
        brow_y = y - look.brow_raised
        brow = head.at((x - side * 0.15, brow_y + 0.02), (x, brow_y - 0.03), (x + side * 0.19, brow_y + 0.03))
        canvas.line(brow, mixed(look.hair, darker(look.skin, 0.5), 0.25), look.brow * unit)


def nose(canvas: Canvas, head: Head, look: Look, lit_from_left: bool) -> None:
    """A ridge shaded on one side, wings and nostrils."""
    unit = head.unit
    shadow = darker(look.skin, 0.66)
    tip = head.landmarks()[2].astype(np.float64)
    side = 1 if lit_from_left else -1
    bridge = head.at((side * 0.06, EYE[1] + 0.02))[0]
    width = look.nose_width * unit * math.cos(head.yaw)
    along = np.array([math.cos(head.roll), math.sin(head.roll)])
    down = np.array([-along[1], along[0]])
    wing = tip + along * width * side + down * 0.04 * unit
    canvas.line(np.array([bridge, (bridge + wing) / 2 + along * 0.01 * unit, wing]), shadow, 0.03 * unit)
    base = bow(tip - along * width + down * 0.06 * unit, tip + along * width + down * 0.06 * unit, 0.05 * unit)
    canvas.line(base, shadow, 0.035 * unit)
    for at in (-0.5, 0.5):
        centre = tip + along * width * at + down * 0.085 * unit
        canvas.ellipse(centre, (0.04 * unit * math.cos(head.yaw), 0.022 * unit), head.roll, darker(look.skin, 0.3))
    canvas.ellipse(tip - down * 0.03 * unit, (0.045 * unit, 0.035 * unit), head.roll, darker(look.skin, 1.16))


def mouth(canvas: Canvas, head: Head, look: Look) -> None:
    """Lips between the corners, open or closed, with or without teeth."""
    unit = head.unit
    left, right = head.landmarks()[3:].astype(np.float64)
    bend, gap = look.smile * unit, look.open_mouth * unit
    upper, lower = bow(left, right, bend - 0.5 * gap), bow(left, right, bend + 1.4 * gap)
    canvas.fill(
        np.concatenate([bow(left, right, bend - 0.5 * gap - 0.09 * unit), upper[::-1]]), darker(look.lips, 0.92)
    )
    canvas.fill(np.concatenate([bow(left, right, bend + 1.4 * gap + 0.12 * unit), lower[::-1]]), look.lips)
    if gap > 0.03 * unit:
        canvas.fill(np.concatenate([upper, lower[::-1]]), (30, 20, 50))
        teeth = bow(left, right, bend + 0.3 * gap)[1:-1]
        canvas.fill(np.concatenate([upper[1:-1], teeth[::-1]]), (215, 226, 230))
    else:
        canvas.line(upper, darker(look.lips, 0.5), 0.03 * unit)


def relief(head: Head, light: NDArray[np.float64], hollows: bool) -> NDArray[np.float32]:
    """Brightness of a head's surface, [28,28] over its box: a matt ellipsoid in the light, with hollows on it.

    `light` [3] points to the lamp: right, down, towards the viewer; its length is the contrast.
    """
    at = (np.arange(_RELIEF, dtype=np.float64) + 0.5) / _RELIEF * 2 - 1
    x, y = np.meshgrid(at * head.width, at)
    normal_z = np.sqrt(np.maximum(0, 1 - np.minimum((x / head.width) ** 2 + y**2, 0.96)))
    shade = 1 + light[0] * x / head.width + light[1] * y + light[2] * (normal_z - 0.75)
    if hollows:
        points = head.at(*((hollow[0], hollow[1]) for hollow in _HOLLOWS))
        points = (points - (head.x, head.y)) / head.unit
        for (px, py), (_, _, wide, high, strength) in zip(points, _HOLLOWS, strict=True):
            shade += strength * np.exp(-(((x - px) / wide) ** 2) - ((y - py) / high) ** 2)
    clipped: NDArray[np.float32] = np.clip(shade, 0.25, 1.6).astype(np.float32)
    return clipped


def bow(start: NDArray[np.float64], end: NDArray[np.float64], depth: float) -> Points:
    """A curve [9,2] that hangs `depth` pixels below the straight line in its middle, above where it is negative."""
    at = np.linspace(0, 1, 9)[:, None]
    down = np.array([-(end - start)[1], (end - start)[0]]) / max(1e-6, math.dist(start, end))
    curve: Points = start + (end - start) * at + down * depth * 4 * at * (1 - at)
    return curve
