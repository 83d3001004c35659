"""Files of newer versions of ONNX than the installed package reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.errors import SourceError
from bmzoo.onnx_import.contract import conform, violations
from bmzoo.onnx_import.newer import NEWEST_IR, NEWEST_OPSET

SHAPE = ("N", 3, 8, 6)
Array = NDArray[np.floating[Any]]
X = np.random.default_rng(0).standard_normal((2, 3, 8, 6)).astype(np.float32)


def of(*nodes: onnx.NodeProto, opset: int = 11, ir: int = 10, weights: Any = ()) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    constants = [numpy_helper.from_array(value, name) for name, value in dict(weights).items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def node(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs or ("x",), ["y"], **attributes)


def with_field(message: Any, number: int, content: bytes = b"\x0a\x01k\x12\x01v") -> None:
    """A field that this onnx does not know: a message, or a text."""
    tag = number << 3 | 2
    key = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
    message.MergeFromString(key + bytes([len(content)]) + content)


def result(model: onnx.ModelProto) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": X})[0])


@pytest.mark.parametrize(
    ("opset", "ir"), [(11, 10), (11, NEWEST_IR), (17, 10), (21, 10), (NEWEST_OPSET, NEWEST_IR)]
)
def test_what_uses_nothing_newer_is_read(opset: int, ir: int) -> None:
    model = of(node("Relu"), opset=opset, ir=ir)
    with_field(model, 26)
    with_field(model.graph, 16)
    with_field(model.graph.node[0], 9)
    with_field(model.graph.node[0], 10)
    with_field(model.graph.input[0], 4)
    with_field(model.graph.node[0], 8, b"")
    before = model.SerializeToString()
    converted = conform(model, "a.onnx")
    assert violations(converted) == [] and model.SerializeToString() == before
    np.testing.assert_array_equal(result(converted), np.maximum(X, 0))
    assert b"\x0a\x01k\x12\x01v" not in converted.SerializeToString()


def erf(x: Array) -> Array:
    """Abramowitz and Stegun 7.1.26, within 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(np.sign(x) * (1 - poly * np.exp(-x * x)))


SCALE = np.linspace(0.5, 2, 6, dtype=np.float32)
RMS = X / np.sqrt((X * X).mean(axis=-1, keepdims=True) + 1e-5)
RMS_OF_TWO = X / np.sqrt((X * X).mean(axis=(-2, -1), keepdims=True) + 0.1)
WRITTEN: list[tuple[onnx.NodeProto, int, Array]] = [
    (node("Gelu"), 20, X / 2 * (1 + erf(X / np.sqrt(2)))),
    (node("Swish"), 24, X / (1 + np.exp(-X))),
    (node("Swish", alpha=1.5), 24, X / (1 + np.exp(-1.5 * X))),
    (node("RMSNormalization", "x", "scale"), 23, RMS * SCALE),
    (node("RMSNormalization", "x", "scale", axis=2, epsilon=0.1), 23, RMS_OF_TWO * SCALE),
    (node("Mish"), 18, X * np.tanh(np.log1p(np.exp(X)))),
]


@pytest.mark.parametrize(("last", "opset", "wanted"), WRITTEN, ids=lambda value: getattr(value, "op_type", ""))
def test_operators_that_are_written_with_older_ones(last: onnx.NodeProto, opset: int, wanted: Array) -> None:
    weights = {"scale": SCALE} if "scale" in last.input else {}
    converted = conform(of(last, opset=opset, ir=10, weights=weights), "a.onnx")
    assert violations(converted) == []
    np.testing.assert_allclose(result(converted), wanted, atol=2e-6)


def unread(which: str) -> onnx.ModelProto:
    model = of(node("Relu"), weights={"w": SCALE})
    match which:
        case "IR":
            model.ir_version = NEWEST_IR + 1
        case "opset":
            model.opset_import[0].version = NEWEST_OPSET + 1
        case "field":
            with_field(model.graph.node[0], 15)
        case "overload":
            with_field(model.graph.node[0], 8, b"mine")
        case "int4":
            model.graph.initializer[0].data_type = 22
        case "input":
            model.graph.input[0].type.tensor_type.elem_type = 23
        case "cast":
            model.graph.node[0].CopyFrom(node("Cast", to=24))
    return model


NAMED: Sequence[tuple[onnx.ModelProto, str]] = [
    (unread("IR"), f"IR version {NEWEST_IR + 1}, newer than {NEWEST_IR}, the newest that is known"),
    (unread("opset"), f"opset {NEWEST_OPSET + 1}, newer than {NEWEST_OPSET}"),
    (unread("field"), "field 15 of NodeProto"),
    (unread("overload"), "a function by overload: Relu"),
    (unread("int4"), "tensors of INT4 of `w`"),
    (unread("input"), "tensors of FLOAT4E2M1"),
    (unread("cast"), "Cast to FLOAT8E8M0"),
    (of(node("Attention", "x", "x", "x"), opset=23), "Attention (opset 23)"),
    (of(node("TensorScatter", "x", "x"), opset=24), "TensorScatter (opset 24)"),
    (of(node("Gelu", approximate="tanh"), opset=20), "Gelu (since opset 20) with attribute `approximate` = tanh"),
    (of(node("QuantizeLinear", "x", "x", block_size=2), opset=21), "QuantizeLinear with attribute `block_size`"),
    (of(helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")), "com.microsoft.Gelu"),
    (of(helper.make_node("Mine", ["x"], ["y"], domain="my.ops")), "my.ops.Mine"),
]


@pytest.mark.parametrize(("model", "wording"), NAMED, ids=[row[1] for row in NAMED])
def test_what_cannot_be_read_is_named(model: onnx.ModelProto, wording: str) -> None:
    for domain in {each.domain for each in model.graph.node} - {""}:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    with pytest.raises(SourceError) as caught:
        conform(model, "a.onnx")
    assert caught.value.message.startswith("a.onnx: IR version ") and wording in caught.value.message
    assert caught.value.hint


def test_shapes_that_contradict_each_other_are_said() -> None:
    model = of(node("Add", "x", "w"), opset=13, weights={"w": np.ones((5, 7), np.float32)})
    with pytest.raises(SourceError, match=r"a\.onnx: "):
        conform(model, "a.onnx")
