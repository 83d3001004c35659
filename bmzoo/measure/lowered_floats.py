"""What a lowered integer network computes in float, and where that goes back to integers. From its MLIR's text.

Engines round half precision differently by a last digit. At the end of a network that stays a last digit; turned
back into integers it becomes whole steps, which the layers behind pass on.
"""

import re
from dataclasses import dataclass

_RESULT = re.compile(r'^\s*(%\w+)(?::\d+)? = "(\w+)\.(\w+)"\((%[\w#]+)?.*?\) -> (.+?) loc\(', re.MULTILINE)
_FLOAT = re.compile(r"x(?:!quant\.calibrated<)?(f32|f16|bf16)\b")
_INTEGERS = "!quant.uniform<"


@dataclass(frozen=True)
class Floats:
    """`kinds`: float types that layers compute in, without casts and the input. `requantized`: casts back."""

    kinds: tuple[str, ...] = ()
    requantized: int = 0


def floats_of(mlir: str) -> Floats:
    """What is float in the text of a lowered MLIR."""
    kinds: set[str] = set()
    requantized = 0
    floats: set[str] = set()  # results of layers that are float; the network's input is given, not computed
    for name, dialect, kind, source, types in _RESULT.findall(mlir):
        number = None if _INTEGERS in types else _FLOAT.search(types)
        if kind == "Cast":
            requantized += number is None and source in floats
            floats |= {name} if number is not None and source in floats else set()
        elif dialect == "tpu" and number is not None:
            kinds.add(number[1])
            floats.add(name)
    return Floats(tuple(sorted(kinds)), requantized)
