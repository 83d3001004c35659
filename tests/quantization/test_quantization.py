"""Equalization, emulated INT8, and the choice of float layers."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.errors import ConfigError
from bmzoo.measure.comparisons.boxes import COMPARISON
from bmzoo.quantization.equalize import (
    RANGE_SHARES,
    Ranges,
    Shares,
    apply,
    derive,
    factors_text,
    few_bits,
    pairs,
    parse_factors,
)
from bmzoo.quantization.fakequant import by_channel, emulation
from bmzoo.quantization.greedy import Score, best_path
from bmzoo.quantization.loss import Reference, total
from bmzoo.quantization.lowered_layers import Lowered, Quant, lowered_layers
from bmzoo.quantization.mapping import lowered_network
from bmzoo.quantization.select import cut_path, cut_ranking, excluded, explain_layers
from bmzoo.quantization.sensitivity import Sweep
from bmzoo.quantization.session import session
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.predictions.detections import Detections

SETTINGS = {
    "max_float_layers": 8,
    "expected_cos": None,
    "gain": 0.005,
    "keep": None,
    "metric": "faces",
    "exclude": None,
}


def model() -> onnx.ModelProto:
    """x -> conv a -> leaky b -> depthwise conv c -> relu d -> conv e, channels of very different size."""
    random = np.random.default_rng(0)
    uneven = np.array([1, 8, 0.05, 30], np.float32).reshape(-1, 1, 1, 1)

    def weight(name: str, shape: tuple[int, ...], scale: float | NDArray[np.float32] = 1.0) -> TensorProto:
        return numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "wa", "ba"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("LeakyRelu", ["a"], ["b"], alpha=0.1),
        helper.make_node("Conv", ["b", "wc"], ["c"], group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "we"], ["e"]),
    ]
    weights = [weight("wa", (4, 3, 3, 3), uneven), weight("ba", (4,)), weight("wc", (4, 1, 3, 3), 1 / uneven)]
    weights.append(weight("we", (2, 4, 1, 1)))
    x, e = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", c, 8, 8]) for n, c in (("x", 3), ("e", 2)))
    graph = helper.make_graph(nodes, "g", [x], [e], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    made.ir_version = 6
    return made


PICTURE = np.random.default_rng(1).uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)


def run(network: onnx.ModelProto) -> NDArray[Any]:
    return np.asarray(session(network, 1).run(None, {"x": PICTURE})[0])


def lowered(floats: Iterable[str] = ()) -> dict[str, Lowered]:
    names = {"a_Conv": 0.5, "b_LeakyRelu": 0.5, "c_Conv": 0.2, "d_Relu": 0.2, "e_Conv": 0.1}
    layers = {
        name: Lowered("Conv2D", None if name in floats else Quant(scale, name == "d_Relu"))
        for name, scale in names.items()
    }
    return {"xa_Conv_si8": Lowered("Cast", Quant(1 / 127)), **layers}


def equalized(network: onnx.ModelProto, ranges: Ranges, shares: Shares) -> onnx.ModelProto:
    return apply(network, derive(network, ranges, shares))


@pytest.mark.parametrize("shares", RANGE_SHARES.values(), ids=RANGE_SHARES)
def test_equalizing_keeps_the_outputs(shares: Shares) -> None:
    ranges = {"a": np.array([1.0, 8.0, 0.05, 30.0]), "c": np.ones(4)}
    np.testing.assert_allclose(run(equalized(model(), ranges, shares)), run(model()), rtol=1e-4, atol=1e-4)


def test_activations_alone_are_scaled_to_one_range() -> None:
    ranges = {"a": np.array([1.0, 8.0, 0.5, 30.0])}
    before, after = (
        numpy_helper.to_array(m.graph.initializer[0])
        for m in (model(), equalized(model(), ranges, RANGE_SHARES["channel"]))
    )
    scaled = ranges["a"] * np.abs(after).max(axis=(1, 2, 3)) / np.abs(before).max(axis=(1, 2, 3))
    np.testing.assert_allclose(scaled, scaled[0], rtol=0.07)  # scales are of few bits


def test_weights_with_one_scale_are_evened_out() -> None:
    before = model()
    assert [pair.first.output[0] for pair in pairs(before)] == ["a", "c"]
    ranges = {"a": np.array([1.0, 8.0, 0.05, 30.0]), "c": np.ones(4)}
    after = equalized(before, ranges, RANGE_SHARES["tensor"])
    spread = [
        np.ptp(np.log(np.abs(numpy_helper.to_array(m.graph.initializer[0])).max(axis=(1, 2, 3))))
        for m in (before, after)
    ]
    assert spread[1] < spread[0] / 2


def test_a_channel_that_something_else_reads_is_left_alone() -> None:
    shared = model()
    shared.graph.output.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, None))
    assert [pair.first.output[0] for pair in pairs(shared)] == ["c"]


def test_layers_in_float_are_exact_and_int8_is_near() -> None:
    net = lowered_network(model(), lowered())
    assert [layer.name for layer in net.quantized] == ["a_Conv", "b_LeakyRelu", "c_Conv", "d_Relu", "e_Conv"]
    assert [[layer.name for layer in group] for group in net.groups()] == [
        ["a_Conv", "b_LeakyRelu"],
        ["c_Conv", "d_Relu"],
        ["e_Conv"],
    ]
    exact, every = run(model()), [layer.name for layer in net.quantized]
    np.testing.assert_array_equal(run(emulation(net, every)), exact)
    off = [float(np.abs(run(emulation(net, floats)) - exact).max()) for floats in ([], every[:4])]
    assert 0 < off[1] < off[0]


def test_int8_values_are_steps_of_the_scale() -> None:
    result = run(emulation(lowered_network(model(), lowered()))) / 0.1
    np.testing.assert_allclose(result, np.round(result), atol=1e-3)


def test_weights_of_a_channel_have_127_steps() -> None:
    rounded, step = by_channel(np.array([[1.0, -0.3], [100.0, 60.0]], np.float32), 0)
    np.testing.assert_allclose(step, [1 / 127, 100 / 127])
    np.testing.assert_allclose(rounded / step[:, None], [[127, -38], [127, 76]], rtol=1e-6)


def test_a_layers_sensitivity_is_what_it_alone_does_to_the_outputs() -> None:
    net = lowered_network(model(), lowered())
    found, signal = Sweep(net, DecoderSpec("none"), (8, 8)).measure({"x": PICTURE})
    exact = run(model())
    others = [layer.name for layer in net.quantized if layer.name != "e_Conv"]
    alone = run(emulation(net, others))
    assert signal["output e"] == pytest.approx(float(np.square(exact, dtype=np.float64).sum()), rel=1e-5)
    expected = float(np.square(alone - exact, dtype=np.float64).sum())
    assert found["e_Conv"].noise["output e"] == pytest.approx(expected, rel=1e-3)
    assert set(found) == {layer.name for layer in net.quantized}


def test_the_loss_looks_at_confident_anchors_only() -> None:
    heads = {
        "loc": np.ones((1, 3, 4), np.float32),
        "conf": np.array([[[0.1, 0.9], [0.99, 0.01], [0.98, 0.02]]], np.float32),
        "landms": np.ones((1, 3, 10), np.float32),
    }
    reference = Reference(heads, DecoderSpec("retinaface"), (8, 8))
    nobody = heads["loc"].copy()
    nobody[0, 1:] += 5
    assert total(reference.noise({**heads, "loc": nobody}), reference.signal) == 0
    somebody = heads["loc"].copy()
    somebody[0, 0] += 5
    assert total(reference.noise({**heads, "loc": somebody}), reference.signal) == pytest.approx(25)


def test_the_text_of_a_lowering_gives_scales_and_shifts() -> None:
    text = """
    %5 = "tpu.Conv2D"(%2, %3) {quant_mode = #tpu<rq_mode OnlyShift>, rshift = [9]} : (tensor<1xi8>) -> \
tensor<1x8x!quant.uniform<i8:f32, 0.03>> loc(#loc5)
    %6 = "tpu.Relu"(%5) : (tensor<1xi8>) -> tensor<1x8x!quant.uniform<u8:f32, 2.5E-2:3>> loc(#loc6)
    %7 = "tpu.Softmax"(%6) {axis = 2 : si32} : (tensor<1xf32>) -> tensor<1x2xf32> loc(#loc7)
#loc5 = loc("a_Conv")
#loc6 = loc("b_Relu")
#loc7 = loc("c_Softmax")
"""
    assert lowered_layers(text) == {
        "a_Conv": Lowered("Conv2D", Quant(0.03), 9),
        "b_Relu": Lowered("Relu", Quant(0.025, unsigned=True, zero=3), reads=("a_Conv",)),
        "c_Softmax": Lowered("Softmax", None, reads=("b_Relu",)),
    }


def test_neighbours_that_only_help_together_are_found() -> None:
    groups = [("a", "b"), ("c",), ("d",)]

    def evaluate(floats: frozenset[str]) -> Score:
        loss = 1.0 - 0.6 * ({"a", "b", "c"} <= floats) - 0.1 * ("d" in floats)
        return Score(loss, 1 - loss)

    beside = {(groups[0], groups[1])}
    path = best_path(groups, beside, {"a": 3, "c": 2, "d": 1}, 4, evaluate)
    assert [choice.layers for choice in path.choices] == [("a", "b", "c"), ("d",)]
    assert path.choices[-1].score.loss == pytest.approx(0.3)
    assert best_path(groups, beside, {"a": 3}, 1, evaluate).choices[0].layers == ("d",)


def test_a_cut_ends_where_the_settings_say() -> None:
    path = {
        "plain": {"loss": 1.0, "cosine": 0.5},
        "choices": [
            {"layers": ["a", "b"], "loss": 0.5, "cosine": 0.9},
            {"layers": ["c"], "loss": 0.2, "cosine": 0.95},
            {"layers": ["d"], "loss": 0.199, "cosine": 0.96},
        ],
        "alone": {"a": {}, "e": {}},
    }
    assert cut_path(path, SETTINGS).layers == ("a", "b", "c")
    assert cut_path(path, {**SETTINGS, "max_float_layers": 2}).layers == ("a", "b")
    assert cut_path(path, {**SETTINGS, "expected_cos": 0.9}).layers == ("a", "b")
    assert cut_path(path, {**SETTINGS, "gain": 0.0}).layers == ("a", "b", "c", "d")
    ranking = {"layers": [{"layer": n, "loss": 1.0, "group": [n]} for n in "abcdef"]}
    assert cut_ranking(ranking, 2).layers == ("a", "b")
    why = {layer: text for layer, _, text in explain_layers(ranking, path, cut_path(path, SETTINGS))}
    assert why["a"].startswith("in: choice 1") and why["d"].startswith("out: ") and "tried" in why["f"]


def test_agreement_is_one_for_the_same_faces_and_falls_with_each_missed() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32)
    faces = Detections(boxes, np.array([0.9, 0.6], np.float32), np.zeros((2, 5, 2), np.float32))
    assert COMPARISON.agreement([faces], [faces], 0.1) == 1
    assert COMPARISON.agreement([faces], [faces.take(np.array([0]))], 0.1) == 0.5
    assert COMPARISON.agreement([faces], [faces.take(np.array([0]))], 0.8) == 1


def test_layers_that_are_to_stay_int8_are_named_or_matched() -> None:
    layers = ["stage1.0.conv_Conv", "stage1.1.dw.conv_Conv", "fpn.add_Add"]
    assert excluded(layers, None) == frozenset()
    assert excluded(layers, ["stage1.*.conv_Conv"]) == {layers[0], layers[1]}
    assert excluded(layers, [layers[2]]) == {layers[2]}
    with pytest.raises(ConfigError, match=r"^exclude: no such layer: fpn.ad_Add$") as caught:
        excluded(layers, ["fpn.ad_Add"])
    assert caught.value.hint == "did you mean fpn.add_Add?"
    ranking = {"layers": [{"layer": name, "loss": 1.0, "group": [name]} for name in layers]}
    cut = cut_ranking(ranking, 2, {layers[0]})
    assert cut.layers == (layers[1], layers[2])
    why = {
        layer: text for layer, _, text in explain_layers(ranking, {"choices": [], "alone": {}}, cut, {layers[0]})
    }
    assert why[layers[0]] == "out: excluded in the config"


def test_a_last_digit_of_a_range_does_not_reach_the_scales_nor_the_weights() -> None:
    ranges = {"a": np.array([1.0, 8.0, 0.05, 30.0]), "c": np.array([1.0, 2.0, 3.0, 4.0])}
    wanted = apply(model(), derive(model(), ranges, RANGE_SHARES["tensor"])).SerializeToString()
    random = np.random.default_rng(1)
    for _ in range(20):
        noisy = {
            name: values * (1 + 1e-6 * random.standard_normal(values.shape)) for name, values in ranges.items()
        }
        assert apply(model(), derive(model(), noisy, RANGE_SHARES["tensor"])).SerializeToString() == wanted


def test_scales_survive_being_written_and_read() -> None:
    factors = {"a": few_bits(np.geomspace(1 / 32, 32, 40)), "c": np.ones(4)}
    read = parse_factors(factors_text(factors))
    assert read.keys() == factors.keys()
    assert all(np.array_equal(read[name], factors[name]) for name in factors)
    assert np.all(np.abs(factors["a"] / np.geomspace(1 / 32, 32, 40) - 1) <= 1 / 32)


@pytest.mark.parametrize(
    "line", ["a", "a 0.0", "a -1.0", "a nan", "a inf", "a 1.0 x", "a 1.01", "a 1.0\na 1.0", "a 0.328125001"]
)
def test_scales_that_are_none_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"line \d is not a name that is there once, and numbers > 0 of 5 bits: a"):
        parse_factors(f"{line}\n")


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ({"b": np.ones(4)}, "b: no convolution of this model whose channels can be scaled"),
        ({"a": np.ones(3)}, "a: 3 channels, not those of this model"),
    ],
)
def test_scales_of_another_model_are_refused(factors: dict[str, NDArray[Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        apply(model(), factors)


def test_layers_that_each_spoil_everything_are_promoted_together() -> None:
    groups = [(name,) for name in "abcdef"]

    def evaluate(floats: frozenset[str]) -> Score:
        loss = 0.9 if set("abcd") - floats else 0.1
        return Score(loss, 1 - loss)

    path = best_path(groups, (), dict(zip("abcdef", (6, 5, 4, 3, 2, 1), strict=True)), 5, evaluate)
    assert [choice.layers for choice in path.choices] == [("a", "b", "c", "d")]
    assert best_path(groups, (), {"a": 1}, 3, evaluate).choices == ()
