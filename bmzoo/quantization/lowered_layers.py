"""What lowering to plain INT8 does to each layer, read from the text of the lowered MLIR.

Scale, sign and zero point of its output, or float; and what it reads.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bmzoo.quantization.tables import unescaped

_OPERATION = re.compile(
    r'^\s*(?:%(\w+)(?::\d+)? = )"(tpu|top)\.(\w+)"\(([^)]*)\)(.*) : \(.*\) -> (.*) loc\(#(loc\d*)\)$', re.MULTILINE
)
_LOCATION = re.compile(r"^#(loc\d*) = loc\((.*)\)$", re.MULTILINE)
_QUOTED = re.compile(r'^"((?:[^"\\]|\\.)*)"$')
_ALIAS = re.compile(r"#(loc\d*)")
_OPERAND = re.compile(r"%(\w+)(?:#(\d+))?")
_NEXT_TYPE = re.compile(r", (?=tensor<|none)")
_UNIFORM = re.compile(r"!quant\.uniform<([iu])8:b?f\d+, ([-+.0-9eE]+)(?::(-?\d+))?>")
_SHAPE = re.compile(r"tensor<((?:\d+x)*)")
_SHIFT = re.compile(r"rshift = \[([\d, ]+)\]")
_MULTIPLIER = re.compile(r"multipliers? = \[-?\d+\]")
# Operations that lowering puts between layers to bring a tensor to another scale or type.
REQUANTIZED = ("Cast", "MulShift")
# Operations of the top level that hold no activations.
CONSTANT = ("Weight", "None")


@dataclass(frozen=True)
class Quant:
    """Quantization parameters: value = scale * (q - zero), q in -128..127, or in 0..255 when unsigned."""

    scale: float
    unsigned: bool = False
    zero: int = 0


@dataclass(frozen=True)
class Lowered:
    """One layer of a lowered MLIR. `shift`: right shift of a shift-only requantization (BM1684).

    `one_scale`: requantized by one multiplier, so that all its weights share a scale. `reads`: the layers and
    inputs of the network that it reads.
    """

    kind: str
    quant: Quant | None  # None: computed in float
    shift: int | None = None
    one_scale: bool = False
    reads: tuple[str, ...] = ()


def lowered_layers(text: str) -> dict[str, Lowered]:
    """Layer name -> its lowering to plain INT8, parsed from the text of the lowered MLIR."""
    located = {match[1]: match[2] for match in _LOCATION.finditer(text)}
    made: dict[str, list[str]] = {}  # SSA value -> names of its results
    found: dict[str, Lowered] = {}
    for value, dialect, kind, operands, attributes, results, location in _OPERATION.findall(text):
        if (dialect == "top") != (kind == "Input"):
            continue
        made[value] = _names(location, located)
        if dialect == "top":
            continue
        reads = _reads(operands, made)
        shifts = _SHIFT.search(attributes)
        only_shift = shifts is not None and "OnlyShift" in attributes
        shift = int(shifts[1].split(",")[0]) if shifts and only_shift else None
        one = _MULTIPLIER.search(attributes) is not None
        for name, result in zip(made[value], _types(results), strict=False):
            found.setdefault(name, Lowered(kind, _quant(result), shift, one, reads))
    return found


def top_tensors(text: str) -> tuple[str, ...]:
    """The tensors that a calibration table has a row for, in order, from the text of a top-level MLIR."""
    located = {match[1]: match[2] for match in _LOCATION.finditer(text)}
    made = (
        _names(location, located)
        for _, dialect, kind, _, _, _, location in _OPERATION.findall(text)
        if dialect == "top" and kind not in CONSTANT
    )
    return tuple(dict.fromkeys(name for names in made for name in names))


def input_shapes(text: str) -> dict[str, tuple[int, ...]]:
    """The network's inputs and their shapes, from the text of an MLIR of TPU-MLIR."""
    located = {match[1]: match[2] for match in _LOCATION.finditer(text)}
    found = {}
    for _, dialect, kind, _, _, result, location in _OPERATION.findall(text):
        shape = _SHAPE.search(result)
        if dialect == "top" and kind == "Input" and shape is not None:
            sides = tuple(int(side) for side in shape[1].split("x")[:-1])
            found.update(dict.fromkeys(_names(location, located), sides))
    return found


def _quant(result: str) -> Quant | None:
    uniform = _UNIFORM.search(result)
    return Quant(float(uniform[2]), uniform[1] == "u", int(uniform[3] or 0)) if uniform else None


def _types(results: str) -> Sequence[str]:
    return _NEXT_TYPE.split(results.removeprefix("(").removesuffix(")"))


def _names(location: str, located: Mapping[str, str]) -> list[str]:
    """The names behind a location: one, or one for each result of an operation (`fused`)."""
    text = located.get(location, "")
    quoted = _QUOTED.match(text)
    if quoted:
        return [unescaped(quoted[1])]
    return [name for alias in _ALIAS.findall(text) for name in _names(alias, located)]


def _reads(operands: str, made: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    found = ((made.get(value, ()), int(index or 0)) for value, index in _OPERAND.findall(operands))
    return tuple(dict.fromkeys(names[index] for names, index in found if index < len(names)))
