"""What the first layer tells: a factor of 255 by its bias, and more where batch normalization is left."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.measure.audit.loudness import MATTERS, Heard, heard

MEAN, DEVIATION = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 0.5])
TRIED = 25


def outputs(by: float = 1.0, off: float = 0.0, pictures: int = 16) -> list[NDArray[np.float32]]:
    """Normal values, as in training, times `by`; `off` is added in deviations."""
    random = np.random.default_rng(1)
    rows = [random.normal(size=(3, 20, 20)) * (by * DEVIATION[:, None, None]) for _ in range(pictures)]
    return [(one + (MEAN + off * DEVIATION)[:, None, None]).astype(np.float32) for one in rows]


def of(by: float = 1.0, off: float = 0.0, normed: bool = True) -> Heard:
    known = (MEAN, DEVIATION, None) if normed else (None, None, np.array([0.7, -1.5, 0.6]))
    found = heard(outputs(by, off), *known)
    assert found is not None
    return found


def test_as_in_training_nothing_is_apart() -> None:
    found = of()
    assert found.plausible and found.apart is not None
    assert found.apart.shape == (16,) and found.apart.max() < 0.02


def test_the_divergence_is_that_of_normal_distributions() -> None:
    found = of(by=2.0, off=0.5)
    assert found.apart is not None
    assert found.apart.mean() == pytest.approx(0.5 * (0.25 + 4 - 1 - np.log(4)), abs=0.1)


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("by", [255.0, 1 / 255])
def test_a_factor_of_255_is_heard(by: float, normed: bool) -> None:
    assert of(normed=normed).surely_nearer(of(by, normed=normed), TRIED)
    assert not of(by, normed=normed).surely_nearer(of(normed=normed), TRIED)


@pytest.mark.parametrize("by", [0.3, 4.0])
def test_a_bias_tells_nothing_finer(by: float) -> None:
    one, other = of(normed=False), of(by, normed=False)
    assert not one.surely_nearer(other, TRIED) and not other.surely_nearer(one, TRIED)


def test_a_mean_that_is_forgotten_is_heard_and_little_is_not() -> None:
    assert of().surely_nearer(of(off=1.0), TRIED)
    assert not of().surely_nearer(of(off=MATTERS), TRIED)


def test_few_pictures_are_not_sure() -> None:
    near, far = (heard(outputs(off=off, pictures=5), MEAN, DEVIATION, None) for off in (0.0, 2.0))
    assert near is not None and far is not None and not near.surely_nearer(far, TRIED)


def test_nothing_is_heard_where_nothing_is_known_or_nothing_moves() -> None:
    assert heard(outputs(), None, None, None) is None
    assert heard([np.zeros((3, 4, 4), np.float32)], MEAN, DEVIATION, None) is None
    assert heard([np.full((3, 4, 4), np.nan, np.float32)], MEAN, DEVIATION, None) is None
    assert heard(outputs(), None, None, np.ones(7)) is None
