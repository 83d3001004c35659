"""Compiled models on TPU-MLIR's chip simulator, without a card: a process per session, in an overlay of its own.

The engine's own interface runs the first stage of a network. A bmodel of several networks or stages is taken apart
by `model_tool --extract`, and each part is a bmodel with a session of its own.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.bmodel import BModelInfo, parse_info
from bmzoo.runtime.engines.cvimodel import CVIMODEL_SUFFIX, check_kind, parse_cvimodel_info
from bmzoo.runtime.engines.session import check_batches
from bmzoo.runtime.engines.worker import Worker, call, how_it_ended, inherited

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.engines.tensor_info import TensorInfo


class SimulatorSession:
    """A bmodel or cvimodel on the simulator of the chip that it was compiled for, which starts at the first run.

    `python` is an interpreter of the version that the TPU-MLIR package at `tpuc_root` wants, with numpy.
    `timeout` is in seconds, for start-up and for each run of the network. What the engine prints is appended
    to `log`, by default a file in a temporary folder that is kept when something failed. Raises SessionError
    when the model is missing, damaged or for a chip without a simulator.
    """

    def __init__(
        self,
        bmodel: Path,
        tpuc_root: Path,
        python: str = sys.executable,
        timeout: float = 600.0,
        log: Optional[Path] = None,
        threads: int = 0,
    ) -> None:
        self._where = str(bmodel)
        if not bmodel.is_file():
            raise SessionError(f"{bmodel}: no such {bmodel.suffix[1:] or 'model'}")
        check_kind(bmodel)
        self._worker = Worker("bmzoo.runtime.engines.worker_simulator", "simulator", python, timeout, log)
        self._worker.model = bmodel.resolve()
        self.log = self._worker.log
        try:
            self.info = read_info(bmodel, tpuc_root, timeout)
            self._worker.use(tpuc_root, self.info.chip, threads)
        except BaseException as error:
            self._worker.close()
            if isinstance(error, SessionError):
                raise SessionError(f"{bmodel}: {error.message}", error.hint) from None
            raise
        # float32 whatever the file holds: the worker converts both ways.
        self.inputs = tuple(replace(tensor, dtype="float32") for tensor in self.info.inputs)
        self.outputs = tuple(replace(tensor, dtype="float32") for tensor in self.info.outputs)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
        """Outputs by name, float32, in network order; arrays may hold a multiple of the model's batch, or less
        than the largest shape of a dynamic network.
        """
        if self.info.networks[0].dynamic and is_within(self.inputs, feeds):
            return self._worker.run(feeds)
        return self._worker.run(feeds, check_batches(self._where, self.inputs, feeds))

    def close(self) -> None:
        """End the simulator and remove its files; after a failure all of them but the log."""
        self._worker.close()


def is_within(inputs: Sequence[TensorInfo], feeds: Mapping[str, NDArray[Any]]) -> bool:
    """Whether `feeds` are the inputs of a dynamic network, in shapes that it takes."""
    if {info.name for info in inputs} != set(feeds):
        return False
    pairs = [(feeds[info.name], info) for info in inputs]
    return all(
        array.dtype.name == info.dtype
        and array.ndim == len(info.shape)
        and all(0 < size <= info.shape[i] for i, size in enumerate(array.shape))
        for array, info in pairs
    )


def extract(bmodel: Path, tpuc_root: Path, folder: Path, timeout: float = 60.0) -> None:
    """Take a bmodel apart into `folder`: a file for each stage, where `part` says. Raises SessionError."""
    argv = [str(tpuc_root.resolve() / "bin" / "model_tool"), "--extract", str(bmodel.resolve())]
    answer = folder / "extract.txt"
    code = call(argv, folder, inherited(), answer, timeout)
    if code != 0:
        said = answer.read_text(errors="replace").strip()[-200:]
        raise SessionError(f"{bmodel}: cannot be taken apart: {said}: model_tool: {how_it_ended(code)}")


def part(folder: Path, network: int, stage: int) -> Path:
    """The file of a stage that `extract` made."""
    return folder / f"bm_net{network}_stage{stage}.bmodel"


def read_info(bmodel: Path, tpuc_root: Path, timeout: float) -> BModelInfo:
    """What a bmodel or cvimodel says about itself. Raises SessionError for a damaged file."""
    argv = [str(tpuc_root.resolve() / "bin" / "model_tool"), "--info", str(bmodel.resolve())]
    with tempfile.TemporaryDirectory(prefix="bmzoo-info-") as folder:
        answer = Path(folder, "info.txt")
        code = call(argv, Path(folder), inherited(), answer, timeout)
        text = answer.read_text(errors="replace")
    # A damaged file can make the tool crash after it has printed something that looks whole.
    said = text if code == 0 else text[-200:] + f"\nmodel_tool: {how_it_ended(code)}"
    return parse_cvimodel_info(said) if bmodel.suffix == CVIMODEL_SUFFIX else parse_info(said)
