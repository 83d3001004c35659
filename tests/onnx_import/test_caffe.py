"""Caffe's layers as ONNX, each against loops of its own, as Caffe's documentation defines the layer."""

import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from caffe_files import Array, run_layers
from numpy.testing import assert_allclose

from bmzoo.onnx_import.caffe import load_caffe

PUBLISHED = Path(os.environ.get("BMZOO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "caffe"
RANDOM = np.random.default_rng(5)


def noise(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


def layer(kind: str, settings: str = "", top: str = "y", bottom: str = "x", name: str = "") -> str:
    ends = "".join(f' bottom: "{one}"' for one in bottom.split()) + "".join(f' top: "{one}"' for one in top.split())
    return f'layer {{ name: "{name or kind.lower()}" type: "{kind}"{ends} {settings} }}\n'


def convolved(x: Array, kernel: Array, stride: int, pad: int, dilation: int, group: int) -> Array:
    batch, _, height, width = x.shape
    outputs, a_group, size, _ = kernel.shape
    extent = dilation * (size - 1) + 1
    rows, columns = ((n + 2 * pad - extent) // stride + 1 for n in (height, width))
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    y = np.zeros((batch, outputs, rows, columns), np.float32)
    for o, r, c in np.ndindex(outputs, rows, columns):
        first = o // (outputs // group) * a_group
        for i, u, v in np.ndindex(a_group, size, size):
            at = padded[:, first + i, r * stride + u * dilation, c * stride + v * dilation]
            y[:, o, r, c] += at * kernel[o, i, u, v]
    return y


def spread(x: Array, kernel: Array, stride: int, pad: int, group: int) -> Array:
    """A deconvolution: each value of the input is spread over the output."""
    batch, inputs, height, width = x.shape
    _, a_group, size, _ = kernel.shape
    whole = np.zeros(
        (batch, a_group * group, stride * (height - 1) + size, stride * (width - 1) + size), np.float32
    )
    for i, o, r, c, u, v in np.ndindex(inputs, a_group, height, width, size, size):
        channel = i // (inputs // group) * a_group + o
        whole[:, channel, r * stride + u, c * stride + v] += x[:, i, r, c] * kernel[i, o, u, v]
    return whole[:, :, pad : whole.shape[2] - pad, pad : whole.shape[3] - pad]


def pooled(x: Array, kernel: int, stride: int, pad: int, mean: bool) -> Array:
    """pooling_layer.cpp: a mean counts the padding, but nothing beyond it."""

    def windows(length: int) -> list[tuple[int, int]]:
        count = math.ceil((length + 2 * pad - kernel) / stride) + 1
        if pad and (count - 1) * stride >= length + pad:
            count -= 1
        return [(i * stride - pad, min(i * stride - pad + kernel, length + pad)) for i in range(count)]

    rows, columns = windows(x.shape[2]), windows(x.shape[3])
    y = np.zeros((*x.shape[:2], len(rows), len(columns)), np.float32)
    for (i, (top, below)), (j, (left, right)) in itertools.product(enumerate(rows), enumerate(columns)):
        inside = x[:, :, max(top, 0) : below, max(left, 0) : right]
        area = (below - top) * (right - left)
        y[:, :, i, j] = inside.sum((2, 3)) / area if mean else inside.max((2, 3))
    return y


@pytest.mark.parametrize(
    ("outputs", "group", "stride", "pad", "dilation", "bias"),
    [(4, 1, 1, 1, 1, True), (4, 2, 2, 0, 1, False), (6, 6, 1, 1, 1, True), (2, 1, 1, 2, 2, True)],
)
def test_convolution(
    outputs: int, group: int, stride: int, pad: int, dilation: int, bias: bool, tmp_path: Path
) -> None:
    x, kernel, added = noise(2, 6, 9, 7), noise(outputs, 6 // group, 3, 3), noise(outputs)
    settings = (
        f"num_output: {outputs} kernel_size: 3 group: {group} stride: {stride} pad: {pad} dilation: {dilation}"
    )
    text = layer("Convolution", f"convolution_param {{ {settings} bias_term: {str(bias).lower()} }}")
    wanted = convolved(x, kernel, stride, pad, dilation, group) + (added[:, None, None] if bias else 0)
    found = run_layers(tmp_path, text, x, {"convolution": [kernel, added][: 1 + bias]})
    assert_allclose(found["y"], wanted, rtol=1e-4, atol=1e-4)


def test_convolution_with_height_and_width_of_their_own(tmp_path: Path) -> None:
    settings = "num_output: 2 kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 stride_h: 2 stride_w: 1 bias_term: false"
    x, kernel = noise(1, 2, 5, 6), noise(2, 2, 1, 3)
    full = np.zeros((2, 2, 3, 3), np.float32)
    full[:, :, 1] = kernel[:, :, 0]
    wanted = convolved(x, full, 1, 1, 1, 1)[:, :, ::2]
    found = run_layers(
        tmp_path, layer("Convolution", f"convolution_param {{ {settings} }}"), x, {"convolution": [kernel]}
    )
    assert_allclose(found["y"], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("outputs", "group"), [(3, 1), (4, 4), (6, 2)])
def test_deconvolution(outputs: int, group: int, tmp_path: Path) -> None:
    x, kernel, bias = noise(2, 4, 5, 3), noise(4, outputs // group, 4, 4), noise(outputs)
    settings = f"num_output: {outputs} kernel_size: 4 stride: 2 pad: 1 group: {group}"
    text = layer("Deconvolution", f"convolution_param {{ {settings} }}")
    wanted = spread(x, kernel, 2, 1, group) + bias[:, None, None]
    found = run_layers(tmp_path, text, x, {"deconvolution": [kernel, bias]})
    assert_allclose(found["y"], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [3, 4])
def test_deconvolution_by_the_bilinear_filler(size: int, tmp_path: Path) -> None:
    """filler.hpp's formula, where the caffemodel has no weights for the layer."""
    x, kernel = noise(1, 2, 4, 3), np.zeros((2, 1, size, size), np.float32)
    half = math.ceil(size / 2)
    centre = (2 * half - 1 - half % 2) / (2.0 * half)
    for u, v in np.ndindex(size, size):
        kernel[:, :, u, v] = (1 - abs(v / half - centre)) * (1 - abs(u / half - centre))
    filler = 'weight_filler { type: "bilinear" }'
    settings = f"num_output: 2 group: 2 kernel_size: {size} stride: 2 bias_term: false {filler}"
    found = run_layers(
        tmp_path, layer("Deconvolution", f"convolution_param {{ {settings} }}"), x, {"other": [noise(1)]}
    )
    assert_allclose(found["y"], spread(x, kernel, 2, 0, 2), rtol=1e-4, atol=1e-4)


NORMALIZED = layer("BatchNorm", "batch_norm_param { eps: 0.01 }", "b") + layer(
    "Scale", "scale_param { bias_term: true }", "b", "b"
)


def normalized(x: Array, mean: Array, var: Array, scale: Array, shift: Array) -> Array:
    made = np.zeros_like(x)
    for i in range(x.shape[1]):
        made[:, i] = (x[:, i] - mean[i] / 4) / math.sqrt(var[i] / 4 + 0.01) * scale[i] + shift[i]
    return made


def test_batch_norm_and_scale_alone(tmp_path: Path) -> None:
    x, mean, var, scale, shift = noise(2, 3, 4, 5), noise(3), abs(noise(3)) + 1, noise(3), noise(3)
    weights = {"batchnorm": [mean, var, np.full(1, 4, np.float32)], "scale": [scale, shift]}
    found = run_layers(tmp_path, NORMALIZED, x, weights)
    assert_allclose(found["b"], normalized(x, mean, var, scale, shift), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution", "InnerProduct"])
def test_batch_norm_and_scale_behind_weights(kind: str, tmp_path: Path) -> None:
    x, mean, var, scale, shift = noise(2, 4, 4, 5), noise(6), abs(noise(6)) + 1, noise(6), noise(6)
    kernel = noise(4, 3, 3, 3) if kind == "Deconvolution" else noise(6, 2, 3, 3)
    if kind == "InnerProduct":
        plain, text = (
            x.reshape(2, -1) @ (kernel := noise(6, 80)).T,
            "inner_product_param { num_output: 6 bias_term: 0 }",
        )
    else:
        text = "convolution_param { num_output: 6 group: 2 kernel_size: 3 bias_term: false }"
        plain = spread(x, kernel, 1, 0, 2) if kind == "Deconvolution" else convolved(x, kernel, 1, 0, 1, 2)
    weights = {"batchnorm": [mean, var, np.full(1, 4, np.float32)], "scale": [scale, shift], kind.lower(): [kernel]}
    found = run_layers(tmp_path, layer(kind, text) + NORMALIZED.replace('bottom: "x"', 'bottom: "y"'), x, weights)
    assert list(found) == ["b"]
    assert_allclose(found["b"], normalized(plain, mean, var, scale, shift), rtol=1e-3, atol=1e-3)


def test_what_two_layers_read_is_not_folded_away(tmp_path: Path) -> None:
    x, kernel, scale = noise(1, 2, 3, 3), noise(2, 2, 1, 1), noise(2)
    text = (
        layer("Convolution", "convolution_param { num_output: 2 kernel_size: 1 bias_term: false }", "c")
        + layer("Scale", "", "s", "c")
        + layer("Sigmoid", "", "y", "c")
    )
    found = run_layers(tmp_path, text, x, {"convolution": [kernel], "scale": [scale]})
    plain = np.einsum("oi,bihw->bohw", kernel[:, :, 0, 0], x)
    assert_allclose(found["s"], plain * scale[:, None, None], rtol=1e-4, atol=1e-5)
    assert_allclose(found["y"], 1 / (1 + np.exp(-plain)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_inner_product(transposed: bool, tmp_path: Path) -> None:
    x, kernel, bias = noise(3, 2, 3, 4), noise(5, 24), noise(5)
    text = layer("InnerProduct", f"inner_product_param {{ num_output: 5 transpose: {str(transposed).lower()} }}")
    found = run_layers(tmp_path, text, x, {"innerproduct": [kernel.T if transposed else kernel, bias]})
    assert_allclose(found["y"], x.reshape(3, 24) @ kernel.T + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mean", [False, True], ids=["max", "mean"])
@pytest.mark.parametrize(
    ("length", "kernel", "stride", "pad"),
    [
        (7, 2, 2, 0),
        (8, 3, 2, 0),
        (8, 3, 2, 1),
        (7, 3, 2, 1),
        (6, 3, 3, 1),
        (9, 2, 2, 1),
        (5, 3, 1, 1),
        (10, 4, 3, 1),
    ],
)
def test_pooling_takes_caffes_windows(
    length: int, kernel: int, stride: int, pad: int, mean: bool, tmp_path: Path
) -> None:
    x = noise(2, 2, length, length + 1)
    settings = f"pool: {'AVE' if mean else 'MAX'} kernel_size: {kernel} stride: {stride} pad: {pad}"
    found = run_layers(tmp_path, layer("Pooling", f"pooling_param {{ {settings} }}"), x, {"z": [noise(1)]})
    assert_allclose(found["y"], pooled(x, kernel, stride, pad, mean), rtol=1e-4, atol=1e-5)


def test_pooling_over_all_and_rounded_down(tmp_path: Path) -> None:
    x = noise(2, 3, 8, 6)
    text = "".join(
        layer("Pooling", f"pooling_param {{ {settings} }}", top, name=top)
        for top, settings in (
            ("mean", "pool: AVE global_pooling: true"),
            ("max", "global_pooling: true"),
            ("down", "kernel_size: 3 stride: 2 round_mode: FLOOR"),
        )
    )
    found = run_layers(tmp_path, text, x, {"z": [noise(1)]})
    assert_allclose(found["mean"], x.mean((2, 3), keepdims=True), rtol=1e-4, atol=1e-5)
    assert_allclose(found["max"], x.max((2, 3), keepdims=True))
    assert_allclose(found["down"], pooled(x[:, :, :7, :5], 3, 2, 0, mean=False))


POINTWISE: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "ReLU": ("", lambda x: np.maximum(x, 0)),
    "ReLU with a slope": ("relu_param { negative_slope: 0.2 }", lambda x: np.where(x > 0, x, 0.2 * x)),
    "Sigmoid": ("", lambda x: 1 / (1 + np.exp(-x))),
    "TanH": ("", np.tanh),
    "Dropout": ("dropout_param { dropout_ratio: 0.9 }", lambda x: x),
    "Split": ("", lambda x: x),
    "Flatten": ("", lambda x: x.reshape(len(x), -1)),
    "Flatten the end": ("flatten_param { axis: 2 }", lambda x: x.reshape(len(x), 4, -1)),
    "Permute": ("permute_param { order: 0 order: 2 order: 3 order: 1 }", lambda x: x.transpose(0, 2, 3, 1)),
    "Reshape": ("reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }", lambda x: x.reshape(len(x), 2, -1, 5)),
    "Reshape a part": (
        "reshape_param { shape { dim: 2 dim: 2 } axis: 1 num_axes: 1 }",
        lambda x: x.reshape(-1, 2, 2, 6, 5),
    ),
    "Softmax": ("", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    "Softmax at the end": ("softmax_param { axis: -1 }", lambda x: np.exp(x) / np.exp(x).sum(3, keepdims=True)),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_layers_without_weights(name: str, tmp_path: Path) -> None:
    settings, computed = POINTWISE[name]
    x = noise(2, 4, 6, 5)
    found = run_layers(tmp_path, layer(name.partition(" ")[0], settings), x, {"z": [noise(1)]})
    assert_allclose(found["y"], computed(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_prelu(shared: bool, tmp_path: Path) -> None:
    x, slope = noise(2, 3, 4, 5), noise(1 if shared else 3)
    text = layer("PReLU", f"prelu_param {{ channel_shared: {str(shared).lower()} }}")
    found = run_layers(tmp_path, text, x, {"prelu": [slope]})
    assert_allclose(found["y"], np.where(x > 0, x, x * slope[:, None, None]), rtol=1e-5, atol=1e-6)


def test_lrn(tmp_path: Path) -> None:
    x, wanted = noise(2, 5, 3, 3), np.zeros((2, 5, 3, 3), np.float32)
    for i in range(5):
        near = x[:, max(i - 1, 0) : i + 2]
        wanted[:, i] = x[:, i] / (2 + 0.5 / 3 * (near**2).sum(1)) ** 0.6
    text = layer("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 2 }")
    assert_allclose(run_layers(tmp_path, text, x, {"z": [noise(1)]})["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "computed"),
    [
        ("", lambda a, b: a + b + a),
        ("operation: PROD", lambda a, b: a * b * a),
        ("operation: MAX", np.maximum),
        ("operation: SUM coeff: 1 coeff: -0.5 coeff: 2", lambda a, b: 3 * a - 0.5 * b),
        ("operation: 0", lambda a, b: a * b * a),
    ],
)
def test_eltwise(settings: str, computed: np.ufunc, tmp_path: Path) -> None:
    x = noise(2, 4, 3, 3)
    text = layer("Slice", "", "a b") + layer("Eltwise", f"eltwise_param {{ {settings} }}", bottom="a b a")
    found = run_layers(tmp_path, text, x, {"z": [noise(1)]})
    assert_allclose(found["y"], computed(x[:, :2], x[:, 2:]), rtol=1e-4, atol=1e-5)


def test_slice_crop_and_concat(tmp_path: Path) -> None:
    x = noise(2, 5, 6, 7)
    text = (
        layer("Slice", "slice_param { axis: 2 slice_point: 1 slice_point: 4 }", "a b c")
        + layer("Crop", "crop_param { axis: 2 offset: 2 offset: 0 }", "y", "x b")
        + layer("Crop", "crop_param { axis: 1 offset: 0 }", "z", "x x", name="whole")
        + layer("Concat", "concat_param { axis: 2 }", "d", "c a")
    )
    found = run_layers(tmp_path, text, x, {"z": [noise(1)]})
    assert list(found) == ["y", "z", "d"]
    assert_allclose(found["y"], x[:, :, 2:5, :7])
    assert_allclose(found["z"], x)
    assert_allclose(found["d"], np.concatenate([x[:, :, 4:], x[:, :, :1]], 2))


def test_layers_in_place_and_in_training_only(tmp_path: Path) -> None:
    """The last writer of a blob gives the output of its name; what is only trained with is not there."""
    x = noise(2, 3, 4, 4)
    text = (
        layer("Sigmoid", "", "y")
        + layer("ReLU", "", "y", "y")
        + layer("TanH", "", "y", "y")
        + layer("Accuracy", "include { phase: TRAIN }", "loss", "y nowhere")
    )
    found = run_layers(tmp_path, text, x, {"z": [noise(1)]})
    assert list(found) == ["y"]
    assert_allclose(found["y"], np.tanh(1 / (1 + np.exp(-x))), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published network is not on this machine")
def test_the_published_network_sees_the_faces_of_a_photograph() -> None:
    """Nine maps; the strongest face of each labelled one lies in its box."""
    files = (PUBLISHED / "mnet-deconv-0517.prototxt", PUBLISHED / "mnet-deconv-0517.caffemodel")
    truth = json.loads((PUBLISHED.parent / "group_photos" / "gt.json").read_text())["2008_002506.jpg"]
    picture = cv2.imread(str(PUBLISHED.parent / "group_photos" / truth["file"]))[:, :, ::-1]
    height, width = (n // 32 * 32 for n in picture.shape[:2])
    model = load_caffe(*files, ("p", "c"), {"height": height, "width": width})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    fed = picture[:height, :width].transpose(2, 0, 1)[None].astype(np.float32)
    names = [output.name for output in session.get_outputs()]
    maps = dict(zip(names, session.run(None, {"data": fed}), strict=True))
    assert len(maps) == 9
    for x, y, w, h in truth["boxes"]:
        seen = []
        for stride in (8, 16, 32):
            faces = maps[f"face_rpn_cls_prob_reshape_stride{stride}"][0, 2:].max(0)
            seen.append(faces[y // stride : -(-(y + h) // stride), x // stride : -(-(x + w) // stride)].max())
        assert max(seen) > 0.8
