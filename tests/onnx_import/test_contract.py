"""The onnx 1.6.0 contract: what breaks it, what can be converted down, and what a file can get wrong."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bmzoo.errors import SourceError, ToolFailed
from bmzoo.onnx_import import onnx16, retinaface
from bmzoo.onnx_import.checkpoint import load_state_dict
from bmzoo.onnx_import.contract import ValueInfo, as_toolchain_reads, conform, io_signature, violations
from bmzoo.runtime.engines.session import OnnxSession

ROOT = Path(__file__).parents[2]
Node = onnx.NodeProto


def model_of(
    *nodes: Node,
    opset: int = 13,
    ir: int = 7,
    shape: Sequence[int | str | None] | None = ("batch", 4, 6),
    weights: Mapping[str, object] = MappingProxyType({}),
) -> onnx.ModelProto:
    """`x` goes in, the last node's outputs come out."""
    for i, node in enumerate(nodes):
        node.name = node.name or f"node{i}"
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_value_info(name, onnx.TypeProto()) for name in nodes[-1].output]
    constants = [numpy_helper.from_array(np.array(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "test", ports, outputs, constants)
    draft = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    inferred = onnx.shape_inference.infer_shapes(draft)
    types = {value.name: value for value in inferred.graph.output}
    for output in draft.graph.output:
        output.CopyFrom(types[output.name])
        if not output.type.tensor_type.elem_type:
            output.type.tensor_type.elem_type = TensorProto.FLOAT
    return draft


def node(kind: str, *inputs: str, outputs: tuple[str, ...] = ("y",), **attributes: Any) -> Node:
    return helper.make_node(kind, inputs or ("x",), outputs, **attributes)


def test_conforming_model_comes_back_itself() -> None:
    model = model_of(node("Relu"), opset=11, ir=6)
    assert violations(model) == []
    assert conform(model, "a.onnx") is model


def test_violations_are_all_named() -> None:
    model = model_of(node("Relu"), opset=17, ir=9)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    model.graph.node.append(helper.make_node("Gelu", ["x"], ["z"], domain="com.microsoft"))
    model.functions.add(name="Mine")
    assert violations(model) == [
        "IR version 9, more than 6",
        "ai.onnx opset 17, more than 11",
        "ai.onnx.ml opset 3, more than 2",
        "functions of its own: Mine",
        "operators that are not ONNX's: com.microsoft.Gelu",
    ]
    del model.opset_import[:]
    assert "no ai.onnx opset" in violations(model)


def test_ir_version_alone() -> None:
    converted = conform(model_of(node("Relu"), opset=9, ir=8), "a.onnx")
    assert (converted.ir_version, converted.opset_import[0].version) == (6, 9)


def named(value: object) -> str:
    last = value[-1] if isinstance(value, list) else value
    return getattr(last, "op_type", "")


AXES = {"axes": [1, 2]}
CONVERTIBLE: list[tuple[int, list[Node], dict[str, Any]]] = [
    (13, [node("Relu")], {}),
    (13, [node("ReduceSum", "x", "axes", keepdims=0)], AXES),
    (13, [node("ReduceSum")], {}),
    (13, [node("ReduceSum", "x", "axes", noop_with_empty_axes=1)], {"axes": np.zeros(0, np.int64)}),
    (13, [node("Unsqueeze", "x", "axes", outputs=("u",)), node("Squeeze", "u", "axes")], AXES),
    (13, [node("Split", "x", "split", outputs=("y", "z"), axis=2)], {"split": [2, 4]}),
    (13, [node("Split", outputs=("y", "z"), axis=1)], {}),
    (18, [node("Split", outputs=("y", "z"), axis=1, num_outputs=2)], {}),
    (13, [node("Softmax")], {}),
    (13, [node("Softmax", axis=2)], {}),
    (13, [node("Softmax", axis=1)], {}),
    (13, [node("LogSoftmax", axis=-2)], {}),
    (18, [node("ReduceMean", "x", "axes")], AXES),
    (13, [node("ReduceMax", axes=[2])], {}),
    (14, [node("HardSwish")], {}),
    (14, [node("Reshape", "x", "shape", allowzero=0)], {"shape": [0, 24]}),
    (15, [node("Shape", start=0)], {}),
    (13, [node("GreaterOrEqual", "x", "zero")], {"zero": np.float32(0)}),
    (16, [node("LessOrEqual", "x", "zero")], {"zero": np.float32(0)}),
    (17, [node("LayerNormalization", "x", "s", "b")], {"s": np.ones(6, "f4") * 2, "b": np.ones(6, "f4")}),
    (17, [node("LayerNormalization", "x", "s", axis=1)], {"s": np.full((4, 6), 3, "f4")}),
    (13, [node("Resize", "x", "", "scales", mode="nearest")], {"scales": np.array([1, 1, 2], np.float32)}),
    (13, [node("Resize", "x", "", "", "sizes")], {"sizes": [2, 4, 12]}),
    (18, [node("Pad", "x", "pads")], {"pads": [0, 1, 0, 0, 0, 2]}),
]


@pytest.mark.parametrize(("opset", "nodes", "weights"), CONVERTIBLE, ids=named)
def test_converted_with_equal_outputs_and_names(opset: int, nodes: list[Node], weights: dict[str, object]) -> None:
    sized = any(n.op_type == "Resize" and len(n.input) == 4 for n in nodes)
    model = model_of(*nodes, opset=opset, ir=8, shape=(2 if sized else "batch", 4, 6), weights=weights)
    before = model.SerializeToString()
    converted = conform(model, "a.onnx")
    assert violations(converted) == []
    assert model.SerializeToString() == before
    assert io_signature(converted) == io_signature(model)
    read = {name for each in converted.graph.node for name in each.input}
    assert {weight.name for weight in converted.graph.initializer} <= read


def test_constant_nodes_and_nested_graphs() -> None:
    axes = helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(np.array([2]), "axes"))
    branches = {}
    for branch, kind in (("then_branch", "ReduceSum"), ("else_branch", "ReduceMean")):
        inputs = ["x", "axes"] if kind == "ReduceSum" else ["x"]
        extra: dict[str, Any] = {} if kind == "ReduceSum" else {"axes": [2]}
        inner = helper.make_node(kind, inputs, ["out"], name=branch, **extra)
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 4, 1])
        branches[branch] = helper.make_graph([inner], branch, [], [out])
    choose = helper.make_node("If", ["yes"], ["y"], **branches)
    converted = conform(model_of(axes, choose, weights={"yes": True}), "a.onnx")
    assert [each.op_type for each in converted.graph.node] == ["If"]
    inner = converted.graph.node[0].attribute[0].g.node[0]
    assert [a.name for a in inner.attribute] == ["axes"]


