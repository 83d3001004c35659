"""Batches that exporters write down: freed with equal outputs, left at one picture, or refused with their node."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from toy_graphs import network, node

from bmzoo.errors import SourceError
from bmzoo.onnx_import.batches import Settled, settle
from bmzoo.onnx_import.samples import network_inputs
from bmzoo.runtime.engines.session import OnnxSession

SPEC: dict[str, Any] = {
    **{"name": None, "height": 8, "width": 6, "pixel_format": "bgr"},
    **{"mean": [104.0, 117.0, 123.0], "scale": [0.02, 0.02, 0.02]},
}
W = np.random.default_rng(1).standard_normal((4, 3, 1, 1)).astype("f4")


def conv(output: str = "c") -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "w"], [output])


def fixed(*nodes: onnx.NodeProto, batch: int | str = 1, opset: int = 11, **weights: Any) -> onnx.ModelProto:
    return network(*nodes, shape=(batch, 3, 8, 6), weights={"w": W, **weights}, opset=opset)


def settled(model: onnx.ModelProto, batches: Sequence[int]) -> Settled:
    return settle(model, SPEC, batches, "a.onnx")


def rows(batch: int) -> list[onnx.NodeProto]:
    """[batch, 48, 4], as detectors write their anchors: a shape in full, a transposed map, rows of a batch."""
    return [
        conv(),
        helper.make_node("Reshape", ["c", "s"], ["r"]),
        helper.make_node("Transpose", ["r"], ["y"], perm=[0, 2, 1]),
    ]


def flattened() -> list[onnx.NodeProto]:
    return [
        conv(),
        helper.make_node("Reshape", ["c", "s"], ["flat"]),
        helper.make_node("Relu", ["flat"], ["r"]),
        helper.make_node("Reshape", ["r", "back"], ["y"]),
    ]


def resized() -> list[onnx.NodeProto]:
    return [conv(), helper.make_node("Resize", ["c", "", "", "s"], ["y"], mode="nearest")]


def sliced() -> list[onnx.NodeProto]:
    return [conv(), helper.make_node("Slice", ["c", "first", "last"], ["y"])]


def expanded() -> list[onnx.NodeProto]:
    mean = helper.make_node("ReduceMean", ["c"], ["m"], axes=[2, 3], keepdims=1)
    return [conv(), mean, helper.make_node("Expand", ["m", "s"], ["y"])]


def joined() -> list[onnx.NodeProto]:
    """A class token beside the rows of a picture."""
    nodes = [conv(), helper.make_node("Reshape", ["c", "s"], ["r"])]
    return [*nodes, helper.make_node("Concat", ["token", "r"], ["y"], axis=1)]


def added() -> list[onnx.NodeProto]:
    return [conv(), helper.make_node("Add", ["c", "bias"], ["y"])]


TOKEN = np.arange(48, dtype="f4").reshape(1, 1, 48)
BAKED: list[tuple[str, Callable[[int], onnx.ModelProto]]] = [
    ("rows", lambda b: fixed(*rows(b), batch=b, s=[b, 4, 48])),
    ("the rest", lambda b: fixed(*rows(b), batch=b, s=[b, 4, -1])),
    ("flattened", lambda b: fixed(*flattened(), batch=b, s=[b * 4, 48], back=[b, 4, 8, 6])),
    ("flattened, the rest", lambda b: fixed(*flattened(), batch=b, s=[b * 4, -1], back=[b, -1, 8, 6])),
    ("resized", lambda b: fixed(*resized(), batch=b, opset=13, s=[b, 4, 16, 12])),
    ("sliced", lambda b: fixed(*sliced(), batch=b, first=[0, 1], last=[b, 3])),
    ("expanded", lambda b: fixed(*expanded(), batch=b, s=[b, 4, 8, 6])),
    ("a token", lambda b: fixed(*joined(), batch=b, s=[b, 4, 48], token=np.repeat(TOKEN, b, 0))),
    ("a bias", lambda b: fixed(*added(), batch=b, bias=np.full((b, 4, 1, 1), 3, "f4"))),
    ("by its size", lambda b: fixed(conv("y"), batch=b)),
]


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("baked", [row[1] for row in BAKED], ids=[row[0] for row in BAKED])
def test_a_batch_is_freed_with_equal_outputs(baked: Callable[[int], onnx.ModelProto], batch: int) -> None:
    model = baked(batch)
    found = settled(model, [1, 4])
    assert found.freed and found.batch is None
    onnx.checker.check_model(found.model)
    pictures = network_inputs(SPEC, 6, seed=7)
    before, after = OnnxSession(model.SerializeToString()), OnnxSession(found.model.SerializeToString())
    for wanted, one in zip(before.run({"x": pictures})["y"], after.run({"x": pictures})["y"], strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-5)
    assert after.inputs[0].shape[0] == after.outputs[0].shape[0] == -1


def test_one_picture_builds_as_it_is() -> None:
    model = fixed(*rows(1), s=[1, 4, 48])
    found = settled(model, [1])
    assert found.model is model and found.batch == 1 and not found.freed


def test_a_batch_that_is_free_only_by_its_name_is_left_at_one_picture() -> None:
    """Verification feeds several pictures: what takes one is fed one after another."""
    model = fixed(*rows(1), batch="N", s=[1, 4, 48])
    found = settled(model, [1])
    assert found.batch == 1 and OnnxSession(found.model.SerializeToString()).inputs[0].shape[0] == 1
    assert settled(model, [1, 4]).freed


def test_what_is_free_stays_itself() -> None:
    model = fixed(conv("y"), batch="N")
    assert settled(model, [1]) == settled(model, [1, 4]) == Settled(model)


GATHER = node("Gather", "c", "i", output="y", axis=0)
HELD: list[tuple[str, onnx.ModelProto, str]] = [
    ("the first", fixed(conv(), GATHER, i=[0]), "held by Gather `y`"),
    ("scan over pictures", fixed(conv(), node("CumSum", "c", "a"), a=0), "held by CumSum `y`"),
    ("over all", fixed(conv(), node("Softmax", "c", output="y", axis=0)), "Softmax `y`"),
    (
        "other rows for each",
        fixed(conv(), node("Add", "c", "b"), batch=2, b=np.array([1, 2], "f4").reshape(2, 1, 1, 1)),
        "held by Add",
    ),
]


@pytest.mark.parametrize(("model", "wording"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_the_node_that_holds_a_batch_is_named(model: onnx.ModelProto, wording: str) -> None:
    with pytest.raises(SourceError) as caught:
        settled(model, [1, 4])
    assert "the batch dimension is not free" in caught.value.message and wording in caught.value.message
    assert caught.value.hint


WITHOUT: list[tuple[str, list[onnx.NodeProto], dict[str, Any], list[int]]] = [
    ("a scalar", [conv(), node("ReduceMean", "c", keepdims=0)], {}, [1]),
    ("anchors", [conv(), node("Reshape", "c", "s")], {"s": [48, 4]}, [1, 48, 4]),
    ("channels", [conv(), node("Squeeze", "c", axes=[0])], {}, [1, 4, 8, 6]),
]


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize(("nodes", "weights", "shape"), [row[1:] for row in WITHOUT], ids=[r[0] for r in WITHOUT])
def test_an_output_need_not_begin_with_the_picture(
    nodes: list[onnx.NodeProto], weights: dict[str, Any], shape: list[int], batch: int | str
) -> None:
    model = fixed(*nodes, batch=batch, **weights)
    found = settled(model, [1])
    assert found.batch == 1 and found.reshaped == ("y",)
    onnx.checker.check_model(found.model)
    pictures = network_inputs(SPEC, 3)
    wanted = [OnnxSession(model.SerializeToString()).run({"x": picture[None]})["y"] for picture in pictures]
    got = OnnxSession(found.model.SerializeToString()).run({"x": pictures})["y"]
    assert list(got.shape) == [3, *shape[1:]]
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other.reshape(one.shape))


def test_an_output_that_is_read_by_others_keeps_its_shape_for_them() -> None:
    model = fixed(conv(), node("Squeeze", "c", output="y", axes=[0]), helper.make_node("Neg", ["y"], ["z"]))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [4, 8, 6]))
    found = settled(model, [1])
    got = OnnxSession(found.model.SerializeToString()).run({"x": network_inputs(SPEC, 2)})
    assert found.reshaped == ("y", "z") and got["y"].shape == (2, 4, 8, 6)
    np.testing.assert_array_equal(got["y"], -got["z"])


def test_an_output_whose_size_the_picture_decides_is_refused() -> None:
    nodes = [conv(), node("Greater", "c", "zero", output="g"), node("NonZero", "g")]
    model = network(*nodes, shape=(1, 3, 8, 6), out=TensorProto.INT64, weights={"w": W, "zero": np.float32(0)})
    with pytest.raises(SourceError, match="output `y` is of another shape for each picture"):
        settled(model, [1])
