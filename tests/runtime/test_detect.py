"""Detection from files to files, with a network that finds white squares."""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from square_finder import Copying, Spoiled, frames, square_finder, squares, write
from videos import video

from bmzoo.errors import ConfigError, SessionError, StoreError
from bmzoo.runtime.__main__ import main
from bmzoo.runtime.album import Album
from bmzoo.runtime.decoders.decode import DecoderSpec, load
from bmzoo.runtime.detect import Result, detect, detect_frames
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.pictures import Frame, Source, find
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.report import Report, TerminalReport
from bmzoo.runtime.settings import Settings, fitted, read_config, settings_from
from bmzoo.runtime.timing import StageTimes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "squares.onnx"
    onnx.save(square_finder(), str(path))
    return path


@pytest.fixture(scope="module")
def session(model: Path) -> OnnxSession:
    return OnnxSession(model, threads=1)


def faces_of(result: Result) -> Detections:
    assert isinstance(result.found, Detections)
    return result.found


def test_boxes_are_in_the_pictures_own_pixels(session: OnnxSession) -> None:
    small, large = squares((2, 3)), cv2.resize(squares((2, 3)), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    one, two = detect_frames(session, frames(small, large), Settings())
    np.testing.assert_allclose(faces_of(one).boxes, [[12, 20, 28, 36]], atol=1e-4)
    np.testing.assert_allclose(faces_of(two).boxes, [[24, 40, 56, 72]], atol=1e-4)
    assert faces_of(one).scores[0] > 0.99 and faces_of(one).landmarks.shape == (1, 5, 2)


@pytest.mark.parametrize("batch", [0, 1, 2, 3, 7])
def test_batches_are_filled_and_the_order_is_kept(session: OnnxSession, batch: int) -> None:
    spy, report = Spoiled(session), Report()
    images = [squares(*((k + 1, 2) for k in range(0, 2 * n, 3))) for n in range(5)]
    found = list(detect_frames(spy, frames(*images), Settings(batch=batch), report))
    assert [result.frame.name for result in found] == [f"{n}.png" for n in range(5)]
    assert [len(faces_of(result)) for result in found] == [0, 1, 2, 2, 3]
    slots = batch or 1
    assert spy.batches == [slots] * -(-5 // slots)
    assert [(s.name, s.images) for s in report.times.stages()] == [
        ("preprocess", 5),
        ("inference", 5),
        ("postprocess", 5),
    ]


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_one_tensor_serves_all_batches_and_keeps_nothing_of_the_last(session: OnnxSession, batch: int) -> None:
    images = frames(*(squares((n + 1, 2), (n, 5)) for n in range(1, 6)))
    images.insert(
        3, Frame(Source(Path("bad.png"), "bad.png"), np.zeros((4, 4), np.uint8))
    )  # refused, leaves no gap
    spy = Copying(session)
    found = list(detect_frames(spy, images, Settings(batch=batch)))  # kept until all batches are through
    assert len(spy.places) == 1 and len(spy.fed) == -(-5 // batch)
    assert batch == 1 or not spy.fed[-1][5 % batch :].any()
    together = np.concatenate(spy.fed)[:5]
    for i, result in enumerate(found):
        alone = Copying(session)
        (single,) = detect_frames(alone, [result.frame], Settings())
        np.testing.assert_array_equal(together[i], alone.fed[0][0])
        np.testing.assert_array_equal(faces_of(result).boxes, faces_of(single).boxes)
        np.testing.assert_array_equal(faces_of(result).landmarks, faces_of(single).landmarks)
        assert len(faces_of(result)) == 2


def test_onnxruntime_is_done_with_a_tensor_once_it_has_answered() -> None:
    shape = [1, 3, 64, 64]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "same", "twice")]
    nodes = [helper.make_node("Identity", ["x"], ["same"]), helper.make_node("Add", ["x", "x"], ["twice"])]
    graph = helper.make_graph(nodes, "through", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    through, tensor = OnnxSession(model.SerializeToString(), threads=1), np.ones(shape, np.float32)
    first = through.run({"x": tensor})
    tensor[:] = 7
    second = through.run({"x": tensor})
    tensor[:] = 0
    assert [(first[name].min(), second[name].max()) for name in ("same", "twice")] == [(1, 7), (2, 14)]


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_only_the_picture_whose_outputs_are_no_numbers_is_skipped(session: OnnxSession, batch: int) -> None:
    report = Report()
    images = frames(squares((3, 3)), squares((0, 0)), squares((5, 5)))
    found = list(detect_frames(Spoiled(session), images, Settings(batch=batch), report))
    assert [result.frame.name for result in found] == ["0.png", "2.png"]
    assert [len(faces_of(result)) for result in found] == [1, 1]
    ((name, reason),) = report.skipped
    assert name == "1.png" and "`loc`" in reason and "not finite" in reason


def test_a_picture_that_does_not_fit_leaves_its_slot_to_the_next(session: OnnxSession) -> None:
    report = Report()
    spec = settings_from({"input": {"resize": "original"}}, "here").input
    images = frames(squares((1, 1)), squares(side=96), squares((2, 2)))
    found = list(detect_frames(session, images, Settings(spec, batch=2), report))
    assert [result.frame.name for result in found] == ["0.png", "2.png"]
    assert [name for name, _ in report.skipped] == ["1.png"]


def test_a_network_as_large_as_each_picture() -> None:
    spy = Spoiled(OnnxSession(square_finder(size=("H", "W")).SerializeToString(), threads=1))
    images = [squares((3, 3)), squares((4, 4))[:50, :60], squares((9, 9), side=100), squares((1, 1))]
    found = list(detect_frames(spy, frames(*images), Settings(multiple=32, batch=2)))
    assert [len(faces_of(result)) for result in found] == [1, 1, 1, 1]
    np.testing.assert_allclose(faces_of(found[2]).boxes, [[68, 68, 84, 84]], atol=1e-4)
    assert spy.batches == [2, 2, 2], "pictures of one network size share a batch"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"confidence": 1.5}, "confidence: must be between 0 and 1: 1.5"),
        ({"nms": float("nan")}, "nms: must be between 0 and 1: nan"),
        ({"batch": -1}, "batch: must not be negative"),
    ],
)
def test_settings_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(**wrong)


