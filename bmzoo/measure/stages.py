"""Benchmark of a network's stages per image: preprocessing, inference, postprocessing."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.runtime.decoders.decode import decode
from bmzoo.runtime.preprocess import prepare_batch
from bmzoo.runtime.settings import fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.engines.session import Session
    from bmzoo.runtime.settings import Settings

STAGES = ("preprocess", "inference", "postprocess")


def stage_times(
    session: Session,
    images: Sequence[NDArray[np.uint8]],
    settings: Settings,
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Milliseconds per image of each stage: the median over `rounds` batches, after one warm-up batch.

    Batches are full; `images`, uint8 [H,W,3] BGR, are used in turn, cyclically. Decoding of picture files is
    not timed. Raises SourceError without images, SessionError and ConfigError for a network that does not fit.
    """
    if not images:
        raise SourceError("bench: needs at least one picture")
    tensor, settings = fitted(settings, session)
    size = (settings.input.height, settings.input.width)
    taken: dict[str, list[float]] = {stage: [] for stage in STAGES}
    supply = cycle(images)
    array: NDArray[np.float32] | None = None  # one for all batches, as in detection

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        start = clock()
        yield
        taken[stage].append((clock() - start) * 1000 / settings.batch)

    for _ in range(rounds + 1):
        batch = list(islice(supply, settings.batch))
        with timed("preprocess"):
            array, geometries = prepare_batch(batch, settings.input, settings.batch, array)
        with timed("inference"):
            heads = session.run({tensor.name: array.astype(tensor.dtype, copy=False)})
        with timed("postprocess"):
            decode(heads, settings.decoder, size, settings.confidence, settings.nms, geometries)
    return {stage: float(np.median(times[1:])) for stage, times in taken.items()}


def machine() -> dict[str, str | float]:
    """The environment of a measurement: processor, cores, load, versions."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "opencv-python-headless", "onnxruntime")},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
