"""Outputs of an artifact beside those of ONNX: the same tensors, whatever ones stand at the ends of shapes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.commands.measure import aligned
from bmzoo.errors import VerifyFailed

RANDOM = np.random.default_rng(0)


def some(*shape: int) -> NDArray[np.float32]:
    drawn: NDArray[np.float32] = RANDOM.standard_normal(shape).astype(np.float32)
    return drawn


@pytest.mark.parametrize(
    ("wanted", "given"),
    [((2, 9), (2, 9, 1)), ((2, 9), (2, 9, 1, 1)), ((2, 9, 1), (2, 9)), ((2, 9, 4, 1), (2, 9, 4))],
)
def test_ones_at_the_end_make_no_difference(wanted: tuple[int, ...], given: tuple[int, ...]) -> None:
    reference = some(*wanted)
    found = aligned({"y": reference}, {"y_f32": reference.reshape(given)})
    np.testing.assert_array_equal(found["y"], reference)


@pytest.mark.parametrize(("wanted", "given"), [((2, 9), (2, 1, 9)), ((2, 9, 4), (2, 36)), ((2, 9), (1, 9))])
def test_any_other_difference_of_shape_does(wanted: tuple[int, ...], given: tuple[int, ...]) -> None:
    with pytest.raises(VerifyFailed, match="output y: shape"):
        aligned({"y": some(*wanted)}, {"y": some(*given)})