def test_models_that_do_not_fit(session: OnnxSession) -> None:
    four = OnnxSession(square_finder(4).SerializeToString(), threads=1)
    assert fitted(Settings(), four)[1].batch == 4
    assert fitted(Settings(batch=8), four)[1].batch == 8
    with pytest.raises(ConfigError, match="takes 4 at a time: 6"):
        fitted(Settings(batch=6), four)
    with pytest.raises(ConfigError, match="takes any size"):
        fitted(Settings(multiple=32), session)
    gray = settings_from({"input": {"pixel_format": "gray", "mean": [0], "scale": [1]}}, "here")
    with pytest.raises(SessionError, match=r"input must be \[batch, 1, height, width\]: `input`"):
        fitted(gray, session)
    with pytest.raises(SessionError, match=r"scrfd: no output is .*: loc \[1, 168, 4\], conf .*, landms "):
        list(detect_frames(session, frames(squares()), Settings(decoder=DecoderSpec("scrfd"))))


def test_settings_from_the_file_beside_an_artifact(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    section = {"name": "x", "mean": [1, 2, 3], "height": 320, "width": 320, "resize": "stretch"}
    decoder = {"kind": "scrfd", "strides": [8, 16], "min_sizes": [[16], [32]], "nms": 0.3}
    path.write_text(json.dumps({"schema": 1, "facts": {}, "input": section, "decoder": decoder}))
    settings = settings_from(read_config(path), str(path))
    assert settings.input.mean == (1.0, 2.0, 3.0) and settings.input.scale == load("scrfd").input.scale
    assert settings.decoder == DecoderSpec("scrfd", (8, 16), ((16,), (32,)))
    assert (settings.nms, settings.confidence) == (0.3, 0.5)
    assert settings_from({}, "", "ultraface").input == load("ultraface").input


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "must be an object: list"),
        ('{"input": 3}', "input: must be an object"),
        ('{"input": {"meen": [1]}}', "input: unknown key: `meen`"),
        ('{"input": {"mean": "1"}}', "input: mean: must be a list: '1'"),
        ('{"input": {"mean": [1, "2", 3]}}', "input: mean: must be a number: '2'"),
        ('{"input": {"height": true}}', "input: height: must be a whole number: True"),
        ('{"input": {"resize": "strech"}}', "input: .*resize: unknown: strech"),
        ('{"decoder": {"nms": "0.3"}}', "decoder: nms: must be a number: '0.3'"),
        ('{"decoder": {"strides": [8]}}', "decoder: .*differ in length"),
    ],
)
def test_bad_config_files_are_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: {message}"):
        settings_from(read_config(path), str(path))


