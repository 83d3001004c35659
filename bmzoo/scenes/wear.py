"""Occluders of a head: hair, beards, hats, glasses, masks, and objects in front of it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import Generator

from bmzoo.scenes.canvas import Canvas, Colour, Points
from bmzoo.scenes.features import Look, bow
from bmzoo.scenes.head import EYE, Head
from bmzoo.scenes.palette import darker, mixed, paint

_STYLES = ("short", "short", "long", "long", "bald", "curly", "bun")


def style(random: Generator) -> str:
    """A random hair style."""
    return str(random.choice(_STYLES))


def hair_behind(canvas: Canvas, head: Head, random: Generator, look: Look, worn: str) -> None:
    """The part of the hair behind the face."""
    dark = darker(look.hair, 0.8)
    if worn == "long":
        outline = head.outline(random.uniform(1.16, 1.3), 0.1)
        below = head.project(np.array([(1.05, 1.5, -0.3), (-1.05, 1.5, -0.3)]) * random.uniform(0.8, 1.0))
        low = outline[:, 1] > head.y
        canvas.fill(outline, dark)
        ends = outline[low][[0, -1]]
        canvas.fill(np.concatenate([ends, below[::-1]]), dark)
    elif worn == "curly":
        for point in head.outline(1.06, 0.12)[17:].tolist():
            radius = head.unit * random.uniform(0.18, 0.34)
            canvas.ellipse(point, (radius, radius), 0, darker(dark, random.uniform(0.85, 1.15)))
    elif worn != "bald":
        canvas.fill(head.outline(random.uniform(1.06, 1.16), random.uniform(0.08, 0.16)), dark)
        if worn == "bun":
            bun = head.project(np.array([(0, -1.25, -0.2)]))[0]
            canvas.ellipse(bun, (0.32 * head.unit, 0.28 * head.unit), head.roll, look.hair)


def hair_before(canvas: Canvas, head: Head, random: Generator, look: Look, worn: str) -> None:
    """The hair above the forehead, down to a ragged hairline."""
    if worn == "bald":
        return
    line = random.uniform(-0.8, -0.5)
    parting, slope = random.uniform(-0.4, 0.4), random.uniform(0.1, 0.5)
    across = np.linspace(-head.width * 0.97, head.width * 0.97, 11)
    heights = line + slope * np.abs(across - parting) ** 1.5 + random.normal(0, 0.03, 11)
    heights = np.clip(heights, -0.85, -0.15)
    front = head.project(head.on_face(np.column_stack([across, heights])))
    top = head.project(np.column_stack([across[::-1], *_crown(head, across[::-1])]))
    canvas.fill(np.concatenate([front, top]), look.hair)
    for _ in range(5):  # strands
        at = random.integers(0, 11)
        strand = np.stack([top[10 - at], front[at]])
        canvas.line(strand, darker(look.hair, random.uniform(0.7, 1.5)), 0.03 * head.unit)


def beard(canvas: Canvas, head: Head, random: Generator, look: Look) -> None:
    """A beard along the jaw, or a moustache, or both; before the mouth is painted."""
    colour = mixed(look.hair, look.skin, random.uniform(0.1, 0.5))
    if random.random() < 0.6:
        edge = [(-0.68, 0.2), (-0.52, 0.42), (-0.3, 0.42), (0, 0.4), (0.3, 0.42), (0.52, 0.42), (0.68, 0.2)]
        jaw = head.outline(0.99)
        down = (jaw - (head.x, head.y)) @ np.array([-math.sin(head.roll), math.cos(head.roll)])
        below = jaw[down > 0.25 * head.unit]
        canvas.fill(_hull(np.concatenate([below, head.at(*edge)[[0, 6]]])), colour)
        canvas.fill(np.concatenate([head.at(*edge), head.at((0.5, 0.62), (-0.5, 0.62))]), colour)
    left, right = head.at((-0.27, 0.47), (0.27, 0.47))
    lip = bow(left, right, -0.16 * head.unit)
    canvas.fill(np.concatenate([lip, bow(left, right, -0.02 * head.unit)[::-1]]), colour)


def glasses(canvas: Canvas, head: Head, random: Generator) -> None:
    """Two lenses, a bridge and temples; one pair in four is dark."""
    unit = head.unit
    colour = darker(paint(random), 0.4)
    thick = random.uniform(0.03, 0.06) * unit
    dark = random.random() < 0.25
    radius = random.uniform(0.2, 0.25)
    shape = np.linspace(0, 2 * math.pi, 14)
    power = random.choice([1.0, 0.6])  # round, or nearly square
    for side in (-1, 1):
        ring = np.column_stack([np.cos(shape), np.sin(shape)])
        ring = np.sign(ring) * np.abs(ring) ** power * (radius, radius * 0.85) + (side * EYE[0], EYE[1])
        lens = head.project(head.on_face(ring, 0.06))
        if dark:
            canvas.fill(lens, darker(colour, 0.5))
        canvas.line(lens, colour, thick)
        temple = head.project(
            np.array([(side * (EYE[0] + radius), EYE[1], 0.5), (side * head.width, EYE[1] - 0.05, 0)])
        )
        canvas.line(temple, colour, thick)
    bridge = EYE[0] - radius
    canvas.line(head.project(head.on_face(np.array([(-bridge, EYE[1]), (bridge, EYE[1])]), 0.06)), colour, thick)


def hat(canvas: Canvas, head: Head, random: Generator) -> None:
    """A cap or a hat with a brim, down to the forehead."""
    colour = paint(random)
    across = np.linspace(-head.width * 1.02, head.width * 1.02, 9)
    low = head.project(head.on_face(np.column_stack([across * 0.97, np.full(9, -0.5)]), 0.08))
    height = random.uniform(1.15, 1.45)
    top = head.outline(1.1, 0.05)
    up = (top - (head.x, head.y)) @ np.array([math.sin(head.roll), -math.cos(head.roll)])
    canvas.fill(_hull(np.concatenate([top[up > 0.45 * head.unit], low])), colour)
    if random.random() < 0.5:
        crown = head.project(np.array([(-0.6, -height, 0), (0.6, -height, 0), (0.75, -0.7, 0), (-0.75, -0.7, 0)]))
        canvas.fill(crown, darker(colour, 1.1))
    brim = random.uniform(1.05, 1.5)
    edge = head.project(head.on_face(np.column_stack([across, np.full(9, -0.58)])) * (brim, 1, 1.5))
    canvas.fill(np.concatenate([edge, low[::-1]]), darker(colour, 0.65))


def scarf(canvas: Canvas, head: Head, random: Generator) -> None:
    """A headscarf or hood: all around the face; painted before it."""
    colour = paint(random)
    canvas.fill(head.outline(random.uniform(1.2, 1.35), 0.08), colour)
    canvas.fill(head.project(np.array([(-0.9, 0.3, 0), (0.9, 0.3, 0), (1.2, 1.7, 0), (-1.2, 1.7, 0)])), colour)


def mask(canvas: Canvas, head: Head, random: Generator) -> None:
    """A cloth over nose and mouth."""
    colour = random.choice([(224, 214, 196), (236, 236, 236), (60, 56, 54)]).tolist()
    edge = [(-0.62, 0.14), (-0.3, 0.1), (0, 0.02), (0.3, 0.1), (0.62, 0.14), (0.5, 0.6), (0.2, 0.84), (-0.2, 0.84)]
    points = head.project(head.on_face(np.array([*edge, (-0.5, 0.6)]), 0.08))
    canvas.fill(points, tuple(colour))
    for y in (0.3, 0.45, 0.6):
        canvas.line(head.at((-0.45, y), (0, y + 0.03), (0.45, y)), darker(tuple(colour), 0.85), 0.02 * head.unit)


def obstacle(canvas: Canvas, head: Head, random: Generator, skin: Colour) -> None:
    """A hand, a bar or a leaf in front of the face; more than half of the face stays visible."""
    unit, angle = head.unit, random.uniform(0, 2 * math.pi)
    away = np.array([math.cos(angle), math.sin(angle)])
    middle = np.array([head.x, head.y])
    kind = random.integers(3)
    if kind == 0:  # fingers
        across = np.array([-away[1], away[0]])
        for finger in range(4):
            tip = middle + away * unit * random.uniform(0.5, 0.6) + across * unit * (finger - 1.5) * 0.25
            canvas.line(
                np.stack([tip, tip + away * unit * 1.2]), darker(skin, 1 - 0.06 * (finger % 2)), 0.22 * unit
            )
    elif kind == 1:  # a bar or a strand of something
        across = np.array([-away[1], away[0]]) * unit * 2
        centre = middle + away * unit * random.uniform(0.1, 0.8)
        canvas.line(np.stack([centre - across, centre + across]), paint(random), unit * random.uniform(0.06, 0.24))
    else:
        centre = middle + away * unit * random.uniform(0.85, 1.05)
        size = (unit * random.uniform(0.4, 0.6), unit * random.uniform(0.3, 0.55))
        canvas.ellipse(centre, size, angle, paint(random))


def _crown(head: Head, across: Points) -> tuple[Points, Points]:
    """Height and depth of the top of the hair above `across`."""
    height = -1.12 * np.sqrt(np.maximum(0, 1 - (across / head.width / 1.02) ** 2)) - 0.02
    return np.minimum(height, -0.2), np.full_like(across, 0.0)


def _hull(points: Points) -> Points:
    hull: Points = cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)
    return hull
