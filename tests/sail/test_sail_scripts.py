"""Scripts in the style of the published samples, run unmodified through `python -m bmzoo.sail`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.onnx_import import retinaface
from bmzoo.runtime.__main__ import main as detect_main
from bmzoo.runtime.decoders.decode import DecoderSpec, decode
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.preprocess import Geometry, InputSpec, prepare_batch, read_image

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parents[1] / "sail_scripts"
SIDE = 64
SCORE, IOU = 0.3, 0.4
MEAN = (104.0, 117.0, 123.0)

Faces = dict[str, list[list[float]]]  # rows of x, y, width, height, score by the name of the picture
Arrays = dict[str, NDArray[Any]]


def run(script: Path, *arguments: object, batch: int = 1, options: tuple[str, ...] = ()) -> str:
    argv = [sys.executable, "-m", "bmzoo.sail", *options, str(script), *map(str, arguments)]
    env = {"PYTHONPATH": str(ROOT), "BMZOO_SAIL_BATCH": str(batch), "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(argv, env=env, cwd=script.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def onnx_file(path: Path, nodes: list[onnx.NodeProto], weights: Arrays, outputs: dict[str, list[int]]) -> Path:
    """x [N,3,64,64] -> the outputs, each with its shape after the batch."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [value(name, TensorProto.FLOAT, ["N", *shape]) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))
    return path


