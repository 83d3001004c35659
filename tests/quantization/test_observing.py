"""What workers write and read back, and how pictures are grouped."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bmzoo.errors import ToolFailed
from bmzoo.quantization import observing
from bmzoo.quantization.histogram_files import packed, starts_of, unpacked
from bmzoo.quantization.histograms import histogram, together
from bmzoo.quantization.observing import (
    MOST_TOLD_APART,
    SIDE,
    Observation,
    grouped,
    observers,
    small_picture,
)
from bmzoo.system.partial import Pieces


def test_histograms_come_back_as_they_were() -> None:
    rng = np.random.default_rng(0)
    one = [histogram((scale * rng.normal(size=500)).astype(np.float32), 64) for scale in (1, 7, 0.01)]
    kept = [together(one), histogram(np.zeros(3, np.float32), 64), histogram(np.arange(9, dtype=np.float32), 64)]
    stored = packed(kept)
    for place, (before, start) in enumerate(zip(kept, starts_of(stored["told"]), strict=True)):
        after = unpacked(stored, place, start)
        assert (after.first, after.exponent) == (before.first, before.exponent)
        for name in ("counts", "zeros", "lows", "highs"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


@pytest.mark.parametrize("number", [1, 5, MOST_TOLD_APART, MOST_TOLD_APART + 1, 1000])
def test_no_more_groups_than_are_told_apart_and_no_picture_lost(number: int) -> None:
    samples = [Path(f"{index}.npz") for index in range(number)]
    groups = list(grouped(samples))
    assert [sample for group in groups for sample in group] == samples
    assert len(groups) <= MOST_TOLD_APART
    assert number > MOST_TOLD_APART or {len(group) for group in groups} == {1}


def test_a_small_picture_has_the_means_of_its_parts() -> None:
    picture = np.random.default_rng(0).uniform(size=(1, 3, SIDE * 5, SIDE * 3)).astype(np.float32)
    expected = picture[0].mean(axis=0).reshape(SIDE, 5, SIDE, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small_picture({"x": picture}).reshape(SIDE, SIDE), expected, rtol=1e-5)
    odd = small_picture({"x": np.full((1, 1, 37, 50), 3.0, np.float32)})
    np.testing.assert_allclose(odd, 3)
    assert not small_picture({"ids": np.ones((1, 4), np.int64)}).any(), "no picture"
    assert not small_picture({"x": np.ones((1, 3, 8, 8), np.float32)}).any(), "too small"


def dies(samples: Sequence[Path], result: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").mkdir()
    sample = tmp_path / "samples" / "00000.npz"
    np.savez(sample, x=np.ones((1, 3), np.float32))
    monkeypatch.setattr(observing, "_watch", dies)
    job = Observation(tmp_path / "none.onnx", ("x",), 64, {})
    with observers(job, [sample]) as processes, pytest.raises(ToolFailed, match="was killed"):
        processes.watch(Pieces(tmp_path, 1))
