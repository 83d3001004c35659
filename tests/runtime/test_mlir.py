from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import lower_tiny

from bmzoo.errors import SessionError
from bmzoo.measure.tensors import max_error
from bmzoo.runtime.engines.mlir import MlirSession, check_model
from bmzoo.runtime.engines.mlir_worker import Interpreter
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.simulator import SimulatorSession
from bmzoo.runtime.engines.tensor_info import TensorInfo


def test_what_the_engine_would_abort_on_is_refused_before(tmp_path: Path) -> None:
    path = tmp_path / "m.mlir"
    with pytest.raises(SessionError, match=r"m\.mlir: no such MLIR file"):
        check_model(path)
    for text in ("", "module {}", 'module @t {module.weight_file = "w.npz"}'):
        path.write_text(text)
        with pytest.raises(SessionError, match=r"m\.mlir: not an MLIR file of TPU-MLIR, or damaged"):
            check_model(path)
    path.write_text('module @t {module.weight_file = "w.npz"} { func.func @main')
    with pytest.raises(SessionError, match=r"its weights are missing: w\.npz") as caught:
        check_model(path)
    assert "travel together" in caught.value.hint
    (tmp_path / "w.npz").touch()
    check_model(path)


class Module:
    """What pymlir offers of a network that doubles its input, batch 2."""

    input_names = ("x",)
    output_names = ("z", "a")
    all_tensor_names = ("x", "a", "z")

    def __init__(self) -> None:
        self.values = {name: np.zeros((2, 3), np.float32) for name in self.all_tensor_names}
        self.runs = 0

    def get_tensor(self, name: str) -> NDArray[Any]:
        return self.values[name]

    def set_tensor(self, name: str, value: NDArray[Any], shape: list[int]) -> None:
        assert value.flags.c_contiguous and value.dtype == np.float32 and shape == [2, 3]
        self.values[name][:] = value

    def invoke(self, to_float: bool) -> None:
        assert to_float
        self.runs += 1
        self.values["a"][:] = self.values["x"] * 2
        self.values["z"][:] = self.values["x"] * 3


@pytest.fixture
def interpreter() -> Interpreter:
    made = Interpreter.__new__(Interpreter)
    made._module = Module()
    return made


def test_the_interpreter_runs_batch_after_batch(interpreter: Interpreter) -> None:
    x = np.arange(18, dtype=np.float32).reshape(6, 3)
    results = interpreter.run({"x": x}, None)
    assert list(results) == ["z", "a"] and interpreter._module.runs == 3
    np.testing.assert_array_equal(results["a"], x * 2)
    np.testing.assert_array_equal(results["z"], x * 3)
    assert list(interpreter.run({"x": x}, ["x"])) == ["x"]
    with pytest.raises(SessionError, match="no such tensor: zz"):
        interpreter.run({"x": x}, ["zz"])
    assert interpreter.describe() == {
        "inputs": [["x", [2, 3]]],
        "outputs": [["z", [2, 3]], ["a", [2, 3]]],
        "tensors": ["x", "a", "z"],
    }


CHIPS = {
    "bm1684": ("fp32", "int8"),
    "bm1684x": ("fp32", "bf16", "int8"),
    "bm1688": ("fp16", "int8"),
}
X = np.random.RandomState(1).randn(2, 3, 32, 32).astype(np.float32)


