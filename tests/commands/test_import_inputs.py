"""What an import makes of inputs: channels last, integers, half floats, several of them, free and fixed sizes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.commands import import_
from bmzoo.errors import SourceError
from bmzoo.runtime.engines.session import OnnxSession

SPEC: dict[str, Any] = {
    **{"name": None, "height": None, "width": None, "layout": None, "pixel_format": "bgr", "resize": "letterbox"},
    **{"mean": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0], "pad_value": 0},
}
FLOAT, HALF, BYTES, SIGNED, IDS = (
    *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT8),
    TensorProto.INT64,
)
Port = tuple[str, int, Sequence[int | str]]


def network(
    nodes: Sequence[onnx.NodeProto], ports: Sequence[Port], out: int = FLOAT, **weights: Any
) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(*port) for port in ports]
    output = helper.make_tensor_value_info("y", out, None)
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    inferred = onnx.shape_inference.infer_shapes(model).graph.output[0].type
    model.graph.output[0].type.tensor_type.shape.CopyFrom(inferred.tensor_type.shape)
    return model


def imported(
    model: onnx.ModelProto, folder: Path, section: Mapping[str, Any] | None = SPEC, **inputs: Any
) -> tuple[dict[str, Any], onnx.ModelProto]:
    (folder / "source.onnx").write_bytes(model.SerializeToString())
    request = {"source": "source.onnx", "shown": "a.onnx", "architecture": None, "batches": [1]}
    (folder / "request.json").write_text(json.dumps({**request, "input": section, "inputs": inputs}))
    import_.run(folder, ("request.json",))
    return json.loads((folder / "model.json").read_text()), onnx.load(str(folder / "model.onnx"))


def outputs(model: onnx.ModelProto, **feeds: NDArray[Any]) -> NDArray[np.float32]:
    return OnnxSession(model.SerializeToString(), threads=1).run(feeds)["y"]


def pixels(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


WEIGHT = np.random.default_rng(1).standard_normal((2, 3, 1, 1)).astype(np.float32)
CONV = helper.make_node("Conv", ["planes", "w"], ["y"])
TO_PLANES = helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2])


def test_a_network_with_channels_last_takes_them_first(tmp_path: Path) -> None:
    model = network([TO_PLANES, CONV], [("x", FLOAT, ("N", 8, 6, 3))], w=WEIGHT)
    told, made = imported(model, tmp_path)
    assert told["inputs"] == [{"name": "x", "dtype": "float32", "shape": [None, 3, 8, 6], "layout": "nchw"}]
    assert kinds(made) == ["Conv"], "what TensorFlow's exports begin with is undone, not done twice"
    x = pixels(1, 8, 6, 3)
    np.testing.assert_array_equal(outputs(made, x=x.transpose(0, 3, 1, 2)), outputs(model, x=x))


def test_other_readers_of_channels_last_still_see_them(tmp_path: Path) -> None:
    nodes = [
        TO_PLANES,
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2]),
        helper.make_node("Conv", ["planes", "w"], ["c"]),
    ]
    model = network(
        [*nodes, helper.make_node("Add", ["c", "m4"], ["y"])], [("x", FLOAT, (1, 8, 6, 3))], w=WEIGHT[:1]
    )
    model.graph.node.insert(3, helper.make_node("ReduceSum", ["m"], ["m4"], axes=[3]))
    x = pixels(1, 8, 6, 3)
    _, made = imported(model, tmp_path)
    np.testing.assert_array_equal(outputs(made, x=x.transpose(0, 3, 1, 2)), outputs(model, x=x))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_network_of_bytes_takes_whole_floats(layout: str, tmp_path: Path) -> None:
    shape = ("N", 3, 8, 6) if layout == "nchw" else ("N", 8, 6, 3)
    front = [helper.make_node("Cast", ["x"], ["f"], to=FLOAT)]
    order = [0, 3, 1, 2] if layout == "nhwc" else [0, 1, 2, 3]
    model = network(
        [*front, helper.make_node("Transpose", ["f"], ["planes"], perm=order), CONV],
        [("x", BYTES, shape)],
        w=WEIGHT,
    )
    told, made = imported(model, tmp_path)
    assert told["inputs"][0] == {
        **{"name": "x", "dtype": "float32", "shape": [None, 3, 8, 6], "layout": "nchw", "whole": "uint8"}
    }
    assert "Cast" not in kinds(made)
    x = pixels(2, 3, 8, 6)
    given = (x if layout == "nchw" else x.transpose(0, 2, 3, 1)).astype(np.uint8)
    np.testing.assert_array_equal(outputs(made, x=x), outputs(model, x=given))


def test_what_reads_bytes_as_bytes_still_does(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("Cast", ["t"], ["y"], to=FLOAT),
    ]
    model = network(nodes, [("x", SIGNED, (1, 3, 8, 6))])
    _, made = imported(model, tmp_path, {**SPEC, "mean": [128.0] * 3})
    assert kinds(made) == ["Cast", "Transpose", "Cast"]
    x = pixels(1, 3, 8, 6) - 128
    np.testing.assert_array_equal(outputs(made, x=x), outputs(model, x=x.astype(np.int8)))


def test_half_floats_become_floats(tmp_path: Path) -> None:
    constant = numpy_helper.from_array(np.array([[[[0.5]]]], np.float16))
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Constant", [], ["k"], value=constant),
        helper.make_node("Mul", ["c", "k"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=HALF),
    ]
    model = network(nodes, [("x", HALF, (1, 3, 8, 6))], HALF, w=WEIGHT.astype(np.float16))
    told, made = imported(model, tmp_path)
    assert (told["inputs"][0]["dtype"], made.graph.output[0].type.tensor_type.elem_type) == ("float32", FLOAT)
    x = pixels(1, 3, 8, 6)
    wanted = np.einsum("oc,nchw->nohw", WEIGHT[:, :, 0, 0].astype(np.float16).astype(np.float32), x) / 2
    np.testing.assert_allclose(outputs(made, x=x), wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("pixel_format", "channels"), [("gray", 1), ("rgba", 4), ("bgra", 4)])
def test_one_and_four_channels(pixel_format: str, channels: int, tmp_path: Path) -> None:
    model = network([helper.make_node("Relu", ["x"], ["y"])], [("x", FLOAT, ("N", channels, 8, 6))])
    told, _ = imported(model, tmp_path, {**SPEC, "pixel_format": pixel_format})
    assert told["inputs"][0]["shape"] == [None, channels, 8, 6]


@pytest.mark.parametrize(("height", "shape"), [(8, ("N", 3, "h", 6)), (None, ("N", 3, 8, 6))])
def test_a_size_is_the_files_or_the_configs(height: int | None, shape: Sequence[int | str], tmp_path: Path) -> None:
    model = network([helper.make_node("Relu", ["x"], ["y"])], [("x", FLOAT, shape)])
    told, made = imported(model, tmp_path, {**SPEC, "height": height})
    assert told["inputs"][0]["shape"] == [None, 3, 8, 6]
    assert [dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim] == [0, 3, 8, 6]


TWO: list[Port] = [("x", FLOAT, (1, 3, 8, 6)), ("bias", FLOAT, ("N", "c", 1, 1))]
ADD = helper.make_node("Add", ["x", "bias"], ["y"])
NORMAL = {"random": {"distribution": "normal"}}


def test_a_picture_and_a_tensor(tmp_path: Path) -> None:
    told, made = imported(network([ADD], TWO), tmp_path, bias={**NORMAL, "shape": [1, 3, 1, 1]})
    assert (told["input"], told["inputs"][1]) == (
        "x",
        {"name": "bias", "dtype": "float32", "shape": [None, 3, 1, 1]},
    )
    assert [dim.dim_value for dim in made.graph.input[1].type.tensor_type.shape.dim] == [0, 3, 1, 1]


def test_a_value_becomes_part_of_the_network(tmp_path: Path) -> None:
    told, made = imported(network([ADD], TWO), tmp_path, bias={"value": 2, "shape": [1, 3, 1, 1]})
    assert [port["name"] for port in told["inputs"]] == ["x"]
    x = pixels(1, 3, 8, 6)
    np.testing.assert_array_equal(outputs(made, x=x), x + 2)


def test_no_picture_at_all(tmp_path: Path) -> None:
    model = network(
        [helper.make_node("Gather", ["table", "ids"], ["y"])],
        [("ids", IDS, (1, 5))],
        table=np.eye(9, dtype=np.float32),
    )
    told, _ = imported(model, tmp_path, None, ids={"random": {"distribution": "integers", "high": 9}})
    assert (told["input"], told["inputs"]) == (None, [{"name": "ids", "dtype": "int64", "shape": [1, 5]}])


RELU = helper.make_node("Relu", ["x"], ["y"])
IDENTITY = helper.make_node("Identity", ["x"], ["y"])
WRONG: dict[str, tuple[onnx.ModelProto, Mapping[str, Any] | None, dict[str, Any], str, str]] = {
    "nothing for one": (
        network([ADD], TWO),
        {**SPEC, "name": "x"},
        {},
        "input `bias` float [any, any, 1, 1] is fed nothing",
        "inputs: {bias: {random",
    ),
    "two pictures": (
        network([ADD], TWO),
        SPEC,
        {},
        "one input takes pictures, and there are 2: `x`, `bias`",
        "bias: {random",
    ),
    "a name": (network([ADD], TWO), SPEC, {"bais": NORMAL}, "no such input: bais", "did you mean `bias`?"),
    "a free shape": (
        network([ADD], TWO),
        SPEC,
        {"bias": NORMAL},
        "input `bias` float [any, any, 1, 1] has free dimensions",
        "shape: [1, 1, 1, 1]",
    ),
    "another shape": (
        network([ADD], TWO),
        SPEC,
        {"bias": {**NORMAL, "shape": [1, 3, 2, 1]}},
        "is not [1, 3, 2, 1]",
        "inputs.bias.shape",
    ),
    "a value of another shape": (
        network([ADD], TWO),
        SPEC,
        {"bias": {"value": [1, 2]}},
        "value is [2]",
        "inputs.bias.value",
    ),
    "a ragged value": (
        network([ADD], TWO),
        SPEC,
        {"bias": {"value": [[1], [2, 3]]}},
        "rows of different lengths",
        "inputs.bias.value",
    ),
    "a fraction for a whole": (
        network([IDENTITY], [("x", IDS, (1,))], IDS),
        None,
        {"x": {"value": 1.5}},
        "value is none of its type: 1.5",
        "inputs.x.value",
    ),
    "a scalar": (
        network([IDENTITY], [("x", IDS, ())], IDS),
        None,
        {"x": NORMAL},
        "is a scalar",
        "{x: {value: ...}}",
    ),
    "text": (
        network([IDENTITY], [("x", TensorProto.STRING, (1,))], TensorProto.STRING),
        None,
        {"x": NORMAL},
        "takes what no chip does",
        "export",
    ),
    "a free size": (network([RELU], [("x", FLOAT, ("N", 3, "h", 6))]), SPEC, {}, "takes any height", "height: 640"),
    "another size": (
        network([RELU], [("x", FLOAT, ("N", 3, 8, 6))]),
        {**SPEC, "width": 9},
        {},
        "is not [batch, 3, any, 9]",
        "height: 8, width: 6",
    ),
    "other channels": (
        network([RELU], [("x", FLOAT, ("N", 1, 8, 6))]),
        SPEC,
        {},
        "is not [batch, 3, any, any]",
        "pixel_format: gray",
    ),
    "no inputs": (
        network([helper.make_node("Relu", ["w"], ["y"])], [], w=WEIGHT),
        SPEC,
        {},
        "the model has no inputs",
        "weights",
    ),
    "no picture left": (
        network([RELU], [("x", FLOAT, (1, 3, 8, 6))]),
        SPEC,
        {"x": NORMAL},
        "no input is left",
        "leave out",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_error_names_the_input_and_what_to_write(what: str, tmp_path: Path) -> None:
    model, section, inputs, message, hint = WRONG[what]
    with pytest.raises(SourceError) as caught:
        imported(model, tmp_path, section, **inputs)
    assert caught.value.message.startswith("a.onnx: ") and message in caught.value.message
    assert hint in caught.value.hint
