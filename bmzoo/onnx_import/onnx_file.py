"""Reading of untrusted ONNX files with their external data; access to inputs, outputs, nodes and weights."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from onnx import helper
from onnx.external_data_helper import load_external_data_for_model
from onnx.onnx_ml_pb2 import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from bmzoo.errors import SourceError

_FETCH_AGAIN = "fetch or export the model again"


@dataclass(frozen=True)
class ValueInfo:
    """An input or output: numpy's name of its type, and its shape (None: unknown; a text: a dynamic dimension)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True)
class ModelSignature:
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]


def load_onnx(path: Path, shown: str = "") -> ModelProto:
    """The model with its external data read in; `shown` is what errors call the file, if not by its path.

    Raises SourceError when the file is missing, damaged or not an ONNX model, when external data is missing,
    too short or outside the model's folder, and when all of it is 2 GiB or more.
    """
    where = shown or str(path)
    try:
        data = path.read_bytes()
    except OSError as err:
        raise SourceError(f"{where}: cannot be read: {err.strerror or err}", "check the path") from None
    try:
        model = ModelProto.FromString(data)
    except Exception:  # protobuf's DecodeError, whose package has no types
        problem = f"{where}: not an ONNX model, or cut short: {len(data)} bytes"
        raise SourceError(problem, _FETCH_AGAIN) from None
    if not model.ir_version or not model.graph.node or not model.graph.output:
        raise SourceError(f"{where}: not an ONNX model: no graph in it", _FETCH_AGAIN)
    if not model.opset_import:
        raise SourceError(f"{where}: says nowhere which opset it uses: no `opset_import`", _FETCH_AGAIN)
    _load_external(model, path.parent, where)
    return model


def _load_external(model: ModelProto, folder: Path, where: str) -> None:
    external = [t for t in tensors(model.graph) if t.data_location == TensorProto.EXTERNAL]
    for tensor in external:
        _check_external(tensor, folder.resolve(), where)
    if external:
        load_external_data_for_model(model, str(folder))
    if model.ByteSize() >= 2 << 30:  # protobuf cannot serialize more, so no engine could load it
        raise SourceError(f"{where}: too large: {model.ByteSize()} bytes", "the limit is 2 GiB")


def _check_external(tensor: TensorProto, folder: Path, where: str) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    what = f"{where}: tensor `{tensor.name}`: external data `{location}`"
    file = (folder / location).resolve()
    if not location or not file.is_relative_to(folder):
        raise SourceError(f"{what} lies outside the model's folder", "export the model into one folder")
    if not file.is_file():
        raise SourceError(f"{what} is missing", "keep the data file beside the model")
    offset, length = entries.get("offset", "0"), entries.get("length", "0")
    if not (offset.isdecimal() and length.isdecimal()) or int(offset) + int(length) > file.stat().st_size:
        raise SourceError(f"{what} is too short: {length} bytes wanted at {offset}", _FETCH_AGAIN)


def nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, including those of subgraphs."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from nodes(inner)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else attribute.graphs


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Every weight and constant, including those of subgraphs."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else attribute.tensors
        for inner in subgraphs(node):
            yield from tensors(inner)


def io_signature(model: ModelProto) -> ModelSignature:
    """Inputs and outputs of the model; weights that are also listed as inputs (IR version 3) are left out."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = (value for value in model.graph.input if value.name not in weights)
    return ModelSignature(_ports(inputs), _ports(model.graph.output))


def _ports(values: Iterable[ValueInfoProto]) -> tuple[ValueInfo, ...]:
    return tuple(_port(value) for value in values)


def _port(value: ValueInfoProto) -> ValueInfo:
    kind = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "unknown"
    if not kind.HasField("shape"):
        return ValueInfo(value.name, dtype, None)
    dims = (dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim)
    return ValueInfo(value.name, dtype, tuple(dims))