@pytest.mark.toolchain
class TestReal:
    @pytest.fixture(scope="class")
    @classmethod
    def files(cls, tiny_onnx: Path, tpuc_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
        targets = [f"{chip}_{precision}" for chip, precisions in CHIPS.items() for precision in precisions]
        return lower_tiny(tmp_path_factory.mktemp("mlir"), tiny_onnx, tpuc_root, targets, bmodels=True)

    def test_top_mlir_is_the_onnx_model(self, files: dict[str, Path], tiny_onnx: Path, tpuc_root: Path) -> None:
        session = MlirSession(files["top"], tpuc_root)
        assert session.inputs == (TensorInfo("x", (1, 3, 32, 32), "float32"),)
        assert session.outputs == (TensorInfo("y_Conv", (1, 4, 32, 32), "float32"),)
        assert session.tensor_names == ("x", "r_Relu", "y_Conv")
        expected = OnnxSession(tiny_onnx, threads=1).run({"x": X})["y"]
        np.testing.assert_allclose(session.run({"x": X})["y_Conv"], expected, atol=1e-6)
        session.close()

    @pytest.mark.parametrize("chip", CHIPS)
    def test_lowered_mlir_is_what_the_chip_computes(
        self, files: dict[str, Path], tpuc_root: Path, chip: str
    ) -> None:
        for precision in CHIPS[chip]:
            target = f"{chip}_{precision}"
            interpreted = MlirSession(files[target], tpuc_root)
            simulated = SimulatorSession(files[target].parent / f"{target}.bmodel", tpuc_root)
            (expected,), (value,) = interpreted.run({"x": X}).values(), simulated.run({"x": X}).values()
            assert [o.name for o in interpreted.outputs] == [o.name for o in simulated.outputs]
            interpreted.close()
            simulated.close()
            if precision in ("int8", "bf16"):
                np.testing.assert_array_equal(value, expected, target)
            else:  # another order of summation, in float16 hence one unit in the last place
                assert max_error(value, expected) < (1e-6 if precision == "fp32" else 2e-3), target

    def test_all_tensors_are_dequantized(self, files: dict[str, Path], tpuc_root: Path) -> None:
        top, lowered = MlirSession(files["top"], tpuc_root), MlirSession(files["bm1688_int8"], tpuc_root)
        exact, rough = top.tensors({"x": X}), lowered.tensors({"x": X})
        assert list(exact) == ["x", "r_Relu", "y_Conv"]
        assert list(rough) == ["x", "xr_Relu_si8", "r_Relu", "y_Conv", "y_Conv_f32"]
        assert {value.dtype for value in rough.values()} == {np.dtype(np.float32)}
        step = 3.53 / 255
        levels = rough["r_Relu"] / np.float32(step)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
        assert levels.max() <= 255.001 and levels.max() > 100
        within = np.clip(exact["r_Relu"], 0, 3.53)
        assert max_error(rough["r_Relu"], within) < 8 * step
        np.testing.assert_array_equal(rough["y_Conv"], rough["y_Conv_f32"])
        assert list(lowered.tensors({"x": X}, ["y_Conv", "x"])) == ["y_Conv", "x"]
        with pytest.raises(SessionError, match="pymlir: no such tensor: r_Relo") as caught:
            lowered.tensors({"x": X}, ["r_Relo"])
        assert caught.value.hint == "did you mean `r_Relu`?"
        top.close()
        lowered.close()

    def test_damaged_files(self, files: dict[str, Path], tpuc_root: Path, tmp_path: Path) -> None:
        text = files["top"].read_text()
        weights = files["top"].with_name("t_top_f32_all_weight.npz")
        path = tmp_path / "m.mlir"
        (tmp_path / weights.name).write_bytes(weights.read_bytes())
        for broken in (text[: len(text) // 2], text.replace("top.Conv", "top.Fold")):
            path.write_text(broken)
            with pytest.raises(SessionError, match=r"m\.mlir: pymlir: .*failed to load mlir file"):
                MlirSession(path, tpuc_root)
        path.write_text(text)
        (tmp_path / weights.name).write_bytes(b"no archive")
        with pytest.raises(SessionError, match=r"pymlir: ended by SIGABRT; failed to find tensor w to read"):
            MlirSession(path, tpuc_root, log=tmp_path / "log")

    def test_a_path_that_is_no_package(self, files: dict[str, Path], tmp_path: Path) -> None:
        with pytest.raises(SessionError, match="not a TPU-MLIR package"):
            MlirSession(files["top"], tmp_path)
