"""FlatBuffers by a schema known at run time: what is written is read again, and equal values are equal bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmzoo.system import flatbuffer

SCHEMA = """
// a comment { with braces; }
namespace test;
struct Pair { start:uint64; size:uint64; }
struct Triple { a: uint32; b: uint32; c: uint32; } /* over
 two lines */
table Leaf { name:string (required, id: 0); numbers:[int32] (id: 1); scale:float32 = 1.0 (id: 2); }
table Root {
  leaves:[Leaf] (id: 3);
  one:Leaf (id: 0);   // in another order than their ids
  pair:Pair (required, id: 1);
  pairs:[Triple] (id: 2);
  bytes:[uint8] (id: 5);
  index:int32 = -1 (id: 4);
}
root_type Root;
"""
LAYOUT = flatbuffer.schema(SCHEMA)
unsigned = st.integers(0, 2**32 - 1)
leaves = st.fixed_dictionaries(
    {"name": st.binary(max_size=9).filter(lambda name: b"\0" not in name)},
    optional={
        "numbers": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
        "scale": st.floats(width=32, allow_nan=False).filter(lambda x: x != 1),
    },
)
roots = st.fixed_dictionaries(
    {"pair": st.tuples(*[st.integers(0, 2**64 - 1)] * 2)},
    optional={
        "one": leaves,
        "leaves": st.lists(leaves, max_size=3),
        "pairs": st.lists(st.tuples(unsigned, unsigned, unsigned), max_size=3),
        "bytes": st.lists(st.integers(0, 255), max_size=5),
        "index": st.integers(-(2**31), 2**31 - 1).filter(lambda x: x != -1),
    },
)


@given(roots)
def test_what_is_written_is_read_again(values: dict[str, object]) -> None:
    written = flatbuffer.pack(values, LAYOUT)
    assert flatbuffer.unpack(written, LAYOUT) == values
    assert flatbuffer.pack(dict(reversed(values.items())), LAYOUT) == written
    assert flatbuffer.unpack(written + bytes(64), LAYOUT) == values


def test_a_scalar_that_equals_its_default_is_as_if_left_out() -> None:
    assert flatbuffer.pack({"index": -1, "pair": (1, 2)}, LAYOUT) == flatbuffer.pack({"pair": (1, 2)}, LAYOUT)


@given(roots, st.data())
def test_damage_is_an_error_or_other_values(values: dict[str, object], data: st.DataObject) -> None:
    written = bytearray(flatbuffer.pack(values, LAYOUT))
    for _ in range(data.draw(st.integers(1, 4))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(written)))
    for buffer in (bytes(written), bytes(written[:cut])):
        try:
            flatbuffer.unpack(buffer, LAYOUT)
        except ValueError as error:
            assert str(error)


def test_a_field_that_the_schema_does_not_know_is_refused() -> None:
    older = flatbuffer.schema(SCHEMA.replace("  index:int32 = -1 (id: 4);\n", ""))
    with pytest.raises(ValueError, match="Root has a field 4, which the schema does not know"):
        flatbuffer.unpack(flatbuffer.pack({"index": 3, "pair": (1, 2)}, LAYOUT), older)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no root type"),
        ("table A { x:uint32; }", "no root type"),
        ("table A { x:B; } root_type A;", "unknown types: B"),
        ("table A { x of uint32; } root_type A;", "A: not understood: x of uint32"),
    ],
)
def test_a_schema_that_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        flatbuffer.schema(text)
