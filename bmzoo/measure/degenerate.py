"""Outputs that agree with anything: NaN and infinity, one value everywhere, the same for all pictures.

Figures over them mean nothing. A cosine is 1 between two tensors of zeros, and near 1 between a constant and scores
that are all near it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bmzoo.errors import VerifyFailed

Heads = Mapping[str, NDArray[np.float32]]
# A head moves if its values lie further apart than this share of the largest: INT4 has seven steps.
MOVES = 0.15
ONNX = "the ONNX model"


def check_finite(heads: Heads, whose: str) -> None:
    """Raises VerifyFailed for outputs with values that are no numbers, and for those without a value."""
    for name, value in heads.items():
        if not value.size:
            raise VerifyFailed(f"output {name}: {whose} gives no values: {list(value.shape)}")
        if not np.isfinite(value).all():
            raise VerifyFailed(f"output {name}: {whose} gives NaN or infinity")


def check_reference(heads: Heads, pictures: NDArray[np.float32]) -> None:
    """Whether there is anything to compare with: raises VerifyFailed unless some output depends on the picture.

    pictures: what was fed, one a row.
    """
    check_finite(heads, ONNX)
    differ = _differ(pictures)
    if not all(_one_value(head) or (differ and not _differ(head)) for head in heads.values()):
        return
    told = (
        "one value everywhere" if all(map(_one_value, heads.values())) else f"the same for {len(pictures)} pictures"
    )
    raise VerifyFailed(
        f"nothing was compared: {ONNX} gives {told} in every output",
        "are mean, scale and pixel_format below `input` in the config those that it was trained with?",
    )


def check_alive(reference: Heads, test: Heads, whose: str) -> None:
    """Raises VerifyFailed for an output that stands still where the reference's moves; both have equal shapes."""
    check_finite(test, whose)
    for name, value in test.items():
        expected = reference[name]
        if _one_value(value) and _moves(expected, expected.min(), expected.max()):
            span = f"{expected.min():g} to {expected.max():g}"
            raise VerifyFailed(f"output {name}: {whose} gives {value.flat[0]:g} everywhere, {ONNX} {span}")
        if len(value) > 1 and not _differ(value) and _moves(expected, expected.min(axis=0), expected.max(axis=0)):
            raise VerifyFailed(f"output {name}: {whose} gives the same for {len(value)} pictures, {ONNX} does not")


def _one_value(head: NDArray[np.float32]) -> bool:
    return head.size > 1 and bool((head == head.flat[0]).all())


def _differ(rows: NDArray[np.float32]) -> bool:
    """Whether any row is another than the first."""
    return bool((rows[1:] != rows[:1]).any())


def _moves(head: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]) -> bool:
    return float(np.max(high - low)) > MOVES * float(np.abs(head).max())
