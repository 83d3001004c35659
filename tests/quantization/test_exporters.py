"""Graphs as exporters write them: each pattern is folded, mapped to a lowering, ranked and emulated."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.quantization.fakequant import emulation
from bmzoo.quantization.folding import element_types, folded, network_inputs
from bmzoo.quantization.lowered_layers import Lowered, Quant
from bmzoo.quantization.mapping import coverage, lowered_network, table_name
from bmzoo.quantization.network import LoweredNetwork
from bmzoo.quantization.sensitivity import Suffix, Sweep
from bmzoo.quantization.session import session
from bmzoo.runtime.decoders.spec import DecoderSpec

PICTURE = np.random.default_rng(0).uniform(-1, 1, (1, 4, 8, 8)).astype(np.float32)
Node = onnx.NodeProto
node = helper.make_node


def stored(name: str, value: Any, kind: type[np.generic] = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value, kind), name)


def weight(name: str, *shape: int) -> TensorProto:
    return stored(name, np.random.default_rng(list(name.encode())).standard_normal(shape) * 0.5)


def constant(name: str, value: Any, kind: type[np.generic] = np.int64) -> Node:
    return node("Constant", [], [name], value=stored(name, value, kind))


def made(
    nodes: Sequence[Node], outputs: Sequence[str], weights: Sequence[TensorProto], batch: Any = "n", opset: int = 11
) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4, 8, 8])
    ends = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(list(nodes), "g", [x], ends, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 6
    kinds = element_types(model)  # an output must say of what type it is, and how many sides it has
    for port, value in zip(model.graph.output, run(model), strict=True):
        port.CopyFrom(helper.make_tensor_value_info(port.name, kinds[port.name], [None] * value.ndim))
    return model


def run(model: onnx.ModelProto, names: Sequence[str] | None = None) -> list[NDArray[Any]]:
    return list(session(model, 1).run(names, {"x": PICTURE}))


def plain_table(model: onnx.ModelProto, floats: Sequence[str] = ()) -> dict[str, Lowered]:
    """A lowering of a folded model: each float tensor a layer of INT8, scaled to its range; the input cast."""
    kinds = element_types(model)
    outputs = {name: each.op_type for each in model.graph.node for name in each.output if kinds[name] == 1}
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    found = {"xfirst_si8": Lowered("Cast", Quant(1 / 127), reads=("x",))}
    for (name, kind), value in zip(outputs.items(), run(tapped, list(outputs)), strict=True):
        quant = None if kind in floats else Quant(max(float(np.abs(value).max()), 1e-6) / 127)
        found[f"{name}_{kind}"] = Lowered(kind, quant)
    return found


def network(model: onnx.ModelProto, floats: Sequence[str] = ()) -> LoweredNetwork:
    small = folded(model, {"x": PICTURE.shape})
    return lowered_network(small, plain_table(small, floats))


def shapes_computed() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Shape", ["a"], ["s"]),
        constant("zero", 0),
        node("Gather", ["s", "zero"], ["rows"]),
        node("Unsqueeze", ["rows"], ["rows1"], axes=[0]),
        constant("rest", [-1, 2]),
        node("Concat", ["rows1", "rest"], ["wanted"], axis=0),
        node("Transpose", ["a"], ["t"], perm=[0, 2, 3, 1]),
        node("Reshape", ["t", "wanted"], ["y"]),
    ]
    return made(nodes, ["y"], [weight("w", 6, 4, 1, 1)])


def constants_in_any_form() -> onnx.ModelProto:
    nodes = [
        node("Constant", [], ["w"], value=weight("w", 4, 4, 1, 1)),
        node("Identity", ["given"], ["b"]),
        node("Conv", ["x", "w", "b"], ["a"]),
        node("Identity", ["a"], ["same"]),
        node("Constant", [], ["half"], value=stored("half", 0.5)),
        node("Mul", ["same", "half"], ["y"]),
    ]
    return made(nodes, ["y"], [weight("given", 4)])


def shared_weights() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("Conv", ["r", "w", "b"], ["y"]),
    ]
    return made(nodes, ["y"], [weight("w", 4, 4, 1, 1), weight("b", 4)])


def several_outputs_of_which_one_is_inner() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["inner"]),
        node("Conv", ["inner", "w2"], ["y"]),
        node("GlobalAveragePool", ["inner"], ["z"]),
    ]
    return made(nodes, ["inner", "y", "z"], [weight("w", 4, 4, 1, 1), weight("w2", 2, 4, 3, 3)])


def integers_between() -> onnx.ModelProto:
    """Indices that one branch makes and the other reads; they are an output, too."""
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Conv", ["x", "w2"], ["b"]),
        node("ArgMax", ["b"], ["index"], axis=1),
        node("GatherElements", ["a", "index"], ["best"], axis=1),
        node("Relu", ["best"], ["y"]),
        node("Greater", ["best", "limit"], ["flag"]),
    ]
    weights = [weight("w", 4, 4, 1, 1), weight("w2", 4, 4, 1, 1), stored("limit", 0.0)]
    return made(nodes, ["y", "index", "flag"], weights)


def anchors_unrolled() -> onnx.ModelProto:
    """One branch for each anchor, cut by Slice, joined by Concat, as loops in a head are traced."""
    nodes: list[Node] = [node("Conv", ["x", "w"], ["a"]), constant("axis", [1]), constant("step", [1])]
    for anchor in range(3):
        nodes += [
            constant(f"from{anchor}", [2 * anchor]),
            constant(f"to{anchor}", [2 * anchor + 2]),
            node("Slice", ["a", f"from{anchor}", f"to{anchor}", "axis", "step"], [f"part{anchor}"]),
            node("Sigmoid", [f"part{anchor}"], [f"s{anchor}"]),
            constant(f"size{anchor}", anchor + 1.0, np.float32),
            node("Mul", [f"s{anchor}", f"size{anchor}"], [f"m{anchor}"]),
        ]
    nodes.append(node("Concat", ["m0", "m1", "m2"], ["y"], axis=1))
    return made(nodes, ["y"], [weight("w", 6, 4, 1, 1)])


def split_and_resize_to_computed_sizes() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["a"], strides=[2, 2]),
        node("Split", ["a"], ["left", "right"], axis=1, split=[1, 3]),
        node("Shape", ["x"], ["s"]),
        constant("two", [2]),
        constant("four", [4]),
        node("Slice", ["s", "two", "four"], ["hw"]),
        node("Shape", ["right"], ["of"]),
        constant("none", [0]),
        node("Slice", ["of", "none", "two"], ["nc"]),
        node("Concat", ["nc", "hw"], ["sizes"], axis=0),
        node("Resize", ["right", "all", "all", "sizes"], ["large"], mode="nearest"),
        node("GlobalAveragePool", ["left"], ["mean"]),
        node("Add", ["large", "mean"], ["y"]),
    ]
    return made(nodes, ["y"], [weight("w", 4, 4, 1, 1), stored("all", [])])


def old_operators() -> onnx.ModelProto:
    """Version 9, before QuantizeLinear, with an Upsample that later versions lack."""
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Upsample", ["a", "scales"], ["u"], mode="nearest"),
        node("Relu", ["u"], ["y"]),
    ]
    return made(nodes, ["y"], [weight("w", 4, 4, 1, 1), stored("scales", [1, 1, 2, 2])], opset=9)


def batch_baked_in() -> onnx.ModelProto:
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Reshape", ["a", "to"], ["y"])]
    return made(nodes, ["y"], [weight("w", 4, 4, 1, 1), stored("to", [1, 256], np.int64)], batch=1)


def constant_output() -> onnx.ModelProto:
    nodes = [node("Conv", ["x", "w"], ["y"]), constant("anchors", [[1.0, 2.0]], np.float32)]
    return made(nodes, ["y", "anchors"], [weight("w", 4, 4, 1, 1)])


def grouped_deconvolution() -> onnx.ModelProto:
    nodes = [node("ConvTranspose", ["x", "w", "b"], ["a"], group=2, strides=[2, 2]), node("Relu", ["a"], ["y"])]
    return made(nodes, ["y"], [weight("w", 4, 3, 2, 2), weight("b", 6)])


def matrices_of_activations() -> onnx.ModelProto:
    """Attention: a product of two activations, softmax kept in float, a product that reads it."""
    nodes = [
        node("Reshape", ["x", "to"], ["rows"]),
        node("MatMul", ["rows", "w"], ["q"]),
        node("Transpose", ["rows"], ["k"], perm=[0, 2, 1]),
        node("MatMul", ["q", "k"], ["scores"]),
        node("Softmax", ["scores"], ["share"], axis=2),
        node("MatMul", ["share", "rows"], ["y"]),
    ]
    return made(nodes, ["y"], [stored("to", [1, 4, 64], np.int64), weight("w", 64, 64)])


PATTERNS = (
    *(shapes_computed, constants_in_any_form, shared_weights, several_outputs_of_which_one_is_inner),
    *(integers_between, anchors_unrolled, split_and_resize_to_computed_sizes, old_operators, batch_baked_in),
    *(constant_output, grouped_deconvolution, matrices_of_activations),
)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda each: each.__name__)
def test_every_pattern_is_ranked(pattern: Callable[[], onnx.ModelProto]) -> None:
    """A layer's sensitivity is what a whole run says with it alone in INT8."""
    model = pattern()
    net = network(model, floats=["Softmax", "Greater"])
    names = [layer.name for layer in net.quantized]
    assert coverage(net) == (len(names), len(names))
    found, signal = Sweep(net, DecoderSpec("none"), (8, 8)).measure({"x": PICTURE})
    assert set(found) == set(names) and set(signal) == {f"output {name}" for name in net.heads}
    exact = run(net.model)
    assert [port.name for port in net.model.graph.output] == list(net.heads)
    for group in net.groups():
        alone = run(emulation(net, set(names) - {layer.name for layer in group}))
        for name, float_value, value in zip(net.heads, exact, alone, strict=True):
            noise = float(np.square(value.astype(np.float64) - float_value.astype(np.float64)).sum())
            told = sum(found[layer.name].noise[f"output {name}"] for layer in group)
            assert told == pytest.approx(noise, rel=1e-3, abs=1e-5)
    assert sum(each.noise[key] for each in found.values() for key in signal) > 0


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda each: each.__name__)
def test_all_layers_in_float_are_the_model_as_given(pattern: Callable[[], onnx.ModelProto]) -> None:
    model = pattern()
    net = network(model)
    every = run(emulation(net, [layer.name for layer in net.quantized]))
    given = dict(zip((port.name for port in model.graph.output), run(model), strict=True))
    for name, value in zip(net.heads, every, strict=True):
        np.testing.assert_allclose(value, given[name], rtol=1e-5, atol=1e-5)
        assert value.dtype == given[name].dtype


