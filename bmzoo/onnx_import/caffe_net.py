"""A Caffe network as its prototxt says: layers in order, each blob that is written again under a name of its own.

Source: caffe.proto and net.cpp (BVLC). The batch is 1 in all shapes here, and free in the ONNX model.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.onnx_import.caffe_text import Message
from bmzoo.onnx_import.caffe_wire import Blob

Shape = tuple[int, ...]
DEPLOY = "give the deploy version of the prototxt: it begins with an Input, and has no losses"


@dataclass(frozen=True, eq=False)
class CaffeLayer:
    """A layer: what it reads and writes by the names that tensors have in the ONNX model, and its weights."""

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    fields: Message
    blobs: Sequence[Blob]
    where: str

    def wrong(self, problem: str, hint: str = "change the prototxt, or give the model as ONNX") -> SourceError:
        return SourceError(f"{self.where}: layer {self.name!r} ({self.kind}): {problem}", hint)

    def ends(self, bottoms: int = 1) -> tuple[str, ...]:
        """Its bottoms, as many as said, with one top. Raises SourceError."""
        if (len(self.bottoms), len(self.tops)) != (bottoms, 1):
            found = f"{len(self.bottoms)} bottoms and {len(self.tops)} tops"
            raise self.wrong(f"{found}, where {bottoms} and 1 are expected")
        return self.bottoms

    def blob(self, index: int, shape: Shape) -> Blob:
        """One of its weights in a shape; old files have dimensions of 1 in front. Raises SourceError."""
        if index >= len(self.blobs):
            raise self.wrong("its weights are not in the caffemodel", "do prototxt and caffemodel belong together?")
        found = self.blobs[index]
        if [n for n in found.shape if n != 1] != [n for n in shape if n != 1]:
            hint = "do prototxt and caffemodel belong together, and is `input` of the size that the model takes?"
            raise self.wrong(f"weights of shape {_shown(found.shape)}, where it needs {_shown(shape)}", hint)
        if not np.isfinite(found).all():
            raise self.wrong("weights that are not finite", "fetch the caffemodel again")
        return found.reshape(shape)


@dataclass
class CaffeNetwork:
    """Layers, inputs by name with the shape that the file gives, and the names of what nobody reads."""

    layers: list[CaffeLayer]
    inputs: dict[str, Shape]
    outputs: list[str]
    readers: Mapping[str, Sequence[CaffeLayer]] = field(default_factory=dict)


def network(text: Message, blobs: Mapping[str, Sequence[Blob]], where: str) -> CaffeNetwork:
    """The network of a prototxt in its test phase. Raises SourceError."""
    if "layers" in text:
        raise SourceError(f"{where}: layers of the form before 2014", "Caffe's upgrade_net_proto_text converts it")
    raw = [one for one in messages(text, "layer") if _in_test(one)]
    if not raw:
        raise SourceError(f"{where}: no layers in it", "is it the network's prototxt, not its solver's?")
    names = _Names(texts(text, "input"), raw, where)
    inputs = {name: shape for name, shape in zip(texts(text, "input"), _declared(text), strict=False)}
    layers = []
    for one in raw:
        made = names.layer(one, blobs)
        if made.kind == "Input":
            inputs |= zip(made.tops, _input_shapes(made), strict=False)
        else:
            layers.append(made)
    if not inputs:
        raise SourceError(f"{where}: no input with a shape", DEPLOY)
    readers: dict[str, list[CaffeLayer]] = {}
    for layer in layers:
        for bottom in layer.bottoms:
            readers.setdefault(bottom, []).append(layer)
    written = [top for layer in layers for top in layer.tops]
    return CaffeNetwork(layers, inputs, [name for name in dict.fromkeys(written) if name not in readers], readers)


class _Names:
    """Which tensor a blob is at each layer: what is written in place gets the layer's name behind it."""

    def __init__(self, inputs: Sequence[str], raw: Sequence[Message], where: str) -> None:
        self._now = {name: name for name in inputs}
        self._left = Counter(top for one in raw for top in texts(one, "top"))
        self._used = {*inputs, *self._left}
        self._where = where

    def layer(self, one: Message, blobs: Mapping[str, Sequence[Blob]]) -> CaffeLayer:
        name, kind = ((texts(one, key) or ["?"])[0] for key in ("name", "type"))
        read = texts(one, "bottom")
        for bottom in read:
            if bottom not in self._now:
                problem = f"layer {name!r} ({kind}) reads `{bottom}`, which no layer before it writes"
                raise SourceError(f"{self._where}: {problem}", DEPLOY)
        bottoms = tuple(self._now[bottom] for bottom in read)
        tops = tuple(self._write(top, name) for top in texts(one, "top"))
        return CaffeLayer(name, kind, bottoms, tops, one, blobs.get(name, ()), self._where)

    def _write(self, top: str, layer: str) -> str:
        self._left[top] -= 1
        name = top if not self._left[top] else f"{top}.{layer}"
        while self._left[top] and name in self._used:
            name += "_"
        self._used.add(name)
        self._now[top] = name
        return name


def messages(fields: Message, key: str) -> Iterator[Message]:
    return (value for value in fields.get(key, []) if isinstance(value, Message))


def texts(fields: Message, key: str) -> list[str]:
    return [str(value) for value in fields.get(key, []) if not isinstance(value, Message)]


def _in_test(one: Message) -> bool:
    """Whether a layer is there when the network is used, and not only when it is trained."""
    test = {"TEST", "1"}
    only, never = ({*_phases(one, key)} for key in ("include", "exclude"))
    return (not only or bool(only & test)) and not never & test


def _phases(one: Message, key: str) -> list[str]:
    return [phase for rule in messages(one, key) for phase in texts(rule, "phase")]


def _declared(text: Message) -> list[Shape]:
    """Shapes of inputs named at the top of the file."""
    if shapes := [_shape(one) for one in messages(text, "input_shape")]:
        return shapes
    flat = [int(value) for value in text.get("input_dim", []) if isinstance(value, int)]
    return [tuple(flat[i : i + 4]) for i in range(0, len(flat), 4)]


def _input_shapes(layer: CaffeLayer) -> list[Shape]:
    sections = messages(layer.fields, "input_param")
    shapes = [_shape(one) for section in sections for one in messages(section, "shape")]
    if len(shapes) not in (1, len(layer.tops)):
        raise layer.wrong(f"{len(shapes)} shapes for {len(layer.tops)} tops", DEPLOY)
    return shapes * len(layer.tops) if len(shapes) == 1 else shapes


def _shape(one: Message) -> Shape:
    return tuple(value for value in one.get("dim", []) if isinstance(value, int))


def _shown(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"
