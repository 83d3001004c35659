"""Colours as BGR triples in 0..255, and noise with the statistics of natural surfaces."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.scenes.canvas import Colour

# From light to dark; tones between neighbours are interpolated.
_SKIN = np.array(
    [
        (196, 216, 244),
        (170, 194, 234),
        (142, 174, 226),
        (118, 150, 208),
        (92, 124, 184),
        (66, 94, 150),
        (42, 62, 104),
    ],
    np.float64,
)
_HAIR = np.array(
    [(18, 16, 18), (24, 30, 44), (30, 44, 76), (48, 76, 122), (96, 148, 196), (46, 68, 160), (176, 178, 182)],
    np.float64,
)


def skin(random: Generator) -> Colour:
    """A tone anywhere between the palest and the darkest."""
    at = random.uniform(0, len(_SKIN) - 1.001)
    low = int(at)
    return _jitter(random, _SKIN[low] + (at - low) * (_SKIN[low + 1] - _SKIN[low]), 9)


def hair(random: Generator) -> Colour:
    """Black and brown mostly; blond, red and grey as well."""
    return _jitter(random, _HAIR[random.choice(len(_HAIR), p=(0.24, 0.22, 0.2, 0.12, 0.09, 0.05, 0.08))], 10)


def paint(random: Generator, vivid: float = 1.0) -> Colour:
    """A random colour of an object; most are not saturated."""
    saturation = random.beta(1.2, 2.2) * vivid
    blue, green, red = colorsys.hsv_to_rgb(random.random(), saturation, random.uniform(0.12, 0.97))[::-1]
    return blue * 255, green * 255, red * 255


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Linear interpolation: `share` 0 gives a, 1 gives b."""
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share


def darker(colour: Colour, factor: float) -> Colour:
    """The colour times `factor`; above 1 it is brighter."""
    return min(colour[0] * factor, 255), min(colour[1] * factor, 255), min(colour[2] * factor, 255)


def noise(
    random: Generator, height: int, width: int, coarsest: int = 2, falloff: float = 0.6
) -> NDArray[np.float32]:
    """Float32 [height,width] around 0, within -1..1: octaves from `coarsest` cells across down to pixels.

    Each octave has `falloff` of the amplitude of the one above it; 0.5 is about that of photographs.
    """
    total = np.zeros((height, width), np.float32)
    cells, amplitude, side = coarsest, 1.0, max(height, width)
    weight = 0.0
    while cells < side:
        rows, columns = (max(2, -(-cells * length // side)) for length in (height, width))
        grid = random.random((rows, columns), np.float32) - np.float32(0.5)
        octave = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.scaleAdd(octave, amplitude, total, total)
        weight += amplitude
        amplitude *= falloff
        cells *= 3
    total *= np.float32(2 / weight)
    return total


def _jitter(random: Generator, colour: NDArray[np.float64], spread: float) -> Colour:
    blue, green, red = np.clip(colour + random.normal(0, spread, 3), 4, 250)
    return float(blue), float(green), float(red)
