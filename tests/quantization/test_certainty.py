"""How far thresholds move: against drawing other pictures for real."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.measure.picture_statistics import copies
from bmzoo.quantization.certainty import ENOUGH, Certainty, halves, movement
from bmzoo.quantization.histograms import Histogram, histogram, together
from bmzoo.quantization.thresholds import clipping


def drawn(rng: np.random.Generator, number: int, spread: float) -> Histogram:
    """Pictures whose ranges differ by a spread of their logarithms; most values are 0, as in many maps."""
    scales = np.exp(spread * rng.normal(size=number))
    values = (scale * rng.normal(size=2000) * (rng.uniform(size=2000) < 0.2) for scale in scales)
    return together([histogram(each.astype(np.float32), 1024) for each in values])


@pytest.mark.parametrize("method", ["mse", "aciq_laplace"])
def test_movement_is_that_of_other_pictures(method: str) -> None:
    rng = np.random.default_rng(0)
    for spread in (0.1, 0.5):
        really = [clipping(drawn(rng, 16, spread), method).threshold for _ in range(60)]
        expected = float(np.std(np.log(really)))
        found = float(np.median([movement(drawn(rng, 16, spread), method, tune=False) for _ in range(9)]))
        assert expected / 2 < found < expected * 2, spread


def test_equal_pictures_move_nothing() -> None:
    one = histogram(np.random.default_rng(0).normal(size=1000).astype(np.float32), 512)
    for method in ("kl", "mse", "max", "percentile9999", "aciq_laplace", "aciq_gauss"):
        assert movement(together([one] * 8), method, tune=True) == pytest.approx(0, abs=1e-9)
    assert movement(one, "kl", tune=True) == 0, "nothing to draw from"


@pytest.mark.parametrize("number", [2, 3, 8])
def test_either_half_has_other_pictures(number: int) -> None:
    parts = [histogram(np.full(10, 1.0 + value, np.float32), 64) for value in range(number)]
    whole = together(parts)
    for by_picture in (False, True):
        found = halves(whole, by_picture)
        for one, other in zip(found[::2], found[1::2], strict=True):
            assert one.total().sum() == other.total().sum() == 10 * (number // 2)
            assert not (one.total() * other.total()).any(), "no picture is in both"
            assert len(one.counts) == (number // 2 if by_picture else 1)
        assert len({one.total().tobytes() for one in found}) > 1


@pytest.mark.parametrize("method", ["max", "kl"])
def test_half_samples_say_nearly_what_other_pictures_come_to(method: str) -> None:
    """What 40 sets say, by the root of the mean square, beside how far apart their thresholds are."""
    rng = np.random.default_rng(3)
    sets = [drawn(rng, 8, 0.3) for _ in range(40)]
    really = np.std(np.log([clipping(one, method).threshold for one in sets]))
    said = np.sqrt(np.mean([movement(one, method, tune=False) ** 2 for one in sets]))
    assert 0.9 < said / really < 1.4


def test_what_is_said() -> None:
    sure = Certainty({f"t{n}": 0.01 for n in range(10)}, 100)
    assert sure.said() == "100 pictures, 4 would do: `t0` moves by 1%"
    some = Certainty({**{f"t{n}": 0.08 for n in range(20)}, "head": 0.1}, 20)
    assert some.said() == "20 pictures, about 52 would do better: `head` moves by 10%"
    assert not some.doubtful
    few = Certainty({**{f"t{n}": 0.2 for n in range(20)}, "head.2": 0.3}, 20)
    assert few.said() == "these 20 pictures are too few: `head.2` moves by 30%; about 320 would do"
    assert few.doubtful
    assert few.unstable()[0] == "head.2"
    assert Certainty({"t": ENOUGH}, 20).enough == 20


def pictures() -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 255, (5, 256)).astype(np.float32)


def test_copies_are_found_and_nothing_else() -> None:
    small = pictures()
    assert copies(small) == []
    noisy = small[1] + np.random.default_rng(1).normal(size=256).astype(np.float32)
    assert copies(np.stack([*small, noisy, small[3]])) == [(1, 5), (3, 6)]
    assert copies(np.zeros((3, 256), np.float32)) == [], "of one colour"
