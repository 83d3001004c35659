"""Scripts in the style of the published samples, run unmodified through `python -m bmzoo.sail`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import helper
from sail_samples import SCRIPTS, SIDE, Arrays, album, conv, onnx_file, run, video

from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.preprocess import read_image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("album"))


def test_classifiers_agree(pictures: Path, tmp_path: Path) -> None:
    weights: Arrays = {}
    nodes = [
        conv("c", "x", (8, 3, 4, 4), 4, weights),
        helper.make_node("Relu", ["c"], ["r"]),
        conv("d", "r", (5, 8, 16, 16), 1, weights),
        helper.make_node("Flatten", ["d"], ["y"]),
    ]
    model = onnx_file(tmp_path / "classes.onnx", nodes, weights, {"y": [5]})
    paths = sorted(pictures.iterdir())[:3]
    by_opencv = json.loads(run(SCRIPTS / "classifier_opencv.py", model, *paths, batch=4))
    by_bmcv = json.loads(run(SCRIPTS / "classifier_bmcv.py", model, *paths, batch=4))
    assert np.shape(by_opencv) == (3, 5)
    assert np.std(by_opencv, axis=0).max() > 0.01, "pictures differ"
    np.testing.assert_allclose(by_bmcv, by_opencv, atol=1e-4)


@pytest.fixture(scope="module")
def boxes_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One output [N,16,7] as a decoded YOLOv5: centre, size, objectness, two classes."""
    weights: Arrays = {
        "shape": np.array([0, 7, 16], np.int64),
        "scale": np.array([64, 64, 40, 40, 1, 1, 1], np.float32),
        "gain": np.array(4, np.float32),
    }
    nodes = [
        conv("c", "x", (7, 3, 16, 16), 16, weights),
        helper.make_node("Mul", ["c", "gain"], ["g"]),
        helper.make_node("Reshape", ["g", "shape"], ["f"]),
        helper.make_node("Transpose", ["f"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Sigmoid", ["t"], ["s"]),
        helper.make_node("Mul", ["s", "scale"], ["y"]),
    ]
    return onnx_file(tmp_path_factory.mktemp("model") / "boxes.onnx", nodes, weights, {"y": [16, 7]})


def test_yolo_on_a_video_agrees_with_sails_postprocessing(boxes_onnx: Path, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.avi", 3)
    arguments = ["--bmodel", boxes_onnx, "--input", clip, "--output", tmp_path / "out"]
    best = json.loads(run(SCRIPTS / "yolo_bmcv.py", *arguments, batch=2))
    boxes = json.loads(run(SCRIPTS / "yolo_bmcv.py", *arguments, "--use_cpu_opt", batch=2))
    assert len(best) == len(boxes) == 3
    for (one,), several in zip(best, boxes, strict=True):
        assert several[-1][:5] == one[:5]
        assert several[-1][5] == pytest.approx(one[5])
        assert [box[5] for box in several] == sorted(box[5] for box in several)
    assert sorted(path.name for path in tmp_path.glob("out*.jpg")) == ["out_2.jpg", "out_3.jpg"]


def test_scrfd_relies_on_the_order_of_the_outputs(pictures: Path, tmp_path: Path) -> None:
    weights: Arrays = {}
    nodes, outputs = [], {}
    # As in the published file, numbers whose order is not that of the network.
    names = iter(["448", "471", "494", "451", "474", "497", "454", "477", "500"])
    for values in (1, 4, 10):
        for stride in (8, 16, 32):
            name, cells = next(names), (SIDE // stride) ** 2
            nodes += [
                conv(f"c{name}", "x", (2 * values, 3, stride, stride), stride, weights),
                helper.make_node("Transpose", [f"c{name}"], [f"t{name}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t{name}", f"s{name}"], [name]),
            ]
            weights[f"s{name}"] = np.array([0, 2 * cells, values], np.int64)
            outputs[name] = [2 * cells, values]
    model = onnx_file(tmp_path / "scrfd.onnx", nodes, weights, outputs)
    best = json.loads(run(SCRIPTS / "scrfd_opencv.py", model, pictures / "0.png"))
    image = cv2.resize(read_image(pictures / "0.png"), (SIDE, SIDE)).astype(np.float32)
    blob = ((image[..., ::-1] - 127.5) / 128).transpose(2, 0, 1)[None]
    heads = OnnxSession(model, threads=1).run({"x": np.ascontiguousarray(blob, np.float32)})
    for i, name in enumerate(["448", "471", "494"]):
        score, box, points = best[i]
        assert score == pytest.approx(float(heads[name].max()), abs=1e-5)
        assert (len(box), points) == (4, 10)


@pytest.mark.toolchain
def test_the_same_script_on_a_bmodel(
    pictures: Path, tiny_bmodels: dict[str, Path], tiny_onnx: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, numpy as np, sophon.sail as sail\n"
        "engine = sail.Engine(sys.argv[1], 0, sail.SYSIO)\n"
        "graph = engine.get_graph_names()[0]\n"
        "x = np.random.RandomState(0).randn(1, 3, 32, 32)\n"
        "(y,) = engine.process(graph, {'x': x}).values()\n"
        "np.save(sys.argv[2], y)\n"
        "print(graph, engine.get_handle().get_target())\n"
    )
    assert run(script, tiny_bmodels["bm1688_fp32"], tmp_path / "a.npy") == "t BM1688\n"
    run(script, tiny_onnx, tmp_path / "b.npy")
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"), atol=1e-4)
