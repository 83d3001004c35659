"""What models are tried on at their import: pictures of noise as the network sees them, and noise for the rest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.onnx_import.onnx_file import ValueInfo
from bmzoo.onnx_import.ports import picture_shape

Feeds = Mapping[str, NDArray[Any]]


def network_inputs(spec: Mapping[str, Any], count: int, seed: int = 0) -> NDArray[np.float32]:
    """Pictures of noise as the network sees them: with the config's mean and scale, [count, C, H, W]."""
    channels, *sides = picture_shape(spec)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, channels, *sides))
    mean, scale = (np.array(spec[key][:channels]).reshape(-1, 1, 1) for key in ("mean", "scale"))
    return np.asarray((pixels - mean) * scale, np.float32)


def network_feeds(ports: Iterable[ValueInfo], spec: Mapping[str, Any] | None, seed: int) -> dict[str, NDArray[Any]]:
    """One picture, or one row, for every input: pictures where it takes them, else noise, free sizes at 1.

    spec: the config's `input`, None for a network that takes no pictures.
    """
    return {port.name: _row(port, spec, seed) for port in ports}


def stacked(rows: Sequence[Feeds]) -> dict[str, NDArray[Any]]:
    """Rows as one batch; what has no dimensions is the same for all."""
    return {
        name: np.concatenate([row[name] for row in rows]) if value.ndim else value
        for name, value in rows[0].items()
    }


def _pictures(spec: Mapping[str, Any] | None, seed: int) -> Iterator[NDArray[np.float32]]:
    """A picture with its channels first, and with its channels last."""
    if spec is not None:
        picture = network_inputs(spec, 1, seed)
        yield from (picture, np.ascontiguousarray(picture.transpose(0, 2, 3, 1)))


def _row(port: ValueInfo, spec: Mapping[str, Any] | None, seed: int) -> NDArray[Any]:
    shape = [size if isinstance(size, int) else 0 for size in port.shape or ()]
    for each in _pictures(spec, seed):
        if len(shape) == 4 and all(size in (0, side) for size, side in zip(shape[1:], each.shape[1:], strict=True)):
            return each.astype(port.dtype)
    sizes, random = [size or 1 for size in shape], np.random.default_rng(seed)
    if port.dtype.startswith("float"):
        return random.standard_normal(sizes).astype(port.dtype)
    return random.integers(0, 2, sizes).astype(port.dtype)
