"""How a network wants its pictures: the usual normalisations are tried, and the one that it visibly likes is kept.

What it likes is told by how much it finds in pictures, and with what confidence. A network that is fed numbers far
too large finds even more, but finds as much in the same pictures cut to tiles and shuffled: such a way is out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmzoo.config_import.facts import PicturePort
from bmzoo.config_import.likings import LIKINGS, Liking, Outputs
from bmzoo.config_import.usual import UsualInput
from bmzoo.measure.normalisations import USUAL_ONES, Normalisation
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.preprocess import InputSpec, prepare, read_image

PICTURES = 8
_FIRST = 2  # pictures that all ways are tried on; the rest is for those that come near the best
_HOPELESS = 0.3
_TILE = 4  # pixels: smaller than what any network knows by sight
_BABBLE = 0.9  # finding this share of it in shuffled pictures too means finding nothing
_NEARLY = 0.75  # the usual way is kept when it does as well as this beside the best
_CLOSE = 0.9  # a way that does this well beside the one that is kept, leaves doubt


@dataclass(frozen=True)
class Preference:
    """The way that was kept. `sure`: no other way comes close to it. `found`: how much in each of the pictures."""

    normalisation: Normalisation
    pixel_format: str
    why: str
    sure: bool
    found: tuple[float, ...]


@dataclass
class _Way:
    """A way to feed a network. `found`: how much in each picture so far; `babble`: in their shuffled tiles."""

    normalisation: Normalisation
    pixel_format: str
    found: list[float] = field(default_factory=list)
    babble: float = 0.0

    def feed(self, session: OnnxSession, port: PicturePort, liking: Liking, pixels: NDArray[np.float32]) -> None:
        """Run the network on a picture, float32 [3,H,W] of 0 to 255, and on the same with nothing to be found."""
        self.found.append(liking(_run(session, port, self, pixels)))
        self.babble += liking(_run(session, port, self, _shuffled(pixels)))

    @property
    def liked(self) -> float:
        return sum(self.found)

    def is_of(self, usual: UsualInput) -> bool:
        return (self.normalisation, self.pixel_format) == (usual.normalisation, usual.pixel_format)

    @property
    def fits(self) -> bool:
        return self.liked > 0 and self.babble < _BABBLE * self.liked


def can_be_tried(kind: str) -> bool:
    """Whether a kind of head shows what the network likes in pictures of any size."""
    return kind in LIKINGS


def tried(
    model: Path, port: PicturePort, kind: str, usual: UsualInput, sides: tuple[int, int], pictures: Sequence[Path]
) -> Preference | None:
    """The best of the usual ways to feed a network; None where none is better than nothing. Raises SessionError."""
    session = OnnxSession(model)
    try:
        ways = [_Way(one, order) for one in _numbers(usual) for order in ("rgb", "bgr")]
        shown = [_pixels(path, usual, sides) for path in pictures[:PICTURES]]
        for way in ways:
            for pixels in shown[:_FIRST]:
                way.feed(session, port, LIKINGS[kind], pixels)
        ways = _worth_more(ways, usual)
        for way in ways:
            for pixels in shown[_FIRST:]:
                way.feed(session, port, LIKINGS[kind], pixels)
    finally:
        session.close()
    return _judge(ways, usual)


def _numbers(usual: UsualInput) -> list[Normalisation]:
    """What is tried: the usual one of the kind, and the usual ones of all kinds."""
    return list(dict.fromkeys((usual.normalisation, *USUAL_ONES)))


def _worth_more(ways: Sequence[_Way], usual: UsualInput) -> list[_Way]:
    """Those that come near the best after the first pictures, and the usual one."""
    best = max((way.liked for way in ways if way.fits), default=0.0)
    return [way for way in ways if (way.fits and way.liked >= _HOPELESS * best) or way.is_of(usual)]


def _judge(ways: Sequence[_Way], usual: UsualInput) -> Preference | None:
    fitting = sorted((way for way in ways if way.fits), key=lambda way: -way.liked)
    if not fitting:
        return None
    best = fitting[0]
    own = next(way for way in ways if way.is_of(usual))
    kept = own if own.fits and own.liked >= _NEARLY * best.liked else best
    rival = next((way for way in fitting if not _alike(way, kept)), None)
    count = len(kept.found)
    why, sure = f"tried on {count} pictures: {kept.liked / count:.1f} found in each", True
    if rival is None:
        why += ", nothing in any other way"
    else:
        why += f", {rival.liked / count:.1f} with {rival.pixel_format} and {rival.normalisation.name}"
        sure = rival.liked < _CLOSE * kept.liked
    return Preference(kept.normalisation, kept.pixel_format, why, sure, tuple(kept.found))


def _alike(one: _Way, other: _Way) -> bool:
    """Whether two ways feed nearly the same numbers."""
    (a, b), (c, d) = ((way.normalisation.mean, way.normalisation.scale) for way in (one, other))
    near = np.allclose(a, c, atol=1) and np.allclose(b, d, rtol=0.01)
    return bool(near) and one.pixel_format == other.pixel_format


def _pixels(path: Path, usual: UsualInput, sides: tuple[int, int]) -> NDArray[np.float32]:
    """A picture in the network's size: float32 [3,H,W], red, green and blue, 0 to 255."""
    resize = usual.resize if usual.resize.startswith("letterbox") else "stretch"
    spec = InputSpec(*sides, "rgb", (0.0,) * 3, (1.0,) * 3, resize, usual.pad_value)
    return prepare(read_image(path), spec)[0]


def _shuffled(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same pixels as tiles in random order: nothing is left to be found. [3,H,W] as given."""
    _, height, width = pixels.shape
    rows, columns = height // _TILE, width // _TILE
    tiles = pixels[:, : rows * _TILE, : columns * _TILE].reshape(3, rows, _TILE, columns, _TILE)
    flat = tiles.transpose(1, 3, 0, 2, 4).reshape(rows * columns, 3, _TILE, _TILE)
    mixed = flat[np.random.default_rng(0).permutation(len(flat))].reshape(rows, columns, 3, _TILE, _TILE)
    result = pixels.copy()
    result[:, : rows * _TILE, : columns * _TILE] = mixed.transpose(2, 0, 3, 1, 4).reshape(
        3, rows * _TILE, columns * _TILE
    )
    return result


def _run(session: OnnxSession, port: PicturePort, way: _Way, pixels: NDArray[np.float32]) -> Outputs:
    """The outputs for one picture, without the batch."""
    channels = pixels if way.pixel_format == "rgb" else pixels[::-1]
    mean, scale = (np.asarray(v, np.float32)[:, None, None] for v in way.normalisation.ordered(way.pixel_format))
    fed = ((channels - mean) * scale)[None]
    fed = fed if port.layout == "nchw" else fed.transpose(0, 2, 3, 1)
    fed = np.repeat(fed, port.batch or 1, axis=0)
    return [each[0] for each in session.run({port.name: np.ascontiguousarray(fed, port.dtype)}).values()]
