"""A loaded network, with the checks and conversions of Engine.process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Sequence

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.sail.enums import ELEMENTS, Dtype, IOMode
from bmzoo.sail.errors import SailEngineError, SailTensorError
from bmzoo.sail.network import Network, Port, shapes_of
from bmzoo.sail.scaling import dequantize, quantize
from bmzoo.sail.tensor import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shapes = Mapping[str, Sequence[int]]


class Graph:
    """A network with the engine's state for it."""

    def __init__(self, network: Network, mode: IOMode) -> None:
        self.network, self.mode = network, mode
        self.inputs = {port.name: port for port in network.inputs}
        self.outputs = {port.name: port for port in network.outputs}
        # Of the last run; before the first one, the largest.
        self.input_shapes: Dict[str, Sequence[int]] = dict(shapes_of(network.inputs))
        self.output_shapes: Dict[str, Sequence[int]] = dict(shapes_of(network.outputs))
        self.allocated = False

    def check(self, shapes: Shapes) -> None:
        """Raise SailEngineError unless `shapes` are exactly those that the network was compiled for."""
        name = self.network.name
        if set(shapes) != set(self.inputs):
            raise SailEngineError(f"{name}: inputs do not match: {sorted(shapes)}; takes: {list(self.inputs)}")
        for key, shape in shapes.items():
            if tuple(shape) != self.inputs[key].shape:
                raise SailEngineError(
                    f"{name}: input `{key}`: must be {list(self.inputs[key].shape)}: {list(shape)}"
                )

    def launch(self, feeds: Dict[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        """Run on raw arrays. Raises SailEngineError where sail would only log an error."""
        try:
            results = self.network.run(feeds)
        except SessionError as error:
            raise SailEngineError(f"{self.network.name}: {error.render()}") from error
        self.input_shapes = {name: array.shape for name, array in feeds.items()}
        self.output_shapes = {name: array.shape for name, array in results.items()}
        return results

    def run_arrays(self, inputs: Mapping[str, Any]) -> Dict[str, NDArray[np.float32]]:
        """Form (a) of Engine.process."""
        if self.mode not in (IOMode.SYSI, IOMode.SYSIO):
            raise SailEngineError(f"bad input: arrays need IOMode SYSI or SYSIO: {self.mode.name}")
        arrays = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
        self.check({name: array.shape for name, array in arrays.items()})
        self.allocated = True
        feeds = {name: _not_supported(quantize, array, self.inputs[name]) for name, array in arrays.items()}
        results = self.launch(feeds)
        return {name: _not_supported(dequantize, results[name], self.outputs[name]) for name in sorted(results)}

    def run_tensors(self, inputs: Mapping[str, Tensor], shapes: Shapes, outputs: Mapping[str, Tensor]) -> None:
        """Forms (b) and (c) of Engine.process."""
        self.check(shapes)
        missing = sorted({*shapes} - {*inputs}) + sorted({*self.outputs} - {*outputs})
        if missing:
            raise SailEngineError(f"{self.network.name}: no tensor for: {', '.join(missing)}")
        feeds = {}
        for name, port in self.inputs.items():
            memory = _device(inputs[name], name, self.mode in (IOMode.SYSI, IOMode.SYSIO))
            if self.mode in (IOMode.SYSI, IOMode.SYSIO):
                inputs[name].sync_s2d()
            feeds[name] = _bytes(memory, name, port.dtype, shapes[name]).reshape(tuple(shapes[name])).copy()
        system = self.mode in (IOMode.SYSO, IOMode.SYSIO)
        targets = {name: _device(outputs[name], name, system) for name in self.outputs}
        for name, port in self.outputs.items():
            _bytes(targets[name], name, port.dtype, port.shape)
        for name, result in self.launch(feeds).items():
            _bytes(targets[name], name, self.outputs[name].dtype, result.shape)[:] = result.reshape(-1)
            if system:
                outputs[name].sync_d2s()


def _not_supported(
    convert: Callable[[NDArray[Any], Dtype, float], NDArray[Any]], array: NDArray[Any], port: Port
) -> NDArray[Any]:
    try:
        return convert(array, port.dtype, port.scale)
    except SailTensorError as error:
        raise SailEngineError(f"not supported: `{port.name}`: {error}") from error


def _device(tensor: Tensor, name: str, system: bool) -> NDArray[Any]:
    if tensor.device is None:
        raise SailEngineError(f"tensor `{name}`: needs device memory")
    if system and not tensor.is_sys_data_valid():
        raise SailEngineError(f"tensor `{name}`: needs system memory in this IO mode")
    return tensor.device


def _bytes(memory: NDArray[Any], name: str, dtype: Dtype, shape: Sequence[int]) -> NDArray[Any]:
    """The first bytes of device memory as the network reads or writes them, flat."""
    kind = np.dtype(ELEMENTS[dtype])
    needed = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if memory.nbytes < needed:
        raise SailEngineError(f"tensor `{name}`: needs {needed} bytes of {dtype.name}: {memory.nbytes}")
    return memory.view(np.uint8)[:needed].view(kind)
