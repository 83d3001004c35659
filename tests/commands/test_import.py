"""What an import says of networks that are no networks of pictures, and what it makes of those that are."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import pytest
from caffe_files import caffemodel, prototxt
from onnx import TensorProto, helper
from toy_graphs import FREE, network, node

from bmzoo.commands import import_
from bmzoo.errors import SourceError
from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.onnx_import.names import rename
from bmzoo.onnx_import.samples import network_inputs
from bmzoo.plan.step import Command
from bmzoo.system.hashing import Digests

SPEC = {
    **{"name": None, "height": 8, "width": 6, "pixel_format": "bgr", "resize": "letterbox", "pad_value": 0},
    **{"mean": [104.0, 117.0, 123.0], "scale": [0.02, 0.02, 0.02]},
}


def imported(
    model: onnx.ModelProto,
    folder: Path,
    batches: Sequence[int] = (1, 2),
    more: Mapping[str, Any] = MappingProxyType({}),
    **spec: Any,
) -> dict[str, Any]:
    (folder / "source.onnx").write_bytes(model.SerializeToString())
    request = {"source": "source.onnx", "shown": "a.onnx", "architecture": None, "batches": list(batches), **more}
    (folder / "request.json").write_text(json.dumps({**request, "input": {**SPEC, **spec}}))
    import_.run(folder, ("request.json",))
    told: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return told


RELU = node("Relu")
HALF, BYTES = TensorProto.FLOAT16, TensorProto.UINT8
TWO = network(node("Add", "x", "z"))
TWO.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, FREE))
TO_TEXT = [node("Cast", to=TensorProto.STRING)]
MEAN = node("ReduceMean", keepdims=0)
ROWS = [node("Reshape", "x", "s")]
PEOPLE: list[tuple[str, onnx.ModelProto, dict[str, Any], str]] = [
    ("two inputs", TWO, {}, "one input takes pictures, and there are 2: `x`, `z`"),
    ("another name", network(RELU), {"name": "z"}, "no such input: z"),
    ("double", network(RELU, kind=11, out=11), {}, "input `x` takes double"),
    (
        "uint8",
        network(node("Cast", to=1), kind=BYTES),
        {},
        "input `x`: the network takes uint8, 0 to 255, and with",
    ),
    ("two dimensions", network(RELU, shape=("N", 16)), {}, "has 2 dimensions, pictures have four"),
    ("a scalar", network(RELU, shape=()), {}, "has 0 dimensions"),
    ("no shape", network(RELU, shape=None), {}, "input `x` has no shape"),
    ("channels last", network(RELU, shape=("N", 8, 6, 3)), {"layout": "nchw"}, "is not [batch, 3, 8, 6]"),
    ("another size", network(RELU, shape=("N", 3, 9, 6)), {}, "input `x` is not [batch, 3, 8, 6]"),
    ("grey", network(RELU), {"pixel_format": "gray"}, "input `x` is not [batch, 1, 8, 6]"),
    ("text", network(*TO_TEXT, out=TensorProto.STRING), {}, "output `y` is a tensor of string"),
    ("a scalar output", network(MEAN), {}, "output `y` is a scalar, so its first dimension is not the batch"),
    ("rows", network(*ROWS, weights={"s": [-1, 3]}), {}, "output `y` is [48, 3] for one picture"),
    ("too small", network(node("Conv", "x", "w"), weights={"w": np.ones((1, 3, 9, 9), "f4")}), {}, "onnxruntime"),
    (
        "the first of a batch",
        network(node("Gather", "x", "i", axis=0), shape=(1, 3, 8, 6), weights={"i": [0]}),
        {},
        "not free, held by Gather `y`: its size is 1, and targets ask for 2: 2 pictures give [1, 3, 8, 6] in `y`",
    ),
    (
        "mixed",
        network(node("CumSum", "x", "s"), weights={"s": 0}),
        {},
        "not free, held by CumSum `y`: its size is 1",
    ),
]


@pytest.mark.parametrize(("model", "spec", "wording"), [row[1:] for row in PEOPLE], ids=[row[0] for row in PEOPLE])
def test_the_real_reason_is_given(
    model: onnx.ModelProto, spec: dict[str, Any], wording: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError) as caught:
        imported(model, tmp_path, **spec)
    assert caught.value.message.startswith("a.onnx: ") and wording in caught.value.message
    assert caught.value.hint


def test_a_sequence_is_no_output(tmp_path: Path) -> None:
    model = network(RELU)
    model.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, None)))
    with pytest.raises(SourceError, match="output `y` is a sequence"):
        imported(model, tmp_path)


def test_networks_see_pictures_with_mean_and_scale() -> None:
    fed = network_inputs({**SPEC, "mean": [0, 100, 255], "scale": [1, 0.5, -1]}, 2)
    assert fed.shape == (2, 3, 8, 6) and fed.dtype == np.float32
    low, high = fed.min(axis=(0, 2, 3)), fed.max(axis=(0, 2, 3))
    assert (low >= [0, -50, 0]).all() and (high <= [255, 77.5, 255]).all()
    assert (high - low > [200, 100, 200]).all()
    grey = network_inputs({**SPEC, "pixel_format": "gray", "mean": [9, 0, 0]}, 1)
    assert grey.shape == (1, 1, 8, 6)


def test_nan_is_what_nan_is_equal_to(tmp_path: Path) -> None:
    told = imported(network(node("Log")), tmp_path)  # of what is below the mean
    assert told == {"input": "x", "outputs": ["y"]}


def test_free_sides_are_what_the_config_says(tmp_path: Path) -> None:
    """What is converted is compared on pictures of the size in the config: smaller ones can end onnxruntime."""
    conv = node("Conv", "x", "w")
    model = network(conv, shape=("N", 3, "h", "w"), weights={"w": np.ones((1, 3, 5, 5), "f4")}, opset=13, ir=8)
    assert imported(model, tmp_path)["outputs"] == ["y"]


ODD = ("in put:0", "é/ü 出", "a b", "a_b", 'q"#', "n o:d\\e")


def odd() -> onnx.ModelProto:
    x, y, first, taken, quoted, name = ODD
    nodes = [
        helper.make_node("Conv", [x, "onnx::w", "b é"], [first], name=name),
        helper.make_node("Relu", [first], [taken]),
        helper.make_node("Neg", [taken], [quoted], name="plain"),
        helper.make_node("Abs", [quoted], [y], name=name + "2"),
    ]
    weights = {"onnx::w": np.ones((2, 3, 3, 3), "f4"), "b é": np.ones(2, "f4")}
    return network(*nodes, weights=weights, names=(x, y))


def test_odd_names_are_renamed_and_kept(tmp_path: Path) -> None:
    told = imported(odd(), tmp_path)
    model = onnx.load(str(tmp_path / "model.onnx"))
    assert told["input"] == "in_put_0" == model.graph.input[0].name
    assert told["outputs"] == ["_/___"] == [model.graph.output[0].name]
    assert told["renamed"]["in_put_0"] == "in put:0" and told["renamed"]["a_b_2"] == "a b"
    assert [n.output[0] for n in model.graph.node][:2] == ["a_b_2", "a_b"]
    assert model.graph.node[0].input[1:] == ["onnx::w", "b__"]  # common in weights, which stand in no table
    names = [name for n in model.graph.node for name in (n.name, *n.output)]
    assert all(name.isascii() and not set(name) & set(' :"\\#') for name in names)
    assert imported(odd(), tmp_path, name="in put:0") == told == imported(odd(), tmp_path, name="in_put_0")


def test_other_models_stay_as_they_are(tmp_path: Path) -> None:
    model = network(node("Relu", output="a/b.c-1"), helper.make_node("Neg", ["a/b.c-1"], ["y"], name="n+@,;="))
    assert imported(model, tmp_path) == {"input": "x", "outputs": ["y"]}
    assert (tmp_path / "model.onnx").read_bytes() == model.SerializeToString(deterministic=True)


def test_names_of_nested_graphs() -> None:
    branches = {}
    for branch, kind in (("then_branch", "Relu"), ("else_branch", "Neg")):
        out = helper.make_tensor_value_info("o ut", TensorProto.FLOAT, FREE)
        branches[branch] = helper.make_graph([helper.make_node(kind, ["x 1"], ["o ut"])], branch, [], [out])
    choose = helper.make_node("If", ["yes no"], ["y"], **branches)
    assert rename(network(choose, weights={"yes no": True}, names=("x 1", "y"))) == {
        "x_1": "x 1",
        "yes_no": "yes no",
        "o_ut": "o ut",
    }


@pytest.mark.toolchain
def test_int8_of_odd_names(tmp_path: Path, tpuc_root: Path) -> None:
    name = imported(odd(), tmp_path)["input"]
    np.savez(tmp_path / "picture.npz", **{name: network_inputs(SPEC, 1)})
    (tmp_path / "samples.txt").write_text("picture.npz\n")
    tools = LocalToolchain(Installation(tpuc_root, "under test", external=False), Digests(tmp_path / "memory"))
    transform = ("--model_name", "t", "--model_def", "model.onnx", "--input_shapes", "[[1,3,8,6]]")
    deploy = ("--mlir", "t.mlir", "--quantize", "INT8", "--chip", "bm1688", "--skip_validation")
    for tool, arguments in (
        ("model_transform.py", (*transform, "--mlir", "t.mlir")),
        ("run_calibration.py", ("t.mlir", "--data_list", "samples.txt", "--input_num", "1", "-o", "t.table")),
        ("model_deploy.py", (*deploy, "--calibration_table", "t.table", "--model", "t.bmodel")),
    ):
        tools.run(Command(tool, arguments), tmp_path, tmp_path / "log.txt", timeout=120)
    assert (tmp_path / "t.bmodel").stat().st_size


CAFFE = {
    **{"source": "source.caffemodel", "shown": "a.caffemodel"},
    **{"prototxt": "a.prototxt", "architecture": None},
}


def test_a_caffe_network_is_imported_with_its_cut_and_offers(tmp_path: Path) -> None:
    text = prototxt(
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" '
        "convolution_param { num_output: 4 kernel_size: 1 } }"
        'layer { name: "s" type: "Softmax" bottom: "c" top: "y" }',
        (1, 3, 20, 30),
    )
    weights = [np.ones((4, 3, 1, 1), np.float32), np.arange(4, dtype=np.float32)]
    (tmp_path / "source.prototxt").write_text(text)
    (tmp_path / "source.caffemodel").write_bytes(caffemodel({"c": weights}))
    for outputs in (None, ["c"]):
        more = {"batches": [1, 4], "input": SPEC, **({"outputs": outputs} if outputs else {})}
        (tmp_path / "request.json").write_text(json.dumps({**CAFFE, **more}))
        import_.run(tmp_path, ("request.json",))
        told = json.loads((tmp_path / "model.json").read_text())
        assert (told["input"], told["outputs"]) == ("x", outputs or ["y"])
        made = onnx.load(str(tmp_path / "model.onnx"))
        assert [d.dim_param or d.dim_value for d in made.graph.input[0].type.tensor_type.shape.dim][1:] == [3, 8, 6]


def test_a_caffe_network_of_other_channels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source.prototxt").write_text(
        prototxt('layer { name: "r" type: "ReLU" bottom: "x" top: "y" }', (1, 1, 8, 6))
    )
    (tmp_path / "source.caffemodel").write_bytes(caffemodel({"z": [np.ones(1, np.float32)]}))
    (tmp_path / "request.json").write_text(json.dumps({**CAFFE, "batches": [1], "input": SPEC}))
    with pytest.raises(SourceError, match=r"input `x` is not \[batch, 3, 8, 6\]"):
        import_.run(tmp_path, ("request.json",))
