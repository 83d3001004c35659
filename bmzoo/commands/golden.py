"""`golden`: a self-test of the toolchain, with a two-layer network whose outputs are known.

`golden write` creates the model, calibration samples and inputs; `golden check` compares the simulator's
outputs, float and INT8, with a reference implementation in numpy.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.errors import ToolFailed

SIZE = 8
# An INT8 step is about 1/127 of the range, and the errors of two layers add up.
GOLDEN_TOLERANCE = {"float.npz": 1e-4, "int8.npz": 0.05}


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Raises ToolFailed when the compiled network does not compute what it should."""
    (_write if args[0] == "write" else _check)(folder)


def golden_network() -> onnx.ModelProto:
    """x [1,3,8,8] -> 1x1 convolution to 4 channels -> ReLU -> 1x1 convolution to 2 channels -> y."""
    first, second = _weights()
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["first"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["first"], ["relu"]),
        helper.make_node("Conv", ["relu", "w2"], ["y"], kernel_shape=[1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "golden",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, SIZE, SIZE])],
        [numpy_helper.from_array(first, "w1"), numpy_helper.from_array(second, "w2")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    return model


def expected(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reference implementation of the network in numpy: x [1,3,8,8] -> y [1,2,8,8]."""
    first, second = (w[:, :, 0, 0] for w in _weights())
    hidden = np.maximum(np.einsum("oc,nchw->nohw", first, x), 0)
    result: NDArray[np.float32] = np.einsum("oc,nchw->nohw", second, hidden).astype(np.float32)
    return result


def _weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    first = np.array([[1, -1, 0.5], [0.25, 1, -1], [-1, 0.5, 1], [0.5, 0.5, 0.5]], np.float32)
    second = np.array([[1, -0.5, 0.5, 1], [-1, 1, 0.25, 0.5]], np.float32)
    return first[:, :, None, None], second[:, :, None, None]


def _inputs() -> NDArray[np.float32]:
    return np.linspace(-1, 1, 3 * SIZE * SIZE, dtype=np.float32).reshape(1, 3, SIZE, SIZE)


def _write(folder: Path) -> None:
    onnx.save(golden_network(), str(folder / "model.onnx"))
    np.savez(folder / "inputs.npz", x=_inputs())
    (folder / "samples.txt").write_text("inputs.npz\n" * 2, encoding="utf-8")


def _check(folder: Path) -> None:
    wanted = expected(_inputs())
    errors = {}
    for name, tolerance in GOLDEN_TOLERANCE.items():
        with np.load(folder / name) as archive:
            got = next(iter(archive.values()))
        errors[name] = (
            float(np.abs(got - wanted).max() / np.abs(wanted).max()) if got.shape == wanted.shape else 1.0
        )
        if not errors[name] <= tolerance:
            raise ToolFailed(f"self-test: {name} is off by {errors[name]:.1%}, allowed {tolerance:.1%}")
    (folder / "golden.json").write_text(json.dumps(errors), encoding="utf-8")
