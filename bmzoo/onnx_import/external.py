"""External data: weights that lie in files beside the .onnx, which names them and may not be trusted."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from onnx import helper
from onnx.onnx_ml_pb2 import ModelProto, TensorProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import.walk import element_name, tensors
from bmzoo.system.text import printable

PROTOBUF_LIMIT = 2 << 30  # protobuf cannot hold more, so no engine could load it
MOST_FILES = 10_000
_AGAIN = "fetch or export the model again"
_BESIDE = "keep the data file beside the model"


def files(model: ModelProto, folder: Path, where: str) -> dict[str, Path]:
    """Path below the model's folder -> file, for all that the model reads. Raises SourceError."""
    found: dict[str, Path] = {}
    for tensor in _external(model):
        name = _location(tensor, where)
        if name not in found:
            found[name] = _inside(folder, name, _what(tensor, where))
    if len(found) > MOST_FILES:
        raise SourceError(f"{where}: external data in {len(found)} files", f"the limit is {MOST_FILES}")
    total = sum(file.stat().st_size for file in found.values())
    if total >= PROTOBUF_LIMIT:
        raise SourceError(f"{where}: external data is too large: {total} bytes", "the limit is 2 GiB")
    return found


def read_in(model: ModelProto, folder: Path, where: str) -> None:
    """Put external data into the model, in place. Raises SourceError; nothing is read where it is too much."""
    wanted = [(tensor, *_range(tensor, folder, where)) for tensor in _external(model)]
    total = model.ByteSize() + sum(length for *_, length in wanted)
    if total >= PROTOBUF_LIMIT:
        raise SourceError(f"{where}: too large: {total} bytes", "the limit is 2 GiB")
    for tensor, file, offset, length in wanted:
        try:
            with file.open("rb") as data:
                data.seek(offset)
                tensor.raw_data = data.read(length)
        except OSError as error:
            raise SourceError(f"{_what(tensor, where)} cannot be read: {error.strerror}") from None
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _external(model: ModelProto) -> Iterator[TensorProto]:
    return (tensor for tensor in tensors(model.graph) if tensor.data_location == TensorProto.EXTERNAL)


def _range(tensor: TensorProto, folder: Path, where: str) -> tuple[Path, int, int]:
    """File, offset and length in bytes of a tensor's data, which must be there whole."""
    what = _what(tensor, where)
    file = folder / _location(tensor, where)
    if not file.is_file():
        raise SourceError(f"{what} is missing", _BESIDE)
    size, entries = file.stat().st_size, _entries(tensor)
    offset, length = entries.get("offset", "0"), entries.get("length", "")
    if not _number(offset) or not (_number(length) or not length):
        shown = printable(f"{length} bytes wanted at {offset}")
        raise SourceError(f"{what}: no such place: {shown}", _AGAIN)
    start, needed = int(offset), _bytes(tensor, what)
    if length and int(length) != needed:
        raise SourceError(f"{what}: {int(length)} bytes are said to hold {needed}", _AGAIN)
    if start + needed > size:
        raise SourceError(f"{what} is too short: {needed} bytes wanted at {start}, it has {size}", _AGAIN)
    return file, start, needed


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _bytes(tensor: TensorProto, what: str) -> int:
    """How many bytes a tensor of this type and shape takes."""
    known = set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED, TensorProto.STRING}
    if tensor.data_type not in known:
        kind = element_name(tensor.data_type)
        raise SourceError(f"{what} is of a type that cannot be read: {kind}", "export the model in float32")
    if any(side < 0 for side in tensor.dims):
        raise SourceError(f"{what} has a shape that cannot be: {list(tensor.dims)}", _AGAIN)
    narrow = helper.tensor_dtype_to_storage_tensor_dtype(tensor.data_type) == TensorProto.UINT16
    float8 = "FLOAT8" in TensorProto.DataType.Name(tensor.data_type)
    each = 1 if float8 else 2 if narrow else helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return int(math.prod(tensor.dims) * each)


def _location(tensor: TensorProto, where: str) -> str:
    """The path of a tensor's data below the model's folder."""
    location = _entries(tensor).get("location", "")
    path = PurePosixPath(location)
    if not location or not path.name or path.is_absolute() or ".." in path.parts or not location.isprintable():
        hint = "export the model into one folder"
        raise SourceError(f"{_what(tensor, where)} lies outside the model's folder", hint)
    return str(path)


def _inside(folder: Path, name: str, what: str) -> Path:
    file = folder / name
    try:
        real, there = file.resolve(), file.is_file()
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        there, real = False, file
    if not real.is_relative_to(folder.resolve()):
        raise SourceError(f"{what} lies outside the model's folder, behind a link", "put the file itself there")
    if not there:
        raise SourceError(f"{what} is missing in {folder}", _BESIDE)
    return file


def _entries(tensor: TensorProto) -> Mapping[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _what(tensor: TensorProto, where: str) -> str:
    location = printable(_entries(tensor).get("location", ""))
    return f"{where}: tensor `{printable(tensor.name)}`: external data `{location}`"
