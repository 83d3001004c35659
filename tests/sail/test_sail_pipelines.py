"""The classes that samples with several videos use: decoding, pre- and postprocessing, encoding."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from bmzoo import sail
from bmzoo.sail.preprocess import place_of

HANDLE = sail.Handle(0)
BMCV = sail.Bmcv(HANDLE)
U8, F32 = sail.DATA_TYPE_EXT_1N_BYTE, sail.DATA_TYPE_EXT_FLOAT32
PAIRS = ((1 / 255, 0.0), (1 / 255, 0.5), (1 / 255, 1.0))
MODES = sail.sail_resize_type


def picture(height: int = 20, width: int = 30, seed: int = 0) -> NDArray[Any]:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def image(bgr: NDArray[Any]) -> sail.BMImage:
    made: sail.BMImage = BMCV.mat_to_bm_image(bgr)
    return made


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    """y = x + x, z = -x: x [N,3,16,24]."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Neg", ["x"], ["z"]), helper.make_node("Add", ["x", "x"], ["y"])]
    x, z, y = (value(name, TensorProto.FLOAT, ["N", 3, 16, 24]) for name in "xzy")
    graph = helper.make_graph(nodes, "g", [x], [z, y])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), str(path))
    return path


def expected(bgr: NDArray[Any], mode: sail.sail_resize_type, align: int) -> tuple[NDArray[Any], list[int]]:
    """What goes into the network: RGB, scaled by PAIRS."""
    kind = cv2.INTER_LINEAR if "LINEAR" in mode.name else cv2.INTER_NEAREST
    place = [0, 0, 24, 16]
    if mode.name.startswith("BM_PADDING"):
        place = place_of(bgr.shape[1], bgr.shape[0], 24, 16, align)
    left, top, width, height = place
    canvas = np.full((16, 24, 3), (1, 2, 3), np.uint8)
    canvas[top : top + height, left : left + width] = cv2.resize(bgr, (width, height), interpolation=kind)
    planes = canvas[..., ::-1].transpose(2, 0, 1).astype(np.float32)
    scaled = [plane * np.float32(a) + np.float32(b) for plane, (a, b) in zip(planes, PAIRS, strict=True)]
    return np.stack(scaled), place


def ready(
    path: Path, mode: sail.sail_resize_type, align: int = 0, mats: bool = False
) -> sail.EngineImagePreProcess:
    made = sail.EngineImagePreProcess(str(path), 0, mats)
    assert made.SetPaddingAtrr() == made.SetConvertAtrr(PAIRS) == 1, "not before InitImagePreProcess"
    assert made.PushImage(0, 0, image(picture())) == 1
    assert made.InitImagePreProcess(mode, True, 4, 4) == 0
    assert made.SetPaddingAtrr(1, 2, 3, align) == made.SetConvertAtrr(PAIRS) == 0
    return made


@pytest.mark.parametrize("mode", [m for m in MODES if "BICUBIC" not in m.name], ids=lambda m: m.name)
@pytest.mark.parametrize("align", [0, 1])
def test_pictures_become_outputs(mode: sail.sail_resize_type, align: int, doubling: Path) -> None:
    pipeline = ready(doubling, mode, align)
    assert (pipeline.get_input_width(), pipeline.get_input_height()) == (24, 16)
    assert (pipeline.get_graph_name(), pipeline.get_output_names()) == ("net", ["z", "y"])
    assert pipeline.get_output_shape("y") == [1, 3, 16, 24]
    for seed, (height, width) in enumerate([(20, 30), (40, 24), (16, 24)]):
        bgr = picture(height, width, seed)
        given = image(bgr)
        assert pipeline.PushImage(7, seed, given) == 0
        assert (given.empty_check(), given.width()) == (0, width), "moved, as on a card"
        outputs, images, channels, indices, places = pipeline.GetBatchData(True)
        wanted, place = expected(bgr, mode, align)
        assert [tensor.get_name() for tensor in outputs] == ["y", "z"], "sorted by name"
        np.testing.assert_allclose(outputs[0].get_data().asnumpy()[0], wanted * 2, atol=1e-6)
        np.testing.assert_allclose(outputs[1].get_data().asnumpy()[0], -wanted, atol=1e-6)
        np.testing.assert_array_equal(images[0].asmat(), bgr)
        assert (channels, indices, places) == ([7], [seed], [place])


