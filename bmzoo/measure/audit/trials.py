"""A network fed one way: what it surely finds in each picture, and what its first layer says of the numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.audit.framing import AS_GIVEN, Framing
from bmzoo.measure.audit.likeness import LIKENESSES, Likeness, Seen
from bmzoo.measure.audit.loudness import Heard, heard
from bmzoo.runtime.decoders.decode import BadOutputs, decode
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.engines.session import Session
from bmzoo.runtime.preprocess import InputSpec, prepare
from bmzoo.runtime.resizing import Geometry
from bmzoo.system import parallel

# Scores below are noise, and would only take time.
_CONFIDENCE = 0.1
_NMS = 0.45
# Other pictures that each is compared with, for what is found in any picture.
_OTHERS = 3
# Pictures after which a way is given up that finds less than half.
_FIRST = 6
_HOPELESS = 0.5

Picture = NDArray[np.uint8]
Views = list[tuple[Seen, Seen]]  # a picture and its other view, for each way to turn it
Feeds = Callable[[int], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Listener:
    """The first layer: a session that gives what it puts out, and what it was in training."""

    session: Session
    mean: NDArray[np.float64] | None
    deviation: NDArray[np.float64] | None
    bias: NDArray[np.float64] | None


@dataclass(frozen=True)
class Attempt:
    """`found` [pictures]: how much in each, of the first ones where it was `given_up`; None without a judge."""

    found: NDArray[np.float64] | None
    heard: Heard | None
    given_up: bool = False


@dataclass
class AskedNetwork:
    """A network with what it is judged on. `others`: its further inputs, by the number of a picture.

    threads: how many pictures are looked at at a time; sessions should have one thread each.
    """

    session: Session
    listener: Listener | None
    name: str
    decoder: DecoderSpec
    pictures: Sequence[Picture]
    others: Feeds
    threads: int = 1
    _views: dict[int, list[tuple[Picture, Picture]]] = field(init=False, default_factory=dict)

    def judge(self, spec: InputSpec) -> Likeness | None:
        """How its predictions are judged; None for those that do not show how it is fed. Raises SessionError."""
        tensor, geometry = prepare(self.pictures[0], spec)
        return LIKENESSES.get(type(self._predicted(spec, 0, tensor, geometry)))

    def tried(
        self,
        spec: InputSpec,
        judge: Likeness | None,
        beside: NDArray[np.float64] | None = None,
        framing: Framing = AS_GIVEN,
    ) -> Attempt:
        """Fed that way. `beside`: what is found another way, to give up early. Raises SessionError."""
        listened = self._heard(spec) if framing == AS_GIVEN else None
        if judge is None:
            return Attempt(None, listened)
        seen = self._seen(spec, judge, range(min(_FIRST, len(self.pictures))), framing)
        if len(seen) < len(self.pictures):
            first = _found(seen, judge)
            if hopeless(first, beside):
                return Attempt(first, listened, given_up=True)
            seen += self._seen(spec, judge, range(len(seen), len(self.pictures)), framing)
        return Attempt(_found(seen, judge), listened)

    def _seen(self, spec: InputSpec, judge: Likeness, indices: Sequence[int], framing: Framing) -> list[Views]:
        """What is seen in each of some pictures, on all cores."""
        found: dict[int, Views] = {}
        shown = partial(self._see, spec, framing)

        def see(index: int) -> None:
            found[index] = [
                (shown(index, one, False), shown(index, other, judge.mirrored))
                for one, other in self._viewed(judge, index)
            ]

        parallel.each(see, indices, self.threads)
        return [found[index] for index in indices]

    def _see(self, spec: InputSpec, framing: Framing, index: int, view: Picture, is_mirrored: bool) -> Seen:
        shown, size = framing.shown(view, spec.pad_value)
        tensor, geometry = prepare(shown, spec)
        return Seen(self._predicted(spec, index, tensor, geometry), size, is_mirrored)

    def _viewed(self, judge: Likeness, index: int) -> list[tuple[Picture, Picture]]:
        """A picture and its other view, upright and maybe upside down."""
        if index not in self._views:
            turned = (0, 2) if judge.turned else (0,)
            shown = [np.ascontiguousarray(np.rot90(self.pictures[index], turn)) for turn in turned]
            self._views[index] = [(one, judge.view(one)) for one in shown]
        return self._views[index]

    def _predicted(self, spec: InputSpec, index: int, tensor: NDArray[np.float32], geometry: Geometry) -> Any:  # noqa: ANN401
        """The prediction for one picture; None where what comes out is no number."""
        heads = self.session.run(self._feeds(self.session, tensor, index))
        try:
            with np.errstate(all="ignore"):  # sizes overflow where a network is fed numbers far too large
                return decode(heads, self.decoder, (spec.height, spec.width), _CONFIDENCE, _NMS, [geometry])[0]
        except BadOutputs:
            return None

    def _feeds(self, session: Session, tensor: NDArray[np.float32], index: int) -> dict[str, NDArray[Any]]:
        port = next(info for info in session.inputs if info.name == self.name)
        batch = port.shape[0] if port.shape[0] > 0 else 1
        fed = np.repeat(tensor[None], batch, axis=0).astype(port.dtype)
        wanted = {info.name for info in session.inputs}
        return {self.name: fed, **{name: v for name, v in self.others(index).items() if name in wanted}}

    def _heard(self, spec: InputSpec) -> Heard | None:
        if self.listener is None:
            return None
        listener, outputs = self.listener, {}

        def listen(index: int) -> None:
            tensor, _ = prepare(self.pictures[index], spec)
            given = listener.session.run(self._feeds(listener.session, tensor, index))
            outputs[index] = next(iter(given.values()))[0]

        parallel.each(listen, range(len(self.pictures)), self.threads)
        rows = [outputs[index] for index in range(len(self.pictures))]
        return heard(rows, listener.mean, listener.deviation, listener.bias)


def hopeless(first: NDArray[np.float64] | None, beside: NDArray[np.float64] | None) -> bool:
    """Whether a way that finds so much in the first pictures is not worth more of them."""
    if first is None or beside is None:
        return False
    return bool(first.sum() < _HOPELESS * beside[: len(first)].sum())


def _found(seen: Sequence[Views], judge: Likeness) -> NDArray[np.float64]:
    """What is found in each picture and again in its other view, without what is found in any."""
    number = len(seen)
    found = np.zeros(number)
    for index, views in enumerate(seen):
        own = np.mean([_alike(one, other, judge) for one, other in views])
        others = [seen[(index + step) % number] for step in range(1, min(_OTHERS, number - 1) + 1)]
        any_picture = [_alike(one, other, judge) for one, _ in views for some in others for _, other in some]
        found[index] = own - (np.mean(any_picture) if any_picture else 0.0)
    return found


def _alike(one: Seen, other: Seen, judge: Likeness) -> float:
    return 0.0 if one.what is None or other.what is None else judge.alike(one, other)
