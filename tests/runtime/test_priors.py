import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.runtime.decoders.priors import prior_boxes

STRIDES, SIZES = (8, 16, 32), ((16, 32), (64, 128), (256, 512))


def plain_priors(height: int, width: int) -> NDArray[Any]:
    rows = []
    for k, stride in enumerate(STRIDES):
        cells = itertools.product(range(math.ceil(height / stride)), range(math.ceil(width / stride)))
        for i, j in cells:
            centre = [(j + 0.5) * stride / width, (i + 0.5) * stride / height]
            rows += [[*centre, size / width, size / height] for size in SIZES[k]]
    return np.array(rows, np.float32)


@pytest.mark.parametrize(("height", "width", "count"), [(640, 640, 16800), (1000, 1000, 41236)])
def test_counts(height: int, width: int, count: int) -> None:
    assert prior_boxes(height, width).shape == (count, 4)


@pytest.mark.parametrize("size", [(320, 320), (96, 160), (50, 33)])
def test_same_as_the_plain_loop(size: tuple[int, int]) -> None:
    priors = prior_boxes(*size)
    assert priors.dtype == np.float32
    np.testing.assert_array_equal(priors, plain_priors(*size))


def test_cached_and_read_only() -> None:
    priors = prior_boxes(64, 64)
    assert prior_boxes(64, 64) is priors
    with pytest.raises(ValueError, match="read-only"):
        priors[0] = 0
