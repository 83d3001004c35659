"""How a network wants its pictures: networks that are made to like one way, and nothing else."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.config_import import trial
from bmzoo.config_import.facts import picture_port
from bmzoo.config_import.likings import LIKINGS
from bmzoo.config_import.picture_sets import PictureSets
from bmzoo.config_import.usual import USUAL_INPUTS, UsualInput, usual_input
from bmzoo.measure.normalisations import IMAGENET, UNIT, Normalisation
from bmzoo.onnx_import.onnx_file import ValueInfo

SIDE = 64


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Half red, half black: BGR, as OpenCV writes them."""
    found = []
    for index in range(4):
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        image[:, SIDE // 2 :, 2] = 255 - index
        found.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(found[-1]), image)
    return found


def network(path: Path, channel: int, offset: float) -> Path:
    """Five classes: the second where a channel's mean over 17x17 is above `offset`, if nothing is below zero."""
    pick = np.zeros((1, 3, 1, 1), np.float32)
    pick[0, channel] = 1
    numbers = {"minus": -1.0, "ten": 10.0, "hundred": 100.0, "offset": 10 * offset, "zero": 0.0}
    weights = {
        "pick": pick,
        **{name: np.array([value], np.float32) for name, value in numbers.items()},
    }
    nodes = [
        helper.make_node("Conv", ["x", "pick"], ["r"]),
        helper.make_node("AveragePool", ["r"], ["m"], kernel_shape=[17, 17], pads=[8] * 4, strides=[1, 1]),
        helper.make_node("Mul", ["r", "minus"], ["n"]),
        helper.make_node("Relu", ["n"], ["below"]),
        helper.make_node("GlobalAveragePool", ["below"], ["penalty"]),
        helper.make_node("Mul", ["penalty", "hundred"], ["p"]),
        helper.make_node("Mul", ["m", "ten"], ["t"]),
        helper.make_node("Sub", ["t", "offset"], ["u"]),
        helper.make_node("Sub", ["u", "p"], ["one"]),
        helper.make_node("Mul", ["one", "zero"], ["none"]),
        helper.make_node("Sub", ["none", "hundred"], ["never"]),
        helper.make_node("Concat", ["none", "one", "never", "never", "never"], ["y"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, SIDE, SIDE])
        for name, channels in (("x", 3), ("y", 5))
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))
    return path


def tried(model: Path, pictures: Sequence[Path]) -> trial.Preference | None:
    port = picture_port(ValueInfo("x", "float32", (1, 3, SIDE, SIDE)))
    assert port is not None
    return trial.tried(model, port, "segmentation", USUAL_INPUTS["segmentation"], (SIDE, SIDE), pictures)


@pytest.mark.parametrize(("channel", "order"), [(0, "rgb"), (2, "bgr")])
def test_the_way_that_a_network_likes_is_found(
    channel: int, order: str, tmp_path: Path, pictures: Sequence[Path]
) -> None:
    found = tried(network(tmp_path / "n.onnx", channel, 0.7), pictures)
    assert found is not None and found.sure
    assert (found.normalisation, found.pixel_format) == (UNIT, order)


def test_a_way_that_does_nearly_as_well_leaves_doubt() -> None:
    own, other = trial._Way(UNIT, "rgb", [4.0, 6.0]), trial._Way(UNIT, "bgr")
    usual = UsualInput(UNIT, "rgb", "stretch")
    for liked, sure in ((8.9, True), (9.0, False), (12.0, False)):
        other.found = [liked / 2] * 2
        found = trial._judge([own, other], usual)
        assert found is not None and (found.pixel_format, found.sure) == ("rgb", sure)
        assert f"5.0 found in each, {liked / 2:.1f} with bgr and 0 to 1" in found.why
        assert found.found == (4.0, 6.0)
    other.found = [20.0, 0.0]
    better = trial._judge([own, other], usual)
    assert better is not None and (better.pixel_format, better.found) == ("bgr", (20.0, 0.0))


def test_classifiers_are_not_tried() -> None:
    assert not trial.can_be_tried("classification") and trial.can_be_tried("yolox")


