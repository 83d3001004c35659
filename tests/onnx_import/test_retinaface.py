"""The exported RetinaFace: shapes, names, a batch that is free, and agreement with what it was made from."""

import json
import math
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.config.weights import Architecture
from bmzoo.errors import SourceError
from bmzoo.onnx_import.backbones import BACKBONES
from bmzoo.onnx_import.checkpoint import load_state_dict
from bmzoo.onnx_import.graph import Conv, GraphBuilder
from bmzoo.onnx_import.retinaface import build, expected_shapes

DATA = Path(os.environ.get("BMZOO_DATA", Path(__file__).parents[3] / "shared" / "data"))
OFFICIAL = DATA / "weights" / "retinaface_mobilenet0.25_Final.pth"
PHOTOS = DATA / "group_photos"
State = dict[str, NDArray[np.float32]]
Maps = NDArray[Any]


def random_state(seed: int = 0, architecture: str = "retinaface_mobilenet0.25") -> State:
    """Weights scaled so that activations neither vanish nor explode."""
    random = np.random.default_rng(seed)
    state = {}
    for name, shape in expected_shapes(architecture).items():
        value = random.standard_normal(shape) / math.sqrt(math.prod(shape[1:]) or 1)
        state[name] = (abs(value) + 0.5 if name.endswith("running_var") else value).astype(np.float32)
    return state


def run(model: onnx.ModelProto, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    heads: list[NDArray[np.float32]] = session.run(None, {model.graph.input[0].name: images})
    return heads


def images(batch: int, height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-123, 151, (batch, 3, height, width)).astype(np.float32)


def shapes(values: list[onnx.ValueInfoProto]) -> dict[str, list[int | str]]:
    dims = {value.name: value.type.tensor_type.shape.dim for value in values}
    return {name: [d.dim_param or d.dim_value for d in dim] for name, dim in dims.items()}


@pytest.mark.parametrize(("height", "width", "anchors"), [(32, 32, 42), (64, 96, 252), (65, 99, 328)])
def test_signature(height: int, width: int, anchors: int) -> None:
    model = build(random_state(), height, width)
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version, len(model.opset_import)) == (6, 11, 1)
    assert shapes(model.graph.input) == {"input": ["batch", 3, height, width]}
    outputs = {"loc": 4, "conf": 2, "landms": 10}
    assert shapes(model.graph.output) == {name: ["batch", anchors, n] for name, n in outputs.items()}
    assert list(shapes(model.graph.output)) == list(outputs)
    got = run(model, images(1, height, width))
    assert [value.shape for value in got] == [(1, anchors, n) for n in outputs.values()]


def test_thousand_by_thousand() -> None:
    assert shapes(build(random_state(), 1000, 1000).graph.output)["loc"] == ["batch", 41236, 4]


def test_names_are_readable_unique_and_stable() -> None:
    model = build(random_state(), 64, 96)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names) == 126
    assert [list(node.output) for node in model.graph.node] == [[name] for name in names]
    expected = {"body.stage1.0.conv", "body.stage1.1.dw.leaky", "fpn.merge1.conv", "ssh3.relu"}
    assert expected <= set(names)
    kinds = {node.op_type for node in model.graph.node if node.name not in ("loc", "conf", "landms")}
    assert kinds == {"Conv", "LeakyRelu", "Resize", "Add", "Concat", "Relu", "Transpose", "Reshape"}
    taller = build(random_state(), 128, 96)
    assert [node.name for node in taller.graph.node] == names


def test_same_arguments_same_bytes() -> None:
    one, two = (build(random_state(), 65, 99).SerializeToString() for _ in range(2))
    assert one == two


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("size", [(64, 96), (65, 99)])
def test_batch_is_free(batch: int, size: tuple[int, int]) -> None:
    model = build(random_state(), *size)
    pictures = images(batch, *size)
    together = run(model, pictures)
    for i in range(batch):
        for whole, single in zip(together, run(model, pictures[i : i + 1]), strict=True):
            np.testing.assert_allclose(whole[i], single[0], rtol=1e-5, atol=1e-5)


