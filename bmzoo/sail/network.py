"""Networks with sail's interface: raw arrays in the model's own types, whichever engine runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Protocol, Tuple

from bmzoo.runtime.engines.cvimodel import check_kind
from bmzoo.sail.network_bmodel import BmodelNetwork, Parts, tpuc_root
from bmzoo.sail.network_onnx import OnnxNetwork
from bmzoo.sail.ports import Port, Shapes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"\xee\xaa\x55\xff"  # the first four bytes of every bmodel


class Network(Protocol):
    """A loaded model; `run` takes and gives arrays of ELEMENTS[port.dtype] and raises SessionError."""

    name: str
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    dynamic: bool
    chip: str

    def stage(self, shapes: Mapping[str, Tuple[int, ...]]) -> Optional[Shapes]:
        """Shapes of the outputs for inputs of `shapes`, at most these where the network is dynamic; None when it
        does not take them.
        """

    def takes(self) -> List[Shapes]:
        """Shapes of the inputs in each stage; -1 is free."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]: ...

    def close(self) -> None: ...


def open_networks(path: Path) -> List[Network]:
    """The models in the file: the networks of a bmodel, or an ONNX model.

    Raises OSError when the file cannot be read, SessionError when it is no model, SailEngineError when the engine
    for such models is not installed.
    """
    with path.open("rb") as stream:
        start = stream.read(len(MAGIC))
    check_kind(path)
    if start != MAGIC:
        return [OnnxNetwork(path)]
    parts = Parts(path, tpuc_root())
    try:
        return [BmodelNetwork(parts, index) for index in range(len(parts.info.networks))]
    except BaseException:
        parts.close()
        raise
