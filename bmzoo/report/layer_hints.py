"""What would make a layer cheaper, from its profile and its target. Pure: what to try, never how much it gains."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bmzoo.chips import CALIBRATED, CHIPS
from bmzoo.report.profiles import LayerTime, StoredProfile
from bmzoo.target import Target

# Below this share of the best bandwidth in the same profile, pieces are small or far apart.
SLOW_SHARE = 0.25
# Operations that compute nothing: they change where or as what a tensor lies.
COPIES = ("Cast", "Concat", "Permute", "Reshape", "Slice", "Gather", "Pad", "Tile")
# What brings inputs and weights near the engines, and results back.
LOADS = ("Load", "Store")


@dataclass(frozen=True)
class Hint:
    """A costly layer, its share of its core (0 to 1), and what would help."""

    layer: LayerTime
    share: float
    helps: str


def hints(profile: StoredProfile, target: Target, floats: Collection[str], count: int = 10) -> tuple[Hint, ...]:
    """The costliest layers, `count` of them. `floats`: layers of an INT8 network that stay in float.

    Of a layer that several cores share, the part of the one that takes longest.
    """
    longest: dict[tuple[str, str], LayerTime] = {}
    for layer in profile.layers:
        longest.setdefault((layer.layer, layer.operation), layer)
    return tuple(
        Hint(layer, profile.share(layer), "; ".join(_helps(layer, profile, target, floats)))
        for layer in list(longest.values())[:count]
    )


def _helps(layer: LayerTime, profile: StoredProfile, target: Target, floats: Collection[str]) -> Iterator[str]:
    if layer.layer in floats:
        yield "it stays in float: INT8 is cheaper, where accuracy allows it"
    if layer.bound == "launch":
        yield from _launches(layer, target)
    elif layer.bound == "memory":
        yield from _memory(layer, profile)
    else:
        yield from _arithmetic(layer, target, floats)


def _launches(layer: LayerTime, target: Target) -> Iterator[str]:
    yield f"{layer.transfers} transfers of {_bytes(layer.bytes / max(layer.transfers, 1))} each"
    yield f"a batch above {target.batch} makes each larger, and shares the start"


def _memory(layer: LayerTime, profile: StoredProfile) -> Iterator[str]:
    own, best = layer.bandwidth, profile.best_bandwidth
    if layer.operation in COPIES:
        what = "converts" if layer.operation == "Cast" else "copies"
        yield f"it only {what} {_bytes(layer.bytes)}: neighbours of one precision and layout need none of it"
    elif layer.operation in LOADS:
        yield f"{_bytes(layer.bytes)} between memory and the core: narrower inputs, weights or results are less"
    elif own is not None and best is not None and own < SLOW_SHARE * best:
        yield (
            f"{own:.1f} GB/s where {best:.1f} are reached, as its pieces are short: a longer last dimension, "
            "or computing it on the host"
        )
    else:
        yield f"moves {_bytes(layer.bytes)}: a narrower precision or smaller input moves less"


def _arithmetic(layer: LayerTime, target: Target, floats: Collection[str]) -> Iterator[str]:
    chip = CHIPS[target.chip]
    if target.precision not in CALIBRATED:
        narrower = (
            "int8" if target.precision in ("fp16", "bf16") else "fp16" if "fp16" in chip.precisions else "int8"
        )
        yield f"{narrower} in place of {target.precision}"
    if target.cores < max(chip.cores):
        yield f"{max(chip.cores)} cores in place of {target.cores}"
    if ".dw." in layer.layer or "depthwise" in layer.layer.lower():
        yield "depthwise, which leaves most multipliers idle: a batch or more channels use more of them"
    elif target.precision in CALIBRATED and layer.layer not in floats and target.cores == max(chip.cores):
        yield "fewer channels or a smaller input: it is at the narrowest precision and on all cores"


def _bytes(number: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f} B"
