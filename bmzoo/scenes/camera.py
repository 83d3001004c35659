"""Camera and file format effects: illumination, colour cast, blur, noise, JPEG artifacts."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.scenes.canvas import UINT8, Image, scaled
from bmzoo.scenes.palette import noise


def photograph(image: Image, random: Generator, smallest: float) -> Image:
    """The scene as photographed, uint8 [H,W,3]; `smallest`: height in pixels of the smallest face."""
    if random.random() < 0.6:
        image = _lit(image, random)
    image = _developed(image, random)
    if random.random() < 0.5:
        image = _blurred(image, random, smallest)
    if random.random() < 0.6:
        image = _grainy(image, random)
    if random.random() < 0.5:
        image = _compressed(image, random)
    return image


def _lit(image: Image, random: Generator) -> Image:
    """Uneven illumination: shadows and lamps over the whole picture."""
    height, width = image.shape[:2]
    patches = noise(random, 16, 16, 2, 0.5) * np.float32(random.uniform(0.2, 0.8)) + 1
    factor = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    return scaled(image, np.asarray(factor, np.float32))


def _developed(image: Image, random: Generator) -> Image:
    """Exposure, contrast, gamma and colour cast; one picture in twelve is grey."""
    level = np.arange(256) / 255
    exposure, contrast = random.uniform(0.7, 1.35), random.uniform(0.75, 1.15)
    curve = (np.clip(level * exposure, 0, 1) ** random.uniform(0.75, 1.35) - 0.5) * contrast + 0.5
    cast = 1 + random.normal(0, 0.07, 3)
    table = np.clip(curve[:, None] * cast * 255, 0, 255).astype(np.uint8)
    if random.random() < 0.08:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)
        table = np.repeat(table[:, :1], 3, axis=1)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def _blurred(image: Image, random: Generator, smallest: float) -> Image:
    """Defocus or motion blur, limited so that the smallest face stays recognizable."""
    strength = min(random.exponential(0.9), 0.045 * smallest + 0.3, 4.0)
    if random.random() < 0.75:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.2, strength)), np.uint8)
    length = max(2, round(3 * strength))
    kernel: NDArray[np.float32] = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    angle = random.uniform(0, math.pi)
    way = np.array([math.cos(angle), math.sin(angle)]) * length / 2
    ends = [tuple(int(v) for v in np.round((length + sign * way) * 16)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1, 1, cv2.LINE_AA, 4)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _grainy(image: Image, random: Generator) -> Image:
    """Sensor noise."""
    height, width = image.shape[:2]
    strength = random.exponential(5) + 1
    colour = random.integers(-128, 128, (height, width, 3), np.int8) * np.float32(strength / 74)
    return np.asarray(cv2.add(image, colour, dtype=UINT8), np.uint8)


def _compressed(image: Image, random: Generator) -> Image:
    quality = int(random.integers(35, 96))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