NOT_CONVERTIBLE: list[tuple[int, Node, dict[str, Any], str]] = [
    (14, node("Trilu"), {}, "Trilu (since opset 14)"),
    (12, node("Einsum", equation="bij->bji"), {}, "Einsum (since opset 12)"),
    (15, node("Shape", start=1), {}, "Shape (opset 15) with attribute `start`"),
    (18, node("Pad", "x", "pads", "", "axes"), {"pads": [1, 1], "axes": [2]}, "Pad (opset 18) with 4 inputs"),
    (13, node("ReduceSum", "x", "x_shape"), {}, "ReduceSum with `x_shape` computed at run time"),
]


@pytest.mark.parametrize(("opset", "last", "weights", "wording"), NOT_CONVERTIBLE, ids=named)
def test_what_cannot_be_converted_is_named(
    opset: int, last: Node, weights: dict[str, object], wording: str
) -> None:
    nodes = [node("Shape", outputs=("x_shape",)), last] if "x_shape" in last.input else [last]
    model = model_of(*nodes, opset=opset, weights=weights)
    model.graph.output[0].type.tensor_type.shape.SetInParent()
    with pytest.raises(SourceError) as caught:
        conform(model, "a.onnx")
    assert caught.value.message.startswith("a.onnx: IR version 7, more than 6; ai.onnx opset")
    assert wording in caught.value.message
    assert "opset 11" in caught.value.hint


@pytest.mark.parametrize(("opset", "last", "weights", "wording"), NOT_CONVERTIBLE[:-1], ids=named)
def test_the_toolchain_reads_what_cannot_be_converted(
    opset: int, last: Node, weights: dict[str, object], wording: str
) -> None:
    model = model_of(last, opset=opset, weights=weights)
    model.graph.output[0].type.tensor_type.shape.SetInParent()
    assert as_toolchain_reads(model, "a.onnx") is model
    with pytest.raises(SourceError) as caught:
        conform(model, "a.onnx")
    assert "`contract: toolchain`" in caught.value.hint


def test_the_toolchain_reads_numbers_that_are_too_new() -> None:
    model = model_of(node("Einsum", equation="bij->bji"), opset=21, ir=10)
    found = as_toolchain_reads(model, "a.onnx")
    assert found.ir_version == onnx.IR_VERSION and found.opset_import[0].version == onnx.defs.onnx_opset_version()


