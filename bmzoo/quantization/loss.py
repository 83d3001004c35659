"""Quantization loss at the outputs of a detector, weighted towards foreground anchors.

Nearly all anchors of a detector are background, where box offsets mean nothing, so a cosine over a whole head
mostly measures background noise. Here scores count at every anchor, as a false positive is an error too, and
offsets count in proportion to the float model's score. Models without a decoder are compared by the noise of all
their outputs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.degenerate import ONNX, check_finite
from bmzoo.runtime.decoders.decode import load
from bmzoo.runtime.decoders.heads import Heads, by_name
from bmzoo.runtime.decoders.spec import DecoderSpec

# Below this score in the float model an anchor is background, and its offsets are ignored.
CONFIDENT = 0.05
# Weights of the parts: scores and boxes decide which faces are found; landmarks only refine them.
HEAD_WEIGHTS = {"scores": 1.0, "boxes": 1.0, "landmarks": 0.25}

Rows = NDArray[np.float32]


class Reference:
    """The float model's heads for one picture, as the reference. `signal`: their power, by the parts of `noise`.

    Raises VerifyFailed for values that are no numbers.
    """

    def __init__(self, heads: Heads, spec: DecoderSpec, input_hw: tuple[int, int]) -> None:
        check_finite(heads, ONNX)
        heads = _floats(heads)
        self._spec, self._hw, self._heads = spec, input_hw, heads
        self._norms = {name: float(np.linalg.norm(head)) for name, head in heads.items()}
        self._rows = rows(heads, spec, input_hw)
        scores = self._rows.get("scores")
        best = None if scores is None else scores.max(axis=1, keepdims=True)  # over classes
        self._confident = None if best is None else np.flatnonzero(best[:, 0] >= CONFIDENT)
        self._weight = 1.0 if best is None else best[self._confident].astype(np.float64)
        self.signal = {name: self._power(name, self._at(name, values)) for name, values in self._rows.items()}

    def noise(self, heads: Heads) -> dict[str, float]:
        """Weighted power of the difference by part (scores, boxes, ... or output), to be divided by `signal`."""
        test = rows(_floats(heads), self._spec, self._hw)
        own = self._rows
        return {name: self._power(name, self._at(name, test[name]) - self._at(name, own[name])) for name in own}

    def cosines(self, heads: Heads) -> dict[str, float]:
        """Cosine over each whole head, the criterion of the vendor's search: -1..1."""
        found, test = {}, _floats(heads)
        for name, own in self._heads.items():
            norms = self._norms[name] * float(np.linalg.norm(test[name]))
            found[name] = (
                float(np.vdot(own, test[name])) / norms if norms else float(np.array_equal(own, test[name]))
            )
        return found

    def _at(self, name: str, values: Rows) -> Rows:
        """All rows of scores and plain outputs; of offsets only those of foreground anchors."""
        return values if self._confident is None or name == "scores" else values[self._confident]

    def _power(self, name: str, values: Rows) -> float:
        squares = np.square(values, dtype=np.float64)
        weighted = squares if self._confident is None or name == "scores" else squares * self._weight
        return float(weighted.sum())


def total(noise: Mapping[str, float], signal: Mapping[str, float]) -> float:
    """The loss: noise-to-signal ratio by part, each summed over pictures beforehand, weighted by HEAD_WEIGHTS."""
    return sum(HEAD_WEIGHTS.get(name, 1.0) * noise[name] / max(signal[name], 1e-12) for name in signal)


def added(powers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Sums by part over pictures."""
    return {name: sum(each[name] for each in powers) for name in (powers[0] if powers else ())}


def rows(heads: Heads, spec: DecoderSpec, input_hw: tuple[int, int]) -> dict[str, Rows]:
    """Heads of one picture by meaning, anchors first: scores [A,C], boxes [A,4], landmarks [A,2K] where there
    are.

    Outputs by name (`output NAME`) for decoders that know no meaning: one that happens to be named `scores` need be
    none. Raises SessionError for heads that do not fit the decoder.
    """
    parts = load(spec.kind).parts
    found = parts(heads, spec, input_hw)
    return {f"output {name}": values for name, values in found.items()} if parts is by_name else found


def _floats(heads: Heads) -> dict[str, Rows]:
    """Outputs as floats: differences of integers may wrap around, and flags have none."""
    return {name: head if head.dtype == np.float32 else head.astype(np.float64) for name, head in heads.items()}
