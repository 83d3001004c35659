"""Constants of chips are what `bench/latency.py` finds, published files are told apart, architectures are whole."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
# Parameters in millions, as published with each network (those of YOLOv9 and PP-YOLOE as joined for inference).
PARAMETERS = {
    "deepsort": 11.2,
    "lprnet": 0.45,
    "ppyoloe_s": 7.9,
    "realesr_general": 1.21,
    "retinaface": 0.43,
    "superpoint": 1.3,
    "yolov5s": 7.2,
    "yolov8s": 11.2,
    "yolov8s_pose": 11.6,
    "yolov8s_seg": 11.8,
    "yolov9s": 7.1,
    "yolov11s": 9.4,
    "yolox_s": 9.0,
}


@pytest.fixture(scope="module")
def bench() -> Iterator[None]:
    """The modules of the benchmarks by their bare names."""
    sys.path.insert(0, str(ROOT / "bench"))
    yield
    sys.path.remove(str(ROOT / "bench"))


@pytest.mark.usefixtures("bench")
def test_the_constants_are_those_that_the_kept_profiles_give() -> None:
    import latency
    from latency_table import module_text

    kept = json.loads(latency.KEPT.read_text(encoding="utf-8"))
    assert latency.fitted(kept) == kept["chips"], "edited by hand: python bench/latency.py --write"
    assert latency.TABLE.read_text(encoding="utf-8") == module_text(kept)


@pytest.mark.usefixtures("bench")
def test_published_files_are_told_by_name() -> None:
    from latency_figures import published

    rows = [
        "sample,chip,file,ms",
        "YOLOv8_det,BM1684X,yolov8s_fp16_1b.bmodel,5.48",
        "YOLOv8_det,BM1684X,yolov8s_opt_fp16_1b.bmodel,5.62",  # another graph
        "YOLOv8_det,BM1684X,yolov8s_int8_1b.bmodel,3.32",  # with layers in float that are not told
        "YOLOv8_seg,BM1688,yolov8s_fp16_1b_2core.bmodel,26.44",
        "CLIP,CV186X,clip_image_vitb32_cv186x_f16_1b.bmodel,25.79",
        "P2PNet,BM1688,p2pnet_bm1688_int8_4b.bmodel,27.68",
        "PP-OCR,BM1684X,ch_PP-OCRv4_det_fp32.bmodel,0.0",  # not measured
        "DeepSORT,BM1688,extractor_fp16_1b.bmodel,2.21",
        "DeepSORT,BM1688,extractor_fp16_1b_2core.bmodel,2.22",  # compiled for one core
        "DeepSORT,BM1688,extractor_fp16_4b_2core.bmodel,1.04",
        "CLIP,BM1688,clip_image_vitb32_bm1688_f16_1b.bmodel,13.67",  # of one core, faster than of two
        "CLIP,BM1688,clip_image_vitb32_bm1688_f16_1b_2core.bmodel,18.82",
    ]
    assert [(figure.name, figure.ms) for figure in published(rows)] == [
        ("yolov8s.bm1684x_fp16_1b", 5.48),
        ("yolov8s_seg.bm1688_fp16_1b_2core", 26.44),
        ("clip_image.cv186x_fp16_1b", 25.79),
        ("p2pnet.bm1688_int8_4b", 27.68),
        ("deepsort.bm1688_fp16_1b", 2.21),
        ("deepsort.bm1688_fp16_4b_2core", 1.04),
    ]


@pytest.mark.usefixtures("bench")
def test_constants_that_made_figures_are_found_again() -> None:
    from latency_fit import Sample, fit, judged, left_out

    from bmzoo.measure.chip_constants import Constants
    from bmzoo.target import Target

    true = Constants(arithmetic=1.2, fp32=1.5, memory=1.4, run=0.25, join=0.012, low=1.0, high=1.0)
    samples = []
    for number in range(12):
        busy, moved, joins = 1.0 + number, (number % 4) * 2.0, (number % 3) * 20
        times = [[max(a * busy, m * moved) for m in (0.8, 1.0, 3.0)] for a in (0.8, 1.0, 2.0)]
        stretched = {"arithmetic": [0.8, 1.0, 2.0], "memory": [0.8, 1.0, 3.0], "milliseconds": times}
        target = Target(f"n{number // 2}", "bm1688", ("int8", "fp32")[number % 2], 1)
        profile = {"known": True, "cores": [{"joins": joins}], "stretched": stretched}
        made = Sample(target, 1.0, profile, {})
        samples.append(Sample(target, made.estimate(true), profile, {}))
    assert fit(samples) == true
    told = judged(samples, left_out(samples))
    assert (told["figures"], told["networks"], told["in_order"]) == (12, 6, 1.0)
    assert told["median_error"] < 0.02


@pytest.mark.usefixtures("bench")
def test_the_interval_holds_nine_of_ten() -> None:
    from latency_fit import Sample, factors

    from bmzoo.target import Target

    samples = [Sample(Target(f"n{i}", "bm1688", "int8", 1), 0.5 + i / 20, {}, {}) for i in range(21)]
    low, high = factors(samples, {one.name: 1.0 for one in samples})
    assert (low, high) == (0.55, 1.45)  # one of 21 below, one above
    assert factors(samples[:3], {one.name: 1.0 for one in samples}) == (0.5, 1.0)


@pytest.fixture(scope="module")
def architectures(bench: None) -> ModuleType:
    from architectures import registry

    return registry


@pytest.mark.parametrize("name", PARAMETERS)
def test_architectures_have_the_parameters_that_are_published(architectures: ModuleType, name: str) -> None:
    import onnx

    model = architectures.ARCHITECTURES[name](1)
    onnx.checker.check_model(model, full_check=True)
    floats = [
        one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and len(one.dims) == 4
    ]
    count = sum(math.prod(one.dims) for one in floats) / 1e6
    assert count == pytest.approx(PARAMETERS[name], rel=0.05)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [("deepsort", [(2, 512)]), ("lprnet", [(2, 68, 18)]), ("retinaface", [(2, 16800, n) for n in (4, 2, 10)])],
)
def test_architectures_run(architectures: ModuleType, name: str, shapes: list[tuple[int, ...]]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        architectures.ARCHITECTURES[name](2).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    fed = session.get_inputs()[0]
    outputs = session.run(None, {fed.name: np.ones(fed.shape, np.float32)})
    assert [one.shape for one in outputs] == shapes
    assert all(np.isfinite(one).all() for one in outputs)


@pytest.mark.usefixtures("architectures")
def test_attention_is_that_of_the_paper() -> None:
    import onnxruntime
    from architectures.graph import Graph
    from architectures.transformers import attention
    from onnx import numpy_helper

    g = Graph("attention")
    x = g.input("x", 5, 8)
    made = g.model([attention(g, x, 2)])
    weights = [numpy_helper.to_array(one) for one in made.graph.initializer]
    matrices = [one for one in weights if one.shape == (8, 8)]
    query, key, value, last = matrices
    given = np.random.default_rng(1).standard_normal((1, 5, 8), np.float32)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    bias = np.float32(0.01)
    q, k, v = (given[0] @ one + bias for one in (query, key, value))
    heads = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        scores = np.exp(q[:, part] @ k[:, part].T / 2)
        heads.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
    expected = np.concatenate(heads, axis=1) @ last + bias
    np.testing.assert_allclose(session.run(None, {"x": given})[0][0], expected, rtol=1e-4, atol=1e-5)
