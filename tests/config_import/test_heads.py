"""The table of heads: shapes of outputs as the projects export them, and which decoder goes with each."""

from pathlib import Path

import pytest

from bmzoo.config_import import heads
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.facts import OnnxFacts, picture_port
from bmzoo.config_import.from_onnx import put_head
from bmzoo.config_import.heads import head_of
from bmzoo.config_import.usual import USUAL_INPUTS
from bmzoo.onnx_import.onnx_file import ValueInfo

Shape = tuple[int | str, ...]


def facts(size: Shape, *outputs: Shape, last: str = "Conv", metadata: dict[str, str] | None = None) -> OnnxFacts:
    ports = tuple(ValueInfo(f"out{at}", "float32", shape) for at, shape in enumerate(outputs))
    behind = {port.name: last for port in ports}
    return OnnxFacts((ValueInfo("x", "float32", size),), ports, 11, {}, (), behind, metadata or {})


def levels(height: int, width: int, anchors: int, *sides: int) -> list[Shape]:
    """One output for each of these last dimensions and each stride."""
    cells = [height // stride * (width // stride) * anchors for stride in (8, 16, 32)]
    return [(1, count, side) for side in sides for count in cells]


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("yolox", facts((1, 3, 416, 416), (1, 3549, 85))),
        ("yolox", facts((1, 3, 416, 416), (1, 3549, 6))),
        ("yolov5", facts((1, 3, 640, 640), (1, 25200, 85))),
        ("yolov5", facts((1, 3, 640, 640), (1, 3, 80, 80, 85), (1, 3, 40, 40, 85), (1, 3, 20, 20, 85))),
        ("yolov8", facts((1, 3, 640, 640), (1, 84, 8400))),
        ("yolov8", facts((1, 3, 320, 480), (1, 5, 3150))),
        ("yolov8", facts(("b", 3, "h", "w"), ("b", 84, "n"))),
        ("yolov8_pose", facts((1, 3, 640, 640), (1, 56, 8400))),
        ("yolov10", facts((1, 3, 640, 640), (1, 300, 6))),
        ("ultraface", facts((1, 3, 240, 320), (1, 4420, 2), (1, 4420, 4))),
        ("yunet", facts((1, 3, 320, 320), *levels(320, 320, 1, 1, 1, 4, 10))),
        ("yunet", facts(("b", 3, "h", "w"), *[("b", "n", side) for side in (1, 1, 4, 10) for _ in range(3)])),
        ("scrfd", facts((1, 3, 640, 640), *levels(640, 640, 2, 1, 4, 10))),
        ("scrfd", facts((1, 3, 640, 640), *levels(640, 640, 2, 1, 4))),
        ("retinaface", facts((1, 3, 640, 640), (1, 16800, 4), (1, 16800, 2), (1, 16800, 10))),
        ("retinaface_maps", facts((1, 3, 64, 64), *[(1, c, s, s) for s in (2, 4, 8) for c in (4, 8, 20)])),
        ("classification", facts((1, 3, 224, 224), (1, 1000))),
        ("classification", facts(("b", 3, 224, 224), ("b", 7), last="Softmax")),
        ("classification", facts((1, 3, 224, 224), (1, 1000, 1, 1))),
        ("segmentation", facts((1, 3, 512, 512), (1, 21, 512, 512))),
        ("segmentation", facts((1, 257, 257, 3), (1, 257, 257, 21))),
        ("db_text", facts(("b", 3, "h", "w"), ("b", 1, "h2", "w2"), last="Sigmoid")),
        ("ctc_text", facts(("b", 3, "?", "w"), ("b", "t", 6625), metadata={"character": "a"})),
        ("ctc_text", facts((1, 1, 32, 100), (1, 26, 37), last="Softmax")),
        ("landmarks", facts((1, 3, 112, 112), (1, 196))),
        ("none", facts((1, 1, 224, 224), (1, 1, 672, 672))),
        ("none", facts((1, 3, 64, 64), (1, 3, 256, 256))),
        ("none", facts((1, 3, 64, 64), (1, 64, 512, 7))),
        ("none", facts((1, 3, 640, 640), (1, 256, 20, 20))),
        ("none", facts(("b", 3, "h", "w"), ("b", 9, 7, 5))),
        ("none", facts((1, 256), (1, 2))),
        ("none", facts((1, 3, 640, 640), ())),
    ],
)
def test_shapes_say_the_decoder(kind: str, given: OnnxFacts) -> None:
    assert head_of(given).kind == kind


def test_what_is_not_sure_says_what_else() -> None:
    assert "YOLOX" in head_of(facts(("b", 3, "h", "w"), ("b", "n", 85))).doubt
    assert head_of(facts((1, 3, 640, 640), (1, 100, 4), (1, 100, 2), (1, 100, 10))).doubt
    assert head_of(facts((1, 3, 112, 112), (1, 128))).doubt
    assert not head_of(facts((1, 3, 640, 640), (1, 84, 8400))).doubt


def test_classes_are_counted() -> None:
    assert head_of(facts((1, 3, 640, 640), (1, 84, 8400))).classes == 80
    assert head_of(facts((1, 3, 416, 416), (1, 3549, 7))).classes == 2


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 3, 48, 320), ("nchw", 1, 3, 48, 320)),
        (("b", 3, "?", "w"), ("nchw", None, 3, None, None)),
        ((2, 257, 256, 3), ("nhwc", 2, 3, 257, 256)),
        (("n", "h", "w", 1), ("nhwc", None, 1, None, None)),
        ((1, 4, 64, 64), ("nchw", 1, 4, 64, 64)),
        ((1, 64, 64, 64), None),
        ((1, 3, 224), None),
        ((), None),
    ],
)
def test_pictures_are_told_by_their_channels(shape: Shape, expected: tuple[object, ...] | None) -> None:
    port = picture_port(ValueInfo("x", "float32", shape))
    found = port and (port.layout, port.batch, port.channels, port.height, port.width)
    assert found == expected


@pytest.mark.parametrize(
    ("dtype", "is_one"), [("float16", True), ("uint8", True), ("int64", False), ("bool", False)]
)
def test_pictures_come_in_some_types_only(dtype: str, is_one: bool) -> None:
    assert (picture_port(ValueInfo("x", dtype, (1, 3, 64, 64))) is not None) == is_one


def test_every_kind_of_head_is_fed_in_some_way() -> None:
    source = Path(heads.__file__).read_text(encoding="utf-8")
    assert all(f'"{kind}"' in source for kind in USUAL_INPUTS)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{0: 'cat', 1: 'dog'}", ["cat", "dog"]),
        ("['cat', 'dog']", ["cat", "dog"]),
        ("{0: 'cat'}", None),
        ("5", None),
        ("None", None),
        ("'ab'", None),
        ("{0: __import__('os')}", None),
        ("[" * 5000, None),
    ],
)
def test_names_of_classes_are_taken_where_the_file_lists_as_many(written: str, expected: list[str] | None) -> None:
    given = facts((1, 3, 640, 640), (1, 6, 8400), metadata={"names": written})
    draft = Draft("m", "m.onnx")
    put_head(draft, head_of(given), given)
    assert draft.config["decoder"].get("classes") == expected
