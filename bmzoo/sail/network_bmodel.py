"""Networks of a bmodel, on the chip simulator of TPU-MLIR. That is searched in $TPUC_ROOT, then as the installed
package `tpu_mlir`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import threading
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bmzoo.runtime.engines.simulator import SimulatorSession, extract, part
from bmzoo.sail.device import LOGGER
from bmzoo.sail.errors import SailEngineError
from bmzoo.sail.ports import DTYPES, Port, Shapes, from_session, largest_of, shapes_of, to_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.engines.bmodel import BModelStage
    from bmzoo.runtime.engines.tensor_info import TensorInfo

# An interpreter of the version that the TPU-MLIR wants, with numpy, where it is not this one.
PYTHON = "BMZOO_SAIL_PYTHON"
# Seconds for a batch: floats take minutes, and more on a busy machine.
_BATCH_TIMEOUT = 1800.0


def tpuc_root() -> Path:
    """Folder of the TPU-MLIR package. Raises SailEngineError when there is none."""
    root = os.environ.get("TPUC_ROOT")
    if root:
        return Path(root)
    spec = importlib.util.find_spec("tpu_mlir")
    if spec is None or spec.origin is None:
        raise SailEngineError(
            "a bmodel needs the chip simulator of TPU-MLIR: pip install tpu_mlir, or set TPUC_ROOT"
        )
    return Path(spec.origin).parent


class Parts:
    """A bmodel's networks and stages, each with a session on the simulator from its first run on.

    A bmodel of one stage is run as it is; another one is taken apart into a folder of its own.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root
        self._python = os.environ.get(PYTHON) or sys.executable
        self._folder: Optional[tempfile.TemporaryDirectory[str]] = None
        self._sessions: Dict[Tuple[int, int], SimulatorSession] = {}
        self._lock = threading.Lock()
        whole = SimulatorSession(path, root, self._python, _BATCH_TIMEOUT)
        self.info = whole.info
        if sum(len(network.stages) for network in self.info.networks) == 1:
            self._sessions[0, 0] = whole
            return
        whole.close()
        self._folder = tempfile.TemporaryDirectory(prefix="bmzoo-sail-")
        try:
            extract(path, root, Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise

    def session(self, network: int, stage: int) -> SimulatorSession:
        """The session of a stage. Raises SessionError."""
        with self._lock:
            if (network, stage) not in self._sessions:
                assert self._folder is not None, "a bmodel of one stage has its session"
                file = part(Path(self._folder.name), network, stage)
                self._sessions[network, stage] = SimulatorSession(file, self._root, self._python, _BATCH_TIMEOUT)
            return self._sessions[network, stage]

    def close(self) -> None:
        """End all simulators and remove all files."""
        for session in self._sessions.values():
            session.close()
        if self._folder is not None:
            self._folder.cleanup()


class BmodelNetwork:
    """A network of a bmodel on the simulator of its chip. Scales have six digits."""

    def __init__(self, parts: Parts, index: int) -> None:
        self._parts, self._index = parts, index
        network = parts.info.networks[index]
        self.name, self.dynamic, self.chip = network.name, network.dynamic, parts.info.chip
        self._stages = [(_ports(stage, stage.inputs), _ports(stage, stage.outputs)) for stage in network.stages]
        self.inputs = largest_of([inputs for inputs, _ in self._stages])
        self.outputs = largest_of([outputs for _, outputs in self._stages])
        for port in (*self.inputs, *self.outputs):
            if port.zero_point:
                LOGGER.warning("%s: zero point %d, which sail does not apply", port.name, port.zero_point)

    def stage(self, shapes: Mapping[str, Tuple[int, ...]]) -> Optional[Shapes]:
        """Shapes of the outputs, in the stage that takes `shapes`."""
        found = self._find(shapes)
        return None if found is None else shapes_of(self._stages[found][1])

    def _find(self, shapes: Mapping[str, Tuple[int, ...]]) -> Optional[int]:
        """The stage of exactly these shapes, else of a dynamic network the smallest that holds them."""
        known = self.takes()
        fitting = [i for i, stage in enumerate(known) if stage == dict(shapes)]
        if not fitting and self.dynamic:
            holding = [i for i, stage in enumerate(known) if _holds(stage, shapes)]
            fitting = sorted(holding, key=lambda i: sum(prod(shape) for shape in known[i].values()))
        return fitting[0] if fitting else None

    def takes(self) -> List[Shapes]:
        """Shapes of the inputs in each stage."""
        return [shapes_of(inputs) for inputs, _ in self._stages]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        """Raw arrays by name -> raw arrays by name. Raises SessionError."""
        stage = self._find({name: array.shape for name, array in feeds.items()})
        assert stage is not None, "whoever calls asked `stage` before"
        inputs, outputs = self._stages[stage]
        session = self._parts.session(self._index, stage)
        results = session.run({port.name: to_session(feeds[port.name], port) for port in inputs})
        return {port.name: from_session(results[port.name], port) for port in outputs}

    def close(self) -> None:
        """Close the bmodel, with its other networks."""
        self._parts.close()


def _ports(stage: BModelStage, infos: Sequence[TensorInfo]) -> Tuple[Port, ...]:
    for info in infos:
        if info.dtype not in DTYPES:
            raise SailEngineError(f"`{info.name}`: tensors of this type are not supported: {info.dtype}")
    return tuple(Port(info.name, info.shape, DTYPES[info.dtype], *stage.scales[info.name]) for info in infos)


def _holds(stage: Mapping[str, Tuple[int, ...]], shapes: Mapping[str, Tuple[int, ...]]) -> bool:
    if set(stage) != set(shapes):
        return False
    pairs = [(shapes[name], shape) for name, shape in stage.items()]
    return all(len(a) == len(b) and all(0 < a[i] <= b[i] for i in range(len(a))) for a, b in pairs)
