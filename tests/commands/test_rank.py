"""`rank`, `choose` and `cut` over a hand-made lowering, in their worker processes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bmzoo.commands import choose, cut, rank
from bmzoo.quantization.emulator import EmulatorJob

NONE = {"kind": "none", "strides": [8], "min_sizes": [[16]], "variance": [0.1, 0.2]}
LAYERS = {"c_Conv": 0.3, "m_Mul": 0.2, "y_Concat": 0.3}


def lowered(layers: dict[str, float]) -> str:
    lines = [
        f'    %{n} = "tpu.Any"(%0) {{}} : (none) -> tensor<1x!quant.uniform<i8:f32, {scale}>> loc(#loc{n})'
        for n, scale in enumerate(layers.values(), 1)
    ]
    for n, (name, shape) in enumerate({"x": "1x4x6x6xf32", "state": "2x6xf32", "index": "1xsi32"}.items(), 90):
        lines.insert(0, f'    %{n} = "top.Input"(%arg) {{}} : (none) -> tensor<{shape}> loc(#loc{n})')
        lines.append(f'#loc{n} = loc("{name}")')
    return "\n".join([*lines, *(f'#loc{n} = loc("{name}")' for n, name in enumerate(layers, 1))]) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture, a state of two rows for each picture, and an index; shapes computed in the graph."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(np.ones((2, 4, 1, 1), np.float32))),
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Gather", ["state", "index"], ["row"]),
        helper.make_node("Mul", ["c", "row"], ["m"]),
        helper.make_node("Shape", ["c"], ["s"]),
        helper.make_node("ConstantOfShape", ["s"], ["zeros"]),
        helper.make_node("Concat", ["m", "zeros"], ["y"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 6, 6]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, 6]),
        helper.make_tensor_value_info("index", TensorProto.INT64, [1]),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 6, 6])
    graph = helper.make_graph(nodes, "g", ports, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, str(tmp_path / "model.onnx"))
    inputs: dict[str, NDArray[Any]] = {
        "x": random.uniform(-1, 1, (3, 4, 6, 6)).astype(np.float32),
        "state": random.uniform(-1, 1, (6, 6)).astype(np.float32),
        "index": np.array([0, 1, 1], np.int64),
    }
    np.savez(tmp_path / "inputs.npz", **inputs)
    (tmp_path / "lowered.mlir").write_text(lowered({**LAYERS, "elsewhere_Add": 0.4}))
    (tmp_path / "model.mlir").write_text("".join(f'#loc{n} = loc("{name}")\n' for n, name in enumerate(LAYERS)))
    request = {"decoder": NONE, "input": None, "slots": 3}
    search = {"limit": 3, "metric": "faces", "exclude": []}
    (tmp_path / "request.json").write_text(json.dumps({**request, **search}))
    return tmp_path


def test_a_network_of_several_inputs_is_ranked_and_its_layers_chosen(folder: Path) -> None:
    rank.run(folder, ("request.json",))
    ranking = json.loads((folder / "ranking.json").read_text())
    assert {row["layer"] for row in ranking["layers"]} == set(LAYERS)
    assert ranking["mapped"] == [3, 4]  # one is named after no tensor
    assert all(row["loss"] > 0 for row in ranking["layers"])
    choose.run(folder, ("request.json",))
    settings = {"max_float_layers": 3, "expected_cos": None, "gain": 0.0, "keep": None, "metric": "faces"}
    (folder / "cut.json").write_text(json.dumps({"settings": {**settings, "exclude": None}, "mode": "F16"}))
    cut.run(folder, ("cut.json",))
    assert (folder / "mixed.qtable").read_text().count(" F16\n") == 3
    assert json.loads((folder / "path.json").read_text())["choices"][-1]["loss"] == pytest.approx(0, abs=1e-9)


def test_a_picture_has_its_rows_of_every_input(folder: Path) -> None:
    job = EmulatorJob(folder, NONE, (6, 6), 3)
    feeds = job.picture(job.feeds(), 1)
    assert {name: values.shape for name, values in feeds.items()} == {
        "x": (1, 4, 6, 6),
        "state": (2, 6),
        "index": (1,),
    }
    assert "Shape" not in {node.op_type for node in job.network().model.graph.node}
