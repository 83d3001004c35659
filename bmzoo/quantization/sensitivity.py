"""Sensitivity analysis: the error at the outputs when one layer is INT8 and all others are float.

The float tensors of a picture are computed once. Each group of layers then runs in INT8 from them, and only the
float network downstream of the group runs again: on average half a network per group, where a search that lowers
and runs the whole model for each layer takes two. The layers of a group feed the same tensor, so they share its
downstream run, apportioned by the power of the noise that each of them alone adds there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from bmzoo.quantization.fakequant import FakeQuantizer, assemble
from bmzoo.quantization.loss import Reference
from bmzoo.quantization.network import Layer, LoweredNetwork
from bmzoo.quantization.session import session
from bmzoo.runtime.decoders.spec import DecoderSpec

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sensitivity:
    """Effect of one layer in INT8 on one picture: noise power at the outputs by part, and 1 - cosine over heads."""

    noise: Mapping[str, float]
    cosine_loss: float


class Sweep:
    """Measures every quantizable layer on one picture at a time. `threads`: of onnxruntime in this process."""

    def __init__(self, net: LoweredNetwork, spec: DecoderSpec, input_hw: tuple[int, int], threads: int = 1) -> None:
        self._net, self._spec, self._hw = net, spec, input_hw
        self._groups = net.groups()
        self._heads = [output.name for output in net.model.graph.output]
        self._behind = [_Suffix(net, group[-1].tensor, threads) for group in self._groups]
        self._needed = sorted({*self._heads, *(name for suffix in self._behind for name in suffix.feeds)})
        self._first = session(self._local_model(), threads)

    def measure(self, picture: Array) -> tuple[dict[str, Sensitivity], dict[str, float]]:
        """Layer -> sensitivity, and the float heads' power by part. `picture`: the network's input [1,C,H,W]."""
        names = [output.name for output in self._first.get_outputs()]
        values = dict(zip(names, self._first.run(names, {self._net.input: picture}), strict=True))
        heads = {name: values[name] for name in self._heads}
        reference = Reference(heads, self._spec, self._hw)
        found: dict[str, Sensitivity] = {}
        for index, (group, suffix) in enumerate(zip(self._groups, self._behind, strict=True)):
            result = {**heads, **suffix.run(values[f"group{index}"], values)}
            noise = reference.noise(result)
            loss = 1 - float(np.mean(list(reference.cosines(result).values())))
            for layer, share in zip(group, _shares(group, values), strict=True):
                found[layer.name] = Sensitivity({k: v * share for k, v in noise.items()}, loss * share)
        return found, reference.signal

    def _local_model(self) -> onnx.ModelProto:
        """A model with these outputs: float tensors, each group's INT8 output (`groupN`), each layer's noise."""
        nodes: list[onnx.NodeProto] = list(self._net.model.graph.node)
        constants: list[onnx.TensorProto] = []
        outputs = list(self._needed)

        def write(group: Sequence[Layer], quantized: Sequence[Layer], prefix: str) -> str:
            inside = {layer.name for layer in quantized}
            writer = FakeQuantizer(self._net, lambda layer: layer.name not in inside, prefix)
            for layer in group:
                for node in layer.nodes:
                    writer.add(node)
            result = writer.read(group[-1].tensor, exact=True)
            nodes.extend(writer.nodes)
            constants.extend(writer.constants)
            return result

        for index, group in enumerate(self._groups):
            together = write(group, group, f"g{index}.")
            nodes.append(helper.make_node("Identity", [together], [f"group{index}"]))
            outputs.append(f"group{index}")
            for number, layer in enumerate(group if len(group) > 1 else ()):
                alone = write(group, [layer], f"g{index}.{number}.")
                off = f"g{index}.{number}.off"
                nodes.append(helper.make_node("Sub", [alone, group[-1].tensor], [off]))
                nodes.append(helper.make_node("ReduceSumSquare", [off], [_noise(layer)], keepdims=0))
                outputs.append(_noise(layer))
        return assemble(self._net, nodes, outputs, constants)


class _Suffix:
    """The float network downstream of one tensor: only the nodes that depend on it."""

    def __init__(self, net: LoweredNetwork, tensor: str, threads: int) -> None:
        behind = {tensor}
        nodes = []
        for node in net.model.graph.node:
            if node.output[0] != tensor and any(name in behind for name in node.input):
                behind.update(node.output)
                nodes.append(node)
        constants = {t.name: t for t in net.model.graph.initializer}
        read = {name for node in nodes for name in node.input if name}
        self._tensor = tensor
        self.feeds = sorted(read - behind - set(constants))
        self._heads = [o.name for o in net.model.graph.output if o.name in behind]
        self._direct = tensor in self._heads
        wanted = [name for name in self._heads if name != tensor]
        self._session: onnxruntime.InferenceSession | None = None
        if wanted:
            used = [constants[name] for name in constants if name in read]
            self._session = session(_part(net, nodes, [tensor, *self.feeds], wanted, used), threads)
        self._wanted = wanted

    def run(self, value: Array, values: Mapping[str, Array]) -> dict[str, Array]:
        """The heads that depend on the tensor, when it has this value."""
        found = {self._tensor: value} if self._direct else {}
        if self._session is not None:
            taken = {i.name for i in self._session.get_inputs()}
            feeds = {name: values[name] for name in self.feeds if name in taken}
            found |= dict(
                zip(self._wanted, self._session.run(self._wanted, {**feeds, self._tensor: value}), strict=True)
            )
        return found


def _part(
    net: LoweredNetwork,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[str],
    outputs: Sequence[str],
    constants: Iterable[onnx.TensorProto],
) -> onnx.ModelProto:
    def info(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)

    graph = helper.make_graph(
        list(nodes), "part", [info(n) for n in inputs], [info(n) for n in outputs], list(constants)
    )
    model = helper.make_model(graph, opset_imports=list(net.model.opset_import))
    model.ir_version = net.model.ir_version
    return model


def _noise(layer: Layer) -> str:
    return f"noise:{layer.name}"


def _shares(group: Sequence[Layer], values: Mapping[str, Array]) -> list[float]:
    if len(group) == 1:
        return [1.0]
    powers = [float(values[_noise(layer)]) for layer in group]
    return [power / sum(powers) if sum(powers) else 1 / len(powers) for power in powers]
