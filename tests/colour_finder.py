"""A network that marks what is red, fed 0 to 1 as red, green, blue; and pictures of red and blue patches."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 64


def colour_finder(path: Path, bias: bool = False) -> Path:
    """Five classes for every pixel: the second where red is above 0.8 and nothing anywhere is beyond 0 to 1."""
    pick = np.zeros((1, 3, 1, 1), np.float32)
    pick[0, 0] = 1
    numbers = {
        "minus": -1.0,
        "forty": 40.0,
        "hundred": 100.0,
        "thousand": 1000.0,
        "offset": 32.0,
        "zero": 0.0,
        "most": 1.02,
    }
    weights: dict[str, Any] = {
        "pick": pick,
        **{name: np.array([value], np.float32) for name, value in numbers.items()},
        **({"b": np.array([1e-2], np.float32)} if bias else {}),
    }
    nodes = [
        helper.make_node("Conv", ["x", "pick", *(["b"] if bias else [])], ["r"], kernel_shape=[1, 1]),
        helper.make_node("Mul", ["r", "minus"], ["n"]),
        helper.make_node("Relu", ["n"], ["below"]),
        helper.make_node("Sub", ["r", "most"], ["over"]),
        helper.make_node("Relu", ["over"], ["above"]),
        helper.make_node("Add", ["below", "above"], ["strange"]),
        helper.make_node("GlobalMaxPool", ["strange"], ["penalty"]),
        helper.make_node("Mul", ["penalty", "thousand"], ["p"]),
        helper.make_node("Mul", ["r", "forty"], ["t"]),
        helper.make_node("Sub", ["t", "offset"], ["u"]),
        helper.make_node("Sub", ["u", "p"], ["one"]),
        helper.make_node("Mul", ["one", "zero"], ["none"]),
        helper.make_node("Sub", ["none", "hundred"], ["never"]),
        helper.make_node("Concat", ["none", "one", "never", "never", "never"], ["y"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, SIDE, SIDE])
        for name, channels in (("x", 3), ("y", 5))
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))
    return path


def patches(seed: int, blue: bool = False) -> NDArray[np.uint8]:
    """A dim picture with a red patch somewhere on its left, uint8 [64,96,3] BGR; `blue`: with a blue one, too."""
    random = np.random.default_rng(seed)
    small = random.integers(10, 40, (5, 7, 3)).astype(np.uint8)
    picture = np.asarray(cv2.resize(small, (96, 64), interpolation=cv2.INTER_CUBIC), np.uint8).copy()
    for channel in (2, 0) if blue else (2,):
        row, column = random.integers(0, 40), random.integers(0, 30)
        picture[row : row + 20, column : column + 14] = 30
        picture[row : row + 20, column : column + 14, channel] = 240
    return picture


def write_patches(folder: Path, count: int, first: int = 0, blue: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:02d}.png"), patches(first + index, blue))
