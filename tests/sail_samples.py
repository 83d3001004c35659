"""Scripts in the style of the published samples: how they are run, and on what."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "sail_scripts"
SIDE = 64
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


def album(folder: Path) -> Path:
    """Six pictures of various shapes, none of a size that divides by the network's."""
    random = np.random.RandomState(1)
    for i, (height, width) in enumerate([(97, 131), (150, 71), (64, 64), (33, 200), (90, 90), (121, 87)]):
        coarse = random.randint(0, 256, (5, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return folder


def video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 80))
    for i in range(frames):
        frame = np.full((80, 96, 3), 40 * i, np.uint8)
        cv2.rectangle(frame, (10 + i * 5, 20), (50 + i * 5, 60), (30, 200, 90), -1)
        writer.write(frame)
    writer.release()
    return path
