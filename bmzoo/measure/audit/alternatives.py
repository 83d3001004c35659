"""Other ways to feed a network its pictures: what people write in place of what is right, one axis at a time. Pure.

An axis is what a person would say is wrong: the order of channels, mean, scale, resize, padding. What is wrong by
a unit is tried from what is written (a factor of 255 either way, a mean in 0 to 1 or in what comes out, a deviation
in place of its inverse), and so are the usual numbers of all kinds of networks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bmzoo.measure.normalisations import USUAL_ONES

ORDER, MEAN, SCALE, NUMBERS = "channel order", "mean", "scale", "mean and scale"
RESIZE, PADDING = "resize", "padding"
STRETCH = "stretch"
AXES = (ORDER, MEAN, SCALE, NUMBERS, RESIZE, PADDING)
_WHITE = 255.0
# Channels in the other order; gray has none.
_SWAPPED = {"bgr": "rgb", "rgb": "bgr", "bgra": "rgba", "rgba": "bgra"}
KEEPS_SHAPE = ("letterbox", "letterbox_center")
# Black, YOLO's grey, white; and colours so near to one of them that no network minds.
_PADS, _NEAR = (0, 114, 255), 16
# Numbers this near are the same to a network: (x - 127) / 128 is -1 to 1.
_SAME = 0.02

Section = Mapping[str, Any]
Numbers = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Alternative:
    """What to write below `input` in place of what is there, and the axis that this is on."""

    axis: str
    changes: Section

    def of(self, section: Section) -> dict[str, Any]:
        """The section with the changes."""
        return {**section, **self.changes}

    def __str__(self) -> str:
        return ", ".join(f"{key} {written(value)}" for key, value in self.changes.items())


def written(value: object) -> str:
    """A value as people read it: numbers by channel short, and once where all are alike."""
    if not isinstance(value, list | tuple):
        return str(value)
    numbers = list(dict.fromkeys(f"{one:.6g}" for one in value))
    return numbers[0] if len(numbers) == 1 else f"[{', '.join(f'{one:.6g}' for one in value)}]"


def alternatives(section: Section, crops: bool) -> tuple[Alternative, ...]:
    """What else `section` might say; it is resolved, with mean and scale by channel.

    crops: whether the network speaks of the whole picture, so that its edges may be cut off.
    """
    return (*_orders(section), *_numbers(section), *_resizes(section, crops), *_paddings(section))


def _orders(section: Section) -> Iterator[Alternative]:
    """The other order, and mean and scale along with it where they differ by channel."""
    other = _SWAPPED.get(section["pixel_format"])
    if other is None:
        return
    yield Alternative(ORDER, {"pixel_format": other})
    turned = {key: _turned(section[key]) for key in ("mean", "scale") if not _alike(section[key])}
    if turned:
        yield Alternative(ORDER, {"pixel_format": other, **turned})


def _numbers(section: Section) -> Iterator[Alternative]:
    mean, scale = tuple(section["mean"]), tuple(section["scale"])
    seen: list[Numbers] = [(mean, scale)]
    for m, s in (*_other_units(mean, scale), *_usual(section)):
        if not any(_near(m, s, *one) for one in seen) and all(s):
            seen.append((m, s))
            changes = {key: v for key, v, old in (("mean", m, mean), ("scale", s, scale)) if v != old}
            yield Alternative(MEAN if len(changes) == 1 and "mean" in changes else _axis(changes), changes)


def _axis(changes: Section) -> str:
    return NUMBERS if len(changes) > 1 else SCALE


def _other_units(mean: tuple[float, ...], scale: tuple[float, ...]) -> Iterator[Numbers]:
    """What is written, taken for the same in another unit."""

    def by(values: tuple[float, ...], factor: float) -> tuple[float, ...]:
        return tuple(value * factor for value in values)

    yield mean, by(scale, _WHITE)
    yield mean, by(scale, 1 / _WHITE)
    yield mean, tuple(1 / s for s in scale)
    yield mean, tuple(1 / (s * _WHITE) for s in scale)
    if not any(mean):
        return
    yield (0.0,) * len(mean), scale
    yield _turned(mean), scale
    yield by(mean, _WHITE), scale
    yield by(mean, 1 / _WHITE), scale
    yield by(mean, _WHITE), by(scale, 1 / _WHITE)
    yield tuple(m / s for m, s in zip(mean, scale, strict=True)), scale  # it was taken off after the scale
    yield tuple(m * s for m, s in zip(mean, scale, strict=True)), scale


def _usual(section: Section) -> Iterator[Numbers]:
    """The usual numbers, each alone beside what is written and then together. A fourth channel has none."""
    if len(section["mean"]) > 3:
        return
    usual = [one.ordered(section["pixel_format"]) for one in USUAL_ONES]
    yield from ((mean, tuple(section["scale"])) for mean, _ in usual)
    yield from ((tuple(section["mean"]), scale) for _, scale in usual)
    yield from usual


def _resizes(section: Section, crops: bool) -> Iterator[Alternative]:
    now = section["resize"]
    if now == "fixed_height":
        others: tuple[str, ...] = (STRETCH,)
    elif now == STRETCH:
        others = (*KEEPS_SHAPE, *(("center_crop",) if crops else ()))
    else:
        others = (STRETCH, *(("center_crop",) if crops and now != "center_crop" else ()))
        others += ("letterbox",) if now == "center_crop" else ()
    yield from (Alternative(RESIZE, {"resize": other}) for other in others)


def _paddings(section: Section) -> Iterator[Alternative]:
    """Where the picture lies, and the colour of the rest."""
    now, pad = section["resize"], section["pad_value"]
    yield from (
        Alternative(PADDING, {"resize": other}) for other in KEEPS_SHAPE if now in KEEPS_SHAPE and other != now
    )
    if now in (*KEEPS_SHAPE, "fixed_height"):
        colours = [pad]
        for other in (*_PADS, round(min(_WHITE, max(0.0, float(np.mean(section["mean"])))))):
            if all(abs(other - one) > _NEAR for one in colours):
                colours.append(other)
                yield Alternative(PADDING, {"pad_value": other})


def _turned(values: tuple[float, ...]) -> tuple[float, ...]:
    """Red for blue; a fourth channel stays."""
    return (*tuple(values)[:3][::-1], *tuple(values)[3:])


def _alike(values: tuple[float, ...]) -> bool:
    return max(values) - min(values) <= _SAME * max(abs(value) for value in values)


def _near(mean: tuple[float, ...], scale: tuple[float, ...], m: tuple[float, ...], s: tuple[float, ...]) -> bool:
    """Whether both give a network the same, but for a fiftieth of the range: of black and of white."""
    at = np.array([[0.0], [_WHITE]])
    one, other = ((at - np.array(a)) * np.array(b) for a, b in ((mean, scale), (m, s)))
    return bool(np.all(np.abs(one - other) <= _SAME * _WHITE * np.minimum(np.abs(scale), np.abs(s))))