def test_batches_and_arrays(doubling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BMZOO_SAIL_BATCH", "4")
    pipeline = ready(doubling, MODES.BM_RESIZE_TPU_NEAREST)
    for i in range(8):
        assert pipeline.PushImage(i % 2, i, image(picture(seed=i))) == 0
    for first in (0, 4):
        outputs, _, channels, indices, _ = pipeline.GetBatchData_Npy()
        assert (channels, indices) == ([0, 1, 0, 1], list(range(first, first + 4)))
        for i in range(4):
            wanted, _ = expected(picture(seed=first + i), MODES.BM_RESIZE_TPU_NEAREST, 0)
            np.testing.assert_allclose(outputs["y"][i], wanted * 2, atol=1e-6)
    pipeline.exhausted()
    assert pipeline.get_exhausted_flag()
    monkeypatch.setenv("BMZOO_SAIL_BATCH", "3")
    with pytest.raises(sail.SailEngineError, match="a batch of 3; allowed: 1, 4, 8"):
        ready(doubling, MODES.BM_RESIZE_TPU_NEAREST)


def test_pictures_as_arrays(doubling: Path) -> None:
    pipeline = ready(doubling, MODES.BM_RESIZE_TPU_NEAREST, mats=True)
    pipeline.PushImage(0, 0, image(picture()))
    calls: tuple[Callable[[], Any], ...] = (pipeline.GetBatchData, pipeline.GetBatchData_Npy)
    for call in calls:
        with pytest.raises(sail.SailEngineError, match="use_mat_output"):
            call()
    _, images, *_ = pipeline.GetBatchData_Npy2()
    np.testing.assert_array_equal(images[0], picture())


def test_the_queues_are_finite_and_a_batch_is_waited_for(doubling: Path) -> None:
    pipeline = ready(doubling, MODES.BM_RESIZE_TPU_NEAREST)
    codes = [pipeline.PushImage(0, i, image(picture())) for i in range(30)]
    assert codes.count(0) == 20 and set(codes[20:]) == {2}
    for i in range(20):
        assert pipeline.GetBatchData_Npy()[3] == [i]
    later = threading.Timer(0.2, lambda: pipeline.PushImage(1, 99, image(picture())))
    later.start()
    assert pipeline.GetBatchData_Npy()[3] == [99]
    later.join()


def test_what_is_missing_is_said_when_pictures_come(doubling: Path) -> None:
    made = sail.EngineImagePreProcess(str(doubling), 0)
    with pytest.raises(RuntimeError, match="InitImagePreProcess"):
        made.GetBatchData()
    made.InitImagePreProcess(MODES.BM_PADDING_TPU_LINEAR)
    with pytest.raises(RuntimeError, match="SetConvertAtrr"):
        made.PushImage(0, 0, image(picture()))
    made.SetConvertAtrr(PAIRS)
    with pytest.raises(RuntimeError, match="BM_PADDING_TPU_LINEAR: call SetPaddingAtrr"):
        made.PushImage(0, 0, image(picture()))


def test_preprocessing_alone() -> None:
    made = sail.ImagePreProcess(1, MODES.BM_RESIZE_VPP_NEAREST, 0)
    made.SetResizeImageAtrr(24, 16, False, U8)
    assert made.SetConvertAtrr(((1, 0),) * 3) == 0
    assert made.SetConvertAtrr(((1, 0),) * 3) == 1, "only once"
    assert made.PushImage(1, 2, image(picture())) == 0
    assert not made.get_exhausted_flag()
    tensor, images, channels, indices, places = made.GetBatchData()
    assert (tensor.shape(), tensor.dtype(), channels, indices) == ([1, 3, 16, 24], sail.BM_UINT8, [1], [2])
    wanted = cv2.resize(picture(), (24, 16), interpolation=cv2.INTER_NEAREST).transpose(2, 0, 1)
    np.testing.assert_array_equal(tensor.asnumpy()[0], wanted)
    assert (len(images), places) == (1, [[0, 0, 24, 16]])


def clip(path: Path, frames: int = 4) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 50 * i, np.uint8))
    writer.release()
    return path


