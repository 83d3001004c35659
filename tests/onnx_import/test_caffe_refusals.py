"""Caffe files that are damaged, hostile or beyond conversion: one line that names the layer, and a hint."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from caffe_files import Weights, caffemodel, prototxt, run_layers, varint, wire, written

from bmzoo.errors import SourceError
from bmzoo.onnx_import.caffe import load_caffe
from bmzoo.onnx_import.caffe_text import MAX_TEXT_BYTES, read_text
from bmzoo.onnx_import.caffe_wire import read_blobs

ONE = np.ones(1, np.float32)
SOME: Weights = {"c": [np.ones((2, 3, 1, 1), np.float32), np.ones(2, np.float32)]}
CONV = "convolution_param { num_output: 2 kernel_size: 1 }"


def layer(kind: str, settings: str = "", bottom: str = "x", top: str = "y") -> str:
    return f'layer {{ name: "c" type: "{kind}" bottom: "{bottom}" top: "{top}" {settings} }}'


def refused(folder: Path, text: str, weights: Weights | bytes = SOME, size: int = 4) -> str:
    with pytest.raises(SourceError) as caught:
        load_caffe(*written(folder, text, weights), ("a.prototxt", "a.caffemodel"), {"height": size, "width": size})
    assert caught.value.hint and "\n" not in caught.value.message
    return caught.value.message


LAYERS = [
    (layer("Convolutoin", CONV), "layer 'c' (Convolutoin): a layer that cannot be converted"),
    (layer("SoftmaxWithLoss"), "layer 'c' (SoftmaxWithLoss): only for training"),
    (layer("ReLU", bottom="nothing"), "layer 'c' (ReLU) reads `nothing`, which no layer before it writes"),
    (layer("Convolution", CONV.replace("2", "2 axis: 2")), "convolution_param.axis: a dimension from 1 to 1"),
    (layer("Convolution", CONV.replace("2", "2 rotate: 2")), "convolution_param.rotate is not understood"),
    (layer("Convolution", CONV.replace("2", "-2")), "num_output: a whole number from 1 on is expected, not -2"),
    (layer("Convolution", CONV.replace("2", "2.5")), "num_output: a whole number is expected, not 2.5"),
    (layer("Convolution", CONV.replace("2", "2 group: 2")), "3 and 2 channels do not divide into 2 groups"),
    (layer("Convolution", CONV.replace("2", "4")), "weights of shape 2x3x1x1, where it needs 4x3x1x1"),
    (layer("Convolution", CONV.replace("e: 1", "e: 9")), "weights of shape 2x3x1x1, where it needs 2x3x9x9"),
    (
        layer("Convolution", CONV.replace("2", "2 bias_term: maybe")),
        "bias_term: true or false is expected, not maybe",
    ),
    (layer("Deconvolution", CONV), "weights of shape 2x3x1x1, where it needs 3x2x1x1"),
    (
        layer("InnerProduct", "inner_product_param { num_output: 2 }"),
        "weights of shape 2x3x1x1, where it needs 2x48",
    ),
    (layer("PReLU"), "weights of shape 2x3x1x1, where it needs 3"),
    (layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "normalizes by the batch"),
    (layer("Scale", "scale_param { axis: 0 }"), "only a scale for each channel"),
    (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), "STOCHASTIC cannot be converted"),
    (layer("Pooling", "pooling_param { kernel_size: 9 }"), "a window of 9, padded by 0, does not fit 4"),
    (layer("Pooling", "pooling_param { kernel_size: 1 stride: 7 }"), "its last window would lie outside"),
    (layer("Reshape", "reshape_param { shape { dim: -1 dim: 2 } }"), "takes the batch apart"),
    (layer("Reshape", "reshape_param { shape { dim: 0 dim: 7 } }"), "cannot be reshaped: 1x3x4x4 to [1, 7]"),
    (layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: -1 } }"), "cannot be reshaped"),
    (layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 2147483647 } }"), "cannot be reshaped"),
    (layer("Permute", "permute_param { order: 1 order: 0 }"), "the dimensions after the batch in some order"),
    (layer("Slice", "slice_param { slice_point: 5 }"), "3 values do not divide into 1"),
    (layer("Concat", "concat_param { axis: 0 }"), "concat_param.axis: a dimension from 1 to 3 is expected, not 0"),
    (layer("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }"), "only an odd local_size, across channels"),
    (layer("LRN", "lrn_param { alpha: 1e999 }"), "lrn_param.alpha: a number is expected, not inf"),
    (layer("Eltwise"), "two or more inputs of one shape are expected"),
    (layer("Crop"), "1 bottoms and 1 tops, where 2 and 1 are expected"),
]


@pytest.mark.parametrize(("text", "said"), LAYERS, ids=[said for _, said in LAYERS])
def test_a_layer_that_cannot_be_is_named(text: str, said: str, tmp_path: Path) -> None:
    message = refused(tmp_path, prototxt(text, (1, 3, 8, 8)))
    assert said in message and "a.prototxt: " in message and "'c'" in message


def test_weights_that_are_not_numbers_or_not_there(tmp_path: Path) -> None:
    text = prototxt(layer("Convolution", CONV), (1, 3, 8, 8))
    assert "its weights are not in the caffemodel" in refused(tmp_path, text, {"d": [ONE]})
    broken = {"c": [np.full((2, 3, 1, 1), np.nan, np.float32), np.ones(2, np.float32)]}
    assert "weights that are not finite" in refused(tmp_path, text, broken)


def test_outputs_that_would_fill_the_memory(tmp_path: Path) -> None:
    settings = f"convolution_param {{ num_output: 3 group: 3 kernel_size: 1 stride: {1 << 30} bias_term: false }}"
    weights = {"c": [np.ones((3, 1, 1, 1), np.float32)]}
    assert "its output would be 3x" in refused(
        tmp_path, prototxt(layer("Deconvolution", settings), (1, 3, 8, 8)), weights
    )
    filled = settings.replace("stride", 'weight_filler { type: "bilinear" } stride').replace("e: 1 ", "e: 1000000 ")
    text = prototxt(layer("Deconvolution", filled), (1, 3, 8, 8))
    assert "its weights are not in the caffemodel" in refused(tmp_path, text, {"d": [ONE]})


TEXTS = [
    ("", "no layers in it"),
    ("<!doctype html><html>", "line 1: no prototxt: '!doctype"),
    ('name: "a', "line 1: no prototxt"),
    ("name:\n\n }", "line 3: a value is expected, not }"),
    ("layer {", "line 1: cut short"),
    ("layer { name: [1, 2", "line 1: cut short"),
    ("} {", "line 1: a field's name is expected, not }"),
    ("layer { " * 50, "messages within messages, more than 16 deep"),
    ("a { " * 200_000, "messages within messages, more than 16 deep"),
    ("layers { }", "layers of the form before 2014"),
    ('layer { type: "ReLU" }', "no input with a shape"),
    ('layer { type: "Input" top: "x" }', "0 shapes for 1 tops"),
]


@pytest.mark.parametrize(("text", "said"), TEXTS, ids=[said for _, said in TEXTS])
def test_what_is_no_prototxt(text: str, said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, text)


def test_a_caffemodel_in_place_of_a_prototxt_and_what_is_too_large() -> None:
    for content, said in ((caffemodel(SOME), "not text in UTF-8"), (b" " * (MAX_TEXT_BYTES + 1), "too large")):
        with pytest.raises(SourceError, match=said):
            read_text(content, "a.prototxt")


def test_the_text_format() -> None:
    """Comments, lists, quotes of both kinds, texts one after the other, messages with and without a colon."""
    text = """# a comment, with "quotes"
        a: 1, a: -2.5; b: [1, 2, 0x1F] c: "one" ' "two"'  # behind
        d { e: true } d: < e: 1e-3f > f: MAX g: "\\"" """
    read = read_text(text.encode(), "")
    assert read == {
        **{"a": [1, -2.5], "b": [1, 2, 31], "c": ['one "two"'], "d": [{"e": ["true"]}, {"e": [0.001]}]},
        **{"f": ["MAX"], "g": ['"']},
    }


