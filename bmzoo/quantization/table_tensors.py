"""Which tensors a calibration table has a row for, and where the ONNX network has their values.

The rows are the tensors of the top-level MLIR, which come of TPU-MLIR's own rewriting of the network: hoisted
activations, nodes fused into one, operators that ONNX does not have. Most carry the name of the ONNX tensor that
they hold, and its operator. What only begins with such a name is a guess, which the caller has to check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from bmzoo.quantization.folding import element_types, folded, network_inputs
from bmzoo.quantization.lowered_layers import input_shapes, top_tensors
from bmzoo.quantization.relu_concat import relu_before_concat
from bmzoo.quantization.tables import name_in_front

# The values of their first input, all of them, in another order or shape.
REARRANGING = (
    *("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "DepthToSpace", "SpaceToDepth"),
)


@dataclass(frozen=True)
class Tapped:
    """A network whose outputs are the tensors of its table.

    `sources`: row -> the output, or input, with its values. `guessed`: rows of `sources` by the start of their name
    alone. `missing`: rows that no tensor of the network stands for. `rows`: all, in the order of the table.
    """

    model: onnx.ModelProto = field(repr=False)
    rows: tuple[str, ...]
    sources: Mapping[str, str]
    guessed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(port.name for port in self.model.graph.output)


def tap(model: onnx.ModelProto, top: str) -> Tapped:
    """The network that a top-level MLIR was made of, tapped. `top`: its text."""
    rows = top_tensors(top)
    inputs = network_inputs(model)
    shapes = {name: shape for name, shape in input_shapes(top).items() if name in inputs}
    shaped, renamed = relu_before_concat(folded(model, shapes), frozenset(rows))
    made = {name: node for node in shaped.graph.node for name in node.output if name}
    exact = {renamed.get(name, f"{name}_{node.op_type}"): name for name, node in made.items()}
    exact |= {name: name for name in network_inputs(shaped)}
    guesses = {row: name for row in rows if row not in exact and (name := name_in_front(row, made))}
    known = {**exact, **guesses}
    sources = {row: _rearranged(known[row], made) for row in rows if row in known}
    _expose(shaped, tuple(dict.fromkeys(name for name in sources.values() if name in made)))
    return Tapped(shaped, rows, sources, tuple(guesses), tuple(row for row in rows if row not in sources))


def _rearranged(tensor: str, made: Mapping[str, onnx.NodeProto]) -> str:
    """The first tensor with the same values, in any order."""
    node = made.get(tensor)
    while node is not None and node.op_type in REARRANGING and node.input[0] in made:
        tensor = node.input[0]
        node = made.get(tensor)
    return tensor


def _expose(model: onnx.ModelProto, names: Sequence[str]) -> None:
    types = element_types(model)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, types[name], None) for name in names)
