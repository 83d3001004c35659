"""Hard negatives: objects that look like faces, round, with spots where eyes and mouths might be."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from bmzoo.scenes.canvas import Canvas, Image, Points
from bmzoo.scenes.palette import darker, noise, paint, skin


def lookalike(image: Image, random: Generator, x: float, y: float, radius: float) -> None:
    """Paint a random one into the picture, within `radius` pixels of (x, y)."""
    window = (x - 1.5 * radius, y - 1.5 * radius, x + 1.5 * radius, y + 1.5 * radius)
    canvas = Canvas(image, window, zoom=int(np.clip(math.ceil(24 / radius), 1, 6)))
    if canvas.empty:
        return
    _THINGS[random.integers(len(_THINGS))](canvas, random, np.array([x, y]), radius)
    if random.random() < 0.7:
        light = 1 + noise(random, 12, 12, 2, 0.7) * np.float32(random.uniform(0.1, 0.5))
        around = np.linspace(0, 2 * math.pi, 24)
        disc = np.column_stack([np.cos(around), np.sin(around)]) * radius * 0.92 + (x, y)
        canvas.shade(light, np.array([(x - radius, y - radius), (x + radius, y + radius)]), disc)
    canvas.paste()


def _clock(canvas: Canvas, random: Generator, at: Points, radius: float) -> None:
    canvas.ellipse(at, (radius, radius), 0, darker(paint(random), 0.6))
    canvas.ellipse(at, (radius * 0.88, radius * 0.88), 0, (random.uniform(190, 250),) * 3)
    for hour in np.arange(12) * math.pi / 6:
        way = np.array([math.cos(hour), math.sin(hour)]) * radius
        canvas.line(np.stack([at + way * 0.7, at + way * 0.8]), (40, 40, 40), radius * 0.05)
    for length in (0.45, 0.65):
        hand = random.uniform(0, 2 * math.pi)
        tip = at + np.array([math.cos(hand), math.sin(hand)]) * radius * length
        canvas.line(np.stack([at, tip]), (20, 20, 20), radius * 0.07)


def _wheel(canvas: Canvas, random: Generator, at: Points, radius: float) -> None:
    squeezed = radius * random.uniform(0.6, 1)
    rim = (random.uniform(90, 220),) * 3
    for share, colour in ((1.0, (28, 28, 30)), (0.66, rim), (0.56, (50, 50, 52))):
        canvas.ellipse(at, (squeezed * share, radius * share), 0, colour)
    turn = random.uniform(0, 1)
    for spoke in np.arange(random.integers(3, 9)) * 2 * math.pi / 5 + turn:
        tip = at + np.array([math.cos(spoke) * squeezed, math.sin(spoke) * radius]) * 0.6
        canvas.line(np.stack([at, tip]), rim, radius * 0.09)
    canvas.ellipse(at, (squeezed * 0.15, radius * 0.15), 0, darker(rim, 0.7))


def _socket(canvas: Canvas, random: Generator, at: Points, radius: float) -> None:
    plate = (random.uniform(170, 245),) * 3
    side = radius * 0.9
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    canvas.fill(at + corners * side, plate)
    canvas.ellipse(at, (side * 0.8, side * 0.8), 0, darker(plate, 0.85))
    dark = (40, 40, 44)
    gap, tall = side * random.uniform(0.25, 0.4), side * random.uniform(0.08, 0.22)
    for sign in (-1, 1):
        canvas.ellipse(at + (sign * gap, -side * 0.15), (side * 0.08, tall), 0, dark)
    if random.random() < 0.6:
        canvas.ellipse(at + (0, side * 0.35), (side * 0.11, side * 0.1), 0, dark)


def _ball(canvas: Canvas, random: Generator, at: Points, radius: float) -> None:
    colour = skin(random) if random.random() < 0.4 else paint(random, 1.4)
    for share in np.linspace(1, 0.1, 7).tolist():
        offset = (1 - share) * radius * 0.35
        canvas.ellipse(at - offset, (radius * share,) * 2, 0, darker(colour, 1.25 - 0.6 * share))
    if random.random() < 0.5:
        for _ in range(random.integers(2, 8)):
            spot = at + random.normal(0, 0.4, 2) * radius
            canvas.ellipse(spot, (radius * 0.14, radius * random.uniform(0.08, 0.16)), 0, darker(colour, 0.4))


def _button(canvas: Canvas, random: Generator, at: Points, radius: float) -> None:
    colour = paint(random)
    canvas.ellipse(at, (radius, radius), 0, darker(colour, 0.8))
    canvas.ellipse(at, (radius * 0.8, radius * 0.8), 0, colour)
    turn, holes = random.uniform(0, math.pi), int(random.choice([2, 3, 4]))
    for hole in np.arange(holes) * 2 * math.pi / holes + turn:
        way = np.array([math.cos(hole), math.sin(hole)])
        canvas.ellipse(at + way * radius * 0.3, (radius * 0.1,) * 2, 0, darker(colour, 0.25))


def _front(canvas: Canvas, random: Generator, at: Points, radius: float) -> None:
    """A car from the front: two lamps, and a grille below them."""
    colour = paint(random, 1.4)
    outline = np.array([(-1, 0.6), (-1, -0.1), (-0.7, -0.8), (0.7, -0.8), (1, -0.1), (1, 0.6)])
    canvas.fill(at + outline * radius, colour)
    canvas.fill(at + np.array([(-0.75, -0.15), (-0.6, -0.7), (0.6, -0.7), (0.75, -0.15)]) * radius, (70, 60, 50))
    for sign in (-1, 1):
        canvas.ellipse(at + (sign * 0.7 * radius, 0.1 * radius), (0.18 * radius, 0.13 * radius), 0, (225, 235, 240))
    canvas.fill(at + np.array([(-0.45, 0.15), (0.45, 0.15), (0.4, 0.4), (-0.4, 0.4)]) * radius, (40, 40, 40))


def _plate(canvas: Canvas, random: Generator, at: Points, radius: float) -> None:
    """A plate with food, a flower or a stone: rings and blobs."""
    colour, flat = paint(random), random.uniform(0.7, 1)
    for share in (1.0, 0.9, 0.65):
        canvas.ellipse(at, (radius * share, radius * share * flat), 0, darker(colour, random.uniform(0.8, 1.2)))
    for _ in range(random.integers(1, 6)):
        spot = at + random.normal(0, 0.28, 2) * radius
        size = (radius * random.uniform(0.08, 0.3), radius * random.uniform(0.05, 0.2))
        canvas.ellipse(spot, size, random.uniform(0, 3), paint(random, 1.3))


_THINGS: tuple[Callable[[Canvas, Generator, Points, float], None], ...] = (
    _clock,
    _wheel,
    _socket,
    _ball,
    _button,
    _front,
    _plate,
)
