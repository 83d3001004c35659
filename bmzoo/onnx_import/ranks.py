"""Outputs without a shape: exporters may leave it out, inference may not find it, and onnx's checker wants one."""

from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SessionError
from bmzoo.onnx_import.samples import Feeds
from bmzoo.runtime.engines.session import OnnxSession


def give_ranks(model: ModelProto, feeds: Feeds) -> None:
    """Say of each output without a shape how many dimensions it has, in place; none where it cannot be run."""
    unknown = [port for port in model.graph.output if not port.type.tensor_type.HasField("shape")]
    if not unknown:
        return
    try:
        found = OnnxSession(model.SerializeToString()).run(feeds)
    except SessionError:  # newer than onnxruntime, or not valid: the contract's checks come next, and say which
        return
    for port in unknown:
        port.type.tensor_type.shape.SetInParent()
        for _ in found[port.name].shape:
            port.type.tensor_type.shape.dim.add()
