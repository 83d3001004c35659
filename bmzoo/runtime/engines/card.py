"""bmodels on a card, through the vendor's own `sophon.sail`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.cvimodel import check_kind
from bmzoo.runtime.engines.session import check_batches
from bmzoo.runtime.engines.tensor_info import TensorInfo

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class CardSession:
    """The first network of a bmodel on card `device`. Raises SessionError without sail, card or model."""

    def __init__(self, bmodel: Path, device: int = 0) -> None:
        self._where = str(bmodel)
        if not bmodel.is_file():
            raise SessionError(f"{bmodel}: no such bmodel")
        check_kind(bmodel)
        sail = real_sail()
        if sail is None:
            hint = "install the vendor's sophon-sail, or run the bmodel on the simulator"
            raise SessionError(f"{bmodel}: needs a card and `sophon.sail`, which cannot be imported here", hint)
        try:
            self._engine: Any = sail.Engine(str(bmodel), device, sail.IOMode.SYSIO)
            self._graph = self._engine.get_graph_names()[0]
            self.inputs = tuple(self._info("input", n) for n in self._engine.get_input_names(self._graph))
            self.outputs = tuple(self._info("output", n) for n in self._engine.get_output_names(self._graph))
        except Exception as error:  # sail's classes have no common base, and differ between releases
            raise SessionError(f"{bmodel}: card {device} refuses the model: {_said(error)}") from error

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
        """Outputs by name, float32, in network order; arrays may hold a multiple of the model's batch."""
        if self._engine is None:
            raise SessionError(f"{self._where}: the session is closed")
        collected: Dict[str, List[NDArray[np.float32]]] = {info.name: [] for info in self.outputs}
        for i in range(check_batches(self._where, self.inputs, feeds)):
            part = {
                info.name: np.ascontiguousarray(feeds[info.name][i * info.shape[0] : (i + 1) * info.shape[0]])
                for info in self.inputs
            }
            try:
                results = self._engine.process(self._graph, part)
            except Exception as error:
                raise SessionError(f"{self._where}: the card failed: {_said(error)}") from error
            for name, parts in collected.items():  # sail sorts by name
                parts.append(np.array(results[name], np.float32))
        return {name: np.concatenate(parts) for name, parts in collected.items()}

    def close(self) -> None:
        """Free the card's memory."""
        self._engine = None

    def _info(self, kind: str, name: str) -> TensorInfo:
        # float32 whatever the file holds: sail converts both ways.
        shape = getattr(self._engine, f"get_{kind}_shape")(self._graph, name)
        return TensorInfo(name, tuple(int(size) for size in shape), "float32")


def real_sail() -> Optional[Any]:
    """The vendor's module, or None when there is none or only bmzoo's emulation of it."""
    try:
        sail = importlib.import_module("sophon.sail")  # loads the driver's libraries
    except (ImportError, OSError):
        return None
    return None if getattr(sail, "__bmzoo__", False) else sail


def has_card() -> bool:
    """Whether the vendor's module is here and finds a card."""
    sail = real_sail()
    try:
        return sail is not None and int(sail.get_available_tpu_num()) > 0
    except Exception:  # a driver that is not loaded
        return False


def _said(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