GOOD = caffemodel(SOME)
HALF = wire(1, b"c") + wire(7, wire(7, wire(1, varint(2))) + wire(5, b"\0" * 4))
DAMAGED = [
    (b"", "no layers in 0 bytes"),
    (b"<!doctype html>", "not a caffemodel"),
    (GOOD[:-5], "field 100 says"),
    (b"\xff" * 40, "a number of more than 64 bits"),
    (b"\x80", "it ends within a number"),
    (wire(100, HALF), "blob 0 of 'c' holds 1 numbers where its shape is [2]"),
    (wire(100, wire(7, wire(5, b"\0" * 3))), "ends within a number"),
    (
        wire(100, wire(7, wire(7, wire(1, b"\1" * 99)) + wire(5, b"\0" * 4))),
        "holds 1 numbers where its shape is [1, 1",
    ),
    (wire(100, wire(7, wire(7, wire(1, varint((1 << 63) - 1) * 2)))), "holds 0 numbers"),
    (wire(100, b"\x0b"), "a field of no known kind: 3"),
    (GOOD + GOOD, "two layers named 'c'"),
]


@pytest.mark.parametrize(("content", "said"), DAMAGED, ids=[said for _, said in DAMAGED])
def test_what_is_no_caffemodel(content: bytes, said: str, tmp_path: Path) -> None:
    message = refused(tmp_path, prototxt(layer("ReLU"), (1, 3, 8, 8)), content)
    assert message.startswith("a.caffemodel: not a caffemodel, or cut short: ") and said in message


