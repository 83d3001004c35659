"""TPU-MLIR's own files, before and after lowering, in its interpreter: no chip, no compiler run needed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence, Tuple

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.session import check_batches
from bmzoo.runtime.engines.tensor_info import TensorInfo
from bmzoo.runtime.engines.worker import Worker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WEIGHTS = re.compile(r'module\.weight_file = "([^"]+)"')
# The interpreter needs the libraries of the package, not those of a chip.
ANY_CHIP = "bm1684x"


class MlirSession:
    """A top MLIR file (float) or a lowered `*_tpu.mlir` (F32, F16, BF16, INT8), its weights npz beside it.

    `python` is an interpreter of the version that the TPU-MLIR package at `tpuc_root` wants, with numpy.
    `timeout` is in seconds, for loading and for each run of the network; what the engine prints is appended
    to `log`. Start-up is paid once. Raises SessionError when the model is missing, damaged or without weights.
    """

    def __init__(
        self,
        mlir: Path,
        tpuc_root: Path,
        python: str = sys.executable,
        timeout: float = 600.0,
        log: Optional[Path] = None,
        threads: int = 0,
    ) -> None:
        self._where = str(mlir)
        check_model(mlir)
        self._worker = Worker("bmzoo.runtime.engines.mlir_worker", "pymlir", python, timeout, log)
        self._worker.model = mlir.resolve()
        self.log = self._worker.log
        try:
            self._worker.use(tpuc_root, ANY_CHIP, threads)
            said = self._worker.start()
        except BaseException:
            self._worker.close()
            raise
        self.inputs, self.outputs = _infos(said["inputs"]), _infos(said["outputs"])
        self.tensor_names: Tuple[str, ...] = tuple(said["tensors"])

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
        """Outputs by name, float32, in network order; arrays may hold a multiple of the model's batch."""
        return self._worker.run(feeds, check_batches(self._where, self.inputs, feeds))

    def tensors(
        self, feeds: Mapping[str, NDArray[Any]], names: Optional[Sequence[str]] = None
    ) -> Dict[str, NDArray[np.float32]]:
        """Every tensor of the network in its order, or those of `names`: float32, dequantized, weights left out.

        All of them take 110 MB an image in a RetinaFace of 640x640.
        """
        count = check_batches(self._where, self.inputs, feeds)
        return self._worker.run(feeds, count, list(self.tensor_names if names is None else names))

    def close(self) -> None:
        """End the worker and remove its files; after a failure all of them but the log."""
        self._worker.close()


def check_model(mlir: Path) -> None:
    """Raise SessionError for what the engine would answer with an abort or a segmentation fault."""
    if not mlir.is_file():
        raise SessionError(f"{mlir}: no such MLIR file")
    text = mlir.read_text(encoding="utf-8", errors="replace")
    named = _WEIGHTS.search(text)
    if named is None or "func.func" not in text:
        raise SessionError(f"{mlir}: not an MLIR file of TPU-MLIR, or damaged")
    if not (mlir.resolve().parent / named.group(1)).is_file():
        hint = "an .mlir and its weights travel together: copy the npz beside it"
        raise SessionError(f"{mlir}: its weights are missing: {named.group(1)}", hint)


def _infos(tensors: Sequence[Tuple[str, Sequence[int]]]) -> Tuple[TensorInfo, ...]:
    # float32 whatever the file holds: the engine converts both ways.
    return tuple(TensorInfo(name, tuple(shape), "float32") for name, shape in tensors)
