"""bmodels of several networks and stages, and ONNX files with free shapes that stand for them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_package import make_package, script
from onnx import TensorProto, helper

from bmzoo import sail
from bmzoo.errors import SessionError
from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.plan.step import Command
from bmzoo.runtime.engines.bmodel import parse_info
from bmzoo.runtime.engines.onnx_ir import stamped
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.simulate import forward_dynamic, is_smaller
from bmzoo.sail.network_bmodel import BmodelNetwork, Parts
from bmzoo.system.hashing import Digests

COMBINED = """chip: BM1688
==========================================
net 0: [a]  static
addr mode: 2
------------
stage 0, core num: 1
input: x, [1, 3, 32, 48], float32, scale: 1, zero_point: 0
output: y, [1, 4, 32, 48], float32, scale: 1, zero_point: 0
------------
stage 1, core num: 2
input: x, [4, 3, 16, 16], float32, scale: 1, zero_point: 0
output: y, [4, 4, 16, 16], float32, scale: 1, zero_point: 0
==========================================
net 1: [b]  dynamic
------------
stage 0, core num: 1
input: p, [max:1, max:2, max:8, max:8], int8, scale: 127.5, zero_point: 0
output: q, [1, 5, 8, 8], int8, scale: 0.5, zero_point: 0
------------
stage 1, core num: 1
input: p, [max:1, max:2, max:16, max:16], int8, scale: 127.5, zero_point: 0
output: q, [1, 5, 16, 16], int8, scale: 0.5, zero_point: 0
"""


def test_all_networks_and_stages_are_read() -> None:
    info = parse_info(COMBINED)
    assert [(net.name, net.dynamic, len(net.stages)) for net in info.networks] == [("a", False, 2), ("b", True, 2)]
    assert [stage.cores for stage in info.networks[0].stages] == [1, 2]
    assert info.networks[1].stages[1].inputs[0].shape == (1, 2, 16, 16)
    assert info.networks[1].stages[0].scales == {"p": (127.5, 0), "q": (0.5, 0)}
    assert info.inputs == info.networks[0].stages[0].inputs


@pytest.mark.parametrize("text", ["chip: BM1688\nnet 0: [a]  static\n", COMBINED.replace("core num", "cores")])
def test_a_network_without_stages_is_damaged(text: str) -> None:
    with pytest.raises(SessionError, match="not a bmodel"):
        parse_info(text)


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BmodelNetwork]]:
    package = make_package(tmp_path / "tpu_mlir")
    script(package / "bin" / "model_tool", f"[ $1 = --info ] && cat <<'END'\n{COMBINED}END\ntrue")
    (tmp_path / "c.bmodel").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    parts = Parts(tmp_path / "c.bmodel", package)
    yield [BmodelNetwork(parts, index) for index in range(2)]
    parts.close()
    assert not list(tmp_path.glob("bmzoo-*")), "nothing is left"


def test_the_simulator_is_run_by_the_interpreter_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, single = make_package(tmp_path / "tpu_mlir"), "\n".join(COMBINED.splitlines()[:7])
    script(package / "bin" / "model_tool", f"cat <<'END'\n{single}\nEND\n")
    script(tmp_path / "python", f"echo $@ > {tmp_path}/asked; exit 3")
    (tmp_path / "c.bmodel").touch()
    monkeypatch.setenv("BMZOO_SAIL_PYTHON", str(tmp_path / "python"))
    parts = Parts(tmp_path / "c.bmodel", package)
    with pytest.raises(SessionError):
        parts.session(0, 0).run({"x": np.zeros((1, 3, 32, 48), np.float32)})
    parts.close()
    assert "bmzoo.runtime.engines.worker_simulator" in (tmp_path / "asked").read_text()


def test_the_largest_shape_is_of_all_stages(networks: list[BmodelNetwork]) -> None:
    assert [port.shape for port in networks[0].inputs] == [(4, 3, 32, 48)]
    assert [port.shape for port in networks[0].outputs] == [(4, 4, 32, 48)]


def test_the_stage_is_chosen_by_shape(networks: list[BmodelNetwork]) -> None:
    static, dynamic = networks
    assert static.stage({"x": (1, 3, 32, 48)}) == {"y": (1, 4, 32, 48)}
    assert static.stage({"x": (4, 3, 16, 16)}) == {"y": (4, 4, 16, 16)}
    for other in ((4, 3, 32, 48), (1, 3, 16, 16), (1, 3, 32)):
        assert static.stage({"x": other}) is None
    assert dynamic.stage({"p": (1, 2, 5, 8)}) == {"q": (1, 5, 8, 8)}, "the smallest that holds it"
    assert dynamic.stage({"p": (1, 1, 9, 3)}) == {"q": (1, 5, 16, 16)}
    for other in ((1, 2, 17, 1), (2, 2, 8, 8), (1, 2, 8), (1, 2, 0, 8)):
        assert dynamic.stage({"p": other}) is None
    assert dynamic.stage({"x": (1, 2, 8, 8)}) is None


def test_a_dynamic_network_gets_the_shapes_that_are_meant() -> None:
    class Net:
        def __init__(self) -> None:
            def tensor(name: str) -> object:
                fields = {"name": name, "dtype": "f32", "qscale": 1.0, "qzero_point": 0}
                return type("Tensor", (), {**fields, "data": np.zeros((2, 4), np.float32)})()

            self.inputs, self.outputs = [tensor("x")], [tensor("y")]

        def forward_dynamic(self, shapes: list[list[int]]) -> list[list[int]]:
            self.outputs[0].data.reshape(-1)[:6] = self.inputs[0].data.reshape(-1)[:6] + 1  # type: ignore[attr-defined]
            return shapes

    net, x = Net(), np.arange(6, dtype=np.float32).reshape(2, 3)
    assert is_smaller(net, {"x": x})
    assert not is_smaller(net, {"x": np.zeros((2, 4))}) and not is_smaller(net, {"x": np.zeros((4, 4))})
    np.testing.assert_array_equal(forward_dynamic(net, {"x": x})["y"], x + 1)


@pytest.fixture(scope="session")
def combined(tiny_onnx: Path, tpuc_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Network t of two stages, and a dynamic network u."""
    folder = tmp_path_factory.mktemp("combined")
    toolchain = LocalToolchain(Installation(tpuc_root, "under test", external=False), Digests(folder / "memory"))
    model = onnx.load(str(tiny_onnx))
    for tensor in (model.graph.input[0], model.graph.output[0]):
        for axis in (2, 3):
            tensor.type.tensor_type.shape.dim[axis].dim_param = "HW"[axis - 2]
    onnx.save(model, str(folder / "t.onnx"))

    def tool(name: str, *arguments: str) -> None:
        toolchain.run(Command(name, arguments), folder, folder / "log.txt", timeout=120)

    for file, name, shape in (("a", "t", "1,3,16,16"), ("b", "t", "2,3,16,24"), ("c", "u", "2,3,24,24")):
        transform = ["--model_name", name, "--model_def", "t.onnx", "--input_shapes", f"[[{shape}]]"]
        tool("model_transform.py", *transform, "--mlir", f"{file}.mlir")
        deploy = ["--mlir", f"{file}.mlir", "--quantize", "F32", "--chip", "bm1688", "--skip_validation"]
        tool("model_deploy.py", *deploy, *(["--dynamic"] * (name == "u")), "--model", f"{file}.bmodel")
    tool("model_tool", "--combine", "a.bmodel", "b.bmodel", "c.bmodel", "-o", "all.bmodel")
    return folder / "all.bmodel"


