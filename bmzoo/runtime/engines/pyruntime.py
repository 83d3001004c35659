"""TPU-MLIR's Python runtimes behind one shape: each family of chips has its own, driven in its own way.

Only importable inside an overlay, which says by PYRUNTIME which of them goes with the simulator.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, List, Sequence, Tuple

from bmzoo.errors import SessionError

if TYPE_CHECKING:
    from pathlib import Path

# The variable by which an overlay says which runtime drives its simulator.
PYRUNTIME = "PYRUNTIME"


class SimulatedNetwork:
    """The first network of a model; `inputs` and `outputs` are the engine's tensors, filled anew by each run."""

    def __init__(self, model: Path) -> None:
        """Raises SessionError without the runtime; a damaged file ends the process inside of it."""
        self.runtime = os.environ.get(PYRUNTIME, "bm")
        try:
            module: Any = importlib.import_module(f"pyruntime_{self.runtime}")
        except ImportError as error:
            raise SessionError(f"{model}: the simulator cannot be loaded: {error}") from error
        if self.runtime == "cvi":  # the model is its own one network, and gives inner tensors unless told not to
            self._engine = self._net = module.Model(str(model), output_all_tensors=False)
            self.networks: List[str] = [model.stem]
        else:
            self._engine = module.Model(str(model))  # the network lives in it
            self.networks = list(self._engine.networks)
            self._net = self._engine.Net(self.networks[0])
        self.inputs: Sequence[Any] = self._net.inputs
        self.outputs: Sequence[Any] = self._net.outputs

    def forward(self) -> None:
        """Run it once. The runtime of the tpuv7 chips does nothing unless it is told the shapes."""
        if self.runtime == "tpuv7":
            self._net.forward_dynamic([list(tensor.data.shape) for tensor in self.inputs])
        else:
            self._net.forward()

    def forward_dynamic(self, shapes: Sequence[Sequence[int]]) -> List[List[int]]:
        """Run it once on inputs of these shapes; shapes of the outputs."""
        found: List[List[int]] = self._net.forward_dynamic(shapes)
        return found


def as_meant(shape: Sequence[int], runtime: str) -> Tuple[int, ...]:
    """The shape of an output as the network means it: a cvimodel pads all shapes to four dimensions with ones.

    The last of the four is taken for padding where it is 1. What has two dimensions keeps a third one of 1.
    """
    padded = runtime == "cvi" and len(shape) == 4 and shape[3] == 1
    return tuple(shape[:3] if padded else shape)
