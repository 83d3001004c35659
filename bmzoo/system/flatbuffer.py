"""FlatBuffers unpacked into plain values and packed again, by a schema that is known only at run time.

The encoding is not canonical: two buffers with the same values may order their fields differently, and a field
that equals its default may be present or absent. `pack` always encodes equal values as equal bytes.

Source: the FlatBuffers internals page (https://flatbuffers.dev/internals/), for the subset of the schema language
that bmodels use: tables, structs of scalars, strings, and vectors of these.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flatbuffers
from flatbuffers import number_types
from flatbuffers.table import Table as Cursor

# Schema type -> how the library reads and writes it.
SCALARS = {
    "int8": number_types.Int8Flags,
    "uint8": number_types.Uint8Flags,
    "int32": number_types.Int32Flags,
    "uint32": number_types.Uint32Flags,
    "int64": number_types.Int64Flags,
    "uint64": number_types.Uint64Flags,
    "float32": number_types.Float32Flags,
}
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DEFINITION = re.compile(r"(table|struct)\s+(\w+)\s*\{(.*?)\}", re.DOTALL)
_FIELD = re.compile(r"(\w+)\s*:\s*(\[?\w+\]?)\s*(?:=\s*(-?[\d.]+))?\s*(?:\(.*?id\s*:\s*(\d+).*?\))?\s*;")
_ROOT = re.compile(r"root_type\s+(\w+)\s*;")


@dataclass(frozen=True)
class Field:
    """A field of a table or struct. `slot`: its place in the table's vtable; `kind`: its type without brackets."""

    name: str
    slot: int
    kind: str
    vector: bool
    default: float = 0


@dataclass(frozen=True)
class Schema:
    """The fields of each table and struct by its name, and the type of the whole."""

    tables: Mapping[str, tuple[Field, ...]]
    structs: Mapping[str, tuple[Field, ...]]
    root: str


def schema(text: str) -> Schema:
    """Read a schema (`.fbs`). Raises ValueError naming what is not of the subset."""
    bare = _COMMENT.sub("", text)
    found: dict[str, dict[str, tuple[Field, ...]]] = {"table": {}, "struct": {}}
    for sort, name, body in _DEFINITION.findall(bare):
        found[sort][name] = _fields(name, body)
    root = _ROOT.search(bare)
    known = {*SCALARS, "string", *found["table"], *found["struct"]}
    strange = [f.kind for fields in (*found["table"].values(), *found["struct"].values()) for f in fields]
    if unknown := set(strange) - known:
        raise ValueError(f"unknown types: {', '.join(sorted(unknown))}")
    if root is None or root[1] not in found["table"]:
        raise ValueError("no root type")
    return Schema(found["table"], found["struct"], root[1])


def _fields(owner: str, body: str) -> tuple[Field, ...]:
    fields = []
    for place, statement in enumerate(filter(None, map(str.strip, body.split(";")))):
        match = _FIELD.fullmatch(f"{statement};")
        if match is None:
            raise ValueError(f"{owner}: not understood: {statement}")
        name, kind, default, slot = match.groups()
        fields.append(Field(name, int(slot or place), kind.strip("[]"), kind[0] == "[", float(default or 0)))
    return tuple(sorted(fields, key=lambda field: field.slot))


def unpack(buffer: bytes, layout: Schema) -> dict[str, Any]:
    """A buffer as a dictionary: tables as dictionaries, structs as tuples, vectors as lists.

    Absent fields and scalars that equal their default are left out. Raises ValueError for a field that the
    schema does not know, and for a truncated or damaged buffer.
    """
    try:
        start = struct.unpack_from("<I", buffer)[0]
        return _Reader(layout).table(Cursor(buffer, start), layout.root)
    except (
        IndexError,
        TypeError,
        RecursionError,
        struct.error,
    ) as error:  # from a truncated buffer
        raise ValueError(f"damaged: {error}") from None