def test_what_no_picture_decides_is_computed() -> None:
    small = folded(shapes_computed(), {"x": PICTURE.shape})
    assert [each.op_type for each in small.graph.node] == ["Conv", "Transpose", "Reshape"]


def test_a_graph_that_onnxsim_refuses_keeps_its_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Unsupported")

    monkeypatch.setattr("onnxsim.simplify", refuse)
    small = folded(constants_in_any_form(), {"x": PICTURE.shape})
    assert [each.op_type for each in small.graph.node] == ["Conv", "Identity", "Mul"]
    assert {"w", "b", "half"} <= {tensor.name for tensor in small.graph.initializer}
    np.testing.assert_array_equal(run(small)[0], run(constants_in_any_form())[0])


def test_weights_among_the_inputs_are_not_fed() -> None:
    model = batch_baked_in()
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 4, 1, 1]))
    assert network_inputs(model) == ["x"]


def test_a_layer_has_the_nodes_that_lowering_fused() -> None:
    """SiLU in two nodes, hard swish in four under a name of TPU-MLIR's own, and a ReLU within the convolution."""
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Sigmoid", ["a"], ["s"]),
        node("Mul", ["a", "s"], ["silu"]),
        node("Conv", ["silu", "w"], ["b"]),
        node("Add", ["b", "three"], ["b3"]),
        node("Clip", ["b3", "zero", "six"], ["clipped"]),
        node("Mul", ["b", "clipped"], ["times"]),
        node("Div", ["times", "six"], ["swish"]),
        node("Conv", ["swish", "w"], ["c"]),
        node("Relu", ["c"], ["y"]),
    ]
    numbers = [stored("three", 3.0), stored("zero", 0.0), stored("six", 6.0)]
    names = {"a_Conv": 1, "silu_Mul": 1, "b_Conv": 1, "swish_HardSwish": 1, "y_Relu": 1}
    model = made(nodes, ["y"], [weight("w", 4, 4, 1, 1), *numbers])
    net = lowered_network(model, {name: Lowered("", Quant(0.1)) for name in names})
    kinds = {layer.name: [each.op_type for each in layer.nodes] for layer in net.quantized}
    assert kinds == {
        "a_Conv": ["Conv"],
        "silu_Mul": ["Sigmoid", "Mul"],
        "b_Conv": ["Conv"],
        "swish_HardSwish": ["Add", "Clip", "Mul", "Div"],
        "y_Relu": ["Conv", "Relu"],
    }
    grouped = [[layer.name for layer in group] for group in net.groups()]
    assert grouped == [["a_Conv", "silu_Mul"], ["b_Conv", "swish_HardSwish"], ["y_Relu"]]


