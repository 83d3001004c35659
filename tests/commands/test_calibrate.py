"""`calibrate` over a small network: what it writes, what it warns of, and what it refuses."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.commands import calibrate
from bmzoo.errors import SourceError, VerifyFailed
from bmzoo.quantization.tables import calibrated
from bmzoo.runtime.engines.tensor_info import TensorInfo

TOP = """\
    %1 = "top.Input"(%arg0) {} : (none) -> tensor<1x3x20x20xf32> loc(#loc1)
    %2 = "top.Conv"(%1) {} : (none) -> tensor<1x4x20x20xf32> loc(#loc2)
    %3 = "top.Swish"(%2) {} : (none) -> tensor<1x4x20x20xf32> loc(#loc3)
    %4 = "top.Reshape"(%2) {} : (none) -> tensor<1x1600xf32> loc(#loc4)
    %5 = "top.Mul"(%2) {} : (none) -> tensor<1x4x20x20xf32> loc(#loc5)
#loc1 = loc("x")
#loc2 = loc("a_Conv")
#loc3 = loc("b_Swish")
#loc4 = loc("y_Reshape")
#loc5 = loc("z_Mul")
"""
SETTINGS = {"method": "kl", "histogram_bins": 256, "tune": True, "int4": False, "pictures": True}
WEIGHTS = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)


def network(zero: float = 0.0, gain: float = 1.0) -> onnx.ModelProto:
    """x -> a -> b = silu(a), y = a reshaped, z = a * `zero`; all of them but x times `gain`."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["a", "s"], ["b"]),
        helper.make_node("Reshape", ["a", "to"], ["y"]),
        helper.make_node("Mul", ["a", "zero"], ["z"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 20, 20])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("b", "y", "z")]
    numbers = {"w": WEIGHTS * np.float32(gain), "to": np.array([1, -1]), "zero": np.array(zero, np.float32)}
    stored = [numpy_helper.from_array(value, name) for name, value in numbers.items()]
    graph = helper.make_graph(nodes, "g", [x], outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def samples(number: int = 6) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(1, 3, 20, 20)).astype(np.float32) * 2**n for n in range(number)]


def step(folder: Path, model: onnx.ModelProto, fed: Sequence[NDArray[np.float32]], **settings: Any) -> Path:
    """A folder as the step has it after `prepare`."""
    (folder / "samples").mkdir(parents=True)
    onnx.save(model, str(folder / "model.onnx"))
    for index, value in enumerate(fed):
        np.savez(folder / "samples" / f"{index:05d}.npz", x=value)
    lines = "".join(f"samples/{index:05d}.npz\n" for index in range(len(fed)))
    (folder / "samples.txt").write_text(lines)
    names = {f"{index:05d}.jpg": f"street{index}.jpg" for index in range(len(fed))}
    (folder / "pictures.json").write_text(json.dumps({"folder": "streets", **names}))
    (folder / "model.json").write_text("{}")
    (folder / "model.mlir").write_text(TOP)
    (folder / "calibrate.json").write_text(json.dumps({**SETTINGS, **settings}))
    return folder


def silu(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(values * (1 + np.tanh(values / 2)) / 2, np.float32)


class Interpreter:
    """TPU-MLIR's, for what is not in the ONNX network: `b_Swish` is silu(a), times `factor`."""

    inputs = (TensorInfo("x", (1, 3, 20, 20), "float32"),)

    def __init__(self, factor: float) -> None:
        self.factor, self.runs = factor, 0

    def __call__(self, mlir: Path, root: Path, log: Path) -> "Interpreter":
        return self

    def tensors(self, feeds: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        self.runs += 1
        a = np.einsum("oc,nchw->nohw", WEIGHTS[:, :, 0, 0], feeds["x"])
        return {name: (self.factor * silu(a)).astype(np.float32) for name in names}

    def close(self) -> None:
        pass


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    found = Interpreter(1.0)
    monkeypatch.setattr(calibrate, "MlirSession", found)
    monkeypatch.setattr(calibrate, "find_tpuc_root", lambda: Path("nowhere"))
    return found


def rows(folder: Path) -> dict[str, list[float]]:
    lines = (folder / "calibration.table").read_text().partition("#int4_th")[0].splitlines()
    return {line.split()[0]: [float(n) for n in line.split()[1:]] for line in lines if line and line[0] != "#"}


def test_every_tensor_has_a_row_with_its_range(tmp_path: Path, interpreter: Interpreter) -> None:
    folder = step(tmp_path, network(zero=3), samples())
    calibrate.run(folder, ("calibrate.json",))
    text = (folder / "calibration.table").read_text()
    assert calibrated(text) == ("x", "a_Conv", "b_Swish", "y_Reshape", "z_Mul")
    assert text.splitlines()[0].endswith("raised where noise is far from the least")
    found, every = rows(folder), np.concatenate(samples())
    a = np.einsum("oc,nchw->nohw", WEIGHTS[:, :, 0, 0], every)
    for name, values in {"x": every, "a_Conv": a, "z_Mul": 3 * a, "y_Reshape": a}.items():
        threshold, low, high = found[name]
        np.testing.assert_allclose([low, high], [values.min(), values.max()], rtol=6e-3)
        assert 0 < threshold <= np.abs(values).max() * 1.005
    assert interpreter.runs == 1, "only to see whether the guess is right"
    said = json.loads((folder / "certainty.json").read_text())
    assert said["pictures"] == 6
    assert set(said["moves"]) == set(found)
    assert "these 6 pictures are too few" in json.loads((folder / "warnings.json").read_text())[0]


def test_a_tensor_of_the_tools_own_making_is_asked_of_the_tool(tmp_path: Path, interpreter: Interpreter) -> None:
    interpreter.factor = 2.0
    folder = step(tmp_path, network(zero=3), samples())
    calibrate.run(folder, ("calibrate.json",))
    _, low, high = rows(folder)["b_Swish"]
    a = np.einsum("oc,nchw->nohw", WEIGHTS[:, :, 0, 0], np.concatenate(samples()))
    b = silu(a)
    np.testing.assert_allclose([low, high], [2 * b.min(), 2 * b.max()], rtol=6e-3)
    assert interpreter.runs == 1 + len(samples())


def test_the_same_table_whatever_the_cores_and_after_a_kill(
    tmp_path: Path, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = []
    for cores in (1, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        folder = step(tmp_path / str(cores), network(zero=3), samples(), method="mse", int4=True)
        calibrate.run(folder, ("calibrate.json",))
        tables.append((folder / "calibration.table").read_text())
    pieces = tmp_path / "3" / "partial"
    times = {path.name: path.stat().st_mtime_ns for path in pieces.glob("*.npz")}
    assert len(times) == len(samples())
    (pieces / "2.json").unlink()  # killed before the third picture was done
    (pieces / "2.npz").write_bytes(b"half")
    calibrate.run(tmp_path / "3", ("calibrate.json",))
    tables.append((tmp_path / "3" / "calibration.table").read_text())
    assert tables[0] == tables[1] == tables[2]
    assert "raised" not in tables[0].splitlines()[0], "mse is not tuned"
    again = {path.name for path in pieces.glob("*.npz") if times[path.name] != path.stat().st_mtime_ns}
    assert again == {"2.npz"}, "the others are not watched again"
    fours = tables[0].partition("#int4_th\n")[2].split()
    assert fours[0] == "x"
    assert float(fours[1]) == pytest.approx(-float(fours[2]) * 7 / 8, rel=6e-3)


def test_night_pictures_beside_those_of_verify_are_named(tmp_path: Path, interpreter: Interpreter) -> None:
    folder = step(tmp_path, network(zero=3), samples())
    random = np.random.default_rng(1)
    for name, high in (("pictures", 40), ("verify", 255)):
        (folder / name).mkdir()
        for index in range(6):
            small = random.integers(0, high, (5, 7, 3)).astype(np.uint8)
            cv2.imwrite(str(folder / name / f"{index:05d}.png"), cv2.resize(small, (60, 40)))
    (folder / "verify" / "00009.png").write_bytes(b"no picture")
    calibrate.run(folder, ("calibrate.json",))
    warnings = json.loads((folder / "warnings.json").read_text())
    (said,) = (text for text in warnings if text.startswith("night pictures only"))
    assert said.endswith(" in verify")


def test_pictures_that_give_no_numbers_are_named(tmp_path: Path, interpreter: Interpreter) -> None:
    fed = samples(3)
    fed[1][0, 0, 0, 0] = np.nan
    folder = step(tmp_path, network(zero=3), fed)
    with pytest.raises(SourceError, match=r"street1\.jpg: the ONNX model gives NaN or infinity in `x`") as raised:
        calibrate.run(folder, ("calibrate.json",))
    assert "mean, scale" in raised.value.hint


def test_what_is_always_zero_is_said(tmp_path: Path, interpreter: Interpreter) -> None:
    folder = step(tmp_path / "one", network(zero=0), samples())
    calibrate.run(folder, ("calibrate.json",))
    assert rows(folder)["z_Mul"][0] == 1e-5
    warnings = json.loads((folder / "warnings.json").read_text())
    assert "0 in every picture, so that INT8 knows nothing of it: `z_Mul`" in warnings
    folder = step(tmp_path / "all", network(zero=0, gain=0), samples())
    interpreter.factor = 0
    with pytest.raises(VerifyFailed, match="nothing to calibrate: 4 of 5 tensors are 0 in every picture"):
        calibrate.run(folder, ("calibrate.json",))


@pytest.mark.parametrize("gain", [1e-13, 1e12])
def test_values_far_from_one(tmp_path: Path, interpreter: Interpreter, gain: float) -> None:
    interpreter.factor = 0 if gain < 1 else gain
    folder = step(tmp_path, network(zero=1, gain=gain), samples(), method="max")
    if gain < 1:
        with pytest.raises(VerifyFailed, match="nothing to calibrate"):
            calibrate.run(folder, ("calibrate.json",))
        return
    calibrate.run(folder, ("calibrate.json",))
    assert "e+" not in (folder / "calibration.table").read_text(), "which the compiler does not read"
    assert rows(folder)["a_Conv"][0] > 1e12


def test_copies_among_the_pictures_are_named(tmp_path: Path, interpreter: Interpreter) -> None:
    fed = samples(4)
    fed.append(fed[2] + np.float32(1e-3))
    folder = step(tmp_path, network(zero=3), fed)
    calibrate.run(folder, ("calibrate.json",))
    warnings = json.loads((folder / "warnings.json").read_text())
    assert "nearly the same picture, which says nothing new: street2.jpg and street4.jpg" in warnings