class _Reader:
    def __init__(self, layout: Schema) -> None:
        self._layout = layout

    def table(self, at: Cursor, name: str) -> dict[str, Any]:
        fields = self._layout.tables[name]
        vtable = at.Pos - at.Get(number_types.SOffsetTFlags, at.Pos)
        slots = (at.Get(number_types.VOffsetTFlags, vtable) - 4) // 2
        known = {field.slot for field in fields}
        for slot in range(slots):
            if slot not in known and at.Offset(4 + 2 * slot):
                raise ValueError(f"{name} has a field {slot}, which the schema does not know")
        values = {}
        for field in fields:
            offset = at.Offset(4 + 2 * field.slot)
            if offset and (value := self._value(at, at.Pos + offset, field)) is not None:
                values[field.name] = value
        return values

    def _value(self, at: Cursor, place: int, field: Field) -> Any:  # noqa: ANN401  # whatever the schema says
        if field.vector:
            start = place + at.Get(number_types.UOffsetTFlags, place)
            size = self._size(field.kind)
            count = at.Get(number_types.UOffsetTFlags, start)
            if start + 4 + count * size > len(at.Bytes):
                raise ValueError(f"{field.name}: {count} elements are more than there are bytes")
            return [self._element(at, start + 4 + index * size, field.kind) for index in range(count)]
        value = self._element(at, place, field.kind)
        return None if field.kind in SCALARS and value == field.default else value

    def _element(self, at: Cursor, place: int, kind: str) -> Any:  # noqa: ANN401
        if kind in SCALARS:
            return at.Get(SCALARS[kind], place)
        if kind == "string":
            return at.String(place)
        if kind in self._layout.structs:
            return tuple(at.Get(SCALARS[f.kind], place + o) for f, o in _places(self._layout.structs[kind]))
        return self.table(Cursor(at.Bytes, at.Indirect(place)), kind)

    def _size(self, kind: str) -> int:
        if kind in SCALARS:
            return int(SCALARS[kind].bytewidth)
        if kind in self._layout.structs:
            return sum(SCALARS[f.kind].bytewidth for f in self._layout.structs[kind])
        return 4  # an offset


def _places(fields: tuple[Field, ...]) -> list[tuple[Field, int]]:
    """Each field of a struct with its offset. All have one width in bmodels, so nothing lies between them."""
    width = SCALARS[fields[0].kind].bytewidth
    if any(SCALARS[f.kind].bytewidth != width for f in fields):
        raise ValueError("a struct of fields of several widths")
    return [(field, index * width) for index, field in enumerate(fields)]


def pack(values: Mapping[str, Any], layout: Schema) -> bytes:
    """The inverse of `unpack`; equal values give equal bytes."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(_Writer(layout, builder).table(values, layout.root))
    return bytes(builder.Output())


class _Writer:
    def __init__(self, layout: Schema, builder: flatbuffers.Builder) -> None:
        self._layout = layout
        self._builder = builder

    def table(self, values: Mapping[str, Any], name: str) -> int:
        """Offset of a table. Children are written first, as FlatBuffers are built from the leaves up."""
        fields = self._layout.tables[name]
        given = [(field, values[field.name]) for field in fields if field.name in values]
        placed = {f.name: self._placed(value, f) for f, value in given if self._is_apart(f)}
        self._builder.StartObject(1 + max((f.slot for f in fields), default=-1))
        for field, value in given:
            if field.name in placed:
                self._builder.PrependUOffsetTRelativeSlot(field.slot, placed[field.name], 0)
            elif field.kind in SCALARS:
                self._builder.PrependSlot(SCALARS[field.kind], field.slot, value, field.default)
            else:
                self._builder.PrependStructSlot(field.slot, self._struct(value, field.kind), 0)
        return int(self._builder.EndObject())

    def _is_apart(self, field: Field) -> bool:
        return field.vector or field.kind == "string" or field.kind in self._layout.tables

    def _placed(self, value: Any, field: Field) -> int:  # noqa: ANN401
        if field.vector:
            return self._vector(value, field.kind)
        return self._offset(value, field.kind)

    def _offset(self, value: Any, kind: str) -> int:  # noqa: ANN401
        return int(self._builder.CreateString(value)) if kind == "string" else self.table(value, kind)

    def _vector(self, values: list[Any], kind: str) -> int:
        put: Callable[[Any], object]
        if kind in SCALARS:
            flags = SCALARS[kind]
            size = align = flags.bytewidth
            items, put = values, lambda value: self._builder.Prepend(flags, value)
        elif kind in self._layout.structs:
            fields = self._layout.structs[kind]
            align = SCALARS[fields[0].kind].bytewidth
            size, items, put = align * len(fields), values, lambda value: self._struct(value, kind)
        else:
            size = align = 4
            items, put = [self._offset(v, kind) for v in values], self._builder.PrependUOffsetTRelative
        self._builder.StartVector(size, len(items), align)
        for item in reversed(items):
            put(item)
        return int(self._builder.EndVector())

    def _struct(self, values: tuple[Any, ...], kind: str) -> int:
        places = _places(self._layout.structs[kind])
        width = SCALARS[places[0][0].kind].bytewidth
        self._builder.Prep(width, width * len(places))
        for (field, _), value in reversed(list(zip(places, values, strict=True))):
            self._builder.Prepend(SCALARS[field.kind], value)
        return int(self._builder.Offset())
