"""Geometry of a head and its features: a rotated ellipsoid in orthographic projection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.scenes.canvas import Points

# Left and right as seen in the picture, in units of half the head's height from its centre, y down.
EYE = (0.33, -0.12)
NOSE = (0.0, 0.24)
MOUTH = (0.26, 0.54)
_NOSE_LENGTH = 0.14  # how far its tip stands out
_CIRCLE = np.linspace(0, 2 * math.pi, 40, endpoint=False)
_RIM = np.column_stack([np.cos(_CIRCLE), np.sin(_CIRCLE)])


@dataclass(frozen=True)
class Head:
    """A head in a picture: `x`, `y` its centre and `size` its height in pixels, before it is turned.

    Angles in radians: `yaw` > 0 looks to the right of the picture, `pitch` > 0 down, `roll` > 0 is clockwise.
    `width`, `depth` and `mouth` (half width) are in units of half the height; `jaw` 0..1 is how much it narrows.
    """

    x: float
    y: float
    size: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    width: float = 0.76
    depth: float = 0.7
    jaw: float = 0.2
    mouth: float = MOUTH[0]

    @property
    def unit(self) -> float:
        """Pixels in half a head."""
        return self.size / 2

    @cached_property
    def _turn(self) -> NDArray[np.float64]:
        """[3,3]: yaw, then pitch, then roll."""
        sin, cos = np.sin((self.yaw, self.pitch, self.roll)), np.cos((self.yaw, self.pitch, self.roll))
        yaw = np.array([[cos[0], 0, sin[0]], [0, 1, 0], [-sin[0], 0, cos[0]]])
        pitch = np.array([[1, 0, 0], [0, cos[1], sin[1]], [0, -sin[1], cos[1]]])
        roll = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
        turn: NDArray[np.float64] = roll @ pitch @ yaw
        return turn

    def on_face(self, points: Points, out: float | NDArray[np.float64] = 0.0) -> NDArray[np.float64]:
        """Points [n,2] seen from the front -> [n,3] on the ellipsoid, `out` units before it."""
        flat = np.asarray(points, np.float64)
        inside = 1 - (flat[:, 0] / self.width) ** 2 - flat[:, 1] ** 2
        depth = self.depth * np.sqrt(np.maximum(inside, 0)) + out
        return np.column_stack([flat, depth])

    def project(self, points: NDArray[np.float64]) -> Points:
        """Points [n,3] of the head -> [n,2] in pixels of the picture."""
        projected: Points = (points @ self._turn[:2].T) * self.unit + (self.x, self.y)
        return projected

    def at(self, *points: tuple[float, float]) -> Points:
        """Points of the face as seen from the front -> [n,2] in pixels."""
        return self.project(self.on_face(np.array(points, np.float64)))

    def outline(self, grow: float = 1.0, raised: float = 0.0) -> Points:
        """The head's silhouette as a polygon [40,2], `grow` times as large and `raised` units higher."""
        points = self._silhouette
        points = points * grow - (0, raised)
        flat: Points = points @ _rotation(self.roll)[:2, :2].T * self.unit + (self.x, self.y)
        return flat

    @cached_property
    def _silhouette(self) -> Points:
        """The outline [40,2] before roll, in units around the centre."""
        axes = np.diag([self.width**2, 1.0, self.depth**2])
        # The silhouette of a turned ellipsoid is an ellipse; first without roll, to narrow the jaw.
        upright = _rotation(-self.roll) @ self._turn
        ellipse = np.linalg.cholesky((upright @ axes @ upright.T)[:2, :2])
        points = np.asarray(_RIM @ ellipse.T, np.float64)
        points[:, 0] *= 1 - self.jaw * np.minimum(np.maximum(points[:, 1], 0), 1) ** 2
        return points

    def landmarks(self) -> NDArray[np.float32]:
        """[5,2] in pixels: left eye, right eye, tip of the nose, left and right corner of the mouth."""
        flat = np.array([(-EYE[0], EYE[1]), EYE, NOSE, (-self.mouth, MOUTH[1]), (self.mouth, MOUTH[1])])
        out = np.array([0, 0, _NOSE_LENGTH, 0, 0], np.float64)
        points: NDArray[np.float32] = self.project(self.on_face(flat, out)).astype(np.float32)
        return points

    def box(self) -> NDArray[np.float32]:
        """[4]: x1, y1, x2, y2 of the silhouette in pixels; hair, ears and hats stand out."""
        points = self.outline()
        corners: NDArray[np.float32] = np.concatenate([points.min(0), points.max(0)]).astype(np.float32)
        return corners


def pose(random: Generator, x: float, y: float, size: float) -> Head:
    """A random pose as in photographs: mostly frontal and upright, now and then extreme."""
    wild = random.random() < 0.15
    return Head(
        x,
        y,
        size,
        yaw=float(np.clip(random.normal(0, 0.45 if wild else 0.25), -0.75, 0.75)),
        pitch=float(np.clip(random.normal(0, 0.2 if wild else 0.12), -0.4, 0.4)),
        roll=float(np.clip(random.normal(0, 0.4 if wild else 0.12), -0.8, 0.8)),
        width=random.uniform(0.7, 0.82),
        depth=random.uniform(0.64, 0.74),
        jaw=random.uniform(0.05, 0.3),
        mouth=random.uniform(0.22, 0.3),
    )


def _rotation(angle: float) -> NDArray[np.float64]:
    sin, cos = math.sin(angle), math.cos(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