def test_an_album_writes_over_no_input_and_no_other_output(tmp_path: Path) -> None:
    names = ("a.jpg", "a.png", "a.tif", "sub/a.jpg", "out/a_out.jpg")
    paths = [write(tmp_path / name, squares()) for name in names]
    before = paths[4].read_bytes()
    sources = [Source(path, path.name, "sub" if "sub" in path.parts else "") for path in paths]
    album = Album(tmp_path / "out", sources)
    made = [album.add(Frame(source, squares()), squares((1, 1))) for source in sources]
    assert [path.relative_to(tmp_path / "out").as_posix() for path in made] == [
        "a_out_2.jpg",
        "a_out.png",
        "a_out_2.png",
        "sub/a_out.jpg",
        "a_out_out.jpg",
    ]
    assert paths[4].read_bytes() == before
    assert sorted((tmp_path / "out").rglob("*.part")) == []


def test_an_album_falls_back_to_png(tmp_path: Path) -> None:
    source = Source(tmp_path / "wide.webp", "wide.webp")
    made = Album(tmp_path, [source]).add(Frame(source, squares()), np.zeros((2, 17000, 3), np.uint8))
    assert made.name == "wide_out.png" and cv2.imread(str(made)).shape == (2, 17000, 3)


def test_the_command_on_a_folder_of_everything(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, out = tmp_path / "in", tmp_path / "out"
    write(pictures / "a.png", squares((2, 3)))
    write(pictures / "b.jpg", squares())
    write(pictures / "c.png", squares()[:1])
    write(pictures / "sub" / "a.png", squares((1, 1), (5, 5)))
    (pictures / "d.jpg").write_text("no picture")
    (pictures / "notes.txt").touch()
    video(pictures / "v.avi", frames=3)
    out.mkdir()
    (out / "results.txt").write_text("from an earlier run\n")
    command = ["detect", str(model), str(pictures), "--out", str(out), "--batch", "4"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "left out" in said.err and "d.jpg" in said.err
    assert "7 images, 3 faces" in said.out and "left out: 1," in said.out
    for stage in ("read", "preprocess", "inference", "postprocess", "draw"):
        assert re.search(rf"^{stage} +\d", said.out, re.M)
    listed = (out / "results.txt").read_text().splitlines()
    assert listed[:2] == ["a.png", "1"] and listed[3:9] == ["b.jpg", "0", "c.png", "0", "sub/a.png", "2"]
    values = json.loads((out / "results.json").read_text())
    names = [entry["name"] for entry in values["pictures"]]
    assert names == ["a.png", "b.jpg", "c.png", "sub/a.png", "v.avi#0", "v.avi#1", "v.avi#2"]
    assert values["complete"] is True and values["confidence"] == 0.5
    assert [entry["name"] for entry in values["skipped"]] == ["d.jpg"]
    first = values["pictures"][0]
    np.testing.assert_allclose(first["boxes"], [[12, 20, 28, 36]], atol=1e-4)
    assert (first["width"], first["height"], len(first["landmarks"][0])) == (64, 64, 5)
    drawn = sorted(path.relative_to(out).as_posix() for path in out.rglob("*_out.*"))
    assert [name for name in drawn if not name.startswith("v_out")] == [
        *("a_out.png", "b_out.jpg", "c_out.png", "sub/a_out.png")
    ]
    assert (pictures / "a.png").read_bytes() == cv2.imencode(".png", squares((2, 3)))[1].tobytes()
    clip = cv2.VideoCapture(str(next(out.glob("v_out.*"))))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and clip.get(cv2.CAP_PROP_FPS) == 10
    assert main([*command, "--strict", "--no-draw"]) == 1


def test_the_result_file_is_written_anew_in_the_samples_format(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.png", squares((2, 3)))
    results = tmp_path / "lists" / "r.txt"
    for _ in range(2):
        more = ["--results", str(results), "--json", str(tmp_path / "r.json"), "--no-draw"]
        assert main(["detect", str(model), str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), *more]) == 0
    name, number, face, end = results.read_text().split("\n")
    assert (name, number, end) == ("a.png", "1", "")
    assert re.fullmatch(r"1[12] (19|20) 1[67] 1[67] 0\.99\d+ ", face)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}", "{in}/none.png"], "no such file or folder"),
        (["{in}/none.onnx", "{in}"], "none.onnx"),
        (["{in}/a.png", "{in}"], "no engine runs files of this kind: .png"),
        (["{in}/broken.onnx", "{in}"], "onnxruntime refuses the model"),
        (["{model}", "{in}", "--confidence", "1.01"], "confidence: must be between 0 and 1: 1.01"),
        (["{model}", "{in}", "--nms", "-0.1"], "nms: must be between 0 and 1: -0.1"),
        (["{model}", "{in}", "--out", "{in}/a.png/out"], "cannot be written to: Not a directory"),
        (["{model}", "{in}", "--out", "{in}"], "--out: is one of the inputs too"),
        (["{model}", "{in}", "--results", "{in}"], "cannot be written: Is a directory"),
        (["{model}", "{in}", "--size", "32x32"], "--size: the model has a size of its own"),
        (["{model}", "{in}", "--size", "original"], "takes any size"),
        (["{model}", "{in}", "--decoder", "scrfd"], "scrfd: no output is .*: loc "),
        (["{model}", "{in}", "--mean", "1,2"], "mean: `bgr` takes 3"),
        (["{model}", "{in}", "--config", "{in}/none.json"], "cannot be read"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    folder = tmp_path / "in"
    write(folder / "a.png", squares())
    (folder / "broken.onnx").write_text("no model")
    filled = [argument.replace("{in}", str(folder)).replace("{model}", str(model)) for argument in arguments]
    out = [] if "--out" in filled else ["--out", str(tmp_path / "out")]
    assert main(["detect", *filled, *out]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and re.search(message, error.splitlines()[0])
    assert "Traceback" not in error


@pytest.mark.parametrize("wrong", [["--size", "big"], ["--size", "0x5"], ["--every", "0"], ["--decoder", "x"]])
def test_a_wrong_command_line_is_exit_code_2(model: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["detect", str(model), "a.jpg", *wrong])
    assert caught.value.code == 2


def test_nothing_processed_is_a_failure(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").touch()
    assert main(["detect", str(model), str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert json.loads((tmp_path / "out" / "results.json").read_text())["pictures"] == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SessionError])
def test_what_was_finished_stays_when_a_run_stops(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    for name in ("a.png", "b.png"):
        write(tmp_path / "in" / name, squares((2, 3)))
    run, calls = OnnxSession.run, []

    def second_fails(self: OnnxSession, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        calls.append(feeds)
        if len(calls) == 2:
            raise stop("the engine failed")
        return run(self, feeds)

    monkeypatch.setattr(OnnxSession, "run", second_fails)
    code = main(["detect", str(model), str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert code == (130 if stop is KeyboardInterrupt else 1)
    values = json.loads((tmp_path / "out" / "results.json").read_text())
    assert values["complete"] is False and [entry["name"] for entry in values["pictures"]] == ["a.png"]
    assert (tmp_path / "out" / "results.txt").read_text().startswith("a.png\n1\n")
    assert (tmp_path / "out" / "a_out.png").is_file()


def test_a_disk_that_fills_up_is_explained(session: OnnxSession, tmp_path: Path) -> None:
    source = Source(write(tmp_path / "a.png", squares()), "a.png")
    album = Album(tmp_path / "out", [source])
    (tmp_path / "out" / "a_out.png").mkdir()
    (result,) = detect(session, [source], Settings())
    with pytest.raises(StoreError, match=r"a_out\.png: cannot be written"):
        album.add(result.frame, result.frame.image)


class Stream(io.StringIO):
    """A terminal, or a file."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(("tty", "shown"), [(True, 9), (False, 1)])
def test_progress_is_a_live_line_or_one_every_few_seconds(tty: bool, shown: int) -> None:
    stream, now = Stream(tty), [0.0]
    report = TerminalReport(stream, clock=lambda: now[0])
    for k in range(1, 10):
        now[0] += 0.6
        report.advance(k, 9, f"{k}.jpg")
    report.warn("odd")
    report.close()
    assert len(re.findall(r"of 9, 1\.7 images/s", stream.getvalue())) == shown
    assert "warning: odd\n" in stream.getvalue()
    assert ("\x1b" in stream.getvalue()) == tty


def test_the_real_model_finds_the_faces_of_a_group_photo(data: Path, tmp_path: Path) -> None:
    model = Path(__file__).parents[2] / "models" / "onnx" / "retinaface_mobilenet0.25.official.onnx"
    if not model.is_file():
        pytest.skip("the model has not been made: ./doit model")
    truth = json.loads((data / "group_photos" / "gt.json").read_text())["2007_007763.jpg"]["boxes"]
    for flavour in ("opencv", "bmcv"):
        settings = settings_from({"input": {"flavour": flavour}}, "here")
        report = Report(StageTimes())
        sources = find([data / "group_photos" / "2007_007763.jpg"])
        (result,) = detect(OnnxSession(model, threads=1), sources, settings, report)
        centres = (faces_of(result).boxes[:, :2] + faces_of(result).boxes[:, 2:]) / 2
        for x, y, w, h in truth:
            assert any(x < cx < x + w and y < cy < y + h for cx, cy in centres)
        assert len(faces_of(result)) == len(truth)


def taking(kind: int, layout: str) -> bytes:
    """The square finder, with an input of another type and layout in front."""
    model = square_finder()
    port = model.graph.input[0]
    batch, *sides = (dim.dim_value or "batch" for dim in port.type.tensor_type.shape.dim)
    before = [batch, *sides] if layout == "nchw" else [batch, *sides[1:], sides[0]]
    order = [0, 1, 2, 3] if layout == "nchw" else [0, 3, 1, 2]
    nodes = [
        helper.make_node("Cast", ["raw"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], [port.name], perm=order),
        *model.graph.node,
    ]
    port.CopyFrom(helper.make_tensor_value_info("raw", kind, before))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.FLOAT])
def test_networks_are_fed_in_their_own_type_and_layout(kind: int, layout: str) -> None:
    settings = settings_from({"input": {"mean": [0, 0, 0]}}, "here")
    session = OnnxSession(taking(kind, layout), threads=1)
    (found,) = detect_frames(session, frames(squares((3, 3))), settings)
    (wanted,) = detect_frames(OnnxSession(square_finder().SerializeToString()), frames(squares((3, 3))), settings)
    np.testing.assert_array_equal(faces_of(found).boxes, faces_of(wanted).boxes)
    assert len(faces_of(found)) == 1


def test_a_mean_that_a_network_of_bytes_cannot_take_is_refused() -> None:
    with pytest.raises(ConfigError, match="takes uint8, 0 to 255"):
        fitted(Settings(), OnnxSession(taking(TensorProto.UINT8, "nchw"), threads=1))
    with pytest.raises(SessionError, match="input must be one of .*: `raw` int64"):
        fitted(Settings(), OnnxSession(taking(TensorProto.INT64, "nchw"), threads=1))
