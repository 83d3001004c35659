"""onnxruntime sessions for models in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray


def session(model: onnx.ModelProto, threads: int, one_of_many: bool = False) -> onnxruntime.InferenceSession:
    """A session that runs QDQ nodes as they are: onnxruntime would fuse them into integer kernels.

    `one_of_many`: keeps no activations from run to run. By default each session holds on to its own for good.
    """
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = not one_of_many
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Watched:
    """A network that writes its outputs to the same memory every time: fresh memory costs more than the network."""

    def __init__(self, model: onnx.ModelProto, threads: int) -> None:
        self._running = session(model, threads)
        self._outputs: Sequence[str] = [port.name for port in self._running.get_outputs()]
        self._buffers: dict[str, NDArray[Any]] = {}

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Outputs by name, which the next run overwrites."""
        if not self._buffers:
            values = self._running.run(self._outputs, dict(feeds))
            found = dict(zip(self._outputs, values, strict=True))
            if all(isinstance(side, int) for port in self._running.get_outputs() for side in port.shape):
                self._buffers = {name: np.empty_like(value) for name, value in found.items()}
            return found
        binding = self._running.io_binding()
        for name, value in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
        for name, value in self._buffers.items():
            binding.bind_output(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        self._running.run_with_iobinding(binding)
        return self._buffers
