"""What the VPP, the unit behind Bmcv's vpp_* functions, does not do."""

from __future__ import annotations

from bmzoo.sail.device import Handle
from bmzoo.sail.errors import SailBMImageError

# Shortest and longest side in pixels, and how many times a side may grow or shrink. Source: BMCV's documents.
_BM1684 = (16, 4096, 32)
_LATER = (8, 8192, 128)


def check_vpp(handle: Handle, what: str, width: int, height: int, to_width: int, to_height: int) -> None:
    """Raise SailBMImageError for a size that the chip's VPP does not read, write, or make of the other."""
    chip = handle.get_target()
    shortest, longest, times = _BM1684 if chip == "BM1684" else _LATER
    for side in (width, height, to_width, to_height):
        if not shortest <= side <= longest:
            sizes = f"{width}x{height} to {to_width}x{to_height}"
            raise SailBMImageError(
                f"{what}: the VPP of {chip} takes sides of {shortest}..{longest} pixels: {sizes}"
            )
    for before, after in ((width, to_width), (height, to_height)):
        if after > before * times or before > after * times:
            raise SailBMImageError(f"{what}: the VPP of {chip} scales {times} times at most: {before} to {after}")
