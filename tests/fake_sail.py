"""A sophon.sail that runs ONNX: what CardSession sees of a card."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from bmzoo.runtime.engines.session import OnnxSession


class FakeEngine:
    """What the vendor's Engine does with the tiny model, by SAIL's manual: static shapes, results by name."""

    def __init__(self, path: str, device: int, mode: str) -> None:
        assert mode == "SYSIO"
        if device:
            raise RuntimeError(f"no such device: {device}\nstack")
        model = onnx.load_from_string(Path(path).read_bytes())
        self.w = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.onnx = OnnxSession(Path(path), threads=1)

    def get_graph_names(self) -> list[str]:
        return ["net"]

    def get_input_names(self, graph: str) -> list[str]:
        return ["x"]

    def get_output_names(self, graph: str) -> list[str]:
        return ["y_Conv_f32"]

    def get_input_shape(self, graph: str, name: str) -> list[int]:
        return [1, 3, 32, 32]

    def get_output_shape(self, graph: str, name: str) -> list[int]:
        return [1, 4, 32, 32]

    def process(self, graph: str, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if feeds["x"].shape != (1, 3, 32, 32):
            raise RuntimeError("bad input")
        return {"y_Conv_f32": self.onnx.run(feeds)["y"]}


def install_sail(engine: type = FakeEngine, **more: Any) -> pytest.MonkeyPatch:
    """Put a module of the vendor's name in place; undo it with the patch's `undo`."""
    sail = ModuleType("sophon.sail")
    sail.__dict__.update(Engine=engine, IOMode=SimpleNamespace(SYSIO="SYSIO"), get_available_tpu_num=lambda: 1)
    sail.__dict__.update(more)
    package = ModuleType("sophon")
    package.__dict__.update(sail=sail, __path__=[])
    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, "sophon", package)
    patch.setitem(sys.modules, "sophon.sail", sail)
    return patch
