"""A graph that grows by calls, each giving the tensor that it adds. Weights are drawn from a seed.

Batch normalization is left out: it ends in the weights of the convolution before it, as it does in the compiler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# Larger weights repeat themselves after so many values: drawing more takes time and changes nothing.
MOST_DRAWN = 1 << 18


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph by its name, with its shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.shape[1]


@dataclass
class Graph:
    """Nodes and weights so far. `batch`: of every input."""

    name: str
    batch: int = 1
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(2026))

    def input(self, name: str, *shape: int, integer: bool = False) -> Tensor:
        """An input of the batch's size and this shape."""
        whole = (self.batch, *shape)
        kind = TensorProto.INT64 if integer else TensorProto.FLOAT
        self.inputs.append(helper.make_tensor_value_info(name, kind, whole))
        return Tensor(name, whole)

    def constant(self, value: npt.NDArray[np.generic]) -> str:
        """A weight that is given."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def drawn(self, *shape: int, fan: int) -> str:
        """A weight that keeps the size of what passes through it; `fan`: how many values it sums."""
        spread = np.float32(math.sqrt(2 / fan))
        some = self.random.standard_normal(min(math.prod(shape), MOST_DRAWN), np.float32)
        return self.constant(np.resize(some * spread, shape))

    def node(self, kind: str, inputs: Sequence[Tensor | str], shape: Sequence[int], **attributes: Any) -> Tensor:
        """Any node with one output."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        names = [one.name if isinstance(one, Tensor) else one for one in inputs]
        self.nodes.append(helper.make_node(kind, names, [name], name=name, **attributes))
        return Tensor(name, tuple(shape))

    def conv(
        self,
        x: Tensor,
        channels: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        pad: int | None = None,
        act: str = "",
    ) -> Tensor:
        """A convolution with bias, padded to keep the size unless told, and what follows it."""
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        weight = (channels, x.channels, high, wide)
        pads = (high // 2, wide // 2) if pad is None else (pad, pad)
        return self.act(self._conv(x, weight, stride, pads, 1), act)

    def grouped(
        self, x: Tensor, channels: int, groups: int, kernel: int = 3, stride: int = 1, act: str = ""
    ) -> Tensor:
        """A convolution whose channels see only those of their group."""
        weight = (channels, x.channels // groups, kernel, kernel)
        return self.act(self._conv(x, weight, stride, (kernel // 2, kernel // 2), groups), act)

    def _conv(
        self, x: Tensor, weight: tuple[int, int, int, int], stride: int, pads: tuple[int, int], groups: int
    ) -> Tensor:
        channels, inputs, *kernel = weight
        size = ((side + 2 * pad - k) // stride + 1 for side, pad, k in zip(x.shape[2:], pads, kernel, strict=True))
        values = self.drawn(*weight, fan=inputs * kernel[0] * kernel[1])
        return self.node(
            "Conv",
            [x, values, self.constant(np.zeros(channels, np.float32))],
            (x.shape[0], channels, *size),
            kernel_shape=kernel,
            strides=[stride, stride],
            pads=[*pads, *pads],
            group=groups,
        )

    def act(self, x: Tensor, kind: str) -> Tensor:
        """An activation by its name; none for an empty one."""
        if kind == "silu":
            return self.mul(x, self.unary("Sigmoid", x))
        if kind == "prelu":
            slope = self.constant(np.full((x.channels, 1, 1), 0.25, np.float32))
            return self.node("PRelu", [x, slope], x.shape)
        if kind.startswith("leaky"):
            return self.node("LeakyRelu", [x], x.shape, alpha=float(kind.removeprefix("leaky")))
        return self.unary(kind, x) if kind else x

    def unary(self, kind: str, x: Tensor, **attributes: Any) -> Tensor:
        """A node whose output is of its input's shape."""
        return self.node(kind, [x], x.shape, **attributes)

    def pool(
        self, x: Tensor, kernel: int, stride: int, pad: int = 0, kind: str = "MaxPool", ceil: bool = False
    ) -> Tensor:
        """Pooling over squares."""
        more = stride - 1 if ceil else 0
        size = tuple((side + 2 * pad - kernel + more) // stride + 1 for side in x.shape[2:])
        return self.node(
            kind,
            [x],
            (*x.shape[:2], *size),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
            ceil_mode=int(ceil),
        )

    def mean(self, x: Tensor) -> Tensor:
        """The mean of every channel."""
        return self.node("GlobalAveragePool", [x], (*x.shape[:2], 1, 1))

    def up(self, x: Tensor, scale: int = 2, mode: str = "nearest") -> Tensor:
        """Larger by a whole number."""
        scales = self.constant(np.array([1, 1, scale, scale], np.float32))
        shape = (*x.shape[:2], x.shape[2] * scale, x.shape[3] * scale)
        return self.node(
            "Resize",
            [x, "", scales],
            shape,
            mode=mode,
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def add(self, a: Tensor, b: Tensor | str) -> Tensor:
        return self.node("Add", [a, b], self._widest(a, b))

    def mul(self, a: Tensor, b: Tensor | str) -> Tensor:
        return self.node("Mul", [a, b], self._widest(a, b))

    def scaled(self, x: Tensor, factor: float) -> Tensor:
        return self.mul(x, self.constant(np.array(factor, np.float32)))

    def cat(self, parts: Sequence[Tensor], axis: int = 1) -> Tensor:
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.node("Concat", parts, shape, axis=axis)

    def part(self, x: Tensor, start: int, end: int, axis: int = 1, step: int = 1) -> Tensor:
        """A slice along one axis."""
        bounds = [self.constant(np.array([one], np.int64)) for one in (start, end, axis, step)]
        shape = list(x.shape)
        shape[axis] = -(-(min(end, shape[axis]) - start) // step)
        return self.node("Slice", [x, *bounds], shape)

    def halves(self, x: Tensor, axis: int = 1) -> tuple[Tensor, Tensor]:
        half = x.shape[axis] // 2
        return self.part(x, 0, half, axis), self.part(x, half, 2 * half, axis)

    def reshape(self, x: Tensor, *shape: int) -> Tensor:
        """Another shape of as many values; one side may be -1."""
        known = math.prod(side for side in shape if side != -1)
        whole = tuple(math.prod(x.shape) // known if side == -1 else side for side in shape)
        return self.node("Reshape", [x, self.constant(np.array(whole, np.int64))], whole)

    def turn(self, x: Tensor, *order: int) -> Tensor:
        """Transposed: axes in this order."""
        return self.node("Transpose", [x], [x.shape[axis] for axis in order], perm=list(order))

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        return self.node("MatMul", [a, b], (*a.shape[:-1], b.shape[-1]))

    def dense(self, x: Tensor, width: int) -> Tensor:
        """A fully connected layer with bias over the last axis."""
        weight = self.drawn(x.shape[-1], width, fan=2 * x.shape[-1])
        made = self.node("MatMul", [x, weight], (*x.shape[:-1], width))
        return self.add(made, self.constant(np.full(width, 0.01, np.float32)))

    def norm(self, x: Tensor) -> Tensor:
        """Layer normalization over the last axis."""
        ones, zeros = np.ones(x.shape[-1], np.float32), np.zeros(x.shape[-1], np.float32)
        inputs: list[Tensor | str] = [x, self.constant(ones), self.constant(zeros)]
        return self.node("LayerNormalization", inputs, x.shape, axis=-1, epsilon=1e-5)

    def lookup(self, rows: int, width: int, x: Tensor) -> Tensor:
        """A row of a table for every integer of `x`."""
        table = self.drawn(rows, width, fan=2)
        return self.node("Gather", [table, x], (*x.shape, width), axis=0)

    def model(self, outputs: Sequence[Tensor]) -> onnx.ModelProto:
        """The graph as a model."""
        told = [helper.make_tensor_value_info(one.name, TensorProto.FLOAT, one.shape) for one in outputs]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, told, self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        made.ir_version = 8
        return made

    @staticmethod
    def _widest(a: Tensor, b: Tensor | str) -> tuple[int, ...]:
        if not isinstance(b, Tensor):
            return a.shape
        return tuple(int(side) for side in np.broadcast_shapes(a.shape, b.shape))
