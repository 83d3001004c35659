"""Similarity of a tensor to its reference: cosine, SQNR, largest error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bmzoo.errors import VerifyFailed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def cosine(a: ArrayLike, b: ArrayLike) -> float:
    """Cosine of the angle between two tensors of one shape, -1..1.

    1 for two tensors of zeros, 0 when only one is; NaN when a value is not finite. Raises VerifyFailed when
    the shapes differ.
    """
    x, y = _flat_pair(a, b)
    norms = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
    if norms == 0:
        return 1.0 if np.array_equal(x, y) else 0.0
    with np.errstate(invalid="ignore"):
        return float(np.clip(np.dot(x, y) / norms, -1, 1))


def sqnr_db(reference: ArrayLike, test: ArrayLike) -> float:
    """Signal to quantization noise, dB: 10 log10(sum ref^2 / sum (ref - test)^2); inf when equal.

    -inf for noise on a reference of zeros, NaN when a value is not finite. Unlike TPU-MLIR's own figure it
    does not subtract the means, so a constant offset counts as noise. Raises VerifyFailed like `cosine`.
    """
    x, y = _flat_pair(reference, test)
    with np.errstate(invalid="ignore"):
        signal, noise = float(np.sum(x * x)), float(np.sum((x - y) ** 2))
    if not math.isfinite(signal + noise):
        return math.nan
    if noise == 0:
        return math.inf
    return 10 * (math.log10(signal) - math.log10(noise)) if signal else -math.inf


def max_error(a: ArrayLike, b: ArrayLike) -> float:
    """Largest absolute difference, 0 for empty tensors, NaN when a value is not finite."""
    x, y = _flat_pair(a, b)
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(x - y))) if x.size else 0.0


def _flat_pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape:
        raise VerifyFailed(f"tensors differ in shape: {list(x.shape)} and {list(y.shape)}")
    return x.ravel(), y.ravel()
