"""Engine: loads models, describes their inputs and outputs, and runs them."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path
from typing import Any, Dict, List

from bmzoo.errors import SessionError
from bmzoo.sail.binding import bound
from bmzoo.sail.device import Handle
from bmzoo.sail.enums import Dtype, IOMode
from bmzoo.sail.errors import SailEngineError
from bmzoo.sail.graph import Graph
from bmzoo.sail.network import MAGIC, open_networks
from bmzoo.sail.ports import Port
from bmzoo.sail.tensor import Tensor


class Engine:
    """Models on one device: `(dev_id)` and `(handle)` load nothing, `(path, dev_id, mode)` and
    `(bytes, size, dev_id, mode)` load a model or raise SailEngineError.
    """

    @bound(
        "tpu_id: int, /",
        "handle: Handle, /",
        "bmodel_path: str, tpu_id: int, mode: IOMode, /",
        "bmodel_bytes: bytes, bmodel_size: int, tpu_id: int, mode: IOMode, /",
    )
    def __init__(self, *arguments: Any) -> None:
        self._graphs: Dict[str, Graph] = {}
        self._mode = IOMode.DEVIO
        if len(arguments) == 1:
            self._handle = arguments[0] if isinstance(arguments[0], Handle) else Handle(arguments[0])
            return
        self._handle, self._mode = Handle(arguments[-2]), arguments[-1]
        try:
            self._load(*arguments[:-2])
        except (OSError, SessionError) as error:
            raise SailEngineError(f"invalid bmodel: {_explain(error)}") from error

    @bound("bmodel_path: str, /", "bmodel_bytes: bytes, bmodel_size: int, /")
    def load(self, *arguments: Any) -> bool:
        """`(path)` or `(bytes, size)`; returns whether a graph was added that was not loaded before."""
        before = len(self._graphs)
        try:
            self._load(*arguments)
        except (OSError, SessionError):
            return False
        return len(self._graphs) > before

    def _load(self, *arguments: Any) -> None:
        if isinstance(arguments[0], str):
            self._add(Path(arguments[0]))
            return
        data, size = arguments
        if size != len(data):
            raise SailEngineError(f"invalid bmodel: size must be {len(data)}: {size}")
        folder = tempfile.TemporaryDirectory(prefix="bmzoo-sail-")
        weakref.finalize(self, folder.cleanup)  # the simulator reads the file at every run
        # model_tool decides by the suffix.
        path = Path(folder.name, "model.bmodel" if data.startswith(MAGIC) else "model.onnx")
        path.write_bytes(data)
        self._add(path)

    def _add(self, path: Path) -> None:
        networks = open_networks(path)
        added = [network for network in networks if network.name not in self._graphs]
        if not added:
            networks[0].close()
            return
        weakref.finalize(self, networks[0].close)  # of the whole file
        for network in added:
            self._graphs[network.name] = Graph(network, self._mode)
        if networks[0].chip:
            self._handle.found(networks[0].chip)

    def get_handle(self) -> Handle:
        """The device."""
        return self._handle

    def get_device_id(self) -> int:
        """Number of the device."""
        return self._handle.get_device_id()

    def get_graph_names(self) -> List[str]:
        """Names of the networks: a bmodel's own, an ONNX file's stem."""
        return list(self._graphs)

    @bound("graph_name: str, mode: IOMode, /")
    def set_io_mode(self, graph_name: str, mode: IOMode) -> None:
        """Set which side has system memory. Raises SailEngineError once memory is allocated for another mode."""
        graph = self._graph(graph_name)
        if graph.allocated and mode is not graph.mode:
            raise SailEngineError(f"{graph_name}: memory is allocated for {graph.mode.name}: {mode.name}")
        graph.mode = mode

    @bound("graph_name: str, /")
    def graph_is_dynamic(self, graph_name: str) -> bool:
        """Whether the network was compiled for dynamic shapes."""
        return self._graph(graph_name).network.dynamic

    @bound("graph_name: str, /")
    def get_input_names(self, graph_name: str) -> List[str]:
        """Inputs in the network's order."""
        return list(self._graph(graph_name).inputs)

    @bound("graph_name: str, /")
    def get_output_names(self, graph_name: str) -> List[str]:
        """Outputs in the network's order."""
        return list(self._graph(graph_name).outputs)

    @bound("graph_name: str, /")
    def get_max_input_shapes(self, graph_name: str) -> Dict[str, List[int]]:
        """Largest input shapes, sorted by name."""
        graph = self._graph(graph_name)
        return {name: graph.largest(port) for name, port in sorted(graph.inputs.items())}

    @bound("graph_name: str, /")
    def get_max_output_shapes(self, graph_name: str) -> Dict[str, List[int]]:
        """Largest output shapes, sorted by name."""
        graph = self._graph(graph_name)
        return {name: graph.largest(port) for name, port in sorted(graph.outputs.items())}

    @bound("graph_name: str, tensor_name: str, /")
    def get_input_shape(self, graph_name: str, tensor_name: str) -> List[int]:
        """Shape of an input in the last run, the largest one before there was any."""
        self._input(graph_name, tensor_name)
        return self._graph(graph_name).shape(tensor_name)

    @bound("graph_name: str, tensor_name: str, /")
    def get_output_shape(self, graph_name: str, tensor_name: str) -> List[int]:
        """Shape of an output in the last run, the largest one before there was any."""
        self._output(graph_name, tensor_name)
        return self._graph(graph_name).shape(tensor_name)

    @bound("graph_name: str, tensor_name: str, /")
    def get_input_dtype(self, graph_name: str, tensor_name: str) -> Dtype:
        """Type of an input."""
        return self._input(graph_name, tensor_name).dtype

    @bound("graph_name: str, tensor_name: str, /")
    def get_output_dtype(self, graph_name: str, tensor_name: str) -> Dtype:
        """Type of an output."""
        return self._output(graph_name, tensor_name).dtype

    @bound("graph_name: str, tensor_name: str, /")
    def get_input_scale(self, graph_name: str, tensor_name: str) -> float:
        """integer = round(float * scale)."""
        return self._input(graph_name, tensor_name).scale

    @bound("graph_name: str, tensor_name: str, /")
    def get_output_scale(self, graph_name: str, tensor_name: str) -> float:
        """float = integer * scale."""
        return self._output(graph_name, tensor_name).scale

    @bound("graph_name: str, create_mode: int = -1")
    def create_input_tensors_map(self, graph_name: str, create_mode: int = -1) -> Dict[str, Tensor]:
        """Zeroed tensors by name: 0 system memory only, 1 device memory only, else as the IO mode wants."""
        graph = self._graph(graph_name)
        return self._tensors(graph, graph.inputs, create_mode, graph.mode in (IOMode.SYSI, IOMode.SYSIO))

    @bound("graph_name: str, create_mode: int = -1")
    def create_output_tensors_map(self, graph_name: str, create_mode: int = -1) -> Dict[str, Tensor]:
        """Zeroed tensors by name: 0 system memory only, 1 device memory only, else as the IO mode wants."""
        graph = self._graph(graph_name)
        return self._tensors(graph, graph.outputs, create_mode, graph.mode in (IOMode.SYSO, IOMode.SYSIO))

    def _tensors(self, graph: Graph, ports: Dict[str, Port], create_mode: int, system: bool) -> Dict[str, Tensor]:
        memory = {0: (True, False), 1: (False, True)}.get(create_mode, (system, True))
        return {
            name: Tensor(self._handle, graph.largest(port), port.dtype, *memory)
            for name, port in sorted(ports.items())
        }

    @bound(
        "graph_name: str, input: {str: Tensor}, output: {str: Tensor}, core_list: [int] = []",
        "graph_name: str, input: {str: Tensor}, input_shapes: {str: [int]}, output: {str: Tensor}, "
        "core_list: [int] = []",
        "graph_name: str, input_tensors: {str: array}, core_list: [int] = []",
    )
    def process(self, graph_name: str, *arguments: Any, **named: Any) -> Any:
        """`(graph, {name: array})` -> {name: float32 array}, sorted by name: quantised and dequantised as the
        network needs; `(graph, {name: Tensor}, {name: Tensor})` and, with the inputs' shapes in the middle,
        `(graph, {name: Tensor}, {name: shape}, {name: Tensor})`: the network's own types, nothing returned.

        `core_list` is accepted. Raises SailEngineError for what does not fit the network or the IO mode.
        """
        graph = self._graph(graph_name)
        inputs, *others, _ = arguments  # the last are the cores
        if not others:
            return graph.run_arrays(inputs)
        *stated, outputs = others
        shapes = stated[0] if stated else {name: tensor.shape() for name, tensor in inputs.items()}
        return graph.run_tensors(inputs, shapes, outputs)

    def _graph(self, name: str) -> Graph:
        if name not in self._graphs:
            raise SailEngineError(f"no such graph: {name}; loaded: {', '.join(self._graphs) or 'none'}")
        return self._graphs[name]

    def _input(self, graph_name: str, name: str) -> Port:
        return _find(self._graph(graph_name).inputs, name, "input")

    def _output(self, graph_name: str, name: str) -> Port:
        return _find(self._graph(graph_name).outputs, name, "output")


def _find(ports: Dict[str, Port], name: str, kind: str) -> Port:
    if name not in ports:
        raise SailEngineError(f"no such {kind}: {name}; there are: {', '.join(ports)}")
    return ports[name]


def _explain(error: Exception) -> str:
    return error.render() if isinstance(error, SessionError) else str(error)
