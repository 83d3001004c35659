"""Resizes that TPU-MLIR reads wrongly, as products of matrices; all others as they are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from toy_graphs import network, node

from bmzoo.commands import import_
from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.onnx_import.resizes import rewritten_resizes
from bmzoo.plan.step import Command
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.system.hashing import Digests

X = np.random.default_rng(0).standard_normal((2, 3, 8, 6)).astype("f4")
COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn")
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
# Rows and columns; the last gives one pixel.
FACTORS = ((2, 2), (1, 2), (3, 3), (2, 3), (1.5, 2.5), (1.25, 1.75), (0.5, 0.5), (0.75, 0.6), (1 / 8, 1 / 6))


def modes() -> list[dict[str, Any]]:
    between = [
        {"mode": mode, "coordinate_transformation_mode": c} for c in COORDINATES for mode in ("linear", "cubic")
    ]
    nearest = [
        {"mode": "nearest", "coordinate_transformation_mode": c, "nearest_mode": r}
        for c in COORDINATES
        for r in ROUNDINGS
    ]
    return between + nearest


def resized(factors: Sequence[float], by: str, **attributes: Any) -> onnx.ModelProto:
    """A resize after a layer with weights, given scales, or sizes."""
    roi = {"roi": np.zeros(0, "f4"), "w": np.eye(3, dtype="f4").reshape(3, 3, 1, 1)}
    before = helper.make_node("Conv", ["x", "w"], ["c"], name="c", kernel_shape=[1, 1])
    if by == "scales":
        given = {"scales": np.array([1, 1, *factors], "f4")}
        return network(before, node("Resize", "c", "roi", "scales", **attributes), weights=roi | given)
    sizes = np.array([1, 3, *(int(side * f + 1e-6) for side, f in zip((8, 6), factors, strict=True))])
    given = {"none": np.zeros(0, "f4"), "sizes": sizes}
    last = node("Resize", "c", "roi", "none", "sizes", **attributes)
    return network(before, last, shape=(1, 3, 8, 6), weights=roi | given)


def early(kind: str, opset: int, factors: Sequence[float], mode: str) -> onnx.ModelProto:
    """Of before opset 11: no way to say where pixels lie."""
    weights = {"scales": np.array([1, 1, *factors], "f4"), "w": np.eye(3, dtype="f4").reshape(3, 3, 1, 1)}
    before = helper.make_node("Conv", ["x", "w"], ["c"], name="c", kernel_shape=[1, 1])
    return network(before, node(kind, "c", "scales", mode=mode), weights=weights, opset=opset)


def is_rewritten(model: onnx.ModelProto) -> bool:
    found = rewritten_resizes(model, {"x": X[:1]})
    if found is model:
        return False
    onnx.checker.check_model(found, full_check=True)
    assert {"Resize", "Upsample"}.isdisjoint(each.op_type for each in found.graph.node)
    rows = X if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param else X[:1]
    before, after = (OnnxSession(each.SerializeToString()).run({"x": rows})["y"] for each in (model, found))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    return True


@pytest.mark.parametrize("by", ["scales", "sizes"])
@pytest.mark.parametrize("attributes", modes(), ids=lambda a: "-".join(a.values()))
def test_every_mode_is_rewritten_to_what_onnxruntime_gives(attributes: dict[str, Any], by: str) -> None:
    """Or left: what nothing is found wrong with is tried below in the toolchain itself."""
    found = [is_rewritten(resized(factors, by, **attributes)) for factors in FACTORS]
    coordinates, mode = attributes["coordinate_transformation_mode"], attributes["mode"]
    always = mode == "cubic" or (mode == "linear" and coordinates in ("asymmetric", "tf_half_pixel_for_nn"))
    if always:
        assert all(found[:8])  # one pixel may be the same one
    elif mode == "linear" and by == "sizes":
        assert not any(found[:8])


@pytest.mark.parametrize(("kind", "opset"), [("Upsample", 9), ("Resize", 10)])
@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (2, 4), (1.5, 2.5), (33 / 8, 17 / 6)])
def test_before_opset_11_linear_ones_are_rewritten(kind: str, opset: int, factors: Sequence[float]) -> None:
    assert is_rewritten(early(kind, opset, factors, "linear"))


@pytest.mark.parametrize(("kind", "opset"), [("Upsample", 9), ("Resize", 10)])
def test_repeated_pixels_stay(kind: str, opset: int) -> None:
    assert not is_rewritten(early(kind, opset, (2, 2), "nearest"))
    assert not is_rewritten(early(kind, opset, (3, 3), "nearest"))
    assert is_rewritten(early(kind, opset, (2, 3), "nearest"))


def test_as_yolo_and_detectors_of_text_resize_stays() -> None:
    floor = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    assert not any(is_rewritten(resized((f, f), by, **floor)) for f in (2, 3, 4) for by in ("scales", "sizes"))


def test_sizes_that_the_model_computes() -> None:
    """As PyTorch exports `interpolate(x, size=y.shape[2:])`: what computed them goes."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Mul", ["shape", "twice"], ["sizes"]),
        node("Resize", "x", "roi", "none", "sizes", mode="linear", coordinate_transformation_mode="asymmetric"),
    ]
    weights = {"roi": np.zeros(0, "f4"), "none": np.zeros(0, "f4"), "twice": np.array([1, 1, 2, 2])}
    assert is_rewritten(network(*nodes, weights=weights))


