"""Histograms of many tensors in files: one for each picture or group of pictures, read back by tensor."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.npz import arrays
from bmzoo.quantization.histograms import Histogram, together

Values = NDArray[Any]


class Observed:
    """Histograms by tensor, from files, put together when asked for."""

    def __init__(self, files: Sequence[Path], tensors: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(tensors)}
        self._stored = [arrays(file) for file in files]
        self._starts = [starts_of(stored["told"]) for stored in self._stored]

    def of(self, tensor: str) -> Histogram:
        """A tensor's histogram, a row for each picture or group of them."""
        place = self._places[tensor]
        stored = zip(self._stored, self._starts, strict=True)
        return together([unpacked(one, place, starts[place]) for one, starts in stored])


def packed(found: Sequence[Histogram]) -> dict[str, Values]:
    """Histograms as arrays: all counts in a row, and where each starts."""
    told = [[*one.counts.shape, one.first, one.exponent] for one in found]
    names = ("zeros", "lows", "highs")
    return {
        "told": np.array(told, np.int64),
        "counts": np.concatenate([one.counts.reshape(-1) for one in found]).astype(np.uint32),
        **{name: np.concatenate([getattr(one, name) for one in found]) for name in names},
    }


def starts_of(told: Values) -> Values:
    """Where the counts of each histogram start, and its rows [histograms, 2]."""
    sizes = np.stack([told[:, 0] * told[:, 1], told[:, 0]], axis=1)
    return np.asarray(np.cumsum(sizes, axis=0) - sizes)


def unpacked(stored: Mapping[str, Values], place: int, start: Values) -> Histogram:
    """One of the histograms that `packed` made arrays of. `start`: its row of `starts_of`."""
    rows, bins, first, exponent = stored["told"][place].tolist()
    counts = stored["counts"][start[0] : start[0] + rows * bins].astype(np.int64).reshape(rows, bins)
    zeros, lows, highs = (stored[name][start[1] : start[1] + rows] for name in ("zeros", "lows", "highs"))
    return Histogram(counts, first, exponent, zeros, lows, highs)
