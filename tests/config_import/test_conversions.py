"""Calls joined to conversions, flags read as argparse reads them, and paths as configs write them."""

from pathlib import Path

import pytest

from bmzoo.config_import import flags
from bmzoo.config_import.conversions import conversions, without_batch
from bmzoo.config_import.deployed import put_targets
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.from_script import script_conversions
from bmzoo.config_import.places import Places
from bmzoo.config_import.shell_run import ToolCall
from bmzoo.errors import SourceError


@pytest.mark.parametrize(
    ("words", "alone", "expected"),
    [
        (["x.mlir", "--dataset", "d", "-o", "t"], ["x.mlir"], {"dataset": "d", "o": "t"}),
        (["--mean=1,2,3", "--keep_aspect_ratio"], [], {"mean": "1,2,3", "keep_aspect_ratio": ""}),
        (["--mean", "-1.5,2,3"], [], {"mean": "-1.5,2,3"}),
        (
            ["--input_shape", "[[1,3,4,4]]", "--processor", "bm1688"],
            [],
            {"input_shapes": "[[1,3,4,4]]", "chip": "bm1688"},
        ),
        (["--input_shapes", "[[1,3,4,4],", "[1,2]]"], [], {"input_shapes": "[[1,3,4,4], [1,2]]"}),
    ],
)
def test_flags(words: list[str], alone: list[str], expected: dict[str, str]) -> None:
    assert flags.parsed(words) == (alone, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[1,3,640,640]]", [[1, 3, 640, 640]]),
        ("[1,3,640,640]", [[1, 3, 640, 640]]),
        ("[[1,2],[3],[]]", [[1, 2], [3], []]),
        ("1,3", [[1, 3]]),
        ("", []),
    ],
)
def test_shapes(text: str, expected: list[list[int]]) -> None:
    assert flags.shapes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("yolo_4b", "yolo"), ("yolo-1b", "yolo"), ("lprnet_1b.onnx", "lprnet.onnx"), ("net_bs8", "net")),
        *(("1b_net", "net"), ("b4", "b4"), ("4b", "4b"), ("vit_b16", "vit"), ("resnet50", "resnet50")),
        *(("a_4b_c", "a_c"), ("yolov8s-seg-1b", "yolov8s-seg"), ("rgb4", "rgb4")),
    ],
)
def test_a_name_goes_without_its_batch(text: str, expected: str) -> None:
    assert without_batch(text) == expected


def call(tool: str, *words: str) -> ToolCall:
    return ToolCall(tool, words, 1)


def test_calls_are_joined_by_the_files_between_them() -> None:
    found, lost = conversions(
        [
            call(
                "model_transform", "--model_def", "a_1b.onnx", "--input_shapes", "[[1,3,8,8]]", "--mlir", "x/a.mlir"
            ),
            call("model_deploy", "--mlir", "a.mlir", "--chip", "bm1684x"),
            call(
                "model_transform", "--model_def", "a_4b.onnx", "--input_shapes", "[[4,3,8,8]]", "--mlir", "a.mlir"
            ),
            call("model_deploy", "--mlir", "a.mlir", "--chip", "bm1684x"),
            call("model_transform", "--model_def", "b.onnx", "--mlir", "b.mlir"),
            call("run_calibration", "b.mlir", "--dataset", "d"),
            call("run_calibration", "b.mlir", "--search", "search_qtable"),
            call("model_deploy", "--mlir", "c.mlir"),
        ]
    )
    assert [conversion.name for conversion in found] == ["a", "b"]
    assert [found[0].batch(transform) for _, transform in found[0].deploys] == [1, 4]
    assert found[0].largest_batch == 4
    assert len(found[1].calibrations) == len(found[1].searches) == 1
    assert lost == ["line 1: model_deploy of c.mlir, which no model_transform writes"]


def test_a_script_is_followed_for_each_chip_that_it_names() -> None:
    text = """\
target=${1:-bm1684x}
model_transform.py --model_def a.onnx --mlir a.mlir
if [ $target = bm1688 ]; then model_deploy.py --mlir a.mlir --chip bm1688 --num_core 2
elif [ $target == cv186x ]; then model_deploy.py --mlir a.mlir --chip cv186x
else model_deploy.py --mlir a.mlir --chip $target; fi
"""
    (found,), _ = script_conversions(text, "a.sh", ())
    assert [deploy.value("chip") for deploy, _ in found.deploys] == ["bm1684x", "bm1688", "cv186x"]
    (one,), _ = script_conversions(text, "a.sh", ("cv186x",))
    assert [deploy.value("chip") for deploy, _ in one.deploys] == ["cv186x"]


def test_targets_for_new_chips_are_those_of_the_script() -> None:
    deploys = "".join(
        f"model_deploy.py --mlir m.mlir --quantize {quantize} --chip {chip} --model m.{suffix}\n"
        for quantize, chip, suffix in (
            *(("BF16", "cv181x", "cvimodel"), ("F16", "cv181x", "cvimodel")),
            *(("F16", "sg2262", "bmodel"), ("F32", "bm1690", "bmodel")),
        )
    )
    text = f"model_transform.py --model_def m.onnx --input_shapes [[1,3,8,8]] --mlir m.mlir\n{deploys}"
    (found,), _ = script_conversions(text, "a.sh", ())
    draft = Draft("m", "a.sh")
    put_targets(draft, found)
    assert draft.config["targets"] == [
        {"chip": "cv181x", "precision": "bf16", "batch": [1]},
        {"chip": "sg2262", "precision": "fp16", "batch": [1], "unverified": True},
        {"chip": "bm1690", "precision": "fp32", "batch": [1]},
    ]
    assert any("cv181x has no fp16 units" in str(remark) for remark in draft.remarks)


def test_a_script_without_a_conversion_says_what_it_would_have_to_run() -> None:
    with pytest.raises(SourceError) as caught:
        script_conversions("bash $(pwd)/other.sh", "a.sh", ())
    assert "no conversion" in caught.value.message and "line 1: bash $(pwd)/other.sh: not run" in caught.value.hint


def test_paths_are_as_short_as_is_sure_to_work(tmp_path: Path) -> None:
    root, data, more = tmp_path / "checkout", tmp_path / "data", tmp_path / "more"
    for folder in (root / "configs", root / "models", data / "models", more / "models"):
        folder.mkdir(parents=True)
    inside, first, hidden, away = root / "models/a", data / "models/b", more / "models/b", tmp_path / "c"
    for path in (inside, first, hidden, away, more / "models" / "d"):
        path.write_text(str(path))
    places = Places(root / "configs", (data, more), root, frozenset())
    assert places.named(inside) == "../models/a"
    assert places.named(first) == "models/b" and places.named(more / "models/d") == "models/d"
    assert places.named(hidden) == str(hidden) and places.named(away) == str(away)
    for path in (inside, first, hidden, away):
        assert places.first(places.named(path)) == path