def test_conf_is_a_softmax_over_the_two_classes() -> None:
    _, conf, _ = run(build(random_state(), 64, 96), images(2, 64, 96))
    np.testing.assert_allclose(conf.sum(2), 1, rtol=1e-5)


@pytest.mark.parametrize("side", [*range(32, 80), 333, 500, 1000])
def test_upsample_takes_the_cells_that_pytorch_takes(side: int) -> None:
    """Doubling and cropping equals floor(i * n / w), also in the float32 that PyTorch computes it in."""
    for stride in (8, 16):
        wide, narrow = -(-side // stride), -(-side // (2 * stride))
        exact = [i * narrow // wide for i in range(wide)]
        scale = np.float32(narrow) / np.float32(wide)
        assert exact == [math.floor(np.float32(i) * scale) for i in range(wide)]
        assert exact == np.repeat(np.arange(narrow), 2)[:wide].tolist()


def test_upsample_in_the_graph() -> None:
    """The merged level minus the finer level is the coarser one, each cell repeated."""
    model = build(random_state(), 65, 99)
    wanted = ["fpn.merge2.add", "fpn.output2.leaky", "fpn.output3.leaky"]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    merged, fine, coarse = run(model, images(1, 65, 99))
    rows, columns = (np.arange(n) * m // n for n, m in zip(fine.shape[2:], coarse.shape[2:], strict=True))
    np.testing.assert_allclose(merged - fine, coarse[:, :, rows][:, :, :, columns], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 1, 3, 3), (6, 4, 3, 3), (5, 7, 1, 1)])
def test_folding_equals_convolution_then_normalization(shape: tuple[int, int, int, int]) -> None:
    random = np.random.default_rng(2)
    state = {name: random.uniform(0.5, 2, size) for name, size in Conv("c", "n", shape).shapes().items()}
    state = {name: value.astype(np.float32) for name, value in state.items()}
    folded = GraphBuilder(state)
    folded.conv("x", "input", Conv("c", "n", shape, stride=2, slope=None))
    groups = shape[0] if shape[1] == 1 else 1
    model = folded.model("folded", {"input": (shape[1] * groups, 9, 9)}, {"x.conv": (shape[0], 5, 5)})

    unfolded = onnx.ModelProto()
    unfolded.CopyFrom(model)
    norm = ["n.weight", "n.bias", "n.running_mean", "n.running_var"]
    pads = [shape[2] // 2] * 4
    nodes = [
        helper.make_node("Conv", ["input", "c.weight"], ["c"], strides=[2, 2], pads=pads, group=groups),
        helper.make_node("BatchNormalization", ["c", *norm], ["x.conv"], epsilon=1e-5),
    ]
    del unfolded.graph.node[:], unfolded.graph.initializer[:]
    unfolded.graph.node.extend(nodes)
    unfolded.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in state.items())
    picture = random.standard_normal((2, shape[1] * groups, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(run(model, picture)[0], run(unfolded, picture)[0], rtol=1e-4, atol=1e-4)


def refusal(state: State, height: int = 64, width: int = 96) -> SourceError:
    with pytest.raises(SourceError) as caught:
        build(state, height, width)
    assert caught.value.hint
    return caught.value


def test_state_dict_has_to_match_and_all_is_said_at_once() -> None:
    state = random_state()
    del state["fpn.output1.0.weight"]
    state["fc.weight"] = np.zeros((2, 2), np.float32)
    state["fpn.merge1.0.weight"] = np.zeros((64, 64, 1, 1), np.float32)
    state["ssh1.conv3X3.1.bias"][3] = np.nan
    message = refusal(state).message
    assert "missing: fpn.output1.0.weight;" in message
    assert "not expected: fc.weight;" in message
    assert "wrong shape: fpn.merge1.0.weight (64, 64, 1, 1), not (64, 64, 3, 3);" in message
    assert message.endswith("not finite: ssh1.conv3X3.1.bias")


def test_long_lists_are_cut() -> None:
    error = refusal({})
    assert f"and {len(expected_shapes()) - 8} more" in error.message
    assert "MobileNet v1 x0.25" in error.hint


def test_counters_may_be_there() -> None:
    state = random_state()
    plain = build(state, 32, 32)
    state["body.stage1.0.1.num_batches_tracked"] = np.array(3)
    assert build(state, 32, 32) == plain


@pytest.mark.parametrize("size", [(31, 64), (64, 0), (-32, 64)])
def test_too_small(size: tuple[int, int]) -> None:
    assert f"at least 32: {size[0]}x{size[1]}" in refusal(random_state(), *size).message


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official checkpoint is not on this machine")
def test_official_checkpoint_fits() -> None:
    state = load_state_dict(OFFICIAL)
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    assert {name: value.shape for name, value in state.items() if name not in counters} == expected_shapes()
    assert len(counters) == 47


@pytest.mark.skipif(not (OFFICIAL.exists() and PHOTOS.exists()), reason="no checkpoint or photographs here")
def test_official_checkpoint_finds_the_faces() -> None:
    """Anchors at confidence 0.5, decoded: each labelled face of a photograph is covered by one of them."""
    cv2 = pytest.importorskip("cv2")
    truth = json.loads((PHOTOS / "gt.json").read_text())["2008_002506.jpg"]
    picture = cv2.imread(str(PHOTOS / truth["file"]))
    height, width = picture.shape[:2]
    blob = (picture.astype(np.float32) - np.array([104, 117, 123], np.float32)).transpose(2, 0, 1)[None]
    loc, conf, _ = run(build(load_state_dict(OFFICIAL), height, width), blob)
    anchors = np.array(
        [
            ((column + 0.5) * stride, (row + 0.5) * stride, side, side)
            for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
            for row in range(-(-height // stride))
            for column in range(-(-width // stride))
            for side in sides
        ]
    )
    sure = conf[0, :, 1] > 0.5
    anchors, offsets = anchors[sure], loc[0][sure]
    centres = anchors[:, :2] + 0.1 * offsets[:, :2] * anchors[:, 2:]
    sizes = anchors[:, 2:] * np.exp(0.2 * offsets[:, 2:])
    for x, y, w, h in truth["boxes"]:
        overlap = np.minimum(centres + sizes / 2, [x + w, y + h]) - np.maximum(centres - sizes / 2, [x, y])
        shared = np.maximum(overlap, 0).prod(1)
        assert (shared / (sizes.prod(1) + w * h - shared)).max() > 0.4


# --- the ResNet50 backbone, in NumPy -------------------------------------------------------------------------


def convolve(x: Maps, kernel: NDArray[np.float32], stride: int = 1) -> Maps:
    """[C, H, W], padded so that a stride of 1 keeps the size."""
    size = kernel.shape[2]
    padded = np.pad(x, ((0, 0), *[(size // 2, size // 2)] * 2))
    rows, columns = (-(-n // stride) for n in x.shape[1:])
    made = np.zeros((len(kernel), rows, columns))
    for u, v in np.ndindex(size, size):
        part = padded[:, u : u + stride * rows : stride, v : v + stride * columns : stride][:, :rows, :columns]
        made += np.tensordot(kernel[:, :, u, v].astype(np.float64), part, 1)
    return made


def resnet50(state: State, x: Maps) -> dict[str, Maps]:
    """Pytorch_Retinaface with cfg_re50 for one picture [3, H, W]: loc, conf and landms."""

    def block(x: Maps, conv: str, norm: str, stride: int = 1, relu: bool = True) -> Maps:
        y = convolve(x, state[f"{conv}.weight"], stride)
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"].astype(np.float64) + 1e-5)
        y = (y - state[f"{norm}.running_mean"][:, None, None]) * scale[:, None, None]
        y += state[f"{norm}.bias"][:, None, None]
        made: Maps = np.maximum(y, 0) if relu else y
        return made

    def module(x: Maps, name: str, relu: bool = True) -> Maps:
        return block(x, f"{name}.0", f"{name}.1", relu=relu)

    x = block(x, "body.conv1", "body.bn1", 2)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    x = np.max([padded[:, u : u + x.shape[1] : 2, v : v + x.shape[2] : 2] for u, v in np.ndindex(3, 3)], axis=0)
    maps = []
    for layer, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for i in range(blocks):
            name, stride = f"body.layer{layer}.{i}", 2 if layer > 1 and i == 0 else 1
            y = block(x, f"{name}.conv1", f"{name}.bn1")
            y = block(y, f"{name}.conv2", f"{name}.bn2", stride)
            y = block(y, f"{name}.conv3", f"{name}.bn3", relu=False)
            beside = block(x, f"{name}.downsample.0", f"{name}.downsample.1", stride, relu=False) if i == 0 else x
            x = np.maximum(y + beside, 0)
        maps.append(x)
    levels = [module(m, f"fpn.output{i}") for i, m in enumerate(maps[1:], 1)]
    for i in (1, 0):
        above = levels[i + 1].repeat(2, 1).repeat(2, 2)
        levels[i] = module(levels[i] + above, f"fpn.merge{i + 1}")
    made: dict[str, list[Maps]] = {"Bbox": [], "Class": [], "Landmark": []}
    for i, level in enumerate(levels):
        ssh = f"ssh{i + 1}"
        shared = module(level, f"{ssh}.conv5X5_1")
        views = [
            module(level, f"{ssh}.conv3X3", relu=False),
            module(shared, f"{ssh}.conv5X5_2", relu=False),
            module(module(shared, f"{ssh}.conv7X7_2"), f"{ssh}.conv7x7_3", relu=False),
        ]
        feature = np.maximum(np.concatenate(views), 0)
        for head, rows in made.items():
            name = f"{head}Head.{i}.conv1x1"
            y = convolve(feature, state[f"{name}.weight"]) + state[f"{name}.bias"][:, None, None]
            rows.append(y.transpose(1, 2, 0).reshape(2 * y[0].size, -1))
    loc, logits, landms = (np.concatenate(rows) for rows in made.values())
    power = np.exp(logits - logits.max(1, keepdims=True))
    return {"loc": loc, "conf": power / power.sum(1, keepdims=True), "landms": landms}


@pytest.fixture(scope="module")
def deep() -> State:
    return random_state(3, "retinaface_resnet50")


def test_resnet50_computes_what_pytorch_retinaface_does(deep: State) -> None:
    pictures = images(2, 64, 96)
    model = build(deep, 64, 96, "retinaface_resnet50")
    onnx.checker.check_model(model, full_check=True)
    found = dict(zip(("loc", "conf", "landms"), run(model, pictures), strict=True))
    assert [output.name for output in model.graph.output] == list(found)
    for name, wanted in resnet50(deep, pictures[1].astype(np.float64)).items():
        scale = abs(wanted).max()
        np.testing.assert_allclose(found[name][1] / scale, wanted / scale, atol=1e-4)
        assert wanted.std() > 1e-3 * scale


def test_a_checkpoint_of_another_architecture_is_named(deep: State) -> None:
    for state, wrong, right, shown in (
        (deep, "retinaface_mobilenet0.25", "retinaface_resnet50", "ResNet50"),
        (random_state(), "retinaface_resnet50", "retinaface_mobilenet0.25", "MobileNet v1 x0.25"),
    ):
        with pytest.raises(SourceError, match="does not fit the network") as caught:
            build(state, 64, 96, wrong)
        assert f"this is RetinaFace with {shown}: `architecture: {right}`" in caught.value.hint


def test_configs_know_the_architectures_that_can_be_built() -> None:
    assert set(get_args(Architecture)) == set(BACKBONES)


def test_resnet50_has_the_tensors_of_torchvision() -> None:
    shapes = expected_shapes("retinaface_resnet50")
    trunk = [name for name in shapes if name.startswith("body.")]
    assert len(trunk) == 53 * 5  # 53 convolutions, each with four tensors of its normalization
    assert shapes["body.layer2.0.conv2.weight"] == (128, 128, 3, 3)
    assert shapes["body.layer4.0.downsample.0.weight"] == (2048, 1024, 1, 1)
    assert shapes["fpn.output3.0.weight"] == (256, 2048, 1, 1)
    assert shapes["ssh1.conv7x7_3.0.weight"] == (64, 64, 3, 3)
    assert shapes["LandmarkHead.2.conv1x1.weight"] == (20, 256, 1, 1)
