from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bmzoo.commands import equalize
from bmzoo.quantization.equalize import factors_text


def test_networks_of_free_size_that_list_their_weights_first(tmp_path: Path) -> None:
    """Sides of 1 would be too small for the convolution, and the first input of such a file is a weight."""
    weights = {"w": np.ones((2, 3, 5, 5), np.float32), "v": np.ones((2, 2, 1, 1), np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="c"),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, w.shape) for name, w in weights.items()]
    ports.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "h", "w"]))
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2, "i", "j"])
    constants = [numpy_helper.from_array(w, name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "g", ports, [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=3)
    onnx.save(model, str(tmp_path / "source.onnx"))
    (tmp_path / "channels.scales").write_text(factors_text({"c": np.array([2.0, 0.5])}))
    equalize.run(tmp_path, ("source.onnx", "channels.scales", "[1,3,8,6]"))
    scaled = numpy_helper.to_array(onnx.load(str(tmp_path / "model.onnx")).graph.initializer[0])
    assert not np.array_equal(scaled, weights["w"])