def test_a_network_of_half_floats_is_fed_such(tmp_path: Path, pictures: Sequence[Path]) -> None:
    model = onnx.load(str(network(tmp_path / "n.onnx", 0, 0.7)))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    model.graph.input[0].name = "half"
    model.graph.node.insert(0, helper.make_node("Cast", ["half"], ["x"], to=TensorProto.FLOAT))
    onnx.save(model, str(tmp_path / "half.onnx"))
    port = picture_port(ValueInfo("half", "float16", (1, 3, SIDE, SIDE)))
    assert port is not None
    usual = USUAL_INPUTS["segmentation"]
    found = trial.tried(tmp_path / "half.onnx", port, "segmentation", usual, (SIDE, SIDE), pictures)
    assert found is not None and (found.normalisation, found.pixel_format) == (UNIT, "rgb")


def test_a_network_that_finds_as_much_in_shuffled_tiles_likes_nothing(
    tmp_path: Path, pictures: Sequence[Path]
) -> None:
    assert tried(network(tmp_path / "n.onnx", 0, -1000.0), pictures) is None


def test_a_network_that_finds_nothing_likes_nothing(tmp_path: Path, pictures: Sequence[Path]) -> None:
    assert tried(network(tmp_path / "n.onnx", 0, 1000.0), pictures) is None


def test_shuffled_tiles_are_the_same_pixels() -> None:
    pixels = np.arange(3 * 18 * 22, dtype=np.float32).reshape(3, 18, 22)
    mixed = trial._shuffled(pixels)
    assert sorted(mixed.ravel()) == sorted(pixels.ravel()) and not np.array_equal(mixed, pixels)
    assert np.array_equal(mixed[:, 16:], pixels[:, 16:])


def test_numbers_follow_the_order_of_channels() -> None:
    numbers = Normalisation("n", (1, 2, 3), (4, 5, 6))
    assert numbers.ordered("rgb") == ((1, 2, 3), (4, 5, 6))
    assert numbers.ordered("bgr") == ((3, 2, 1), (6, 5, 4))
    assert numbers.ordered("gray") == ((2,), (5,))


def test_networks_of_tensorflow_are_fed_as_tensorflow_feeds_them() -> None:
    nhwc, nchw = usual_input("segmentation", "nhwc"), usual_input("segmentation")
    assert nhwc is not None and nhwc.normalisation.mean == (127.5,) * 3
    assert nchw is not None and nchw.normalisation is IMAGENET


def rows(*values: tuple[float, ...]) -> list[NDArray[np.float32]]:
    return [np.array(values, np.float32)]


@pytest.mark.parametrize(
    ("kind", "outputs", "expected"),
    [
        ("ultraface", [*rows((0.1, 0.9), (0.8, 0.2)), np.ones((2, 4), np.float32)], 0.9),
        ("yolox", rows((0, 0, 9, 9, 0.5, 0.2, 0.8), (0, 0, 9, 9, 0.9, 0.1, 0.9)), 0.4 + 0.81),
        ("yolov8", [np.array([[1], [1], [1], [1], [0.7], [0.2]], np.float32)], 0.7),
        ("yolov8_pose", [np.array([[1], [1], [1], [1], [0.6], [9]], np.float32)], 0.6),
        ("yolov10", rows((0, 0, 1, 1, 0.75, 3)), 0.75),
        ("yunet", [np.full((1, 1), v, np.float32) for v in (0.64, 0.1, 0.1, 1, 0.1, 0.1)], 0.8),
        ("db_text", [np.array([[[1, 0], [0, 0]]], np.float32)], 25.0),
    ],
)
def test_likings_by_hand(kind: str, outputs: list[NDArray[np.float32]], expected: float) -> None:
    assert LIKINGS[kind](outputs) == pytest.approx(expected, rel=1e-5)


def test_pictures_in_which_most_is_found_are_verified_first() -> None:
    some = tuple(Path("mine") / f"{name}.png" for name in "abc")
    whole = {"folder": "mine", "count": 3}
    for verify, expected in ((whole, ["c.png", "a.png"]), ({**whole, "first": ["a.png", "b.png", "c.png"]}, None)):
        sets = PictureSets({}, {}, verify, some, "")
        found = sets.verified_first([some[2], some[0]]).verify
        assert found == {**whole, "first": expected or ["c.png", "a.png", "b.png"]}
        assert sets.verified_first([]) is sets


def test_the_way_that_is_kept_says_what_was_found_in_each_picture(tmp_path: Path, pictures: Sequence[Path]) -> None:
    black = tmp_path / "black.png"
    cv2.imwrite(str(black), np.zeros((SIDE, SIDE, 3), np.uint8))
    found = tried(network(tmp_path / "n.onnx", 0, 0.7), [black, *pictures])
    assert found is not None and found.found[0] == 0 and min(found.found[1:]) > 0
