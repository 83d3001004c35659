"""`raw`: pixels in place of what preprocessing makes of them, for networks that have it compiled in."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.commands.requests import read_request
from bmzoo.config.fused import RAW_SUFFIX, order_of
from bmzoo.errors import VerifyFailed
from bmzoo.measure.npz import arrays
from bmzoo.runtime.engines.simulate import write_arrays

# How far from a whole number a pixel may come back: floats of the preprocessing are rounded.
_NEAR = 1e-2


def run(folder: Path, args: tuple[str, ...]) -> None:
    """args: request, preprocessed npz, npz to write. Raises VerifyFailed for what no picture can have become."""
    request = read_request(folder, args[0])
    fed = arrays(folder / args[1])
    write_arrays(folder / args[2], {f"{name}{RAW_SUFFIX}": pixels(x, request) for name, x in fed.items()})


def pixels(fed: NDArray[Any], request: dict[str, Any]) -> NDArray[np.uint8]:
    """Float [N,C,H,W], (pixel - mean) * scale, to uint8 in the request's `raw` format. Raises VerifyFailed."""
    section = request["input"]
    mean, scale = (np.asarray(section[key], np.float64)[:, None, None] for key in ("mean", "scale"))
    exact = fed / scale + mean
    found = np.rint(exact)
    if np.abs(found - exact).max() > _NEAR or found.min() < 0 or found.max() > 255:
        raise VerifyFailed(f"not pixels before mean and scale: {exact.min():g} to {exact.max():g}")
    pixel_format, layout = order_of(request["raw"])
    ordered = found[:, ::-1] if pixel_format != section["pixel_format"] else found
    return np.ascontiguousarray(ordered.transpose(0, 2, 3, 1) if layout == "nhwc" else ordered).astype(np.uint8)
