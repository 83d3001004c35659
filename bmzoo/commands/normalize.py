"""`normalize`: rewrites a compiled model reproducibly: its bytes depend on its content only.

The compiler writes a time stamp into a bmodel or cvimodel. For chips whose bmodels carry no firmware it also writes
an empty kernel module with an uninitialized `mode` (TPU-MLIR 1.30.2, found with MALLOC_PERTURB_): it holds whatever
the memory held before, and where that is zero the field is omitted and all later offsets change.
"""

import hashlib
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bmzoo.errors import ToolFailed
from bmzoo.runtime.engines.cvimodel import CVIMODEL_MAGIC, CVIMODEL_SUFFIX
from bmzoo.system import flatbuffer

EPOCH = b"Thu Jan  1 00:00:00 1970\n"
# The header, little endian: magic, its own size, that of the description (a FlatBuffer), that of the binary part.
HEADER = struct.Struct("<4I48s")
HEADER_MAGIC = 0xFF55AAEE
ALIGNMENT = 4096  # the binary part begins at a multiple of this
# model_tool carries the schema of the description as text, to print it by.
SCHEMA_BOUNDS = (b"namespace bmodel;", b"\0")
# Firmware of the TPU, and layers that run on the host CPU. An empty module has an empty name.
MODULES = ("kernel_module", "cpuop_module")
# A cvimodel's, little endian: magic, size of the description (a FlatBuffer), version, md5 of all behind it, chip.
CVIMODEL_HEADER = struct.Struct("<8sI2B16s16s2s")
CVIMODEL_EPOCH = b"1970-01-01 00:00:00"
# A text in the description: four bytes of length before it, a zero behind it.
_BUILD_TIME = re.compile(rb"(?<=\x13\0\0\0)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?=\0)")
_HINT = "is this a bmodel of TPU-MLIR 1.x?"


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Normalize a model in place, a bmodel by the schema of the installed toolchain. Raises ToolFailed."""
    model = folder / args[0]
    if model.suffix == CVIMODEL_SUFFIX:
        normalize_cvimodel(model)
    else:
        normalize(model, installed_schema(Path(os.environ["TPUC_ROOT"])))


def installed_schema(root: Path) -> flatbuffer.Schema:
    """The schema of bmodels, read from a TPU-MLIR installation. Raises ToolFailed."""
    tool = root / "bin" / "model_tool"
    start, end = SCHEMA_BOUNDS
    try:
        text = tool.read_bytes().partition(start)[2].partition(end)[0].decode()
        return flatbuffer.schema(text)
    except (OSError, ValueError) as error:
        raise ToolFailed(f"{tool}: no schema of bmodels in it: {error}", "is this TPU-MLIR 1.x?") from None


def normalize(model: Path, schema: flatbuffer.Schema) -> None:
    """Rewrite the description with a fixed time and no uninitialized field.

    Raises ToolFailed, and then leaves the file unchanged.
    """
    content = model.read_bytes()
    size, description = _description(content, model.name)
    try:
        values = flatbuffer.unpack(description, schema)
    except ValueError as error:
        raise ToolFailed(f"{model.name}: its description cannot be read: {error}", _HINT) from None
    binary = content[HEADER.size + size :]
    for start, length in _binaries(values):
        if start + length > len(binary):
            raise ToolFailed(f"{model.name}: names {length} bytes at {start} of {len(binary)}", _HINT)
    values["time"] = EPOCH
    for name in MODULES:
        if not values.get(name, {}).get("file_name", b"-"):
            values[name] = {"file_name": b"", "binary": (0, 0)}
    written = flatbuffer.pack(values, schema)
    written += bytes(-(HEADER.size + len(written)) % ALIGNMENT)
    header = HEADER.pack(HEADER_MAGIC, HEADER.size, len(written), len(binary), bytes(48))
    model.write_bytes(header + written + binary)


def normalize_cvimodel(model: Path) -> None:
    """Rewrite it with a fixed time, and with zeros where the header is padded with what lay in memory.

    Raises ToolFailed, and then leaves the file unchanged.
    """
    content = model.read_bytes()
    if len(content) < CVIMODEL_HEADER.size or not content.startswith(CVIMODEL_MAGIC):
        raise ToolFailed(f"{model.name}: does not begin as a cvimodel does", "is this a cvimodel of TPU-MLIR 1.x?")
    magic, size, major, minor, digest, chip, _ = CVIMODEL_HEADER.unpack_from(content)
    rest = content[CVIMODEL_HEADER.size :]
    if size > len(rest) or hashlib.md5(rest, usedforsecurity=False).digest() != digest:
        raise ToolFailed(f"{model.name}: its checksum is not that of its content", "is the disk full?")
    described, times = _BUILD_TIME.subn(CVIMODEL_EPOCH, rest[:size])
    if times != 1:
        raise ToolFailed(f"{model.name}: {times} times of its making in it, and not one", "is this TPU-MLIR 1.x?")
    written = described + rest[size:]
    checksum = hashlib.md5(written, usedforsecurity=False).digest()
    header = CVIMODEL_HEADER.pack(magic, size, major, minor, checksum, chip, bytes(2))
    model.write_bytes(header + written)


def _description(content: bytes, name: str) -> tuple[int, bytes]:
    """Its size, and the description itself. Raises ToolFailed."""
    if len(content) < HEADER.size:
        raise ToolFailed(f"{name}: {len(content)} bytes are too few for a bmodel", _HINT)
    magic, own, size, binary, _ = HEADER.unpack_from(content)
    if (magic, own) != (HEADER_MAGIC, HEADER.size):
        raise ToolFailed(f"{name}: does not begin as a bmodel does", _HINT)
    if HEADER.size + size + binary != len(content):
        raise ToolFailed(f"{name}: {len(content)} bytes, and its header says {HEADER.size + size + binary}", _HINT)
    return size, content[HEADER.size : HEADER.size + size]


def _binaries(value: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401  # walks whatever the description holds
    """Every `Binary` (start, size) in a description, except those of empty modules: their size is uninitialized."""
    if isinstance(value, dict):
        if value.get("file_name") != b"":
            for inner in value.values():
                yield from _binaries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _binaries(inner)
    elif isinstance(value, tuple) and len(value) == 2:
        yield value