def cast(kind: int) -> onnx.ModelProto:
    weights = {"roi": np.zeros(0, "f4"), "scales": np.array([1, 1, 2, 3], "f4")}
    last = helper.make_node("Resize", ["c", "roi", "scales"], ["y"], mode="nearest")
    return network(helper.make_node("Cast", ["x"], ["c"], to=kind), last, weights=weights, out=kind)


def test_integers_stay_and_half_floats_are_rewritten() -> None:
    integers = cast(TensorProto.INT32)
    assert rewritten_resizes(integers, {"x": X}) is integers
    assert is_rewritten(cast(TensorProto.FLOAT16))


def test_pictures_of_other_ranks_and_crops_stay() -> None:
    weights = {"roi": np.zeros(0, "f4"), "scales": np.array([1, 1, 2], "f4")}
    line = network(node("Resize", "x", "roi", "scales", mode="linear"), shape=(1, 3, 8), weights=weights)
    assert rewritten_resizes(line, {"x": X[:1, :, :, 0]}) is line
    crop = {"roi": np.array([0, 0, 0, 0, 1, 1, 0.5, 1], "f4"), "scales": np.array([1, 1, 2, 2], "f4")}
    how = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}
    model = network(node("Resize", "x", "roi", "scales", **how), weights=crop)
    assert rewritten_resizes(model, {"x": X}) is model


SPEC = {"name": None, "height": 8, "width": 6, "pixel_format": "bgr", "mean": [0, 0, 0], "scale": [1, 1, 1]}


def several() -> onnx.ModelProto:
    """Every mode as an output of its own, after a layer of its own, so that no two are one; one from 1 pixel."""
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, Any] = {"roi": np.zeros(0, "f4"), "up": np.array([1, 1, 33, 17], "f4")}
    for index, (attributes, factors) in enumerate((a, f) for a in modes() for f in FACTORS[:6]):
        if attributes["mode"] == "cubic" and factors != (2, 2):
            continue
        weights |= {f"w{index}": (np.eye(3) * (1 + index / 7)).astype("f4").reshape(3, 3, 1, 1)}
        weights |= {f"s{index}": np.array([1, 1, *factors], "f4")}
        nodes.append(node("Conv", "x", f"w{index}", output=f"c{index}", name=f"c{index}", kernel_shape=[1, 1]))
        nodes.append(
            node("Resize", f"c{index}", "roi", f"s{index}", output=f"y{index}", name=f"y{index}", **attributes)
        )
    nodes.append(node("GlobalAveragePool", output="pooled", name="pooled"))
    nodes.append(node("Resize", "pooled", "roi", "up", output="y", name="y", mode="linear"))
    model = network(*nodes, shape=(1, 3, 8, 6), weights=weights)
    for each in nodes:
        if each.op_type == "Resize" and each.output[0] != "y":
            model.graph.output.append(helper.make_tensor_value_info(each.output[0], TensorProto.FLOAT, None))
    inferred = onnx.shape_inference.infer_shapes(model).graph.output
    for port, known in zip(model.graph.output, inferred, strict=True):
        port.CopyFrom(known)
    return model


@pytest.mark.toolchain
def test_tpu_mlir_computes_what_onnxruntime_does_of_an_import(tmp_path: Path, tpuc_root: Path) -> None:
    """What is rewritten, and what is left because it is read rightly; the given file's outputs are the truth."""
    model = several()
    onnx.save(model, str(tmp_path / "given.onnx"))
    request = {"source": "given.onnx", "shown": "a.onnx", "architecture": None, "input": SPEC, "batches": [1]}
    (tmp_path / "request.json").write_text(json.dumps(request))
    import_.run(tmp_path, ("request.json",))
    kept = sum(each.op_type == "Resize" for each in onnx.load(str(tmp_path / "model.onnx")).graph.node)
    assert 20 < kept < len(model.graph.output) - 20
    tools = LocalToolchain(Installation(tpuc_root, "under test", external=False), Digests(tmp_path / "memory"))
    how = ("--model_name", "t", "--model_def", "model.onnx", "--input_shapes", "[[1,3,8,6]]", "--mlir", "t.mlir")
    tools.run(Command("model_transform.py", how), tmp_path, tmp_path / "log.txt", timeout=120)
    session = MlirSession(tmp_path / "t.mlir", tpuc_root)
    try:
        found = session.run({"x": X[:1]})
    finally:
        session.close()
    truth = OnnxSession(model.SerializeToString()).run({"x": X[:1]})
    assert len(found) == len(truth)
    for (name, wanted), value in zip(truth.items(), found.values(), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-3, err_msg=name)
