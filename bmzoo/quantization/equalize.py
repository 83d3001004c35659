"""Cross-layer equalization: an equivalent network whose channels have similar ranges, so that one scale fits all.

INT8 activations have one scale for the whole tensor, and on BM1684 so have the weights of a layer: a channel with a
small range is left with few quantization levels. Where a convolution is followed by a (leaky) ReLU and another
convolution, a channel can be divided by any s > 0 in the first and multiplied by s in the second without changing
the float network. (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019;
here the ranges of activations count as well as those of weights.)
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from bmzoo.quantization.folding import folded

# Nodes that keep a convolution from being seen beside its weights, its activation or the next one.
HIDING = ("Constant", "Identity", "BatchNormalization", "Dropout")
# Positively homogeneous activations: f(s x) = s f(x) for s > 0.
HOMOGENEOUS = ("Relu", "LeakyRelu", "PRelu")
# Exponents in the geometric mean: of the ranges of activations, of the weights that produce a channel, and of those
# that consume it. With per-channel weight scales only activations share a scale; with a per-tensor scale (BM1684)
# weights do, too. Chosen by agreement on selection pictures: see bench/README.md.
RANGE_SHARES: Mapping[str, "Shares"] = {"channel": (1.0, 0.0, 0.0), "tensor": (0.4, 0.3, 0.3)}
# Bound on a channel's factor, either way: a nearly dead channel must not be scaled up without limit.
LIMIT = 32.0
# Bits of a factor's mantissa: steps of 3 to 6%. What they cost in agreement is in bench/README.md.
BITS = 5

Ranges = Mapping[str, NDArray[np.float64]]
Shares = tuple[float, float, float]


@dataclass(frozen=True)
class ScalablePair:
    """A convolution and its only readers, all of them convolutions, with at most one activation between."""

    first: onnx.NodeProto
    readers: tuple[onnx.NodeProto, ...]


def equalizable(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal model whose convolutions have weights and biases of their own, as `pairs` wants them.

    Exporters hide them behind Constant and Identity nodes, leave batch normalization between, and store equal
    biases once. A model that does none of this comes back as it is, byte for byte. Weights that are shared stay so.
    """
    if any(node.op_type in HIDING for node in model.graph.node):
        return _own_biases(folded(model))
    return _own_biases(model)


def pairs(model: onnx.ModelProto) -> tuple[ScalablePair, ...]:
    """The convolutions whose output channels can be rescaled without changing the network's function."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    weights = {tensor.name: tensor for tensor in model.graph.initializer if _float(tensor)}
    used = [name for node in model.graph.node for name in node.input if name in weights]
    kept = {output.name for output in model.graph.output}
    found = []
    for node in model.graph.node:
        if node.op_type != "Conv" or not _own(node, weights, used):
            continue
        tensor, reading = node.output[0], readers.get(node.output[0], [])
        if len(reading) == 1 and reading[0].op_type in HOMOGENEOUS and tensor not in kept:
            tensor = reading[0].output[0]
            reading = readers.get(tensor, [])
        scalable = all(r.input[0] == tensor and _reads_channels(r, weights, used) for r in reading)
        if reading and tensor not in kept and scalable:
            found.append(ScalablePair(node, tuple(reading)))
    return tuple(found)


def derive(model: onnx.ModelProto, ranges: Ranges, shares: Shares) -> dict[str, NDArray[np.float64]]:
    """By what to divide each channel of a convolution, to equalize it: output of the convolution -> factors [C].

    `ranges`: output of a convolution -> largest |value| by channel [C]; convolutions that it lacks are left out.
    `shares`: of activations, of the weights that make a channel, of those that read it; 0 to 1 each.
    Factors have few bits, so that a last digit of a range, which differs between processors, does not reach them.
    """
    weights = _weights(model)
    found: dict[str, NDArray[np.float64]] = {}
    for pair in pairs(model):
        name = pair.first.output[0]
        if name in ranges:
            columns = [_columns(reader, weights[reader.input[1]]) for reader in pair.readers]
            made = _rows(weights[pair.first.input[1]])
            found[name] = few_bits(_factors(shares, ranges[name], made, np.max(columns, axis=0)))
            _scale(pair, weights, found[name])  # later factors are of what this one leaves
    return found


def apply(model: onnx.ModelProto, factors: Mapping[str, NDArray[np.float64]]) -> onnx.ModelProto:
    """The model with its channels divided by `factors`, see `derive`. The same bytes on every IEEE machine.

    Raises ValueError naming the convolution that cannot be scaled so.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    weights, found = _weights(result), {pair.first.output[0]: pair for pair in pairs(result)}
    for name in factors:
        if name not in found:
            raise ValueError(f"{name}: no convolution of this model whose channels can be scaled")
        if factors[name].shape != (len(weights[found[name].first.input[1]]),):
            raise ValueError(f"{name}: {len(factors[name])} channels, not those of this model")
    for name, pair in found.items():  # in the order of the network, whatever that of the factors
        if name in factors:
            _scale(pair, weights, factors[name])
    for tensor in result.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name].astype(np.float32), tensor.name))
    return result