@pytest.mark.toolchain
def test_every_stage_of_every_network_runs(combined: Path) -> None:
    engine = sail.Engine(str(combined), 0, sail.SYSIO)
    assert engine.get_graph_names() == ["t", "u"]
    assert engine.get_max_input_shapes("t") == {"x": [2, 3, 16, 24]}
    assert [engine.graph_is_dynamic(name) for name in ("t", "u")] == [False, True]
    reference = OnnxSession(combined.with_name("t.onnx"), threads=1)
    (output,) = engine.get_output_names("t")
    for graph, shape in (
        ("t", (2, 3, 16, 24)),
        ("t", (1, 3, 16, 16)),
        ("t", (2, 3, 16, 24)),
        ("u", (2, 3, 24, 24)),
        ("u", (1, 3, 10, 12)),
    ):
        x = np.random.RandomState(0).randn(*shape).astype(np.float32)
        expected = reference.run({"x": x})["y"]
        (found,) = engine.process(graph, {"x": x}).values()
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert engine.get_input_shape(graph, "x") == list(shape)
        (name,) = engine.get_output_names(graph)
        assert engine.get_output_shape(graph, name) == list(expected.shape)
        inputs = {"x": sail.Tensor(engine.get_handle(), x)}
        outputs = engine.create_output_tensors_map(graph)
        engine.process(graph, inputs, outputs)
        np.testing.assert_array_equal(outputs[name].asnumpy(list(expected.shape)), found)
    for graph, wrong, message in (("t", (1, 3, 16, 24), "x` .* or `x"), ("u", (2, 3, 25, 24), "at most")):
        with pytest.raises(sail.SailEngineError, match=message):
            engine.process(graph, {"x": np.zeros(wrong)})
    assert output == "y_Conv"


