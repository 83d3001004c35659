"""The published samples' RetinaFace scripts find the faces that bmzoo's own runtime finds."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sail_samples import SCRIPTS, SIDE, album, run, video

from bmzoo.onnx_import import retinaface
from bmzoo.runtime.__main__ import main as detect_main
from bmzoo.runtime.decoders.decode import DecoderSpec, decode_boxes
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.preprocess import InputSpec, prepare_batch, read_image
from bmzoo.runtime.resizing import Geometry

SCORE, IOU = 0.3, 0.4
MEAN = (104.0, 117.0, 123.0)
Faces = dict[str, list[list[float]]]  # rows of x, y, width, height, score by the name of the picture


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
    return album(tmp_path_factory.mktemp("album"))


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
    found_all = decode_boxes(heads, DecoderSpec("retinaface"), (SIDE, SIDE), SCORE, IOU, geometries)
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