def few_bits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest numbers > 0 with BITS bits of mantissa."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(np.ldexp(mantissa, BITS)), exponent - BITS))


def factors_text(factors: Mapping[str, NDArray[np.float64]]) -> str:
    """Factors as text: a line for each convolution, its output's name and one number for each channel."""
    lines = ["# each channel of a convolution's output is divided by its number, and what reads it multiplied"]
    lines += [f"{name} {' '.join(repr(float(value)) for value in values)}" for name, values in factors.items()]
    return "\n".join(lines) + "\n"


def parse_factors(text: str) -> dict[str, NDArray[np.float64]]:
    """Factors from their text. Raises ValueError naming the line that is not such a line."""
    found: dict[str, NDArray[np.float64]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *fields = line.split()
        try:
            values = np.array([float(field) for field in fields])
        except ValueError:
            values = np.array([])
        good = bool(len(values)) and bool(np.all(np.isfinite(values) & (values > 0)))
        if not good or name in found or not np.array_equal(few_bits(values), values):
            wanted = f"a name that is there once, and numbers > 0 of {BITS} bits"
            raise ValueError(f"line {number} is not {wanted}: {line[:60]}")
        found[name] = values
    return found


def _weights(model: onnx.ModelProto) -> dict[str, NDArray[np.float64]]:
    return {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer if _float(t)}


def _scale(pair: ScalablePair, weights: dict[str, NDArray[np.float64]], factors: NDArray[np.float64]) -> None:
    """Divide what makes each channel, multiply what reads it. Elementwise, so rounded the same everywhere."""
    made = weights[pair.first.input[1]]
    made /= factors.reshape(-1, *[1] * (made.ndim - 1))
    if len(pair.first.input) > 2:
        weights[pair.first.input[2]] /= factors
    for reader in pair.readers:
        axes = weights[reader.input[1]].ndim
        shape = [-1, *[1] * (axes - 1)] if _group(reader) > 1 else [1, -1, *[1] * (axes - 2)]
        weights[reader.input[1]] *= factors.reshape(shape)


def _factors(shares: Shares, *ranges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divisor of each channel: a weighted geometric mean of its ranges, normalized to a median of 1."""
    made_of = [np.log(np.maximum(r, 1e-6)) for r in ranges]
    total = shares[0] * made_of[0] + shares[1] * made_of[1] - shares[2] * made_of[2]
    return np.asarray(np.exp(np.clip(total - np.median(total), -np.log(LIMIT), np.log(LIMIT))))


def _rows(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.abs(weights).reshape(len(weights), -1).max(1))


def _columns(node: onnx.NodeProto, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest weight that reads each channel, relative to the layer's largest."""
    each = _rows(weights) if _group(node) > 1 else np.abs(weights).max(axis=(0, *range(2, weights.ndim)))
    return np.asarray(each / max(float(each.max()), 1e-12))


def _own_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    used = Counter(name for node in model.graph.node for name in node.input)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node in (n for n in result.graph.node if n.op_type == "Conv" and len(n.input) > 2):
        name = node.input[2]
        if name in stored and used[name] > 1:
            bias = result.graph.initializer.add()
            bias.CopyFrom(stored[name])
            bias.name = node.input[2] = f"{node.output[0]}.bias"
            used[name] -= 1
    return result


def _own(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto], used: Sequence[str]) -> bool:
    """Whether a convolution's weights and bias are constants that nothing else reads."""
    return all(name in weights and used.count(name) == 1 for name in node.input[1:])


def _reads_channels(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto], used: Sequence[str]) -> bool:
    """Whether a node is a convolution of one group, or depthwise with one filter for each channel."""
    if node.op_type != "Conv" or not _own(node, weights, used):
        return False
    shape, groups = weights[node.input[1]].dims, _group(node)
    return groups == 1 or (groups == shape[0] and shape[1] == 1)


def _group(node: onnx.NodeProto) -> int:
    return int(next((a.i for a in node.attribute if a.name == "group"), 1))


def _float(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_type == onnx.TensorProto.FLOAT)
