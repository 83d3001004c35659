"""Thresholds against computations on the values themselves, and on distributions whose answer is known."""

import math
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.config.quantization import Calibration
from bmzoo.quantization.histograms import Histogram, histogram, together
from bmzoo.quantization.thresholds import (
    LEAST_THRESHOLD,
    NEAR_LEAST,
    THRESHOLDS_BY,
    TUNED,
    clipping,
    kl,
    mse,
    noise,
    percentiles,
    raised,
)

BINS = 4096
RNG = np.random.default_rng(3)
SAMPLES: dict[str, NDArray[np.float32]] = {
    "normal": RNG.normal(size=200_000).astype(np.float32),
    "laplace": (5 * RNG.laplace(size=200_000)).astype(np.float32),
    "relu": np.maximum(RNG.normal(size=200_000), 0).astype(np.float32),
    "outliers": np.concatenate([RNG.normal(size=100_000), [80.0, -90.0]]).astype(np.float32),
    "few": RNG.choice([-3.0, 0.0, 1.0, 2.0], 5000).astype(np.float32),
}


def test_every_method_of_a_config_is_there() -> None:
    assert set(get_args(Calibration.model_fields["method"].annotation)) == set(THRESHOLDS_BY)


def seen_of(values: NDArray[np.float32]) -> Histogram:
    return histogram(values, BINS)


def divergence(counts: NDArray[np.int64], kept: int, levels: int) -> float:
    """Kullback-Leibler, bin by bin, of the real distribution and what its levels say of it."""
    real = [float(count) for count in counts[:kept]]
    real[-1] += float(counts[kept:].sum())
    group = kept // levels
    said = []
    for level in range(levels):
        bins = counts[level * group : (level + 1) * group]
        filled = sum(1 for count in bins if count)
        said += [float(bins.sum()) / filled if count else 0.0 for count in bins]
    whole, all_said = sum(real), sum(said)
    return sum(
        p / whole * (math.log(p / whole) - math.log(q / all_said + 1e-30 if all_said else 1e-30))
        for p, q in zip(real, said, strict=True)
        if p
    )


@pytest.mark.parametrize("levels", [128, 8])
@pytest.mark.parametrize("name", SAMPLES)
def test_kl_is_the_candidate_of_least_divergence(name: str, levels: int) -> None:
    seen = histogram(SAMPLES[name], 1024)
    counts = seen.magnitudes()
    counts = np.pad(counts, (0, -len(counts) % levels))
    step = levels if levels > 8 else 64  # a few of the many candidates are enough to compare
    found = round(kl(seen, levels) / seen.width)
    best = divergence(counts, found, levels)
    for kept in range(step, len(counts) + 1, step):
        assert best <= divergence(counts, kept, levels) + 1e-6, kept


def squared_error(values: NDArray[np.float32], threshold: float, levels: int = 128) -> float:
    """Rounding for real. What is never negative has twice the levels."""
    unsigned = values.min() >= 0
    step = threshold / levels / (2 if unsigned else 1)
    low = 0.0 if unsigned else -threshold
    return float(np.mean((np.clip(np.round(values / step) * step, low, threshold) - values) ** 2))


@pytest.mark.parametrize("name", ["normal", "laplace", "relu", "outliers"])
@pytest.mark.parametrize("levels", [128, 8])
def test_mse_is_where_the_squared_error_is_least(name: str, levels: int) -> None:
    values = SAMPLES[name]
    found = mse(seen_of(values), levels)
    tried = np.linspace(0.02, 1, 200) * np.abs(values).max()
    least = min(squared_error(values, threshold, levels) for threshold in tried)
    assert squared_error(values, found, levels) <= 1.06 * least


def test_noise_is_the_squared_error() -> None:
    for name in ("normal", "laplace", "relu"):
        values, seen = SAMPLES[name], seen_of(SAMPLES[name])
        for threshold in (0.3 * seen.largest, 0.7 * seen.largest):
            whole = float(noise(seen, np.array([threshold]), 128)[0]) / len(values)
            assert whole == pytest.approx(squared_error(values, threshold), rel=0.05), name


