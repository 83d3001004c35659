"""A loaded network, with the checks and conversions of Engine.process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.sail.enums import ELEMENTS, Dtype, IOMode
from bmzoo.sail.errors import SailEngineError, SailTensorError
from bmzoo.sail.ports import Port
from bmzoo.sail.scaling import dequantize, quantize
from bmzoo.sail.tensor import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.sail.network import Network

Shapes = Mapping[str, Sequence[int]]


class Graph:
    """A network with the engine's state for it."""

    def __init__(self, network: Network, mode: IOMode) -> None:
        self.network, self.mode = network, mode
        self._last: Dict[str, Sequence[int]] = {}
        self.allocated = False

    @property
    def inputs(self) -> Dict[str, Port]:
        """By name, in the network's order."""
        return {port.name: port for port in self.network.inputs}

    @property
    def outputs(self) -> Dict[str, Port]:
        """By name, in the network's order."""
        return {port.name: port for port in self.network.outputs}

    def shape(self, name: str) -> List[int]:
        """Of an input or output in the last run; before the first one, the largest. Raises SailEngineError."""
        if name in self._last:
            return [int(size) for size in self._last[name]]
        return self.largest({**self.outputs, **self.inputs}[name])

    def largest(self, port: Port) -> List[int]:
        """The largest shape of an input or output. Raises SailEngineError where the model leaves it free."""
        if min(port.shape, default=0) < 0:
            free = f"`{port.name}`: the model leaves its shape free: {list(port.shape)}"
            hint = f"the first run settles it, or $BMZOO_SAIL_SHAPE, such as {self.example()}"
            raise SailEngineError(f"{self.network.name}: {free}; {hint}")
        return list(port.shape)

    def example(self) -> str:
        """How $BMZOO_SAIL_SHAPE could state the free inputs."""
        free = [port for port in self.network.inputs if min(port.shape, default=0) < 0]
        return ",".join(f"{port.name}:{_filled(port.shape)}" for port in free)

    def check(self, shapes: Shapes) -> Dict[str, Tuple[int, ...]]:
        """Shapes of the outputs, the largest where the network is dynamic. Raises SailEngineError unless the
        network was compiled for `shapes`.
        """
        name = self.network.name
        if set(shapes) != set(self.inputs):
            raise SailEngineError(f"{name}: inputs do not match: {sorted(shapes)}; takes: {list(self.inputs)}")
        given = {key: tuple(int(size) for size in shapes[key]) for key in self.inputs}
        try:
            found = self.network.stage(given)
        except SessionError as error:
            raise SailEngineError(f"{name}: {error.render()}") from error
        if found is None:
            raise SailEngineError(f"{name}: {self._misfit(given)}")
        return found

    def _misfit(self, given: Mapping[str, Tuple[int, ...]]) -> str:
        stages, most = self.network.takes(), "at most " if self.network.dynamic else ""
        if len(stages) > 1:
            allowed = " or ".join(_listed(stage) for stage in stages)
            return f"inputs: must be {most}{allowed}: {_listed(given)}"
        wrong = [key for key, shape in given.items() if shape != stages[0][key]]
        return "; ".join(f"input `{k}`: must be {most}{list(stages[0][k])}: {list(given[k])}" for k in wrong)

    def launch(self, feeds: Dict[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        """Run on raw arrays. Raises SailEngineError where sail would only log an error."""
        try:
            results = self.network.run(feeds)
        except SessionError as error:
            raise SailEngineError(f"{self.network.name}: {error.render()}") from error
        self._last = {name: array.shape for name, array in (*feeds.items(), *results.items())}
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
        largest = self.check(shapes)
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
            _bytes(targets[name], name, port.dtype, largest[name])
        for name, result in self.launch(feeds).items():
            _bytes(targets[name], name, self.outputs[name].dtype, result.shape)[:] = result.reshape(-1)
            if system:
                outputs[name].sync_d2s()


def _listed(shapes: Mapping[str, Tuple[int, ...]]) -> str:
    return ", ".join(f"`{name}` {list(shape)}" for name, shape in shapes.items())


def _filled(shape: Sequence[int]) -> str:
    """A shape with a batch of 1 and sides of 640 where it is free."""
    return "x".join(str(size if size >= 0 else 640 if i else 1) for i, size in enumerate(shape))


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