def test_several_videos(tmp_path: Path) -> None:
    decoder = sail.MultiDecoder(10, 0)
    decoder.set_local_flag(True)
    decoder.set_read_timeout(1)
    path = str(clip(tmp_path / "a.avi"))
    assert [decoder.add_channel(path), decoder.add_channel(path, 1)] == [0, 1]
    levels: dict[int, list[int]] = {0: [], 1: []}
    for _ in range(5):
        for channel, found in levels.items():
            frame = sail.BMImage()
            assert decoder.read(channel, frame) == 0
            found.append(round(frame.asmat().mean() / 50))
    assert levels == {0: [0, 1, 2, 3, 0], 1: [1, 3, 1, 3, 1]}, "every second frame; from the start again"
    assert decoder.get_frame_shape(0) == [1, 3, 48, 64]
    assert decoder.get_channel_fps(0) == 25
    assert decoder.get_channel_status(0) is sail.DecoderStatus.OPENED
    assert (decoder.clear_queue(0), decoder.reconnect(0), decoder.get_drop_num(0)) == (0, 0, 0)
    assert decoder.read(0).asmat().mean() < 5
    assert (decoder.del_channel(0), decoder.del_channel(0)) == (0, 1)
    assert decoder.read(0, sail.BMImage()) == -1
    assert decoder.read(0).empty_check() == 0
    assert decoder.get_channel_status(0) is sail.DecoderStatus.NONE
    with pytest.raises(RuntimeError, match="cannot be opened"):
        decoder.add_channel(str(tmp_path / "none.avi"))


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv", "a.ts"])
def test_encoding_a_video(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    parameters = "width=64:height=48:bitrate=2000:gop=32:gop_preset=2:framerate=25"
    encoder = sail.Encoder(str(path), HANDLE, "h264_bm", "NV12", parameters, 10)
    assert encoder.is_opened()
    for i in range(3):
        bgr = np.full((20, 30, 3), 80 * i, np.uint8)
        for frame in (image(bgr), BMCV.convert_format(image(bgr), sail.FORMAT_NV12).data()):
            assert encoder.video_write(frame) == 0
    assert encoder.video_write(sail.BMImage()) < 0
    encoder.release()
    encoder.release()
    assert not encoder.is_opened()
    assert encoder.video_write(image(bgr)) < 0
    reader, levels = cv2.VideoCapture(str(path)), []
    while True:
        found, frame = reader.read()
        if not found:
            break
        assert frame.shape == (48, 64, 3)
        levels.append(round(frame.mean() / 80))
    assert levels == [0, 0, 1, 1, 2, 2]


def test_encoding_a_picture() -> None:
    encoder = sail.Encoder()
    assert not encoder.is_opened()
    data = encoder.pic_encode(".png", image(picture()))
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR), picture())


@pytest.mark.parametrize(
    ("path", "enc_fmt", "pix_fmt", "parameters", "error", "message"),
    [
        ("rtsp://a/b", "h264_bm", "NV12", "width=64", sail.NotSupport, "streams"),
        ("a.264", "h264_bm", "NV12", "width=64", sail.NotSupport, "raw streams"),
        ("tcp://a/b", "h264_bm", "NV12", "width=64", RuntimeError, "tcp/udp"),
        ("a.mp4", "h264", "NV12", "width=64", RuntimeError, "h264; allowed: h264_bm"),
        ("a.mp4", "h264_bm", "BGR", "width=64", RuntimeError, "BGR; allowed: I420, NV12"),
        ("a.mp4", "h264_bm", "I420", "width:64", ValueError, "name=number"),
        ("a.mp4", "h264_bm", "I420", "width=0", RuntimeError, "width: 0"),
        ("none/a.mp4", "h264_bm", "I420", "width=64", RuntimeError, "none/a.mp4"),
    ],
)
def test_videos_that_cannot_be_encoded(
    path: str, enc_fmt: str, pix_fmt: str, parameters: str, error: type, message: str, tmp_path: Path
) -> None:
    where = path if "//" in path else str(tmp_path / path)
    with pytest.raises(error, match=message):
        sail.Encoder(where, 0, enc_fmt, pix_fmt, parameters)


def test_a_video_that_was_not_written_is_said(tmp_path: Path) -> None:
    encoder = sail.Encoder(str(tmp_path / "a.avi"), 0, "h264_bm", "NV12", "width=64:height=48")
    encoder.video_write(image(picture()))
    Path(tmp_path / "a.avi").unlink()
    with pytest.raises(sail.SailEncoderError, match=r"no frame of 1 was written: .*a\.avi: 0 bytes"):
        encoder.release()


