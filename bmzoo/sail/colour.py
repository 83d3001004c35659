"""Conversion between image formats. YUV is BT.601 in limited range, the default of the chips' VPP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Sequence, Tuple

import cv2
import numpy as np

from bmzoo.sail.enums import Format, ImgDtype
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.pixels import PACKED, PLANAR, YUV, Pixels, Surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Y, U, V of B, G, R, which are 0..255.
_FROM_BGR = np.array([[0.098, 0.504, 0.257], [0.439, -0.291, -0.148], [-0.071, -0.368, 0.439]], np.float32)
_OFFSETS = np.array([16, 128, 128], np.float32)


def convert(source: Pixels, format: Format) -> Pixels:
    """The image in another format, same size and type. Raises SailBMImageError."""
    target = Pixels.zeros(source.height, source.width, format, source.dtype)
    convert_into(source, target)
    return target


def convert_into(source: Pixels, target: Pixels) -> None:
    """Fill `target`, of the same size and type, from `source`. Raises SailBMImageError."""
    if (source.height, source.width, source.dtype) != (target.height, target.width, target.dtype):
        raise SailBMImageError(f"images differ in more than format: {source}, {target}")
    colours = {*PLANAR, *PACKED}
    if source.format is target.format:
        target.data[:] = source.data
    elif source.format in colours and target.format in colours:
        bgr = to_bgr(source)
        for surface in target.surfaces():
            order = ["bgr".index(channel) for channel in surface.channels]
            surface.array[...] = bgr[..., order].reshape(surface.array.shape)
    elif source.dtype is not ImgDtype.DATA_TYPE_EXT_1N_BYTE:
        raise SailBMImageError(f"only 8-bit images change between these formats: {source}, {target}")
    elif target.format is Format.FORMAT_GRAY:
        target.data[:] = _gray(source).reshape(-1)
    elif target.format in YUV:
        _write_yuv(_yuv(source), target)
    else:
        convert_into(Pixels.of(to_bgr(source), Format.FORMAT_BGR_PACKED), target)


def to_bgr(source: Pixels) -> NDArray[Any]:
    """[H,W,3] in BGR order, of the image's type; may share its memory."""
    if source.format in PACKED:
        native = source.native()
        return native if PACKED[source.format] == "bgr" else native[..., ::-1]
    if source.format in PLANAR:
        planes = source.native() if PLANAR[source.format] == "bgr" else source.native()[::-1]
        return planes.transpose(1, 2, 0)
    if source.format is Format.FORMAT_GRAY:
        return np.repeat(source.native()[0][..., None], 3, axis=2)
    y, u, v = (channel.astype(np.float32) for channel in _yuv(source))
    luma = (y - 16) * np.float32(1.164)
    blue, red = u - 128, v - 128
    green = luma - red * np.float32(0.813) - blue * np.float32(0.392)
    return saturate(
        np.stack([luma + blue * np.float32(2.017), green, luma + red * np.float32(1.596)], axis=2), np.uint8
    )


def saturate(values: NDArray[Any], kind: Any) -> NDArray[Any]:
    """Float -> an image's type. For integers clipped to the range, then rounded, halves away from zero."""
    if kind is np.float32 or kind == np.float32:
        return values.astype(np.float32)
    limits = np.iinfo(kind)
    clipped = np.clip(values, limits.min, limits.max)
    rounded: NDArray[Any] = np.trunc(clipped + np.copysign(np.float32(0.5), clipped)).astype(kind)
    return rounded


def samples(colour: Sequence[int], surface: Surface) -> Tuple[int, ...]:
    """What a colour (B, G, R) is in the channels of `surface`."""
    bgr = np.array([min(255, max(0, int(value))) for value in colour], np.float32)
    values: Dict[str, float] = dict(zip("bgr", bgr))  # noqa: B905
    values.update(zip("yuv", _FROM_BGR @ bgr + _OFFSETS))  # noqa: B905
    return tuple(int(saturate(np.array(values[channel]), np.uint8)) for channel in surface.channels)


def _gray(source: Pixels) -> NDArray[Any]:
    if source.format in YUV:
        return source.data[: source.height * source.width]  # the luma plane as it is
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(to_bgr(source)), cv2.COLOR_BGR2GRAY))


def _yuv(source: Pixels) -> Sequence[NDArray[Any]]:
    """Y, U and V, each [H,W] uint8."""
    if source.format is Format.FORMAT_GRAY:
        luma = source.native()[0]
        return luma, np.full_like(luma, 128), np.full_like(luma, 128)
    if source.format not in YUV:
        converted = to_bgr(source).astype(np.float32) @ _FROM_BGR.T + _OFFSETS
        return list(saturate(converted, np.uint8).transpose(2, 0, 1))
    found: Dict[str, NDArray[Any]] = {}
    for surface in source.surfaces():
        full = surface.array.repeat(surface.per_y, axis=0).repeat(surface.per_x, axis=1)
        full = full[: source.height, : source.width].reshape(source.height, source.width, -1)
        found.update({channel: full[..., i] for i, channel in enumerate(surface.channels)})
    return found["y"], found["u"], found["v"]


def _write_yuv(channels: Sequence[NDArray[Any]], target: Pixels) -> None:
    """Chroma samples are the mean of the pixels that they stand for."""
    by_name = dict(zip("yuv", channels))  # noqa: B905
    for surface in target.surfaces():
        for i, channel in enumerate(surface.channels):
            reduced = _mean(by_name[channel], surface.per_x, surface.per_y)
            if surface.array.ndim == 3:
                surface.array[..., i] = reduced
            else:
                surface.array[...] = reduced


def _mean(plane: NDArray[Any], per_x: int, per_y: int) -> NDArray[Any]:
    if (per_x, per_y) == (1, 1):
        return plane
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % per_y), (0, -width % per_x)), mode="edge").astype(np.float32)
    blocks = padded.reshape(padded.shape[0] // per_y, per_y, padded.shape[1] // per_x, per_x)
    return saturate(blocks.mean(axis=(1, 3)), np.uint8)
