"""Networks cut at named tensors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from toy_graphs import FREE, network, node

from bmzoo.commands import import_
from bmzoo.errors import SourceError
from bmzoo.onnx_import.cut import cut
from bmzoo.runtime.engines.session import OnnxSession

X = np.random.default_rng(0).standard_normal((2, 3, 8, 6)).astype("f4")


def chain() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Neg", ["x"], ["head/neg"]),
        helper.make_node("Add", ["x", "late"], ["sum"]),
        helper.make_node("Mul", ["head/neg", "w"], ["scaled"]),
        helper.make_node("Add", ["scaled", "sum"], ["y"]),
    ]
    model = network(*nodes, weights={"w": np.float32(3)})
    model.graph.input.append(helper.make_tensor_value_info("late", TensorProto.FLOAT, FREE))
    return model


def test_what_later_tensors_need_is_gone() -> None:
    found = cut(chain(), ["scaled", "head/neg"], "a.onnx")
    onnx.checker.check_model(found)
    assert [n.output[0] for n in found.graph.node] == ["head/neg", "scaled"]
    assert [i.name for i in found.graph.input] == ["x"]
    got = OnnxSession(found.SerializeToString()).run({"x": X})
    assert list(got) == ["scaled", "head/neg"]
    np.testing.assert_array_equal(got["scaled"], -3 * X)
    assert [o.type.tensor_type.shape.dim[1].dim_value for o in found.graph.output] == [3, 3]


def test_the_model_that_is_cut_stays() -> None:
    model = chain()
    before = model.SerializeToString()
    cut(model, ["scaled"], "a.onnx")
    assert model.SerializeToString() == before


def test_tensors_that_subgraphs_read_are_kept() -> None:
    branches = {}
    for branch, source in (("then_branch", "neg"), ("else_branch", "x")):
        out = helper.make_tensor_value_info("o", TensorProto.FLOAT, FREE)
        branches[branch] = helper.make_graph([helper.make_node("Relu", [source], ["o"])], branch, [], [out])
    nodes = [helper.make_node("Neg", ["x"], ["neg"]), helper.make_node("If", ["yes"], ["c"], **branches)]
    model = network(*nodes, node("Abs", "c"), weights={"yes": True})
    assert [n.op_type for n in cut(model, ["c"], "a.onnx").graph.node] == ["Neg", "If"]


WRONG = [
    ("scale", "no such tensor: scale", "did you mean scaled?"),
    ("x", "not computed, but an input or a weight: x", "later"),
    ("w", "not computed, but an input or a weight: w", "later"),
    ("quite another", "no such tensor: quite another", "its outputs now: y"),
]


@pytest.mark.parametrize(("name", "wording", "hint"), WRONG, ids=[row[0] for row in WRONG])
def test_names_that_it_does_not_compute(name: str, wording: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        cut(chain(), [name], "a.onnx")
    assert caught.value.message == f"a.onnx: outputs: {wording}" and hint in caught.value.hint


def test_a_tensor_may_be_named_as_the_import_writes_it() -> None:
    model = network(helper.make_node("Neg", ["x"], ["a:0"]), node("Abs", "a:0"))
    for name in ("a:0", "a_0"):
        assert [o.name for o in cut(model, [name], "a.onnx").graph.output] == ["a:0"]


def test_an_import_cuts_before_it_looks_at_what_follows(tmp_path: Path) -> None:
    """Operators that no chip has may follow."""
    nodes = [helper.make_node("Neg", ["x"], ["a:0"]), helper.make_node("Mine", ["a:0"], ["y"], domain="my.ops")]
    model = network(nodes[0], helper.make_node("Abs", ["a:0"], ["y"]))
    model.graph.node.remove(model.graph.node[1])
    model.graph.node.append(nodes[1])
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    (tmp_path / "source.onnx").write_bytes(model.SerializeToString())
    spec: dict[str, Any] = {"name": None, "height": 8, "width": 6, "pixel_format": "bgr"}
    spec |= {"mean": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0]}
    request = {"source": "source.onnx", "shown": "a.onnx", "architecture": None, "batches": [1, 2], "input": spec}
    (tmp_path / "request.json").write_text(json.dumps({**request, "outputs": ["a:0"]}))
    import_.run(tmp_path, ("request.json",))
    told = json.loads((tmp_path / "model.json").read_text())
    assert told["outputs"] == ["a_0"] and told["renamed"] == {"a_0": "a:0"}
