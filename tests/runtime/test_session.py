from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.session import OnnxSession, Session
from bmzoo.runtime.engines.tensor_info import TensorInfo


@pytest.fixture(scope="module")
def model() -> bytes:
    """Two inputs, two outputs: `total` = a + b (float32), `double` = b + b (float64)."""
    shape: list[str | int] = ["N", 2]
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Cast", ["b"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["a", "b"], ["total"]),
        helper.make_node("Add", ["wide", "wide"], ["double"]),
    ]
    inputs = [value("a", TensorProto.FLOAT, shape), value("b", TensorProto.FLOAT, shape)]
    outputs = [value("total", TensorProto.FLOAT, shape), value("double", TensorProto.DOUBLE, shape)]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def test_describes_the_model(model: bytes) -> None:
    session: Session = OnnxSession(model, threads=1)
    assert session.inputs == (TensorInfo("a", (-1, 2), "float32"), TensorInfo("b", (-1, 2), "float32"))
    assert [str(info) for info in session.outputs] == ["`total` float32 [-1, 2]", "`double` float64 [-1, 2]"]
    session.close()


def test_outputs_are_float32_in_network_order(model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model)
    a = np.ones((3, 2), np.float32)
    results = OnnxSession(path, threads=1).run({"b": a * 2, "a": a})
    assert list(results) == ["total", "double"]
    assert {array.dtype for array in results.values()} == {np.dtype(np.float32)}
    assert (results["total"] == 3).all()
    assert (results["double"] == 4).all()


def test_feeds_must_fit(model: bytes) -> None:
    session = OnnxSession(model, threads=1)
    good = np.ones((1, 2), np.float32)
    cases: list[tuple[dict[str, NDArray[Any]], str | None]] = [
        ({"a": good}, "inputs do not match: a"),
        ({"a": good, "b": good, "c": good}, "inputs do not match: a, b, c"),
        ({"a": good, "b": good.astype(np.float64)}, r"`b` float32 \[-1, 2\]: float64 \[1, 2\]"),
        ({"a": good[0], "b": good}, r"`a` float32 \[-1, 2\]: float32 \[2\]"),
        ({"a": good, "b": np.ones((1, 3), np.float32)}, r": float32 \[1, 3\]"),
        ({"a": good, "b": np.ones((2, 2), np.float32)}, None),
    ]
    for feeds, message in cases:
        if message is None:
            session.run(feeds)  # onnxruntime broadcasts: a free dimension is not ours to check
            continue
        with pytest.raises(SessionError, match=message):
            session.run(feeds)


@pytest.mark.parametrize("content", [b"", b"no model at all"])
def test_damaged_models_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(SessionError, match=r"m\.onnx: onnxruntime refuses the model: .+"):
        OnnxSession(path)


def test_missing_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"none\.onnx"):
        OnnxSession(tmp_path / "none.onnx")


def test_failures_inside_the_engine_are_explained(model: bytes) -> None:
    session = OnnxSession(model, threads=1)
    with pytest.raises(SessionError, match="onnxruntime failed"):
        session.run({"a": np.ones((2, 2), np.float32), "b": np.ones((3, 2), np.float32)})