def test_a_layer_that_lowering_split_is_known_to_tables_by_its_own_name() -> None:
    """Attention's one product for query, key and value becomes three; casts and new scales are no layers."""
    nodes = [node("MatMul", ["x", "w"], ["qkv"]), node("Relu", ["qkv"], ["y"])]
    model = made(nodes, ["y"], [weight("w", 8, 8)])
    names = ("qkv_MatMul_matmul_1", "qkv_MatMul_matmul_3", "y_Relu")
    lowered = {name: Lowered("MatMul", Quant(0.1)) for name in names}
    lowered |= {"y_Relu_to_z_Concat": Lowered("MulShift", Quant(0.2)), "y_Relu_f32": Lowered("Cast", None)}
    net = lowered_network(model, lowered, {"qkv_MatMul", "y_Relu"})
    assert [(layer.name, layer.tensor) for layer in net.quantized] == [("qkv_MatMul", "qkv"), ("y_Relu", "y")]
    assert coverage(net) == (3, 3)
    assert table_name("y_Relu_f32", {"y_Relu", "y"}) == "y_Relu"
    assert table_name("z_Relu", {"y_Relu"}) == ""


def test_int8_layers_read_what_is_kept_in_float_as_the_lowering_casts_it() -> None:
    model = made([node("Relu", ["x"], ["r"]), node("Neg", ["r"], ["y"])], ["y"], [])
    lowered = {
        "r_Relu": Lowered("Relu", None),
        "r_Reluy_Neg_si8": Lowered("Cast", Quant(0.5), reads=("r_Relu",)),
        "y_Neg": Lowered("Neg", Quant(0.25)),
    }
    net = lowered_network(model, lowered)
    expected = -np.round(np.maximum(PICTURE, 0) / 0.5) * 0.5
    np.testing.assert_allclose(run(emulation(net))[0], expected, atol=1e-6)


