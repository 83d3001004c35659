"""A network that finds white squares as if they were faces, pictures of such squares, and spies around it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.pictures import Frame, Source


def square_finder(batch: int | str = "N", size: tuple[int | str, int | str] = (64, 64)) -> onnx.ModelProto:
    """RetinaFace's heads. A white cell of 8x8 pixels scores above 0.99 and is a face of 16x16 around it."""
    nodes, weights = [], {}
    parts: dict[str, list[str]] = {"loc": [], "conf": [], "landms": []}
    for stride in (8, 16, 32):
        pool: dict[str, Any] = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes.append(helper.make_node("AveragePool", ["input"], [f"pool{stride}"], **pool))
        for name, width in (("loc", 4), ("conf", 2), ("landms", 10)):
            weight, bias = np.zeros((2 * width, 3, 1, 1), np.float32), np.zeros(2 * width, np.float32)
            if name == "conf":
                bias[:] = 0, -20, 0, -20
            if name == "conf" and stride == 8:
                weight[1], bias[1] = 0.1 / 3, -5  # white is about 140 after the mean, black about -115
            inputs = [f"pool{stride}", f"{name}{stride}_w", f"{name}{stride}_b"]
            weights.update({inputs[1]: weight, inputs[2]: bias, f"{name}_shape": np.array([0, -1, width])})
            made = [f"{name}{stride}_{step}" for step in ("map", "last", "rows")]
            nodes.append(helper.make_node("Conv", inputs, made[:1]))
            nodes.append(helper.make_node("Transpose", made[:1], made[1:2], perm=[0, 2, 3, 1]))
            nodes.append(helper.make_node("Reshape", [made[1], f"{name}_shape"], made[2:]))
            parts[name].append(made[2])
    for name, rows in parts.items():
        joined = "logits" if name == "conf" else name
        nodes.append(helper.make_node("Concat", rows, [joined], axis=1))
    nodes.append(helper.make_node("Softmax", ["logits"], ["conf"], axis=2))
    pictures = helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, *size])
    widths = {"loc": 4, "conf": 2, "landms": 10}
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, "A", w]) for n, w in widths.items()]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "squares", [pictures], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def squares(*cells: tuple[int, int], side: int = 64) -> NDArray[Any]:
    """A black picture with white cells (column, row) of 8x8 pixels."""
    image = np.zeros((side, side, 3), np.uint8)
    for column, row in cells:
        image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 255
    return image


def write(path: Path, image: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def frames(*images: NDArray[Any]) -> list[Frame]:
    return [Frame(Source(Path(f"{i}.png"), f"{i}.png"), image) for i, image in enumerate(images)]


class Spoiled:
    """Outputs of the slots whose picture has a white top left cell are not numbers."""

    def __init__(self, session: OnnxSession) -> None:
        self._session, self.inputs, self.outputs = session, session.inputs, session.outputs
        self.batches: list[int] = []

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.batches.append(len(feeds["input"]))
        heads = self._session.run(feeds)
        heads["loc"][feeds["input"][:, 0, 0, 0] > 100, 7, 2] = np.nan
        return heads

    def close(self) -> None: ...


class Copying(Spoiled):
    """Remembers what it was fed, and where that was."""

    def __init__(self, session: OnnxSession) -> None:
        super().__init__(session)
        self.fed: list[NDArray[Any]] = []
        self.places: set[int] = set()

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.fed.append(feeds["input"].copy())
        self.places.add(feeds["input"].ctypes.data)
        return super().run(feeds)
