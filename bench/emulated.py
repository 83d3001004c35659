"""A network in emulated INT8 whose thresholds can be moved, over some pictures: for `thresholds.py`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx

from bmzoo.quantization.emulator import EmulatorJob
from bmzoo.quantization.fakequant import FakeQuantizer, assemble, emulation
from bmzoo.quantization.loss import Reference, added, total
from bmzoo.quantization.network import WEIGHTED, Layer, LoweredNetwork
from bmzoo.quantization.sensitivity import Sweep
from bmzoo.quantization.session import session


class Emulated:
    """The network in emulated INT8 over the choosing pictures, with thresholds that can be moved."""

    def __init__(self, job: EmulatorJob, size: tuple[int, int], pictures: int) -> None:
        """`job`: of a folder with the network, its lowering and what it is fed. `size`: height and width."""
        self.net = job.network()
        feeds = job.feeds()
        self._pictures = [job.picture(feeds, index) for index in range(pictures)]
        running = session(self.net.model, threads=2)
        self._spec, self._size = job.spec(), size
        self._references = [Reference(self._run(running, one), self._spec, size) for one in self._pictures]

    def loss(self, net: LoweredNetwork, first: int = 0) -> float:
        """Over all choosing pictures, or the first of them."""
        running = session(emulation(net), threads=2)
        pictures = self._pictures[: first or None]
        noise = [
            reference.noise(self._run(running, one))
            for one, reference in zip(pictures, self._references, strict=False)
        ]
        return total(added(noise), added([one.signal for one in self._references[: len(pictures)]]))

    def _run(self, running: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:  # onnxruntime ships no types
        heads = self.net.heads
        return dict(zip(heads, running.run(heads, dict(feeds)), strict=True))

    def sensitivities(self, number: int) -> dict[str, float]:
        """Layer -> loss when it alone is in INT8."""
        sweep = Sweep(self.net, self._spec, self._size, threads=2)
        found = [sweep.measure(one) for one in self._pictures[:number]]
        signal = added([signal for _, signal in found])
        return {name: total(added([layers[name].noise for layers, _ in found]), signal) for name in found[0][0]}

    def mean_errors(self) -> dict[str, Any]:
        """By the output of a node with weights, what INT8 adds to each channel on the average [C]."""
        net = self.net
        nodes, constants, pairs = list(net.model.graph.node), [], {}
        for layer in (one for one in net.layers.values() if one.weighted and one.lowered.quant is not None):
            writer = FakeQuantizer(net, partial(_is_another, layer), prefix=f"{layer.tensor}@")
            writer.add(layer.tensor, layer.nodes, layer)
            nodes += writer.nodes
            constants += writer.constants
            for node in (one for one in layer.nodes if one.op_type in WEIGHTED):
                name = node.output[0]
                inner = name if name == layer.tensor else f"{layer.tensor}/{name}"
                pairs[name] = f"{layer.tensor}@{inner}"
        ends, outputs = [], {}
        for index, (exact, rounded_) in enumerate(pairs.items()):
            ends.append(onnx.helper.make_node("Sub", [rounded_, exact], [f"off{index}"]))
            outputs[f"off{index}"] = onnx.TensorProto.FLOAT
        running = session(assemble(net, [*nodes, *ends], outputs, constants), threads=2)
        sums: dict[str, Any] = {}
        for one in self._pictures:
            for name, value in zip(pairs, running.run(list(outputs), dict(one)), strict=True):
                channels = np.moveaxis(value, 1, -1) if value.ndim > 2 else value
                mean = channels.reshape(-1, channels.shape[-1]).mean(axis=0) / len(self._pictures)
                sums[name] = sums.get(name, 0) + mean
        return sums


def _is_another(layer: Layer, other: Layer) -> bool:
    return other.name != layer.name
