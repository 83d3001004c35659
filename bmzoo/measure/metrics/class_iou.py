"""Segmentation: intersection over union of pixels, mean over classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.measure.metrics.metric import Judged, MetricRow

if TYPE_CHECKING:
    from bmzoo.measure.truths.sample import Sample
    from bmzoo.runtime.predictions.mask import Mask

# Pixels that nobody has labelled, as in VOC and Cityscapes; no network has as many classes.
UNLABELLED = 255
_MOST = 1 << 15


class MaskJudge:
    """Counts pixels by the class that they have, that they are given, and both."""

    def __init__(self, samples: Sequence[Sample], blank: Mask) -> None:
        self._classes = len(blank.names)
        self._has, self._given, self._both = (np.zeros(_MOST, np.int64) for _ in range(3))

    def add(self, sample: Sample, found: Mask) -> None:
        """Count a picture's pixels; those that the network did not see are given no class, which is wrong."""
        truth = sample.answer.read()
        self._check(truth.max(initial=0, where=truth != UNLABELLED), truth.min(initial=0), sample)
        counted = truth != UNLABELLED
        given = found.spread().astype(np.int64)
        self._has += np.bincount(truth[counted], minlength=_MOST)
        self._given += np.bincount(given[counted & (given >= 0)], minlength=_MOST)
        self._both += np.bincount(truth[counted & (given == truth)], minlength=_MOST)

    def score(self) -> Judged:
        """Over all pictures together; classes that are neither there nor given are left out."""
        union = self._has + self._given - self._both
        seen = union > 0
        if not self._has.any():
            raise SourceError("evaluate: every pixel of all label maps is void, so there is nothing to judge by")
        iou = self._both[seen] / union[seen]
        pixels = float(self._both.sum() / self._has.sum())
        return Judged({"mIoU": float(iou.mean()), "pixels": pixels}, {"classes": int((self._has > 0).sum())})

    def _check(self, high: int, low: int, sample: Sample) -> None:
        limit = self._classes or _MOST
        if low < 0 or high >= limit:
            said = f"{low if low < 0 else high}"
            hint = f"{UNLABELLED} stands for pixels without a class; decoder.classes names those of the network"
            raise SourceError(f"{sample.answer.path}: class is not below {limit}: {said}", hint)


METRIC = MetricRow(MaskJudge, 0.0)
