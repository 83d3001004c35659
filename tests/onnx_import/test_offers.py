"""Which networks INT8 finds nothing in, and the cut that is offered for each."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from toy_graphs import network

from bmzoo.onnx_import.cut import cut
from bmzoo.onnx_import.offers import mixed_ranges, offer
from bmzoo.runtime.engines.session import OnnxSession


def made(kind: str, *ports: str, **attributes: Any) -> onnx.NodeProto:
    *inputs, output = ports
    return helper.make_node(kind, inputs, [output], **attributes)


def conv(output: str, channels: int, source: str = "x") -> tuple[onnx.NodeProto, dict[str, Any]]:
    random = np.random.default_rng(channels)
    weights = {f"{output}.w": random.standard_normal((channels, 3, 1, 1)).astype("f4")}
    return helper.make_node("Conv", [source, f"{output}.w"], [output]), weights


def graph(*nodes: onnx.NodeProto, **weights: Any) -> onnx.ModelProto:
    return network(*nodes, shape=(1, 3, 8, 6), weights=weights)


def detector() -> onnx.ModelProto:
    """Boxes and scores of two convolutions in one output."""
    (boxes, first), (scores, second) = conv("boxes", 4), conv("logits", 5)
    nodes = [boxes, scores, made("Sigmoid", "logits", "scores"), made("Exp", "boxes", "sizes")]
    last = [made("Concat", "sizes", "scores", "all", axis=1), made("Reshape", "all", "s", "y")]
    return graph(*nodes, *last, **first, **second, s=[1, 9, 48])


def squashed(kind: str, channels: int = 5, **attributes: Any) -> onnx.ModelProto:
    head, weights = conv("head", channels)
    pooled = made("GlobalAveragePool", "head", "pooled")
    flat = [made("Flatten", "pooled", "flat"), made(kind, "flat", "y", **attributes)]
    return graph(head, pooled, *flat, **weights)


def test_scores_beside_boxes() -> None:
    found = offer(detector())
    assert found is not None and found.outputs == ("boxes", "logits") and found.decoder == ""
    assert found.why == "`y` holds scores and boxes on one scale (Concat `all`)"
    assert "`outputs: [boxes, logits]`" in found.told


@pytest.mark.parametrize("kind", ["Sigmoid", "Softmax"])
def test_scores_at_the_end(kind: str) -> None:
    found = offer(squashed(kind))
    assert found is not None and found.outputs == ("flat",) and found.decoder == "classification"
    assert found.why == f"`y` ends with a {kind}"


def test_a_face_and_the_rest_are_fit_for_int8() -> None:
    assert offer(squashed("Softmax", 2)) is None


def test_a_gate_in_the_network_is_none_at_its_end() -> None:
    """SiLU multiplies with a Sigmoid, too."""
    head, weights = conv("head", 4)
    assert offer(graph(head, made("Sigmoid", "head", "gate"), made("Mul", "head", "gate", "y"), **weights)) is None


def test_all_scores_in_one_output_are_cut_before_the_sigmoid() -> None:
    (one, first), (two, second) = conv("a", 4), conv("b", 5)
    nodes = [one, two, made("Concat", "a", "b", "ab", axis=1), made("Sigmoid", "ab", "y")]
    found = offer(graph(*nodes, **first, **second))
    assert found is not None and found.outputs == ("ab",)


def test_outputs_without_trouble_stay() -> None:
    model = squashed("Sigmoid")
    model.graph.output.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, None))
    found = offer(model)
    assert found is not None and found.outputs == ("flat", "pooled")


def test_a_bias_that_is_added_apart_belongs_to_its_layer() -> None:
    head, weights = conv("head", 5)
    nodes = [head, made("GlobalAveragePool", "head", "p"), made("Flatten", "p", "f"), made("MatMul", "f", "w", "m")]
    nodes += [made("Add", "m", "b", "biased"), made("Slice", "biased", "0", "2", "1", "boxes")]
    nodes += [made("Slice", "biased", "2", "6", "1", "s"), made("Sigmoid", "s", "scores")]
    model = graph(*nodes, made("Concat", "boxes", "scores", "y", axis=1), **weights, **SLICES)
    found = offer(model)
    assert found is not None and found.outputs == ("biased",)


SLICES = {
    "w": np.ones((5, 6), "f4"),
    "b": np.ones(6, "f4"),
    **{name: np.array([int(name)]) for name in ("0", "1", "2", "6")},
}


def test_ranges_that_are_seen() -> None:
    boxes, scores = np.full((1, 100, 4), 300.0), np.full((1, 100, 2), 0.5)
    assert mixed_ranges({"y": np.concatenate([boxes, scores], 2), "b": boxes, "s": scores}) == ["y"]
    assert mixed_ranges({"y": np.concatenate([boxes, scores], 2).transpose(0, 2, 1).reshape(1, 6, 10, 10)}) == ["y"]
    assert mixed_ranges({"classes": np.array([[1000.0, 0.1]]), "scalar": np.array([1.0])}) == []
    (one, first), (two, second) = conv("a", 4), conv("b", 5)
    model = graph(one, two, made("Concat", "a", "b", "y", axis=1), **first, **second)
    found = offer(model, {"y": np.concatenate([boxes, scores], 2).transpose(0, 2, 1).reshape(1, 6, 10, 10)})
    assert offer(model) is None and found is not None and found.outputs == ("a", "b")


@pytest.mark.parametrize(
    ("name", "decoder", "heads"),
    [
        ("yolov5n", "yolov5", 3),
        ("yolox_nano", "yolox", 9),
        ("yunet_n_320", "yunet", 12),
        ("ultraface_rfb_320", "", 0),
    ],
)
def test_networks_of_others(name: str, decoder: str, heads: int, data: Path) -> None:
    model = onnx.load(str(data / "models" / f"{name}.onnx"))
    found = offer(model)
    if not heads:
        assert found is None
        return
    assert found is not None and found.decoder == decoder and len(found.outputs) == heads
    side = model.graph.input[0].type.tensor_type.shape.dim
    picture = np.zeros((1, 3, side[2].dim_value, side[3].dim_value), "f4")
    got = OnnxSession(cut(model, found.outputs, name).SerializeToString()).run({model.graph.input[0].name: picture})
    assert list(got) == list(found.outputs)


def test_numbers_are_quoted() -> None:
    head, weights = conv("12", 5)
    found = offer(graph(head, made("Sigmoid", "12", "y"), **weights))
    assert found is not None and '`outputs: ["12"]`' in found.told


SIDES = ((8, 8), (4, 4), (2, 2))


def eighth(classes: int, points: int = 0) -> onnx.ModelProto:
    """The head of YOLO v8 and v11 as ultralytics exports it, for 64x64; with points, that of their poses."""
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, Any] = {
        "expectation": np.arange(16, dtype="f4").reshape(1, 16, 1, 1),
        "cells": np.array([84]),
        "dfl": np.array([1, 4, 16, 84]),
        "sides": np.array([1, 4, 84]),
        "grid": np.ones((1, 4, 84), "f4"),
    }
    channels = {"box": 64, "cls": classes, **({"kpt": 3 * points} if points else {})}
    for level, (height, width) in enumerate(SIDES):
        stride = 64 // height
        nodes += [made("MaxPool", "x", f"p{level}", kernel_shape=[stride] * 2, strides=[stride] * 2)]
        for kind, count in channels.items():
            head, own = conv(f"{kind}{level}", count, f"p{level}")
            nodes += [head]
            weights |= {**own, f"flat.{kind}{level}": np.array([1, count, height * width])}
    for level in range(3):
        nodes += [made("Concat", f"box{level}", f"cls{level}", f"both{level}", axis=1)]
        weights[f"flat{level}"] = np.array([1, 64 + classes, -1])
        nodes += [made("Reshape", f"both{level}", f"flat{level}", f"rows{level}")]
    nodes += [made("Concat", "rows0", "rows1", "rows2", "rows", axis=2)]
    nodes += [helper.make_node("Split", ["rows"], ["boxes", "logits"], axis=1, split=[64, classes])]
    nodes += [made("Reshape", "boxes", "dfl", "bins"), made("Transpose", "bins", "turned", perm=[0, 2, 1, 3])]
    nodes += [made("Softmax", "turned", "shares", axis=1), made("Conv", "shares", "expectation", "mean")]
    nodes += [made("Reshape", "mean", "sides", "away"), made("Sub", "grid", "away", "corners")]
    nodes += [made("Sigmoid", "logits", "scores")]
    joined = ["corners", "scores"]
    if points:
        nodes += [made("Reshape", f"kpt{n}", f"flat.kpt{n}", f"k{n}") for n in range(3)]
        nodes += [made("Concat", "k0", "k1", "k2", "places", axis=2), made("Add", "places", "one", "points")]
        weights["one"] = np.ones(1, "f4")
        joined.append("points")
    used = {name for node in nodes for name in node.input}
    kept = {name: value for name, value in weights.items() if name in used}
    return network(*nodes, made("Concat", *joined, "y", axis=1), shape=(1, 3, 64, 64), weights=kept)


@pytest.mark.parametrize(
    ("classes", "points", "decoder"), [(80, 0, "yolov8"), (3, 0, "yolov8"), (1, 17, "yolov8_pose")]
)
def test_the_eighth_yolo_is_cut_at_its_maps(classes: int, points: int, decoder: str) -> None:
    found = offer(eighth(classes, points))
    assert found is not None and found.decoder == decoder
    kinds = ("box", "cls", *(["kpt"] if points else []))
    assert set(found.outputs) == {f"{kind}{level}" for kind in kinds for level in range(3)}


def test_what_is_cut_before_a_softmax_is_still_a_mask() -> None:
    head, weights = conv("head", 5)
    found = offer(graph(head, made("Softmax", "head", "y", axis=1), **weights))
    assert found is not None and (found.outputs, found.decoder) == (("head",), "segmentation")