def test_a_damaged_caffemodel_takes_no_more_memory_than_a_few_times_its_size(tmp_path: Path) -> None:
    content = wire(100, wire(1, b"c") + wire(7, wire(5, b"\0" * 4) * 100_000))
    (path := tmp_path / "a").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(SourceError, match="holds 100000 numbers where its shape is"):
        read_blobs(path, "a")
    assert tracemalloc.get_traced_memory()[1] < 10 * len(content)
    tracemalloc.stop()


def test_weights_as_older_and_other_files_have_them(tmp_path: Path) -> None:
    """Four dimensions in fields of their own, floats one by one, doubles, and the layers of files before 2014."""
    numbers = np.arange(6, dtype=np.float32)
    legacy = b"".join(varint(field << 3) + varint(n) for field, n in enumerate((2, 3, 1, 1), 1))
    singly = b"".join(varint(5 << 3 | 5) + one.tobytes() for one in numbers)
    doubles = wire(7, wire(1, varint(6))) + wire(8, numbers.astype("<f8").tobytes())
    (path := tmp_path / "a").write_bytes(
        wire(2, wire(4, b"old") + wire(6, legacy + singly)) + wire(100, wire(1, b"new") + wire(7, doubles))
    )
    read = read_blobs(path, "a")
    np.testing.assert_array_equal(read["old"][0], numbers.reshape(2, 3, 1, 1))
    np.testing.assert_array_equal(read["new"][0], numbers)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a: cannot be read: No such file"):
        read_blobs(tmp_path / "none", "a")
    (model := tmp_path / "m").write_bytes(GOOD)
    with pytest.raises(SourceError, match="p: cannot be read: No such file"):
        load_caffe(tmp_path / "none", model, ("p", "m"), {"height": 4, "width": 4})


def test_inputs_named_at_the_top_of_the_file(tmp_path: Path) -> None:
    for shape in ("input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }", "input_dim: [1, 3, 8, 8]"):
        text = f'input: "x" {shape} {layer("ReLU")}'
        model = load_caffe(*written(tmp_path, text, SOME), ("p", "m"), {"height": None, "width": 6})
        dims = model.graph.input[0].type.tensor_type.shape.dim
        assert [d.dim_param or d.dim_value for d in dims] == ["batch", 3, 8, 6]


def test_old_weights_have_dimensions_of_one_in_front(tmp_path: Path) -> None:
    x = np.ones((1, 3, 2, 2), np.float32)
    weights = {"c": [SOME["c"][0], np.array([[[[1, 2]]]], np.float32)]}
    found = run_layers(tmp_path, layer("Convolution", CONV), x, weights)["y"]
    np.testing.assert_array_equal(found[0, :, 0, 0], [4, 5])
