"""Settings of a Caffe layer, as its prototxt says them."""

import math
from collections.abc import Sequence

from bmzoo.errors import SourceError
from bmzoo.onnx_import.caffe_net import CaffeLayer, messages
from bmzoo.onnx_import.caffe_text import BareWord, Message, Value

_LARGEST = 1 << 31


class Params:
    """One section of a layer's settings, each read once; what is never read is not understood, and refused."""

    _UNREAD = frozenset({"weight_filler", "bias_filler", "filler", "engine", "force_nd_im2col", "cudnn_flag"})

    def __init__(self, layer: CaffeLayer, section: str, *also: str) -> None:
        self._layer = layer
        self._section = section
        self._fields = next(messages(layer.fields, section), Message())
        self._read = set(also)

    def all(self, key: str) -> list[Value]:
        self._read.add(key)
        return self._fields.get(key, [])

    def number(self, key: str, default: float) -> float:
        return (self.numbers(key) or [default])[-1]

    def numbers(self, key: str) -> list[float]:
        found = []
        for value in self.all(key):
            if isinstance(value, str | Message) or not math.isfinite(value):
                raise self._wrong(key, "a number", value)
            found.append(float(value))
        return found

    def wholes(self, key: str) -> list[int]:
        """Whole numbers in the range of 32 bits."""
        found = []
        for value in self.all(key):
            if not isinstance(value, int) or not -_LARGEST <= value < _LARGEST:
                raise self._wrong(key, "a whole number", value)
            found.append(value)
        return found

    def whole(self, key: str, default: int | None = None, least: int = 1) -> int:
        found = self.wholes(key) or ([] if default is None else [default])
        if not found or found[-1] < least:
            raise self._wrong(key, f"a whole number from {least} on", *found[-1:])
        return found[-1]

    def flag(self, key: str, default: bool) -> bool:
        value = (self.all(key) or [BareWord(str(default).lower())])[-1]
        known = {"true": True, "false": False, "1": True, "0": False}
        if str(value) not in known:
            raise self._wrong(key, "true or false", value)
        return known[str(value)]

    def word(self, key: str, allowed: Sequence[str], default: str = "") -> str:
        """One of an enum's values, by name or number; the first is the default where none is said."""
        value = (self.all(key) or [default or allowed[0]])[-1]
        if isinstance(value, int) and 0 <= value < len(allowed):
            return allowed[value]
        if value not in allowed:
            raise self._wrong(key, f"one of {', '.join(allowed)}", value)
        return str(value)

    def pair(self, key: str, stem: str, default: int | None, least: int = 1) -> tuple[int, int]:
        """Height and width: `key` once for both or for each, or `stem_h` and `stem_w`."""
        both = self.wholes(key)
        if stem and (self.all(f"{stem}_h") or self.all(f"{stem}_w")):
            return self.whole(f"{stem}_h", default, least), self.whole(f"{stem}_w", default, least)
        if len(both) > 2 or min(both, default=least) < least or (default is None and not both):
            raise self._wrong(key, f"whole numbers from {least} on, one or two", *both[:3])
        first, last = (both[0], both[-1]) if both else (default or 0, default or 0)
        return first, last

    def axis(self, key: str, default: int, rank: int, least: int = 1) -> int:
        """A dimension; -1 is the last. Raises SourceError for the batch where `least` is 1."""
        found = self.wholes(key) or [default]
        axis = found[-1] + rank if found[-1] < 0 else found[-1]
        if not least <= axis < rank:
            raise self._wrong(key, f"a dimension from {least} to {rank - 1}", found[-1])
        return axis

    def done(self) -> None:
        """Raises SourceError for a setting that is there and was not read."""
        for key in self._fields:
            if key not in self._read | self._UNREAD:
                raise self._layer.wrong(f"{self._section}.{key} is not understood")

    def _wrong(self, key: str, wanted: str, *found: Value) -> SourceError:
        said = ", ".join("{...}" if isinstance(value, Message) else str(value)[:40] for value in found)
        return self._layer.wrong(f"{self._section}.{key}: {wanted} is expected, not {said or 'nothing'}")