def test_percentiles_are_of_all_values_at_either_end() -> None:
    for name in ("normal", "laplace", "relu"):
        values = SAMPLES[name]
        low, high = percentiles(seen_of(values))
        beyond = [np.mean(values > high), np.mean(values < low)]
        np.testing.assert_allclose(beyond, [1e-4, 1e-4 if low < 0 else 0], atol=1e-5, err_msg=name)
        found = clipping(seen_of(values), "percentile9999")
        assert (found.low, found.high) == (low, high)
        assert found.threshold == max(-low, high)


def test_aciq_knows_the_width_of_its_distribution() -> None:
    """Of 8 bits, 9.897 of a Laplace distribution's widths and 3.924 of a normal one's deviations."""
    laplace = together([seen_of((2 * RNG.laplace(size=100_000)).astype(np.float32)) for _ in range(3)])
    assert THRESHOLDS_BY["aciq_laplace"](laplace, 128) == pytest.approx(2 * 9.89675982, rel=0.02)
    assert THRESHOLDS_BY["aciq_laplace"](laplace, 8) == pytest.approx(2 * 5.02864014, rel=0.02)
    shifted = seen_of(np.concatenate([np.zeros(50_000), RNG.laplace(size=50_000)]).astype(np.float32))
    assert THRESHOLDS_BY["aciq_laplace"](shifted, 128) == pytest.approx(0.5 * 9.89675982, rel=0.02)
    normal = together([seen_of((2 * RNG.normal(size=100_000)).astype(np.float32)) for _ in range(5)])
    # The range says less than all values do: within a tenth.
    assert THRESHOLDS_BY["aciq_gauss"](normal, 128) == pytest.approx(2 * 3.92403337, rel=0.1)


def test_max_clips_nothing() -> None:
    found = clipping(seen_of(SAMPLES["outliers"]), "max")
    assert (found.threshold, found.low, found.high) == (90, -90, 80)


@pytest.mark.parametrize("method", THRESHOLDS_BY)
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_no_threshold_beyond_the_values_or_too_small_to_scale_by(method: str, scale: float) -> None:
    for levels in (128, 8):
        for values in SAMPLES.values():
            seen = seen_of(values * np.float32(scale))
            found = clipping(seen, method, levels, tune=True)
            assert LEAST_THRESHOLD <= found.threshold <= max(seen.largest, LEAST_THRESHOLD) * 1.0001
            assert found.low <= found.high


@pytest.mark.parametrize("method", THRESHOLDS_BY)
def test_what_is_always_zero_gets_the_least_threshold(method: str) -> None:
    found = clipping(seen_of(np.zeros(100, np.float32)), method)
    assert (found.threshold, found.low, found.high) == (LEAST_THRESHOLD, 0, LEAST_THRESHOLD)
    assert clipping(seen_of(np.full(9, -1e-9, np.float32)), method).low == -LEAST_THRESHOLD


@pytest.mark.parametrize("method", ["kl", "mse", "max", "percentile9999"])
def test_a_constant_is_kept_whole(method: str) -> None:
    assert clipping(seen_of(np.full(1000, 7.0, np.float32)), method).threshold == pytest.approx(7, rel=0.01)


def test_tuning_never_lowers_and_never_adds_noise() -> None:
    for method in TUNED:
        for values in SAMPLES.values():
            seen = seen_of(values)
            plain = clipping(seen, method).threshold
            tuned = clipping(seen, method, tune=True).threshold
            assert tuned >= plain
            assert raised(seen, plain, 128) == pytest.approx(tuned, rel=1e-9)
            assert squared_error(values, tuned) <= 1.02 * squared_error(values, plain)


def test_tuning_keeps_the_few_large_values_of_an_output() -> None:
    """As boxes among scores: by kl alone they are clipped to a quarter."""
    values = np.concatenate([RNG.exponential(3, 100_000), RNG.uniform(0, 640, 500)]).astype(np.float32)
    seen = seen_of(values)
    assert clipping(seen, "kl").threshold < 0.4 * seen.largest
    tuned = clipping(seen, "kl", tune=True).threshold
    least = min(squared_error(values, share * seen.largest) for share in np.linspace(0.05, 1, 96))
    assert squared_error(values, tuned) <= 1.1 * NEAR_LEAST * least
