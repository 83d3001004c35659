"""ONNX graphs as exporters write them, brought to the form in which TPU-MLIR quantizes them.

What does not depend on a picture is computed (shapes, constants in any form), and batch normalization becomes part
of the convolution before it. TPU-MLIR does the same with the same onnxsim, so the names of tensors, and with them
those of layers, come out alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
import onnxsim
from onnx import helper, numpy_helper

Shapes = Mapping[str, Sequence[int]]
# Element types by the name that onnxruntime has for them.
_TYPES = {
    "tensor(float)": onnx.TensorProto.FLOAT,
    "tensor(float16)": onnx.TensorProto.FLOAT16,
    "tensor(double)": onnx.TensorProto.DOUBLE,
    "tensor(bool)": onnx.TensorProto.BOOL,
    "tensor(string)": onnx.TensorProto.STRING,
    **{
        f"tensor({kind.lower()})": getattr(onnx.TensorProto, kind)
        for kind in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
    },
}


def folded(model: onnx.ModelProto, shapes: Shapes | None = None) -> onnx.ModelProto:
    """The model with everything computed that no input decides, inputs of these shapes, outputs of the same names.

    A network that onnxsim refuses keeps its graph, with constants as initializers: TPU-MLIR takes it so, too.
    """
    given = onnx.ModelProto()
    given.CopyFrom(model)  # onnxsim writes the shapes into what it is given
    try:
        result, _ = onnxsim.simplify(given, overwrite_input_shapes={k: list(v) for k, v in (shapes or {}).items()})
    except (RuntimeError, ValueError, onnx.checker.ValidationError):
        result = given
    small: onnx.ModelProto = result
    constants_stored(small)
    _computed_outputs(small)
    return small


def constants_stored(model: onnx.ModelProto) -> None:
    """Turn Constant nodes, and Identity of what is constant, into initializers, in place."""
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    left = []
    for node in model.graph.node:
        value = _constant(node, known)
        if value is None:
            left.append(node)
            continue
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        known[tensor.name] = tensor
        model.graph.initializer.append(tensor)
    del model.graph.node[:]
    model.graph.node.extend(left)


def network_inputs(model: onnx.ModelProto) -> list[str]:
    """What must be fed: files of old exporters list weights among the inputs."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [port.name for port in model.graph.input if port.name not in constants]


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Tensor -> element type, as onnx.TensorProto counts them, of every input, initializer and output of a node."""
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    del typed.graph.output[:]
    names = dict.fromkeys(name for node in model.graph.node for name in node.output if name)
    typed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    running = onnxruntime.InferenceSession(typed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {port.name: port.type.tensor_type.elem_type for port in model.graph.input}
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {**given, **stored, **{port.name: _TYPES.get(port.type, 0) for port in running.get_outputs()}}


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a model is written in."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)


def _constant(node: onnx.NodeProto, known: Mapping[str, onnx.TensorProto]) -> onnx.TensorProto | None:
    """The value of a Constant, or of an Identity of something constant; None of anything else."""
    if node.op_type == "Identity":
        return known.get(node.input[0])
    if node.op_type != "Constant":
        return None
    value = helper.get_attribute_value(node.attribute[0])
    kind = node.attribute[0].name
    if kind == "value":
        return value if isinstance(value, onnx.TensorProto) else None
    if kind in ("value_float", "value_floats"):
        return numpy_helper.from_array(np.asarray(value, np.float32))
    return numpy_helper.from_array(np.asarray(value, np.int64)) if kind in ("value_int", "value_ints") else None


def _computed_outputs(model: onnx.ModelProto) -> None:
    """Let a node make each output of the network, in place: one that is constant gets an Identity.

    Outputs that are inputs are left out: no quantization reaches them.
    """
    made = {name for node in model.graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    outputs = [port for port in model.graph.output if port.name in made or port.name in stored]
    for port in outputs:
        if port.name not in made:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(stored[port.name])
            tensor.name = f"{port.name}#constant"
            model.graph.initializer.append(tensor)
            model.graph.initializer.remove(stored[port.name])
            _read_instead(model, port.name, tensor.name)
            model.graph.node.append(helper.make_node("Identity", [tensor.name], [port.name]))
    kept = [onnx.ValueInfoProto.FromString(port.SerializeToString()) for port in outputs]
    del model.graph.output[:]
    model.graph.output.extend(kept)


def _read_instead(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