def test_the_toolchain_has_no_operators_of_others() -> None:
    model = model_of(node("Relu"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.graph.node.append(helper.make_node("Gelu", ["x"], ["z"], domain="com.microsoft"))
    for check in (as_toolchain_reads, conform):
        with pytest.raises(SourceError, match=r"com\.microsoft\.Gelu") as caught:
            check(model, "a.onnx")
        assert "ONNX's own operators only" in caught.value.hint and "toolchain" not in caught.value.hint


def test_all_that_cannot_be_converted_is_named_at_once() -> None:
    nodes = node("Trilu", outputs=("t",)), node("Einsum", "t", equation="bij->bji")
    with pytest.raises(SourceError, match=r"Einsum \(since opset 12\), Trilu \(since opset 14\)"):
        conform(model_of(*nodes, opset=14), "a.onnx")


def test_a_change_of_meaning_is_caught_by_its_results() -> None:
    """RoiAlign 16 shifts by half a pixel unless told otherwise: same form, other numbers."""
    rois = np.array([[0, 0, 3, 3]], np.float32)
    align = node("RoiAlign", "x", "rois", "index", output_height=2, output_width=2)
    model = model_of(align, opset=16, shape=(1, 2, 4, 6), weights={"rois": rois, "index": [0]})
    with pytest.raises(SourceError, match="other results than before"):
        conform(model, "a.onnx")


def test_types_that_opset_11_lacks() -> None:
    nodes = node("Cast", outputs=("i",), to=TensorProto.INT64), node("Clip", "i", "low")
    model = model_of(*nodes, opset=13, weights={"low": 0})
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(SourceError, match=r"onnxruntime refuses it.*Clip"):
        conform(model, "a.onnx")


def test_too_new_and_not_valid() -> None:
    with pytest.raises(SourceError, match="opset 99, newer than 25, the newest that is known"):
        model = model_of(node("Relu"))
        model.opset_import[0].version = 99
        conform(model, "a.onnx")
    with pytest.raises(SourceError, match="not a valid ONNX model"):
        conform(model_of(node("Relu", "nothing")), "a.onnx")


def test_unknown_input_shape() -> None:
    with pytest.raises(SourceError, match="not a valid ONNX model: Field 'shape'"):
        conform(model_of(node("Relu"), shape=None), "a.onnx")


def test_free_sides_that_are_too_small_to_compare() -> None:
    conv = node("Conv", "x", "w")
    model = model_of(conv, shape=("b", 1, "h", "w"), weights={"w": np.ones((1, 1, 5, 5), "f4")})
    with pytest.raises(SourceError, match="cannot be compared"):
        conform(model, "a.onnx")


def test_signature() -> None:
    model = model_of(node("Add", "x", "w"), weights={"w": np.ones(6, "f4")}, shape=("batch", 4, None))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [6]))
    signature = io_signature(model)
    assert signature.inputs == (ValueInfo("x", "float32", ("batch", 4, "?")),)
    assert io_signature(model_of(node("Relu"), shape=None)).inputs[0].shape is None


class Runner:
    """Answers each command with the next of the given results."""

    def __init__(self, *results: tuple[int, str]) -> None:
        self.results, self.calls = list(results), list[list[str]]()

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        self.calls.append(argv)
        return self.results.pop(0)


def test_onnx16_answers(tmp_path: Path) -> None:
    python, model = tmp_path / "python", tmp_path / "a.onnx"
    onnx16.check_with_onnx_16(model, python, Runner((0, "1.6.0\n"), (0, "")))
    reason = "Traceback\nonnx.onnx_cpp2py_export.checker.ValidationError: too new\n\n==> Context: …"
    with pytest.raises(SourceError, match=r"refused by the checker of onnx 1.6.0: .*too new"):
        onnx16.check_with_onnx_16(model, python, Runner((0, "1.6.0"), (1, reason)))
    for answer in ((0, "1.14.1"), (1, "No module named onnx"), (127, "")):
        with pytest.raises(ToolFailed, match="has no onnx 1.6.0"):
            onnx16.check_with_onnx_16(model, python, Runner(answer))


def test_onnx16_environment(tmp_path: Path) -> None:
    runner = Runner((0, ""), (0, ""))
    onnx16.create_environment(Path("/p/python3.7"), tmp_path / "env", ROOT / "tools" / "onnx16.lock", runner)
    venv, pip = runner.calls
    assert venv[:3] == ["/p/python3.7", "-m", "venv"]
    assert pip[0] == str(tmp_path / "env/bin/python")
    assert {"--no-deps", "--require-hashes"} <= set(pip)
    with pytest.raises(ToolFailed, match="could not be made: no index"):
        onnx16.create_environment(Path("p"), tmp_path, tmp_path, Runner((0, ""), (1, "trying\nno index\n")))


