"""A bmodel that holds a network for several batches, on the simulator: each run by the batch that fits best."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.simulator import SimulatorSession, extract, part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.engines.bmodel import BModelInfo
    from bmzoo.runtime.engines.session import Session


def open_simulator(bmodel: Path, tpuc_root: Path, **settings: Any) -> Session:
    """A session for a compiled model, of all its batches where it is combined of several. Raises SessionError."""
    session = SimulatorSession(bmodel, tpuc_root, **settings)
    if not is_of_batches(session.info):
        return session
    session.close()
    return StagedSession(bmodel, tpuc_root, session.info, settings)


def is_of_batches(info: BModelInfo) -> bool:
    """Whether a model is one network whose stages differ in their batches only."""
    stages = info.networks[0].stages
    shapes = {tuple((tensor.name, tensor.shape[1:]) for tensor in stage.inputs) for stage in stages}
    return len(info.networks) == 1 and not info.networks[0].dynamic and len(stages) > 1 and len(shapes) == 1


class StagedSession:
    """Each stage in a simulator of its own from its first run on. `inputs` are those of the smallest batch."""

    def __init__(self, bmodel: Path, tpuc_root: Path, info: BModelInfo, settings: Mapping[str, Any]) -> None:
        self._where, self._root, self._settings = str(bmodel), tpuc_root, settings
        batches = [stage.inputs[0].shape[0] for stage in info.networks[0].stages]
        self._stage_of = {batch: stage for stage, batch in enumerate(batches)}
        self._folder = tempfile.TemporaryDirectory(prefix="bmzoo-stages-")
        self._open: Dict[int, SimulatorSession] = {}
        try:
            extract(bmodel, tpuc_root, Path(self._folder.name))
            first = self._session(min(batches))
        except BaseException:
            self._folder.cleanup()
            raise
        self.inputs, self.outputs = first.inputs, first.outputs

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
        """Outputs by name: of the largest batch of which `feeds` hold a multiple. Raises SessionError."""
        counts = {len(array) for array in feeds.values() if array.ndim}
        fitting: List[int] = [batch for batch in self._stage_of if all(n and n % batch == 0 for n in counts)]
        if not fitting:
            known = ", ".join(map(str, sorted(self._stage_of)))
            raise SessionError(f"{self._where}: takes batches of {known}: {sorted(counts)}")
        return self._session(max(fitting)).run(feeds)

    def close(self) -> None:
        """End all simulators and remove all files."""
        for session in self._open.values():
            session.close()
        self._folder.cleanup()

    def _session(self, batch: int) -> SimulatorSession:
        if batch not in self._open:
            file = part(Path(self._folder.name), 0, self._stage_of[batch])
            self._open[batch] = SimulatorSession(file, self._root, **self._settings)
        return self._open[batch]