def free_onnx(path: Path, shapes: dict[str, list[str | int | None]], ir: int = 6) -> Path:
    """y = the sum of the inputs, doubled."""
    value = helper.make_tensor_value_info
    names = list(shapes)
    nodes = [helper.make_node("Sum", [*names, *names], ["y"])]
    inputs = [value(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    output = value("y", TensorProto.FLOAT, ["a", "b", "c", "d"])
    graph = helper.make_graph(nodes, "g", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=ir), str(path))
    return path


FREE: list[str | int | None] = ["N", 3, "H", "W"]


def test_a_free_shape_is_stated_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = free_onnx(tmp_path / "f.onnx", {"in:0": FREE})
    for text in ("in:0:1x3x20x30", "1x3x20x30", " in:0:1x3x20x30; ", "other:5,in:0:1x3x20x30"):
        monkeypatch.setenv("BMZOO_SAIL_SHAPE", text)
        engine = sail.Engine(str(path), 0, sail.SYSIO)
        assert engine.get_input_shape("f", "in:0") == engine.get_output_shape("f", "y") == [1, 3, 20, 30]
    with pytest.raises(sail.SailEngineError, match=r"must be \[1, 3, 20, 30\]"):
        engine.process("f", {"in:0": np.zeros((1, 3, 30, 20))})


def test_a_name_that_comes_again_is_another_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = free_onnx(tmp_path / "f.onnx", {"x": FREE, "z": ["N", 1, 1, 1]})
    monkeypatch.setenv("BMZOO_SAIL_SHAPE", "x:1x3x8x16,x:2x3x16x8,z:1x1x1x1")
    engine = sail.Engine(str(path), 0, sail.SYSIO)
    assert engine.get_max_input_shapes("f") == {"x": [2, 3, 16, 16], "z": [1, 1, 1, 1]}
    for shape in ((1, 3, 8, 16), (2, 3, 16, 8)):
        (found,) = engine.process("f", {"x": np.ones(shape), "z": np.ones((1, 1, 1, 1))}).values()
        assert found.shape == shape and (found == 4).all()
    with pytest.raises(sail.SailEngineError, match=r"or `x` \[2, 3, 16, 8\]"):
        engine.process("f", {"x": np.ones((2, 3, 16, 16)), "z": np.ones((1, 1, 1, 1))})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x:1x3x8", r"does not fit `x` float32 \[-1, 3, -1, -1\]: 1x3x8"),
        ("x:1x4x8x8", "does not fit"),
        ("x:1x3x0x8", "must be NAME:1x3x320x320"),
        ("x=1x3x8x8", "must be NAME:1x3x320x320"),
        ("1x3x8x8", "must name the input, one of x, z"),
        ("x:1x3x8x8", "no shape for the other input: `z`"),
        ("x:1x3x8x8,z:1x3x8x8,z:1x3x8x8,z:1x3x8x8,x:1x3x8x8", "`x`: must come once or 3 times: 2"),
    ],
)
def test_shapes_that_do_not_fit(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = free_onnx(tmp_path / "f.onnx", {"x": FREE, "z": FREE})
    monkeypatch.setenv("BMZOO_SAIL_SHAPE", text)
    with pytest.raises(sail.SailEngineError, match=message):
        sail.Engine(str(path), 0, sail.SYSIO)


def test_the_first_call_settles_what_nothing_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sail.Engine(str(free_onnx(tmp_path / "f.onnx", {"x": FREE})), 0, sail.SYSIO)
    assert engine.get_input_names("f") == ["x"]
    for ask in (
        lambda: engine.get_input_shape("f", "x"),
        lambda: engine.get_output_shape("f", "y"),
        lambda: engine.get_max_input_shapes("f"),
        lambda: engine.create_input_tensors_map("f"),
    ):
        with pytest.raises(sail.SailEngineError, match=r"leaves its shape free.*BMZOO_SAIL_SHAPE.*x:1x3x640x640"):
            ask()
    with pytest.raises(sail.SailEngineError, match=r"must be \[-1, 3, -1, -1\]: \[1, 4, 9, 9\]"):
        engine.process("f", {"x": np.ones((1, 4, 9, 9))})
    assert engine.process("f", {"x": np.ones((2, 3, 9, 7))})["y"].shape == (2, 3, 9, 7)
    assert engine.get_input_shape("f", "x") == engine.get_max_output_shapes("f")["y"] == [2, 3, 9, 7]
    with pytest.raises(sail.SailEngineError, match=r"must be \[2, 3, 9, 7\]: \[1, 3, 9, 7\]"):
        engine.process("f", {"x": np.ones((1, 3, 9, 7))})
    monkeypatch.setenv("BMZOO_SAIL_BATCH", "4")
    engine = sail.Engine(str(tmp_path / "f.onnx"), 0, sail.SYSIO)
    with pytest.raises(sail.SailEngineError, match=r"must be \[4, 3, -1, -1\]"):
        engine.process("f", {"x": np.ones((2, 3, 9, 7))})


@pytest.mark.parametrize("ir", [10, 11, 200])
def test_files_of_a_newer_ir_version(ir: int, tmp_path: Path) -> None:
    path = free_onnx(tmp_path / "f.onnx", {"x": [1, 3, 2, 2]}, ir)
    for model in (path, path.read_bytes()):
        x = np.ones((1, 3, 2, 2), np.float32)
        assert (OnnxSession(model, threads=1).run({"x": x})["y"] == 2).all()
    assert sail.Engine(str(path), 0, sail.SYSIO).get_graph_names() == ["f"]
    assert onnx.load_from_string(path.read_bytes()).ir_version == ir, "the file is left as it is"


def test_a_newer_file_with_weights_beside_it(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.full((2000,), 3, np.float32), "w")
    value = helper.make_tensor_value_info
    x, y = (value(name, TensorProto.FLOAT, [2000]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
    path = tmp_path / "w.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="w.data", size_threshold=0)
    found = OnnxSession(path, threads=1).run({"x": np.ones(2000, np.float32)})["y"]
    assert (found == 3).all()


def test_what_is_no_onnx_file_gets_no_stamp() -> None:
    for data in (b"", b"\x0f", b"\x80\x80", b"\x12\x01x"):
        with pytest.raises(ValueError, match="no"):
            stamped(data, 9)
    with pytest.raises(SessionError, match="refuses the model"):
        OnnxSession(b"no model")