def test_find_python37(tmp_path: Path) -> None:
    places = [tmp_path / "root/versions/3.7.16/bin", tmp_path / ".pyenv/versions/3.7.9/bin", tmp_path / "bin"]
    for folder in [*places, tmp_path / "shims"]:
        folder.mkdir(parents=True)
        (folder / "python3.7").touch(0o755)
    path = f"{tmp_path}/shims:{tmp_path}/bin"
    environ = {"PYENV_ROOT": str(tmp_path / "root"), "HOME": str(tmp_path), "PATH": path}
    for key, folder in zip(("PYENV_ROOT", "HOME", "PATH"), places, strict=True):
        assert onnx16.find_python37(environ) == folder / "python3.7"
        del environ[key]
    assert onnx16.find_python37(environ) is None


def run(argv: list[str]) -> tuple[int, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def onnx_16() -> Path:
    """The interpreter of an environment with the real onnx 1.6.0, made once and kept in build/."""
    environment = ROOT / "build" / "onnx-1.6.0"
    python = onnx16.environment_python(environment)
    if run([str(python), "-c", "import onnx"])[0] if python.exists() else True:
        python37 = onnx16.find_python37()
        if python37 is None:
            pytest.skip("no Python 3.7 on this machine, which onnx 1.6.0 needs")
        onnx16.create_environment(python37, environment, ROOT / "tools" / "onnx16.lock", run)
    return python


@pytest.mark.bootstrap
def test_the_real_onnx_16_accepts_what_conforms_and_nothing_newer(onnx_16: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    model = model_of(node("HardSwish"), opset=17, ir=8)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SourceError, match="refused by the checker"):
        onnx16.check_with_onnx_16(path, onnx_16, run)
    path.write_bytes(conform(model, "a.onnx").SerializeToString())
    onnx16.check_with_onnx_16(path, onnx_16, run)


@pytest.mark.bootstrap
def test_the_real_onnx_16_accepts_the_official_retinaface(onnx_16: Path, data: Path, tmp_path: Path) -> None:
    state = load_state_dict(data / "weights" / "retinaface_mobilenet0.25_Final.pth")
    path = tmp_path / "retinaface.onnx"
    path.write_bytes(retinaface.build(state, 640, 640).SerializeToString())
    onnx16.check_with_onnx_16(path, onnx_16, run)


MISREAD = [
    (
        node("GroupNormalization", "x", "scale", "bias", num_groups=2),
        {"scale": np.array([2, 3], "f4"), "bias": np.array([1, -1], "f4")},
    ),
    (node("Resize", "x", "", "scales", axes=[2], mode="nearest"), {"scales": np.array([2], "f4")}),
]


@pytest.mark.parametrize("check", [as_toolchain_reads, conform])
@pytest.mark.parametrize(("last", "weights"), MISREAD, ids=["groups", "axes"])
def test_what_tpu_mlir_misreads_is_written_otherwise(
    last: Node, weights: dict[str, object], check: Callable[[onnx.ModelProto, str], onnx.ModelProto]
) -> None:
    model = model_of(last, opset=18, ir=8, shape=("batch", 4, 6), weights=weights)
    model.graph.output[0].type.tensor_type.shape.SetInParent()
    found = check(model, "a.onnx")
    assert {"GroupNormalization", "axes"}.isdisjoint(
        {n.op_type for n in found.graph.node} | {a.name for n in found.graph.node for a in n.attribute}
    )
    x = np.random.default_rng(0).standard_normal((3, 4, 6)).astype("f4")
    before, after = (OnnxSession(each.SerializeToString()).run({"x": x})["y"] for each in (model, found))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_groups_with_a_scale_by_channel_are_not_taken_for_scales_by_group() -> None:
    """As of opset 21, which onnxruntime here does not know."""
    four = {"scale": np.ones(4, "f4"), "bias": np.zeros(4, "f4")}
    model = model_of(node("GroupNormalization", "x", "scale", "bias", num_groups=2), opset=18, weights=four)
    model.graph.output[0].type.tensor_type.shape.SetInParent()
    with pytest.raises(SourceError, match="GroupNormalization with scale and bias that are not constants, one for"):
        conform(model, "a.onnx")
