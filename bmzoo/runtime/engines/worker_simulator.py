"""Worker of the chip simulator: one model, one process, in the overlay that simulator.py makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence

from bmzoo.runtime.engines.pyruntime import SimulatedNetwork
from bmzoo.runtime.engines.simulate import forward, forward_dynamic, is_smaller
from bmzoo.runtime.engines.worker_serve import main

if TYPE_CHECKING:
    from pathlib import Path

    from bmzoo.runtime.engines.worker_serve import Arrays


class SimulatedModel:
    """The first network of a compiled model; a damaged file ends the process inside the engine."""

    def __init__(self, model: Path) -> None:
        self._net = SimulatedNetwork(model)

    def describe(self) -> Dict[str, Any]:
        return {"networks": self._net.networks}

    def run(self, feeds: Arrays, names: Optional[Sequence[str]]) -> Arrays:
        """All outputs: a compiled model keeps no other tensors. The session lets smaller inputs through to dynamic
        networks only.
        """
        work = forward_dynamic if is_smaller(self._net, feeds) else forward
        return dict(work(self._net, feeds))


if __name__ == "__main__":
    main(SimulatedModel)