def conv(name: str, source: str, shape: tuple[int, ...], stride: int, weights: Arrays) -> onnx.NodeProto:
    random = np.random.RandomState(len(weights) + 1)
    weights[f"{name}.w"] = (random.randn(*shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    return helper.make_node("Conv", [source, f"{name}.w"], [name], strides=[stride, stride])


@pytest.fixture(scope="module")
def faces_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.RandomState(0)
    state = {}
    for name, shape in retinaface.expected_shapes().items():
        if len(shape) == 4:
            fan_in = shape[1] * shape[2] * shape[3]
            state[name] = random.randn(*shape) * (0.3 if "Head" in name else np.sqrt(2 / fan_in))
        else:
            state[name] = np.zeros(shape) if name.endswith(("mean", "bias")) else np.ones(shape)
        state[name] = state[name].astype(np.float32)
    path = tmp_path_factory.mktemp("model") / "faces.onnx"
    onnx.save(retinaface.build(state, SIDE, SIDE), str(path))
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of various shapes, none of a size that divides by the network's."""
    folder = tmp_path_factory.mktemp("album")
    random = np.random.RandomState(1)
    for i, (height, width) in enumerate([(97, 131), (150, 71), (64, 64), (33, 200), (90, 90), (121, 87)]):
        coarse = random.randint(0, 256, (5, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return folder


def at_home(script: str, tmp_path: Path) -> Path:
    """A copy of a script that writes beside itself."""
    return Path(shutil.copy(SCRIPTS / script, tmp_path))


def blocks(path: Path) -> Faces:
    """Faces by picture from a result file in the published format: name, count, `x y w h score `."""
    lines, found = path.read_text().split("\n"), {}
    assert lines.pop() == ""
    while lines:
        name, count = lines.pop(0), int(lines.pop(0))
        rows, lines = lines[:count], lines[count:]
        assert all(row.endswith(" ") for row in rows)
        found[name] = [[float(value) for value in row.split()] for row in rows]
    return found


def expected(model: Path, pictures: list[Path]) -> Faces:
    """The same from bmzoo's own runtime."""
    spec = InputSpec(SIDE, SIDE, "bgr", MEAN, (1.0, 1.0, 1.0), "letterbox")
    batch, geometries = prepare_batch([read_image(path) for path in pictures], spec, len(pictures))
    return rows_of(model, batch, geometries, pictures)


def rows_of(model: Path, batch: NDArray[Any], geometries: list[Geometry], pictures: list[Path]) -> Faces:
    heads = OnnxSession(model, threads=1).run({"input": batch})
    rows = {}
    found_all = decode(heads, DecoderSpec("retinaface"), (SIDE, SIDE), SCORE, IOU, geometries)
    for path, found in zip(pictures, found_all, strict=True):
        corners = np.trunc(found.boxes).astype(int)
        sizes = corners[:, 2:] - corners[:, :2]
        rows[path.name] = [
            [*xy, *wh, float(str(score))]
            for xy, wh, score in zip(corners[:, :2].tolist(), sizes.tolist(), found.scores, strict=True)
        ]
    return rows


def assert_same(found: Faces, wanted: Faces, pixels: int = 0) -> None:
    assert list(found) == list(wanted)
    for name, rows in wanted.items():
        assert len(rows) > 1, "nothing to compare"
        assert len(found[name]) == len(rows), name
        np.testing.assert_allclose(found[name], rows, rtol=0, atol=max(pixels, 1e-5), err_msg=name)


def thresholds() -> list[object]:
    return ["--score_threshold", SCORE, "--nms_threshold", IOU]


def test_retinaface_opencv_on_a_folder_with_a_remainder(faces_onnx: Path, pictures: Path, tmp_path: Path) -> None:
    script = at_home("retinaface_opencv.py", tmp_path)
    run(script, "--bmodel", faces_onnx, "--input_path", pictures, *thresholds(), batch=4)
    found = blocks(tmp_path / "results" / f"faces.onnx_opencv_{pictures.name}_python_result.txt")
    assert_same(found, expected(faces_onnx, sorted(pictures.iterdir())))
    assert len(list((tmp_path / "results").glob("*_opencv_out.jpg"))) == 6


def test_retinaface_opencv_on_one_picture(faces_onnx: Path, pictures: Path, tmp_path: Path) -> None:
    script = at_home("retinaface_opencv.py", tmp_path)
    run(script, "--bmodel", faces_onnx, "--input_path", pictures / "1.png", *thresholds())
    found = blocks(tmp_path / "results" / "faces.onnx_opencv_1.png_python_result.txt")
    assert_same(found, expected(faces_onnx, [pictures / "1.png"]))


def nearest(image: NDArray[Any]) -> tuple[NDArray[Any], Geometry]:
    """What BMCV makes of a picture: size truncated, floor(dst * src / size), pasted at the top left."""
    height, width = image.shape[:2]
    ratio = min(SIDE / width, SIDE / height)
    tw, th = int(width * ratio), int(height * ratio)
    canvas = np.zeros((SIDE, SIDE, 3), np.float32)
    for y in range(th):
        for x in range(tw):
            canvas[y, x] = image[y * height // th, x * width // tw]
    blob = (canvas - np.array(MEAN, np.float32)).transpose(2, 0, 1)
    return blob, Geometry(ratio, ratio, 0, 0, width, height)


def test_retinaface_bmcv_gives_the_same_in_batches_of_1_and_4(
    faces_onnx: Path, pictures: Path, tmp_path: Path
) -> None:
    paths = sorted(pictures.iterdir())
    blobs, geometries = zip(*(nearest(read_image(path)) for path in paths), strict=True)
    wanted = rows_of(faces_onnx, np.stack(blobs), list(geometries), paths)
    for batch in (1, 4):
        folder = tmp_path / str(batch)
        folder.mkdir()
        script = at_home("retinaface_bmcv.py", folder)
        run(script, "--bmodel", faces_onnx, "--input_path", pictures, *thresholds(), batch=batch)
        assert_same(blocks(folder / "results" / f"faces.onnx_bmcv_{pictures.name}_python_result.txt"), wanted)
        assert len(list((folder / "results").glob("*_bmcv_out.jpg"))) == 6


def test_the_bmcv_script_finds_what_detect_finds(faces_onnx: Path, tmp_path: Path) -> None:
    album, random = tmp_path / "album", np.random.RandomState(2)
    album.mkdir()
    for i, (height, width) in enumerate([(186, 186), (198, 396), (210, 105), (420, 211), (486, 246), (61, 49)]):
        coarse = random.randint(0, 256, (7, 9, 3)).astype(np.uint8)
        noise = random.randint(0, 40, (height, width, 3)).astype(np.uint8)
        large = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) // 2 + noise
        cv2.imwrite(str(album / f"{i}.png"), large)
    script = at_home("retinaface_bmcv.py", tmp_path)
    run(script, "--bmodel", faces_onnx, "--input_path", album, *thresholds())
    by_script = blocks(tmp_path / "results" / "faces.onnx_bmcv_album_python_result.txt")
    options = ("--preprocess", "bmcv", "--confidence", str(SCORE), "--nms", str(IOU), "--no-draw")
    assert detect_main(["detect", str(faces_onnx), str(album), *options, "--out", str(tmp_path / "out")]) == 0
    assert_same(by_script, blocks(tmp_path / "out" / "results.txt"))


def video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 80))
    for i in range(frames):
        frame = np.full((80, 96, 3), 40 * i, np.uint8)
        cv2.rectangle(frame, (10 + i * 5, 20), (50 + i * 5, 60), (30, 200, 90), -1)
        writer.write(frame)
    writer.release()
    return path


def test_retinaface_bmcv_on_a_video_with_a_remainder(faces_onnx: Path, tmp_path: Path) -> None:
    script = at_home("retinaface_bmcv.py", tmp_path)
    clip = video(tmp_path / "clip.avi", 3)
    run(script, "--bmodel", faces_onnx, "--input_path", clip, *thresholds(), batch=2)
    found = blocks(tmp_path / "results" / "faces.onnx_bmcv_clip.avi_python_result.txt")
    assert list(found) == ["0", "1", "2"]
    reader = cv2.VideoCapture(str(clip))
    frames = [reader.read()[1] for _ in range(3)]
    blobs, geometries = zip(*(nearest(frame) for frame in frames), strict=True)
    names = [Path(str(i)) for i in range(3)]
    assert_same(found, rows_of(faces_onnx, np.stack(blobs), list(geometries), names))


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


def test_arguments_path_and_exit_code_are_pythons(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 3\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, beside\nfrom sophon import sail\nimport sophon.sail\n"
        "assert sail is sophon.sail and __name__ == '__main__' and __file__ == sys.argv[0]\n"
        "print(sys.argv[1:])\nsys.exit(beside.VALUE)\n"
    )
    argv = [sys.executable, "-m", "bmzoo.sail", str(script), "--shadow", "x"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "['--shadow', 'x']\n", "")


def test_an_installed_sail_is_used_unless_shadowed(tmp_path: Path) -> None:
    (tmp_path / "sophon").mkdir()
    (tmp_path / "sophon" / "__init__.py").touch()
    (tmp_path / "sophon" / "sail.py").write_text("Engine = 'real'\n")
    script = tmp_path / "script.py"
    script.write_text("import sophon.sail as sail\nprint(sail.Engine)\n")
    argv = [sys.executable, "-m", "bmzoo.sail", str(script)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "real\n"
    assert done.stderr.count("\n") == 1
    assert "--shadow" in done.stderr
    assert "bmzoo.sail" in run(script, options=("--shadow",))


def started_by_others(argv: list[str], *path: Path | str, **env: str) -> subprocess.CompletedProcess[str]:
    """A program that knows nothing of bmzoo, with the hook on its path."""
    hook = subprocess.run(
        [sys.executable, "-m", "bmzoo.sail", "--hook"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [hook.stdout.strip(), *map(str, path)]
    return subprocess.run(
        [sys.executable, *argv],
        cwd="/",
        env={"PYTHONPATH": ":".join(paths), "PATH": "", **env},
        capture_output=True,
        text=True,
        check=False,
    )


ASKS = "import sophon.sail as a; from sophon import sail as b; import sophon; assert a is b is sophon.sail; "


def test_programs_that_others_start_find_it_by_the_hook(tiny_onnx: Path, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(f"{ASKS}\nprint(a.Engine({str(tiny_onnx)!r}, 0, a.SYSIO).get_graph_names())\n")
    for argv in (
        ["-c", script.read_text()],
        [str(script)],
        ["-c", f"import runpy; runpy.run_path({str(script)!r})"],
    ):
        done = started_by_others(argv)
        assert (done.returncode, done.stdout, done.stderr) == (0, "['t']\n", ""), done.stderr
    script.write_text(
        f"{ASKS}\nimport multiprocessing as m\nif __name__ == '__main__':\n"
        "    p = m.get_context('spawn').Process(target=print, args=('x',))\n"
        "    p.start(); p.join(); print(p.exitcode)\n"
    )
    assert started_by_others([str(script)]).stdout == "x\n0\n"


def test_the_hook_gives_way_to_an_installed_sail(tmp_path: Path) -> None:
    (tmp_path / "sophon").mkdir()
    (tmp_path / "sophon" / "__init__.py").write_text("HERE = 'vendor'\n")
    (tmp_path / "sophon" / "sail.py").write_text("Engine = 'real'\n")
    (tmp_path / "sophon" / "other.py").write_text("VALUE = 3\n")
    ask = ["-c", f"{ASKS}print(a.Engine, sophon.HERE); import sophon.other; print(sophon.other.VALUE)"]
    done = started_by_others(ask, tmp_path)
    assert (done.returncode, done.stdout) == (0, "real vendor\n3\n"), done.stderr
    shadowed = started_by_others(["-c", f"{ASKS}print(a.Engine)"], tmp_path, BMZOO_SAIL_SHADOW="1")
    assert "bmzoo.sail" in shadowed.stdout, shadowed.stderr
    (tmp_path / "sophon" / "sail.py").unlink()
    assert "bmzoo.sail" in started_by_others(["-c", f"{ASKS}print(a.Engine)"], tmp_path).stdout


def test_the_hook_is_no_card(tmp_path: Path) -> None:
    ask = "from bmzoo.runtime.engines.card import has_card, real_sail; print(has_card(), real_sail())"
    assert started_by_others(["-c", ask], ROOT).stdout == "False None\n"


def test_an_attribute_that_sail_lacks_is_said_as_ever() -> None:
    done = started_by_others(["-c", "import sophon.sail, sophon.nothing"])
    assert "No module named 'sophon.nothing'" in done.stderr
    assert (
        "algo_yolox_post: not in bmzoo.sail"
        in started_by_others(["-c", "from sophon.sail import algo_yolox_post"]).stderr
    )


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["/nowhere.py"], 2), (["--odd"], 2)])
def test_without_a_script(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    from bmzoo.sail.__main__ import main

    assert main(arguments) == code
    said = capsys.readouterr()
    assert ("usage" in said.out) == (code == 0)
    assert bool(said.err) == (code != 0)