def test_one_multiplier_is_one_scale_for_all_weights() -> None:
    model = made([node("MatMul", ["x", "w"], ["y"])], ["y"], [stored("w", np.diag([1.0, 0.01] * 4))])
    for one_scale, kept in ((True, 1 / 127), (False, 0.01)):
        lowered = {
            "x_si8": Lowered("Cast", Quant(1e-4)),
            "y_MatMul": Lowered("", Quant(1e-4), None, one_scale),
        }
        net = lowered_network(model, lowered)
        small = {t.name: numpy_helper.to_array(t) for t in emulation(net).graph.initializer}["int8.y#weights"]
        assert small[1, 1] == pytest.approx(kept, rel=1e-3)


def test_a_relu_is_hoisted_above_a_concatenation_only_where_lowering_did() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Conv", ["x", "w"], ["b"]),
        node("Concat", ["a", "b"], ["c"], axis=1),
        node("Relu", ["c"], ["y"]),
    ]
    model = made(nodes, ["y"], [weight("w", 4, 4, 1, 1)])
    stays = {name: Lowered("", Quant(0.1)) for name in ("a_Conv", "b_Conv", "c_Concat", "y_Relu")}
    assert [layer.tensor for layer in lowered_network(model, stays).quantized] == ["a", "b", "c", "y"]
    names = ("a_Conv", "b_Conv", "a_Conv_move_ahead_relu", "b_Conv_move_ahead_relu", "c_Concat_relu")
    moved = lowered_network(model, {name: Lowered("", Quant(0.1)) for name in names})
    assert sorted(layer.name for layer in moved.quantized) == sorted(names)
    np.testing.assert_array_equal(run(moved.model)[0], run(model)[0])


def test_layers_in_a_row_that_only_move_values_are_promoted_together() -> None:
    """A head's maps, brought to rows and joined: as long as one of them is in INT8, no other gains anything."""
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Sigmoid", ["a"], ["b"]),
        node("Concat", ["a", "b"], ["c"], axis=1),
        node("Reshape", ["c", "to"], ["rows"]),
        node("Concat", ["rows", "rows"], ["d"], axis=2),
        node("Transpose", ["d"], ["y"], perm=[0, 2, 1]),
    ]
    model = made(nodes, ["y"], [weight("w", 4, 4, 1, 1), stored("to", [1, 8, 64], np.int64)])
    groups = [[layer.tensor for layer in group] for group in network(model).groups()]
    assert groups == [["a"], ["b"], ["c", "rows", "d", "y"]]


def test_a_long_row_of_moving_layers_is_cut() -> None:
    nodes = [node("Transpose", [f"t{i}" if i else "x"], [f"t{i + 1}"], perm=[0, 1, 3, 2]) for i in range(30)]
    model = made(nodes, ["t30"], [])
    groups = lowered_network(model, plain_table(model)).groups()
    assert [len(group) for group in groups] == [12, 12, 6]


def test_what_is_behind_a_tensor_reads_integers_as_integers() -> None:
    net = network(integers_between())
    suffix = Suffix(net, "a")
    assert "index" in suffix.feeds
    kinds = {port.name: port.type.tensor_type.elem_type for port in suffix.model().graph.input}
    assert kinds["index"] == TensorProto.INT64 and kinds["a"] == TensorProto.FLOAT


def test_sessions_beyond_the_limit_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(shared_weights())
    kept = Sweep(net, DecoderSpec("none"), (8, 8)).measure({"x": PICTURE})
    monkeypatch.setattr("bmzoo.quantization.sensitivity.SESSIONS_BYTES", 0)
    sweep = Sweep(net, DecoderSpec("none"), (8, 8))
    assert sweep.measure({"x": PICTURE}) == kept == sweep.measure({"x": PICTURE})
