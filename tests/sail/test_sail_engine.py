from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from bmzoo import sail
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.sail.enums import Dtype
from bmzoo.sail.graph import Graph
from bmzoo.sail.ports import Port

X = np.random.RandomState(0).randn(1, 3, 32, 32)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """total = a + b and difference = a - b: outputs in an order that is not the alphabet's."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Add", ["b", "a"], ["total"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    inputs, outputs = (
        [value(name, TensorProto.FLOAT, ["N", 2]) for name in names] for names in ("ba", ("total", "difference"))
    )
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    path = tmp_path / "two.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))
    return path


@pytest.fixture
def engine(two: Path) -> sail.Engine:
    return sail.Engine(str(two), 0, sail.IOMode.SYSIO)


def tensors(engine: sail.Engine, **arrays: NDArray[Any]) -> dict[str, sail.Tensor]:
    return {name: sail.Tensor(engine.get_handle(), array) for name, array in arrays.items()}


A, B = np.array([[1, 2]], np.float32), np.array([[10, 20]], np.float32)


def test_what_an_engine_tells(engine: sail.Engine) -> None:
    assert engine.get_graph_names() == ["two"]
    assert engine.get_input_names("two") == ["b", "a"]
    assert engine.get_output_names("two") == ["total", "difference"]
    assert engine.get_input_shape("two", "a") == engine.get_output_shape("two", "total") == [1, 2]
    assert list(engine.get_max_input_shapes("two")) == ["a", "b"]
    assert engine.get_max_output_shapes("two") == {"difference": [1, 2], "total": [1, 2]}
    assert engine.get_input_dtype("two", "a") is engine.get_output_dtype("two", "total") is sail.BM_FLOAT32
    assert engine.get_input_scale("two", "a") == engine.get_output_scale("two", "total") == 1.0
    assert not engine.graph_is_dynamic("two")
    assert engine.get_device_id() == engine.get_handle().get_device_id() == 0


def test_the_free_batch_comes_from_the_environment(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BMZOO_SAIL_BATCH", "4")
    engine = sail.Engine(str(two), 0, sail.SYSIO)
    assert engine.get_input_shape("two", "a") == engine.get_output_shape("two", "total") == [4, 2]
    monkeypatch.setenv("BMZOO_SAIL_BATCH", "none")
    with pytest.raises(sail.SailEngineError, match="BMZOO_SAIL_BATCH"):
        sail.Engine(str(two), 0, sail.SYSIO)


def test_arrays_come_back_sorted_by_name_and_are_new(engine: sail.Engine) -> None:
    inputs = {"a": A.astype(np.float64), "b": B.astype(np.int64)}
    first, second = engine.process("two", inputs), engine.process("two", inputs, core_list=[0])
    assert list(first) == ["difference", "total"]
    assert {output.dtype for output in first.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(first["total"], A + B)
    first["total"][:] = 0
    np.testing.assert_array_equal(second["total"], A + B)
    assert list(engine.process("two", input_tensors=inputs)) == ["difference", "total"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": A}, r"inputs do not match: \['a'\]"),
        ({"a": A, "c": B}, "inputs do not match"),
        ({"a": A, "b": B[0]}, r"`b`: must be \[1, 2\]: \[2\]"),
        ({"a": A.repeat(2, 0), "b": B.repeat(2, 0)}, r"must be \[1, 2\]: \[2, 2\]"),
    ],
)
def test_arrays_must_fit(engine: sail.Engine, inputs: dict[str, NDArray[Any]], message: str) -> None:
    with pytest.raises(sail.SailEngineError, match=message):
        engine.process("two", inputs)


@pytest.mark.parametrize("mode", [sail.SYSO, sail.DEVIO])
def test_arrays_need_system_inputs(two: Path, mode: sail.IOMode) -> None:
    engine = sail.Engine(str(two), 0, mode)
    with pytest.raises(sail.SailEngineError, match="bad input"):
        engine.process("two", {"a": A, "b": B})
    engine.set_io_mode("two", sail.SYSI)
    engine.process("two", {"a": A, "b": B})
    with pytest.raises(sail.SailEngineError, match="allocated for SYSI"):
        engine.set_io_mode("two", mode)
    engine.set_io_mode("two", sail.SYSI)


def test_tensors_are_synchronised_as_the_mode_says(two: Path) -> None:
    for mode in sail.IOMode:
        engine = sail.Engine(str(two), 0, mode)
        inputs, outputs = tensors(engine, a=A, b=B), tensors(engine, total=A * 0 - 1, difference=A * 0 - 1)
        assert engine.process("two", inputs, outputs) is None
        outputs_were_synced = mode in (sail.SYSO, sail.SYSIO)
        inputs_were_synced = mode in (sail.SYSI, sail.SYSIO)
        computed = A + B if inputs_were_synced else A * 0
        np.testing.assert_array_equal(outputs["total"].asnumpy(), computed if outputs_were_synced else A * 0 - 1)
        outputs["total"].sync_d2s()
        np.testing.assert_array_equal(outputs["total"].asnumpy(), computed)


def test_tensors_with_explicit_shapes(engine: sail.Engine) -> None:
    inputs, outputs = tensors(engine, a=A[0], b=B[0]), tensors(engine, total=A * 0, difference=A * 0)
    with pytest.raises(sail.SailEngineError, match=r"must be \[1, 2\]: \[2\]"):
        engine.process("two", inputs, outputs)
    engine.process("two", inputs, {"a": [1, 2], "b": [1, 2]}, outputs)
    np.testing.assert_array_equal(outputs["difference"].asnumpy(), A - B)
    outputs["total"].zeros()
    engine.process("two", input=inputs, input_shapes={"a": [1, 2], "b": [1, 2]}, output=outputs, core_list=[])
    np.testing.assert_array_equal(outputs["total"].asnumpy(), A + B)
    with pytest.raises(sail.SailEngineError, match=r"\[4, 2\]"):
        engine.process("two", inputs, {"a": [4, 2], "b": [4, 2]}, outputs)


def test_tensors_need_their_memory(engine: sail.Engine) -> None:
    handle = engine.get_handle()
    good = tensors(engine, a=A, b=B)
    outputs = tensors(engine, total=A, difference=A)
    shell = sail.Tensor(handle, [1, 2], sail.BM_FLOAT32, False, False)
    device = sail.Tensor(handle, [1, 2], sail.BM_FLOAT32, False, True)
    small = sail.Tensor(handle, [1, 2], sail.BM_INT8, True, True)
    for inputs, targets, message in [
        ({**good, "a": shell}, outputs, "`a`: needs device memory"),
        ({**good, "a": device}, outputs, "`a`: needs system memory"),
        ({**good, "a": small}, outputs, "`a`: needs 8 bytes of BM_FLOAT32: 2"),
        (good, {**outputs, "total": shell}, "`total`: needs device memory"),
        (good, {**outputs, "total": device}, "`total`: needs system memory"),
        (good, {**outputs, "total": small}, "`total`: needs 8 bytes"),
        (good, {"total": outputs["total"]}, "no tensor for: difference"),
    ]:
        with pytest.raises(sail.SailEngineError, match=message):
            engine.process("two", inputs, targets)
    engine.set_io_mode("two", sail.DEVIO)
    engine.process("two", {**good, "a": device}, {**outputs, "total": device})


@pytest.mark.parametrize("arguments", [(), ({"a": A, "b": B}, {"total": A}), (3,), ({"a": A}, 3)])
def test_other_calls(engine: sail.Engine, arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        engine.process("two", *arguments)


def test_unknown_names_are_errors(engine: sail.Engine) -> None:
    for call in (
        lambda: engine.get_input_names("three"),
        lambda: engine.process("three", {}),
        lambda: engine.get_input_shape("two", "total"),
        lambda: engine.get_output_scale("two", "a"),
    ):
        with pytest.raises(sail.SailEngineError, match="no such"):
            call()


def test_tensor_maps(engine: sail.Engine) -> None:
    for mode, expected in ((0, (True, False)), (1, (False, True)), (-1, (True, True))):
        for made in (engine.create_input_tensors_map("two", mode), engine.create_output_tensors_map("two", mode)):
            assert list(made) == sorted(made)
            assert {(t.own_sys_data(), t.own_dev_data()) for t in made.values()} == {expected}
    engine.set_io_mode("two", sail.SYSO)
    assert not engine.create_input_tensors_map("two")["a"].own_sys_data()
    assert engine.create_output_tensors_map("two")["total"].own_sys_data()


def test_loading(two: Path, tmp_path: Path) -> None:
    empty = sail.Engine(0)
    assert empty.get_graph_names() == []
    assert empty.load(str(two))
    assert not empty.load(str(two)), "no new graph"
    assert not empty.load(str(tmp_path / "none.bmodel"))
    (tmp_path / "bad.bmodel").write_bytes(b"no model")
    assert not empty.load(str(tmp_path / "bad.bmodel"))
    data = two.read_bytes()
    assert empty.load(data, len(data))
    assert empty.get_graph_names() == ["two", "model"]
    assert sail.Engine(sail.Handle(0)).load(str(two))
    assert sail.Engine(data, len(data), 0, sail.SYSIO).get_graph_names() == ["model"]


def test_loading_constructors_raise(two: Path, tmp_path: Path) -> None:
    data = two.read_bytes()
    for arguments in (
        (str(tmp_path / "none.bmodel"), 0, sail.SYSIO),
        (str(tmp_path), 0, sail.SYSIO),
        (b"no model", 8, 0, sail.SYSIO),
        (data, len(data) - 1, 0, sail.SYSIO),
    ):
        with pytest.raises(sail.SailEngineError, match="invalid bmodel"):
            sail.Engine(*arguments)
    with pytest.raises(sail.SailDeviceError):
        sail.Engine(str(two), 1, sail.SYSIO)
    for wrong in ((str(two), sail.Handle(0), sail.SYSIO), (str(two), 0, 2), ()):
        with pytest.raises(TypeError):
            sail.Engine(*wrong)


def test_a_bmodel_without_the_simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.bmodel").write_bytes(b"\xee\xaa\x55\xff" + bytes(60))
    monkeypatch.delenv("TPUC_ROOT", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(sail.SailEngineError, match="pip install tpu_mlir, or set TPUC_ROOT"):
        sail.Engine(0).load(str(tmp_path / "a.bmodel"))
    monkeypatch.setenv("TPUC_ROOT", str(tmp_path))
    with pytest.raises(sail.SailEngineError, match=r"model_tool"):
        sail.Engine(str(tmp_path / "a.bmodel"), 0, sail.SYSIO)


class Quantized:
    """A network that gives its input back: int8 in, of scale 2, int8 out, of scale 0.25."""

    name, dynamic, chip = "q", False, ""

    def __init__(self, dtype: Dtype = Dtype.BM_INT8) -> None:
        self.inputs: tuple[Port, ...] = (Port("x", (1, 6), dtype, 2.0),)
        self.outputs: tuple[Port, ...] = (Port("y", (1, 6), dtype, 0.25),)

    def stage(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]] | None:
        return {"y": (1, 6)} if shapes == {"x": (1, 6)} else None

    def takes(self) -> list[dict[str, tuple[int, ...]]]:
        return [{"x": (1, 6)}]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.fed = feeds["x"]
        return {"y": feeds["x"].copy()}

    def close(self) -> None: ...


def test_quantization_of_arrays_rounds_half_to_even_and_clips() -> None:
    network = Quantized()
    graph = Graph(network, sail.SYSIO)
    outputs = graph.run_arrays({"x": np.array([[0.25, 0.75, 1.25, -0.25, 100, -100]])})
    assert network.fed.tolist() == [[0, 2, 2, 0, 127, -128]]
    assert network.fed.dtype == np.int8
    assert outputs["y"].tolist() == [[0, 0.5, 0.5, 0, 31.75, -32]]
    with pytest.raises(sail.SailEngineError, match="not supported"):
        Graph(Quantized(Dtype.BM_FLOAT16), sail.SYSIO).run_arrays({"x": np.zeros((1, 6))})


def test_tensors_are_never_scaled() -> None:
    network = Quantized()
    raw = np.array([[1, -2, 3, 127, -128, 0]], np.int8)
    handle = sail.Handle(0)
    inputs = {"x": sail.Tensor(handle, raw)}
    outputs = {"y": sail.Tensor(handle, [1, 6], sail.BM_INT8, True, True)}
    Graph(network, sail.SYSIO).run_tensors(inputs, {"x": [1, 6]}, outputs)
    np.testing.assert_array_equal(network.fed, raw)
    np.testing.assert_array_equal(outputs["y"].asnumpy(), raw)


@pytest.mark.toolchain
class TestBModel:
    @pytest.mark.parametrize("target", ["bm1684_fp32", "bm1684x_fp16", "bm1688_int8"])
    def test_runs_on_the_simulator_of_its_chip(
        self, target: str, tiny_bmodels: dict[str, Path], tiny_onnx: Path
    ) -> None:
        expected = OnnxSession(tiny_onnx, threads=1).run({"x": X.astype(np.float32)})["y"]
        engine = sail.Engine(str(tiny_bmodels[target]), 0, sail.SYSIO)
        assert engine.get_graph_names() == ["t"]
        assert engine.get_handle().get_target() == target.split("_", maxsplit=1)[0].upper()
        (name,) = engine.get_output_names("t")
        arrays = engine.process("t", {"x": X})
        scale = np.abs(expected).max()
        np.testing.assert_allclose(arrays[name], expected, atol=scale * (0.05 if "int8" in target else 0.002))
        inputs, outputs = tensors(engine, x=X), engine.create_output_tensors_map("t")
        engine.process("t", inputs, outputs)
        np.testing.assert_array_equal(outputs[name].asnumpy(), arrays[name])
        with pytest.raises(sail.SailEngineError, match=r"must be \[1, 3, 32, 32\]"):
            engine.process("t", {"x": X.repeat(2, 0)})

    def test_bytes_and_damaged_files(self, tiny_bmodels: dict[str, Path], tmp_path: Path) -> None:
        data = tiny_bmodels["bm1688_fp32"].read_bytes()
        assert sail.Engine(data, len(data), 0, sail.SYSIO).get_graph_names() == ["t"]
        damaged = tmp_path / "damaged.bmodel"
        damaged.write_bytes(data[:3000])
        assert not sail.Engine(0).load(str(damaged))
        with pytest.raises(sail.SailEngineError, match="invalid bmodel"):
            sail.Engine(str(damaged), 0, sail.SYSIO)
