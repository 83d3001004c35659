"""Which node holds a batch that is baked in: the first whose result is not that of pictures one by one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx.onnx_ml_pb2 import ModelProto, ValueInfoProto

# onnxruntime names the node that it fails at.
_FAILED = re.compile(r"while running (\w+) node\. Name:'([^']*)'")
Rows = Mapping[str, NDArray[Any]]
_TOLERANCE = 1e-3
# Every tensor of two pictures is held at once; a network of more nodes is looked at up to here.
_MOST = 4096


def holder(model: ModelProto, alone: Sequence[Rows], together: Rows) -> tuple[str, str]:
    """The node's kind and its name, or its output's; empty where none can be told.

    model: with a batch that is free by its name. alone: feeds of each picture. together: of all of them.
    """
    nodes = [node for node in model.graph.node if node.op_type != "Constant" and node.output[0]][:_MOST]
    names = [node.output[0] for node in nodes]
    try:
        session = _session(_tapped(model, names))
        single = [dict(zip(names, session.run(names, dict(feeds)), strict=True)) for feeds in alone]
        found = dict(zip(names, session.run(names, dict(together)), strict=True))
    except Exception as error:  # onnxruntime's errors have no base class of their own
        named = _FAILED.search(str(error))
        return (named[1], named[2]) if named else ("", "")
    held = (node for node in nodes if not _follows(node.output[0], found, single))
    return next(((node.op_type, node.name or node.output[0]) for node in held), ("", ""))


def _session(model: ModelProto) -> onnxruntime.InferenceSession:
    """Nodes as they are: what onnxruntime fuses has other names."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _tapped(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """The model with every tensor among its outputs; onnxruntime finds their types itself."""
    copy = ModelProto()
    copy.CopyFrom(model)
    there = {port.name for port in copy.graph.output}
    copy.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in there)
    return copy


def _follows(name: str, found: Rows, single: Sequence[Rows]) -> bool:
    """Whether a tensor is that of each picture, one after another, or the same for all. Sizes are what they are."""
    value, each = found[name], [one[name] for one in single]
    if value.dtype.kind not in "f" or any(not np.isfinite(one).all() for one in each):
        return True
    if all(_equal(each[0], one) for one in each[1:]):
        return True
    return any(_equal(value, wanted) for wanted in _joined(each))


def _joined(each: Sequence[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    if len({one.shape for one in each}) == 1:
        yield from (np.concatenate(each, axis) for axis in range(each[0].ndim))


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
