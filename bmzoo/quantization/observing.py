"""Watches the tensors of a network over pictures, in worker processes that each hold one picture's at a time.

Every picture is run on one thread and gets histograms of its own, so what is found does not depend on how many
processes there are. A process that is killed loses the pictures that it was at.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.errors import SourceError, ToolFailed
from bmzoo.measure.npz import arrays
from bmzoo.quantization.histogram_files import Observed, packed
from bmzoo.quantization.histograms import Histogram, histogram, together
from bmzoo.quantization.session import Watched
from bmzoo.system.partial import FOLDER, Pieces

# Pictures are told apart up to here; of more, several in a row count as one.
MOST_TOLD_APART = 64
# A worker holds the network and one picture's tensors: 200 MB for a YOLOv5n of 640x640.
MOST_OBSERVERS = 8
# Pixels of a picture's side where pictures are compared.
SIDE = 16

Values = NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Observation:
    """What is watched: a network file with `tensors` as its outputs, or inputs, and how many bins there are.

    `shown`: by the name of a sample without its suffix, what people know it by.
    """

    model: Path
    tensors: tuple[str, ...]
    bins: int
    shown: Mapping[str, str]


class Observer:
    """The network of one process, opened when first used."""

    def __init__(self, job: Observation) -> None:
        self._job = job
        self._network: Watched | None = None

    def histograms(self, sample: Path, feeds: Mapping[str, Values]) -> list[Histogram]:
        """The histogram of each tensor for one picture. Raises SourceError for values that are no numbers."""
        values = {**feeds, **self._run(feeds)}
        shown = self._job.shown.get(sample.stem, sample.stem)
        found = []
        for name in self._job.tensors:
            try:
                found.append(histogram(values[name], self._job.bins))
            except ValueError as error:
                raise SourceError(f"{shown}: the ONNX model gives {error} in `{name}`", HINT) from None
        return found

    def _run(self, feeds: Mapping[str, Values]) -> Mapping[str, Values]:
        if self._network is None:
            self._network = Watched(onnx.load(str(self._job.model)), threads=1)
        return self._network.run(feeds)


HINT = "are mean, scale and pixel_format below `input` in the config those that it was trained with?"


_MEMORY = "most likely for want of memory: each holds all tensors of a picture; run it again, and it goes on"


class Observers:
    """Worker processes that watch samples, and then look at what was seen of each tensor."""

    def __init__(
        self, pool: ProcessPoolExecutor, processes: int, job: Observation, samples: Sequence[Path]
    ) -> None:
        self._pool, self._processes, self._job = pool, processes, job
        self._groups = list(grouped(samples))
        folder = samples[0].parents[1] / FOLDER
        self._files = [folder / f"{index}.npz" for index in range(len(self._groups))]

    def watch(self, pieces: Pieces) -> None:
        """Watch all samples, but those that an interrupted run was done with. Raises SourceError, ToolFailed."""
        todo = [index for index in range(len(self._groups)) if pieces.find(str(index)) is None]
        waiting = {self._pool.submit(_watch, self._groups[i], self._files[i]): i for i in todo}
        try:
            for future in as_completed(waiting):
                future.result()
                pieces.keep(str(waiting[future]), {"pictures": len(self._groups[waiting[future]])})
        except BrokenProcessPool:
            raise ToolFailed("a process that watched pictures was killed", _MEMORY) from None
        except BaseException:
            self._pool.shutdown(cancel_futures=True)
            raise

    def each(self, action: Callable[[Histogram], T]) -> dict[str, T]:
        """What an action, a function of a module or a `partial` of one, makes of each tensor's histogram."""
        tensors, step = self._job.tensors, self._processes
        parts = [tensors[start::step] for start in range(step)]
        waiting = [self._pool.submit(_look, action, self._files, tensors, part) for part in parts]
        found = {name: value for future in waiting for name, value in future.result().items()}
        return {name: found[name] for name in tensors}

    def small(self) -> NDArray[np.float32]:
        """The pictures, SIDE x SIDE each [pictures, SIDE * SIDE]."""
        return np.concatenate([arrays(file)["small"] for file in self._files])


@contextmanager
def observers(job: Observation, samples: Sequence[Path]) -> Iterator[Observers]:
    """Processes for a step; as many as there are cores, and samples."""
    processes = max(1, min(len(samples), len(os.sched_getaffinity(0)), MOST_OBSERVERS))
    # Spawned and not forked: onnxruntime's thread pool does not survive a fork.
    with ProcessPoolExecutor(processes, get_context("spawn"), _open_observer, (job,)) as pool:
        yield Observers(pool, processes, job, samples)


def grouped(samples: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Samples one by one, or as many in a row as leave no more groups than are told apart."""
    each = -(-len(samples) // MOST_TOLD_APART)
    for start in range(0, len(samples), each):
        yield tuple(samples[start : start + each])


def small_picture(feeds: Mapping[str, Values]) -> NDArray[np.float32]:
    """The first input that has rows and columns, as SIDE x SIDE means over channels; zeros where there is none."""
    found = np.zeros((SIDE, SIDE), np.float32)
    picture = next((value[0] for value in feeds.values() if value.ndim == 4), None)
    if picture is None or min(picture.shape[1:]) < SIDE:
        return found.reshape(-1)
    grey = np.asarray(picture, np.float32).mean(axis=0)
    starts = [np.linspace(0, side, SIDE, endpoint=False).astype(int) for side in grey.shape]
    sizes = [np.diff(np.append(start, side)) for start, side in zip(starts, grey.shape, strict=True)]
    sums = np.add.reduceat(np.add.reduceat(grey, starts[0], axis=0), starts[1], axis=1)
    return np.asarray(sums / np.outer(*sizes), np.float32).reshape(-1)


_OBSERVER: list[Observer] = []  # one for each worker process: a pool's initializer has nowhere else to put it


def _open_observer(job: Observation) -> None:
    _OBSERVER[:] = [Observer(job)]


def _watch(samples: Sequence[Path], result: Path) -> None:
    """Write the histograms over some samples to a file, which is there whole or not at all."""
    found, small = [], []
    for sample in samples:
        feeds = arrays(sample)
        found.append(_OBSERVER[0].histograms(sample, feeds))
        small.append(small_picture(feeds))
    merged = [together(each) for each in zip(*found, strict=True)]
    merged = [one.summed() for one in merged] if len(samples) > 1 else merged
    part = result.with_suffix(f".{os.getpid()}")
    with part.open("wb") as file:
        np.savez(file, small=np.stack(small), **packed(merged))
    part.replace(result)


def _look(
    action: Callable[[Histogram], T], files: Sequence[Path], tensors: Sequence[str], part: Sequence[str]
) -> dict[str, T]:
    seen = Observed(files, tensors)
    return {name: action(seen.of(name)) for name in part}
