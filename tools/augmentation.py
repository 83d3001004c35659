"""Cached scenes, changed a little each time, as batches for training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from multibox import match
from numpy.typing import NDArray
from scene_cache import SceneCache
from torch import Tensor
from torch.utils.data import IterableDataset

from bmzoo.runtime.decoders.priors import prior_boxes
from bmzoo.scenes import Scene

_SMALLEST = 7.0  # pixels; what a zoom makes smaller is neither asked for nor forbidden to be found


class Batches(IterableDataset[tuple[Tensor, ...]]):
    """Endless batches: pictures uint8 [B,size,size,3] BGR, then what `multibox.match` says of each, stacked."""

    def __init__(self, folder: Path, size: int, batch: int, seed: int) -> None:
        self._folder, self._size, self._batch, self._seed = folder, size, batch, seed

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        cv2.setNumThreads(1)
        random = np.random.default_rng(self._seed)
        cache = SceneCache(self._folder, self._size)
        priors = prior_boxes(self._size, self._size)
        order: list[int] = []
        while True:
            while len(order) < self._batch:
                order = [*order, *random.permutation(cache.grown()).tolist()]
            chosen, order = order[: self._batch], order[self._batch :]
            images, targets = [], []
            for index in chosen:
                scene, known = varied(cache[index], random)
                images.append(scene.image)
                targets.append(match(scene.boxes / self._size, scene.landmarks / self._size, known, priors))
            rows = (np.stack(images), *(np.stack(column) for column in zip(*targets)))  # noqa: B905
            yield tuple(torch.from_numpy(row) for row in rows)


def varied(scene: Scene, random: np.random.Generator) -> tuple[Scene, NDArray[Any]]:
    """The scene mirrored, zoomed, moved and in other light; which faces still have all landmarks, bool [n]."""
    image, boxes, points = scene.image, scene.boxes, scene.landmarks
    size = len(image)
    if random.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        boxes = np.stack([size - boxes[:, 2], boxes[:, 1], size - boxes[:, 0], boxes[:, 3]], axis=1)
        points = points[:, [1, 0, 2, 4, 3]] * np.array([-1, 1], np.float32) + np.array([size, 0], np.float32)
    if random.random() < 0.7:
        zoom = random.uniform(0.75, 1.35)
        shift = (random.random(2) * size * (1 - zoom)).astype(np.float32)
        # Warping counts from pixel centres, boxes from the picture's edge.
        matrix = np.array([[zoom, 0, shift[0] + zoom / 2 - 0.5], [0, zoom, shift[1] + zoom / 2 - 0.5]])
        fill = random.integers(0, 256, 3).tolist()
        image = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=fill)
        boxes, points = boxes * np.float32(zoom) + np.tile(shift, 2), points * np.float32(zoom) + shift
    if random.random() < 0.7:
        gain, offset = random.normal(1, 0.1) * random.normal(1, 0.05, 3), random.normal(0, 12)
        table = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)
        image = cv2.LUT(image, table[None])
    tall = boxes[:, 3] - boxes[:, 1]
    boxes = np.clip(boxes, 0, size)
    known = ((points > 0) & (points < size)).all((1, 2)) & (tall >= _SMALLEST)
    return Scene(image, boxes, points), known
