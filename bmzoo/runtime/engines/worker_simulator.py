"""Worker of the chip simulator: one bmodel, one process, in the overlay that simulator.py makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.simulate import forward, forward_dynamic, is_smaller
from bmzoo.runtime.engines.worker_serve import main

if TYPE_CHECKING:
    from pathlib import Path

    from bmzoo.runtime.engines.worker_serve import Arrays


class BModel:
    """The first network of a bmodel; a damaged file ends the process inside the engine."""

    def __init__(self, model: Path) -> None:
        try:
            import pyruntime_bm  # only importable inside an overlay
        except ImportError as error:
            raise SessionError(f"cannot be loaded: {error}") from error
        self._engine = pyruntime_bm.Model(str(model))  # the network lives in it
        self._net = self._engine.Net(self._engine.networks[0])

    def describe(self) -> Dict[str, Any]:
        return {"networks": list(self._engine.networks)}

    def run(self, feeds: Arrays, names: Optional[Sequence[str]]) -> Arrays:
        """All outputs: a bmodel keeps no other tensors. The session lets smaller inputs through to dynamic
        networks only.
        """
        work = forward_dynamic if is_smaller(self._net, feeds) else forward
        return dict(work(self._net, feeds))


if __name__ == "__main__":
    main(BModel)