ENCODE = """
import resource, sys
import cv2
import numpy as np
import bmzoo.sail as sail
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))  # as silent as a full disk
encoder = sail.Encoder(sys.argv[1], 0, "h264_bm", "NV12", "width=160:height=120")
for seed in range(9):
    noise = np.random.default_rng(seed).integers(0, 255, (120, 160, 3), np.uint8)
    assert encoder.video_write(sail.Bmcv(sail.Handle(0)).imdecode(cv2.imencode(".png", noise)[1].tobytes())) == 0
try:
    encoder.release()
except sail.SailEncoderError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.ts"])
def test_a_video_that_was_not_written_whole_is_said(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENCODE, str(tmp_path / name)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert re.match(r"Encoder: (\d|no) frames? of 9 was written: ", done.stdout)


def heads(seed: int = 0) -> dict[str, NDArray[Any]]:
    random = np.random.RandomState(seed)
    return {f"o{n}": (random.randn(1, 3, n, n, 7) * 2).astype(np.float32) for n in (8, 4, 2)}


def test_boxes_of_a_queue_are_those_of_the_call() -> None:
    arrays = heads()
    shapes = [list(array.shape) for array in arrays.values()]
    named = [sail.CreateTensorPTRWithName(name, HANDLE, array, True) for name, array in arrays.items()]
    direct = sail.algo_yolov5_post_cpu_opt(shapes, 64, 64)
    tensors = {tensor.get_name(): tensor.get_data() for tensor in named}
    wanted = direct.process(tensors, [64], [64], [0.5], [0.4], False, True)
    assert len(wanted[0]) > 2
    assert direct.process(named, [64], [64], [0.5], [0.4], False, True) == wanted
    queued = sail.algo_yolov5_post_cpu_opt_async(shapes, 64, 64, 2)
    for index in (5, 6):
        code = queued.push_data([3], [index], named, [0.5], [0.4], [64], [64], [[0, 0, 64, 64]])
        assert code == 0
    assert queued.push_data([3], [7], named, [0.5], [0.4], [64], [64], [[0, 0, 64, 64]]) != 0, "full"
    assert queued.get_result_npy() == (wanted[0], 3, 5)
    assert queued.get_result_npy()[1:] == (3, 6)
    queued.push_data([1], [2], named, np.ones(1) * 0.5, [0.4], [128], [32], [[0, 24, 64, 16]])  # type: ignore[arg-type]
    boxes, *_ = queued.get_result_npy()
    assert {side for box in boxes for side in box[:4]} - {0}, "inside of the picture"
    assert all(box[2] <= 127 and box[3] <= 31 for box in boxes)
    assert queued.reset_anchors([[[1, 2]] * 3] * 3) == 0
    with pytest.raises(sail.SailTensorError, match="3 levels of 3 pairs"):
        queued.reset_anchors([[[1, 2]]])


def test_named_tensors() -> None:
    named = sail.CreateTensorPTRWithName("a", HANDLE, [1, 2])
    assert (named.get_name(), named.get_data().asnumpy().tolist()) == ("a", [1, 2])
    sail.ReleaseTensorPtr(named)
    with pytest.raises(sail.SailTensorError, match="released: a"):
        named.get_data()


def test_base64() -> None:
    assert sail.base64_encode(HANDLE, b"abc") == b"YWJj"
    assert sail.base64_decode(HANDLE, b"YWJj") == b"abc"
    array = np.array([[1.5, 2]], np.float32)
    text = sail.base64_encode_array(HANDLE, array)
    assert sail.base64_decode_asarray(HANDLE, text, array_type="float").tolist() == [1.5, 2]
    with pytest.raises(sail.SailBMImageError, match="double; allowed: float"):
        sail.base64_decode_asarray(HANDLE, text, "double")


def test_images_are_copied_onto_others() -> None:
    small, big = image(picture(4, 5)), image(picture(20, 30, 1))
    assert BMCV.image_copy_to(small, big, 3, start_y=2) == 0
    wanted = picture(20, 30, 1)
    wanted[2:6, 3:8] = picture(4, 5)
    np.testing.assert_array_equal(big.asmat(), wanted)
    assert BMCV.image_copy_to_padding(small, big, 10, 20, 30, 3, 2) == 0
    wanted[:] = (30, 20, 10)
    wanted[2:6, 3:8] = picture(4, 5)
    np.testing.assert_array_equal(big.asmat(), wanted)
    assert BMCV.image_copy_to(small, big, 26, 0) != 0
    assert BMCV.image_copy_to(small, BMCV.convert_format(big)) != 0
    yuv = BMCV.convert_format(big, sail.FORMAT_YUV420P)
    gray = sail.BMImage(HANDLE, 20, 30, sail.FORMAT_GRAY, U8)
    assert BMCV.convert_yuv420p_to_gray(yuv, gray) == 0
    np.testing.assert_array_equal(gray.asnumpy().reshape(-1), yuv.asnumpy()[:600])
    assert BMCV.convert_yuv420p_to_gray(big, gray) != 0
