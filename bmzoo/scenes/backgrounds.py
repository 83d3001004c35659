"""Backgrounds without people: surfaces, patterns, rooms, streets, nature and clutter."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.scenes.canvas import Canvas, Colour, Image, scaled
from bmzoo.scenes.palette import darker, mixed, noise, paint


def background(random: Generator, height: int, width: int) -> Image:
    """A background of a random kind, uint8 [height,width,3], with natural texture noise."""
    image = _KINDS[random.integers(len(_KINDS))](random, height, width)
    rough = random.uniform(0.02, 0.3)
    factor = 1 + noise(random, height, width, 3, random.uniform(0.5, 0.95)) * np.float32(rough)
    return scaled(image, factor)


def surface(random: Generator, height: int, width: int) -> Image:
    """A smooth gradient of a few colours."""
    rows, columns = random.integers(2, 6, 2)
    base = np.array(paint(random))
    light = random.normal(0, random.uniform(5, 60), (rows, columns, 1))
    tint = random.normal(0, random.uniform(2, 25), (rows, columns, 3))
    grid = np.clip(base + light + tint, 0, 255).astype(np.uint8)
    smooth: Image = np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    return smooth


def pattern(random: Generator, height: int, width: int) -> Image:
    """Stripes, checks, bricks or dots, rotated and in perspective."""
    cell = max(4, round(max(height, width) * random.uniform(0.02, 0.12)))
    rows, columns = 2 * height // cell + 2, 2 * width // cell + 2
    one, two = np.array(paint(random)), np.array(paint(random))
    kind = random.integers(4)
    y, x = np.mgrid[:rows, :columns]
    share = [x % 2, (x + y) % 2, random.random((rows, columns)), (x % 3 == 0) & (y % 3 == 0)][kind].astype(float)
    tiles = (one + (two - one) * share[..., None] * random.uniform(0.2, 1)).astype(np.uint8)
    flat = cv2.resize(tiles, None, fx=cell, fy=cell, interpolation=cv2.INTER_NEAREST)
    if kind == 2:
        flat[::cell] = flat[:, ::cell] = np.array(paint(random))  # joints
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-45, 45), random.uniform(0.8, 1.6))
    warp = np.vstack([turn, [random.normal(0, 3e-4), random.normal(0, 3e-4), 1]])
    size = (width, height)
    return np.asarray(cv2.warpPerspective(flat, warp, size, borderMode=cv2.BORDER_REFLECT), np.uint8)


def room(random: Generator, height: int, width: int) -> Image:
    """A wall and a floor, with pictures, shelves of books, a window, furniture."""
    wall, floor = paint(random, 0.7), paint(random, 0.8)
    image = surface(random, height, width) if random.random() < 0.3 else _plain(height, width, wall)
    canvas = Canvas(image, (0, 0, width, height))
    level = height * random.uniform(0.55, 0.95)
    canvas.fill(_rectangle(0, level, width, height), floor)
    if random.random() < 0.5:
        for x in np.linspace(-width, 2 * width, 24).tolist():  # boards
            canvas.line(
                np.array([(width / 2 + (x - width / 2) * 0.3, level), (x, height)]), darker(floor, 0.75), 1.5
            )
    canvas.fill(_rectangle(0, level - height * 0.02, width, level), darker(wall, 0.7))
    for _ in range(random.integers(1, 5)):
        x, y = random.uniform(-0.1, 0.9) * width, random.uniform(-0.1, 0.6) * height
        w, h = random.uniform(0.1, 0.4, 2) * (width, height)
        _FITTINGS[random.integers(len(_FITTINGS))](canvas, random, (x, y, x + w, y + h))
    for _ in range(random.integers(0, 3)):  # furniture
        x, w = random.uniform(-0.1, 0.9) * width, random.uniform(0.15, 0.5) * width
        colour, y = paint(random), level - random.uniform(-0.1, 0.25) * height
        canvas.fill(_rectangle(x, y, x + w, height), colour)
        canvas.fill(_rectangle(x, y, x + w, y + height * 0.02), darker(colour, 1.25))
    canvas.paste()
    return image


def street(random: Generator, height: int, width: int) -> Image:
    """Houses with rows of windows before the sky, and a road."""
    image = _sky(random, height, width)
    canvas = Canvas(image, (0, 0, width, height))
    level, x = height * random.uniform(0.6, 0.95), -random.uniform(0, 0.2) * width
    while x < width:
        w, top = random.uniform(0.12, 0.4) * width, random.uniform(-0.1, 0.6) * height
        house = paint(random, 0.8)
        canvas.fill(_rectangle(x, top, x + w, level), house)
        _windows(canvas, random, (x, top, x + w, level), house)
        x += w
    road = (random.uniform(60, 150),) * 3
    canvas.fill(_rectangle(0, level, width, height), road)
    for _ in range(random.integers(0, 4)):
        post = random.uniform(0, width)
        canvas.line(
            np.array([(post, height * random.uniform(0, 0.5)), (post, height)]), paint(random), width * 0.012
        )
    canvas.paste()
    return image


def nature(random: Generator, height: int, width: int) -> Image:
    """Hills, trees and grass below the sky."""
    image = _sky(random, height, width)
    canvas = Canvas(image, (0, 0, width, height))
    green: Colour = (random.uniform(20, 70), random.uniform(60, 140), random.uniform(30, 110))
    across = np.linspace(0, width, 24)
    for depth in np.linspace(0.35, 0.85, random.integers(2, 5)).tolist():
        ridge = height * depth + np.cumsum(random.normal(0, height * 0.02, 24))
        hill = np.vstack([np.column_stack([across, ridge]), (width, height), (0, height)])
        canvas.fill(hill, mixed(green, (200, 190, 180), max(0, 0.7 - depth) * random.uniform(0.3, 1.3)))
    for _ in range(random.integers(60, 260)):  # leaves, or stones
        x, y, size = random.uniform(0, width), height * random.beta(3, 2), width * random.uniform(0.006, 0.03)
        canvas.ellipse((x, y), (size, size * 0.6), random.uniform(0, 3), darker(green, random.uniform(0.4, 1.7)))
    for _ in range(random.integers(0, 5)):
        x, y = random.uniform(0, width), height * random.uniform(0.5, 0.95)
        canvas.line(np.array([(x, y), (x, y - height * 0.4)]), (40, 60, 80), width * random.uniform(0.01, 0.05))
        for _ in range(12):
            size = width * random.uniform(0.03, 0.09)
            at = (x + random.normal(0, 0.07) * width, y - height * (0.4 + random.normal(0, 0.08)))
            canvas.ellipse(at, (size, size * 0.8), 0, darker(green, random.uniform(0.5, 1.3)))
    canvas.paste()
    return image


def clutter(random: Generator, height: int, width: int) -> Image:
    """Shapes of all sizes and colours over each other."""
    image = surface(random, height, width)
    canvas = Canvas(image, (0, 0, width, height))
    colours = [paint(random) for _ in range(6)]
    for _ in range(random.integers(15, 90)):
        at = random.uniform(-0.1, 1.1, 2) * (width, height)
        size = max(height, width) * random.uniform(0.02, 0.3) ** 1.4
        colour = darker(colours[random.integers(6)], random.uniform(0.6, 1.3))
        kind = random.integers(3)
        if kind == 0:
            canvas.ellipse(at, (size, size * random.uniform(0.3, 1)), random.uniform(0, 3), colour)
        elif kind == 1:
            angles = np.sort(random.uniform(0, 2 * math.pi, random.integers(3, 7)))
            canvas.fill(at + size * np.column_stack([np.cos(angles), np.sin(angles)]), colour)
        else:
            bends = at + np.cumsum(random.normal(0, size * 0.5, (5, 2)), axis=0)
            canvas.line(bends, colour, size * random.uniform(0.05, 0.2))
    canvas.paste()
    return image


def _sky(random: Generator, height: int, width: int) -> Image:
    top = (random.uniform(150, 240), random.uniform(110, 200), random.uniform(60, 190))
    column = np.array([top, mixed(top, (235, 232, 228), 0.8)])[:, None].astype(np.uint8)
    return np.asarray(cv2.resize(column, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _windows(canvas: Canvas, random: Generator, box: tuple[float, float, float, float], house: Colour) -> None:
    left, top, right, bottom = box
    columns, rows = random.integers(2, 6), random.integers(2, 8)
    w, h = (right - left) / columns, (bottom - top) / rows
    pane, lit = darker(house, random.uniform(0.3, 0.7)), random.uniform(0, 0.3)
    share = random.uniform(0.2, 0.38)
    for i in range(rows * columns):
        x, y = left + (i % columns + 0.5) * w, top + (i // columns + 0.5) * h
        colour = (150, 220, 245) if random.random() < lit else pane
        canvas.fill(_rectangle(x - w * share, y - h * share, x + w * share, y + h * share), colour)


def _picture(canvas: Canvas, random: Generator, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    rim = (right - left) * 0.06
    canvas.fill(_rectangle(*box), darker(paint(random), 0.6))
    canvas.fill(_rectangle(left + rim, top + rim, right - rim, bottom - rim), paint(random))
    for _ in range(4):
        x, y = random.uniform(left + 2 * rim, right - 2 * rim), random.uniform(top + 2 * rim, bottom - 2 * rim)
        canvas.ellipse((x, y), (rim * random.uniform(0.5, 2), rim), random.uniform(0, 3), paint(random))


def _shelf(canvas: Canvas, random: Generator, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    wood = (random.uniform(30, 110), random.uniform(60, 140), random.uniform(90, 180))
    canvas.fill(_rectangle(*box), darker(wood, 0.5))
    height = (bottom - top) / 3
    for row in range(3):
        x, low = left, top + (row + 1) * height
        while x < right:
            w = (right - left) * random.uniform(0.03, 0.09)
            canvas.fill(
                _rectangle(x, low - height * random.uniform(0.55, 0.9), x + w * 0.92, low), paint(random, 1.3)
            )
            x += w
        canvas.fill(_rectangle(left, low - height * 0.06, right, low), wood)


def _window(canvas: Canvas, random: Generator, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    frame = (random.uniform(170, 250),) * 3
    canvas.fill(_rectangle(*box), (random.uniform(180, 250), random.uniform(170, 240), random.uniform(140, 230)))
    canvas.fill(_rectangle(left, (top + 2 * bottom) / 3, right, bottom), (90, random.uniform(110, 170), 110))
    edge = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
    canvas.line(edge, frame, (right - left) * 0.06)
    canvas.line(np.array([((left + right) / 2, top), ((left + right) / 2, bottom)]), frame, (right - left) * 0.04)


def _plain(height: int, width: int, colour: Colour) -> Image:
    # Shaded: the light comes from one side.
    slope = np.linspace(1.0, 0.75, width, dtype=np.float32)[None, :, None]
    return np.broadcast_to(np.array(colour, np.float32) * slope, (height, width, 3)).astype(np.uint8)


def _rectangle(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


_KINDS: tuple[Callable[[Generator, int, int], Image], ...] = (surface, pattern, room, street, nature, clutter)
_FITTINGS = (_picture, _shelf, _window)
