"""Reading of untrusted ONNX files with their external data, and their inputs and outputs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from onnx import helper
from onnx.onnx_ml_pb2 import ModelProto, TensorProto, ValueInfoProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import import external
from bmzoo.onnx_import.external import PROTOBUF_LIMIT

_FETCH_AGAIN = "fetch or export the model again"
# What is fetched in place of a model, by how it begins.
_NO_MODELS = (
    ("a web page", (b"<!doctype", b"<html", b"<?xml"), "fetch the file itself: on GitHub the link named `raw`"),
    (
        "a Git LFS pointer",
        (b"version https://git-lfs",),
        "`git lfs pull`, or fetch the file from the project's page",
    ),
    ("a zip archive", (b"pk\x03\x04",), "unpack it, and name the .onnx file in it"),
    ("a message in JSON", (b'{"',), "see what it says: the address may need a login, or be gone"),
)
_KNOWN = frozenset(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}


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


def load_onnx(path: Path, shown: str = "", data: Path | None = None) -> ModelProto:
    """The model with its external data read in; `shown` is what errors call the file, if not by its path.

    `data`: a folder of nothing but its external data, if not its own. Raises SourceError when the file is missing,
    damaged or not an ONNX model, when external data is missing, too short or outside its folder, and for 2 GiB.
    """
    where = shown or str(path)
    model = read(path, where)
    if data is None:
        external.files(model, path.parent, where)
    external.read_in(model, data or path.parent, where)
    return model


def read(path: Path, where: str) -> ModelProto:
    """The model as it is in the file, its external data left where it is. Raises SourceError."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size < PROTOBUF_LIMIT else b""
    except OSError as err:
        raise SourceError(f"{where}: cannot be read: {err.strerror or err}", "check the path") from None
    if size >= PROTOBUF_LIMIT:  # protobuf cannot read more, so no engine could load it
        raise SourceError(f"{where}: too large: {size} bytes", "the limit is 2 GiB")
    for what, starts, hint in _NO_MODELS:
        if content[:512].lstrip().lower().startswith(starts):
            raise SourceError(f"{where}: not an ONNX model, but {what}: {len(content)} bytes", hint)
    try:
        model = ModelProto.FromString(content)
    except Exception:  # protobuf's DecodeError, whose package has no types
        problem = f"{where}: not an ONNX model, or cut short: {len(content)} bytes"
        raise SourceError(problem, _FETCH_AGAIN) from None
    if not model.ir_version or not model.graph.node or not model.graph.output:
        raise SourceError(f"{where}: not an ONNX model: no graph in it", _FETCH_AGAIN)
    if not model.opset_import:
        raise SourceError(f"{where}: says nowhere which opset it uses: no `opset_import`", _FETCH_AGAIN)
    return model


def io_signature(model: ModelProto) -> ModelSignature:
    """Inputs and outputs of the model; weights that are also listed as inputs (IR version 3) are left out."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = (value for value in model.graph.input if value.name not in weights)
    return ModelSignature(_ports(inputs), _ports(model.graph.output))


def _ports(values: Iterable[ValueInfoProto]) -> tuple[ValueInfo, ...]:
    return tuple(_port(value) for value in values)


def _port(value: ValueInfoProto) -> ValueInfo:
    kind = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type in _KNOWN else "unknown"
    if not kind.HasField("shape"):
        return ValueInfo(value.name, dtype, None)
    dims = (dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim)
    return ValueInfo(value.name, dtype, tuple(dims))
