"""Sensitivity analysis: the error at the outputs when one layer is INT8 and all others are float.

The float tensors of a picture are computed once. Each group of layers then runs in INT8 from them, and only the
float network downstream of the group runs again: on average half a network per group, where a search that lowers
and runs the whole model for each layer takes two. The layers of a group feed the same tensor, so they share its
downstream run, apportioned by the power of the noise that each of them alone adds there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from bmzoo.quantization.fakequant import FakeQuantizer, assemble, model_of
from bmzoo.quantization.loss import Reference
from bmzoo.quantization.network import Layer, LoweredNetwork
from bmzoo.quantization.session import session
from bmzoo.runtime.decoders.spec import DecoderSpec

Array = NDArray[np.float32]
# Each suffix has a session with weights of its own. Those that fit in so much are kept from picture to picture.
SESSIONS_BYTES = 400 << 20


@dataclass(frozen=True)
class Sensitivity:
    """Effect of one layer in INT8 on one picture: noise power at the outputs by part, and 1 - cosine over heads."""

    noise: Mapping[str, float]
    cosine_loss: float


class Sweep:
    """Measures every quantizable layer on one picture at a time. `threads`: of onnxruntime in this process."""

    def __init__(self, net: LoweredNetwork, spec: DecoderSpec, input_hw: tuple[int, int], threads: int = 1) -> None:
        self._net, self._spec, self._hw, self._threads = net, spec, input_hw, threads
        self._groups = net.groups()
        self._behind = [Suffix(net, group[-1].tensor) for group in self._groups]
        self._kept: dict[int, onnxruntime.InferenceSession] = {}
        self._left = SESSIONS_BYTES
        read = {name for suffix in self._behind for name in suffix.feeds}
        self._first = session(self._local_model({*net.heads, *read} - {*net.inputs}), threads)

    def measure(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Sensitivity], dict[str, float]]:
        """Layer -> sensitivity, and the float heads' power by part. `feeds`: the network's inputs, one picture."""
        names = [output.name for output in self._first.get_outputs()]
        values = {**feeds, **dict(zip(names, self._first.run(names, dict(feeds)), strict=True))}
        heads = {name: values[name] for name in self._net.heads}
        reference = Reference(heads, self._spec, self._hw)
        found: dict[str, Sensitivity] = {}
        for index, group in enumerate(self._groups):
            result = {**heads, **self._run_behind(index, values)}
            noise = reference.noise(result)
            loss = 1 - float(np.mean(list(reference.cosines(result).values())))
            for layer, share in zip(group, _shares(group, values), strict=True):
                found[layer.name] = Sensitivity({k: v * share for k, v in noise.items()}, loss * share)
        return found, reference.signal

    def _run_behind(self, index: int, values: Mapping[str, Array]) -> dict[str, Array]:
        """The heads that depend on a group, when it is in INT8."""
        suffix, value = self._behind[index], values[f"group{index}"]
        found = {suffix.tensor: value} if suffix.tensor in self._net.heads else {}
        if suffix.heads:
            running = self._kept.get(index) or session(suffix.model(), self._threads, one_of_many=True)
            if index not in self._kept and suffix.weight_bytes <= self._left:
                self._kept[index] = running
                self._left -= suffix.weight_bytes
            feeds = {port.name: values[port.name] for port in running.get_inputs() if port.name != suffix.tensor}
            results = running.run(suffix.heads, {**feeds, suffix.tensor: value})
            found |= dict(zip(suffix.heads, results, strict=True))
        return found

    def _local_model(self, needed: Collection[str]) -> onnx.ModelProto:
        """A model with these outputs: float tensors, each group's INT8 output (`groupN`), each layer's noise."""
        nodes: list[onnx.NodeProto] = list(self._net.model.graph.node)
        constants: list[onnx.TensorProto] = []
        outputs = {name: self._net.types[name] for name in sorted(needed)}

        def write(group: Sequence[Layer], quantized: Sequence[Layer], prefix: str) -> str:
            inside = {layer.name for layer in quantized}
            writer = FakeQuantizer(self._net, lambda layer: layer.name not in inside, prefix)
            for layer in group:
                writer.add(layer.tensor, layer.nodes, layer)
            result = writer.read(group[-1].tensor, exact=True)
            nodes.extend(writer.nodes)
            constants.extend(writer.constants)
            return result

        for index, group in enumerate(self._groups):
            together = write(group, group, f"g{index}.")
            nodes.append(helper.make_node("Identity", [together], [f"group{index}"]))
            outputs[f"group{index}"] = self._net.types[group[-1].tensor]
            for number, layer in enumerate(group if len(group) > 1 else ()):
                alone = write(group, [layer], f"g{index}.{number}.")
                off = f"g{index}.{number}.off"
                nodes.append(helper.make_node("Sub", [alone, group[-1].tensor], [off]))
                nodes.append(helper.make_node("ReduceSumSquare", [off], [_noise(layer)], keepdims=0))
                outputs[_noise(layer)] = onnx.TensorProto.FLOAT
        return assemble(self._net, nodes, outputs, constants)


class Suffix:
    """The float network downstream of one tensor: only the nodes that depend on it.

    `heads`: the outputs that depend on it, but for itself; `feeds`: what it reads besides.
    """

    def __init__(self, net: LoweredNetwork, tensor: str) -> None:
        self._net, self.tensor = net, tensor
        behind = {tensor}
        self._nodes = []
        for node in net.model.graph.node:
            if tensor not in node.output and any(name in behind for name in node.input):
                behind.update(name for name in node.output if name)
                self._nodes.append(node)
        read = {name for node in self._nodes for name in node.input if name}
        self._constants = [stored for stored in net.model.graph.initializer if stored.name in read]
        self.weight_bytes = sum(stored.ByteSize() for stored in self._constants)
        self.feeds = tuple(sorted(read - behind - {stored.name for stored in self._constants}))
        self.heads = [name for name in net.heads if name in behind and name != tensor]

    def model(self) -> onnx.ModelProto:
        def ports(names: Iterable[str]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(name, self._net.types[name], None) for name in names]

        graph = helper.make_graph(
            self._nodes, "suffix", ports([self.tensor, *self.feeds]), ports(self.heads), self._constants
        )
        return model_of(self._net, graph)


def _noise(layer: Layer) -> str:
    return f"noise:{layer.name}"


def _shares(group: Sequence[Layer], values: Mapping[str, Array]) -> list[float]:
    if len(group) == 1:
        return [1.0]
    powers = [float(values[_noise(layer)]) for layer in group]
    return [power / sum(powers) if sum(powers) else 1 / len(powers) for power in powers]
