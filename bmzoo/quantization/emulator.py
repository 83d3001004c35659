"""Evaluates sets of float layers: emulated mixed-precision networks over a set of pictures, in worker processes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.measure.npz import arrays
from bmzoo.measure.specs import decoder_spec
from bmzoo.quantization.fakequant import emulation
from bmzoo.quantization.greedy import Score
from bmzoo.quantization.loss import Reference, added, total
from bmzoo.quantization.mapping import network_of
from bmzoo.quantization.network import LoweredNetwork
from bmzoo.quantization.sensitivity import Sensitivity, Sweep
from bmzoo.quantization.session import session
from bmzoo.runtime.decoders.spec import DecoderSpec

Powers = Mapping[str, float]
Values = NDArray[np.float32]
# A worker holds network, pictures and one picture's tensors: 650 MB for RetinaFace at 640x640, 1.8 GB for YOLOv5n.
MOST_PROCESSES = 4
_MODEL, _TOP, _LOWERED, _INPUTS = "model.onnx", "model.mlir", "lowered.mlir", "inputs.npz"


@dataclass(frozen=True)
class EmulatorJob:
    """What a worker is started with: the step's folder, the config's decoder, the input's (height, width).

    `slots`: how many pictures `inputs.npz` holds, one after the other in every input.
    """

    folder: Path
    decoder: Mapping[str, Any]
    size: tuple[int, int]
    slots: int

    def network(self) -> LoweredNetwork:
        """The network at the size of one picture. What depends on no picture is folded, as TPU-MLIR does."""
        top, lowered = ((self.folder / name).read_text(encoding="utf-8") for name in (_TOP, _LOWERED))
        return network_of(onnx.load(str(self.folder / _MODEL)), top, lowered)

    def feeds(self) -> dict[str, Values]:
        """Each input for all pictures."""
        return arrays(self.folder / _INPUTS)

    def picture(self, feeds: Mapping[str, Values], index: int) -> dict[str, Values]:
        """Each input for one of them."""
        rows = {name: len(values) // self.slots for name, values in feeds.items()}
        return {name: values[index * rows[name] : (index + 1) * rows[name]] for name, values in feeds.items()}

    def spec(self) -> DecoderSpec:
        return decoder_spec(self.decoder, self.folder)


class Workbench:
    """The network and pictures of one worker process. Sessions are created when first used."""

    def __init__(self, job: EmulatorJob) -> None:
        self.net = job.network()
        self._job, self._spec, self._size = job, job.spec(), job.size
        self._feeds = job.feeds()
        self._references: dict[int, Reference] = {}
        self._float: Any = None
        self._sweep: Sweep | None = None

    def sensitivities(self, index: int) -> tuple[dict[str, Sensitivity], dict[str, float]]:
        """`Sweep.measure` of one picture."""
        if self._sweep is None:
            self._sweep = Sweep(self.net, self._spec, self._size)
        return self._sweep.measure(self._job.picture(self._feeds, index))

    def compare(
        self, floats: frozenset[str], factors: Mapping[str, float], indices: Sequence[int]
    ) -> list[tuple[Powers, Powers, float]]:
        """By picture, with these layers in float: noise and signal by part, and the lowest cosine over heads.

        `factors`: what scales are times, by tensor.
        """
        running = session(emulation(self.net.scaled(factors), floats), threads=1)
        found: list[tuple[Powers, Powers, float]] = []
        for index in indices:
            reference = self._reference(index)
            heads = self._run(running, index)
            found.append((reference.noise(heads), reference.signal, min(reference.cosines(heads).values())))
        return found

    def _reference(self, index: int) -> Reference:
        if self._float is None:
            self._float = session(self.net.model, threads=1)
        if index not in self._references:
            self._references[index] = Reference(self._run(self._float, index), self._spec, self._size)
        return self._references[index]

    def _run(self, running: Any, index: int) -> dict[str, Any]:  # noqa: ANN401  # onnxruntime ships no types
        heads = self.net.heads
        return dict(zip(heads, running.run(heads, self._job.picture(self._feeds, index)), strict=True))


class Emulator:
    """Scores sets of float layers over pictures 0..number-1. Results do not depend on the number of processes."""

    def __init__(self, pool: ProcessPoolExecutor, number: int, processes: int) -> None:
        self._pool, self._number, self._processes = pool, number, processes

    def score(
        self,
        floats: frozenset[str] = frozenset(),
        factors: Mapping[str, float] | None = None,
        pictures: range | None = None,
    ) -> Score:
        """Score of the network with these layers in float and scales times factors, over all pictures or some."""
        shown = range(self._number) if pictures is None else pictures
        parts = [shown[start :: self._processes] for start in range(self._processes)]
        futures = [
            (part, self._pool.submit(_compare, floats, dict(factors or {}), tuple(part))) for part in parts if part
        ]
        by_picture = {i: one for part, future in futures for i, one in zip(part, future.result(), strict=True)}
        ordered = [by_picture[i] for i in shown]
        loss = total(added([noise for noise, _, _ in ordered]), added([signal for _, signal, _ in ordered]))
        return Score(loss, float(np.mean([cosine for _, _, cosine in ordered])))

    def sensitivities(self, index: int) -> "Future[tuple[dict[str, Sensitivity], dict[str, float]]]":
        """Every layer's sensitivity on one picture, computed in a worker."""
        return self._pool.submit(_sensitivities, index)


@contextmanager
def emulator(job: EmulatorJob, number: int) -> Iterator[Emulator]:
    """A pool of workers for a step over `number` pictures; each loads network and pictures once."""
    processes = max(1, min(number, len(os.sched_getaffinity(0)), MOST_PROCESSES))
    # Spawned and not forked: onnxruntime's thread pool does not survive a fork.
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_open, initargs=(job,)) as pool:
        yield Emulator(pool, number, processes)


_BENCH: list[Workbench] = []  # one for each worker process: a pool's initializer has nowhere else to put it


def _open(job: EmulatorJob) -> None:
    _BENCH[:] = [Workbench(job)]


def _compare(
    floats: frozenset[str], factors: Mapping[str, float], indices: tuple[int, ...]
) -> list[tuple[Powers, Powers, float]]:
    return _BENCH[0].compare(floats, factors, indices)


def _sensitivities(index: int) -> tuple[dict[str, Sensitivity], dict[str, float]]:
    return _BENCH[0].sensitivities(index)
