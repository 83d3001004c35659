"""The ONNX graph that a Caffe network becomes: nodes, the shape of each tensor, and layers already taken in."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bmzoo.onnx_import.caffe_net import CaffeLayer, Shape
from bmzoo.onnx_import.graph import GraphBuilder

# More than any activation of a network of pictures: what says so would only fill the memory.
_MOST_VALUES = 1 << 31


class CaffeGraph(GraphBuilder):
    """A graph under construction. Shapes have 1 for the batch, which is free in the model."""

    def __init__(self, inputs: Mapping[str, Shape], readers: Mapping[str, Sequence[CaffeLayer]]) -> None:
        super().__init__({})
        self.shapes = dict(inputs)
        self.taken: set[CaffeLayer] = set()
        self._readers = readers
        self._same: dict[str, str] = {}

    def put(self, layer: CaffeLayer, kind: str, sources: Sequence[str], shape: Shape, **attributes: Any) -> str:  # noqa: ANN401
        """A node whose output is the layer's only top."""
        return self.node(layer, kind, layer.tops[0], sources, shape, **attributes)

    def node(
        self,
        layer: CaffeLayer,
        kind: str,
        name: str,
        sources: Sequence[str],
        shape: Shape,
        **attributes: Any,  # noqa: ANN401
    ) -> str:
        """A node named after its output. Raises SourceError for an output of nothing, or of far too much."""
        if min(shape) < 1 or math.prod(shape) > _MOST_VALUES:
            size = "x".join(map(str, shape[1:]))
            raise layer.wrong(f"its output would be {size}", "is `input` of the size that the model takes?")
        self.shapes[name] = shape
        return self.add(kind, name, [self._same.get(source, source) for source in sources], **attributes)

    def same(self, layer: CaffeLayer) -> None:
        """The tops are the bottom as it is; what is an output needs a node to have its name."""
        source = layer.bottoms[0]
        for top in layer.tops:
            if top in self._readers:
                self._same[top] = self._same.get(source, source)
                self.shapes[top] = self.shapes[source]
            else:
                self.node(layer, "Identity", top, [source], self.shapes[source])

    def only_reader(self, tensor: str) -> CaffeLayer | None:
        readers = self._readers.get(tensor, ())
        return readers[0] if len(readers) == 1 else None

    def reshape(self, layer: CaffeLayer, name: str, source: str, shape: Shape) -> str:
        """Another shape of the same numbers; 0 copies the batch from the source."""
        wanted = self.weight(f"{name}.shape", np.array([0, *shape[1:]], np.int64))
        return self.node(layer, "Reshape", name, [source, wanted], shape)

    def slice(self, layer: CaffeLayer, name: str, source: str, bounds: Mapping[int, tuple[int, int]]) -> str:
        """Part of a tensor: axis -> first and end."""
        starts, ends = zip(*bounds.values(), strict=True)
        values = {"starts": starts, "ends": ends, "axes": tuple(bounds)}
        inputs = [self.weight(f"{name}.{key}", np.array(value, np.int64)) for key, value in values.items()]
        shape = list(self.shapes[source])
        for axis, (start, end) in bounds.items():
            shape[axis] = end - start
        return self.node(layer, "Slice", name, [source, *inputs], tuple(shape))
