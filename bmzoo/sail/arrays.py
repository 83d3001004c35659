"""Arrays of images: a batch in one block of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Optional, Sequence

import numpy as np

from bmzoo.sail.binding import bound
from bmzoo.sail.device import Handle
from bmzoo.sail.errors import Partial
from bmzoo.sail.image import BMImage, bm_image, empty
from bmzoo.sail.pixels import Pixels, element, length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.sail.enums import Format, ImgDtype


class BMImageArray(Partial):
    """SIZE images of one geometry in one block: `()` or `(handle, height, width, format, dtype)`.

    An empty array takes the geometry of the first image assigned; its other slots are zero until assigned.
    """

    SIZE: ClassVar[int] = 0

    @bound("", "handle: Handle, h: int, w: int, format: Format, dtype: ImgDtype, /")
    def __init__(self, *arguments: Any) -> None:
        self.block: Optional[NDArray[Any]] = None
        self._slots = [empty() for _ in range(self.SIZE)]
        self._device = 0
        if arguments:
            self.create(*arguments)

    @bound("handle: Handle, h: int, w: int, format: Format, dtype: ImgDtype, /")
    def create(self, handle: Handle, h: int, w: int, format: Format, dtype: ImgDtype) -> None:
        """Zeroed memory for all images."""
        self._device = handle.get_device_id()
        self.allocate(h, w, format, dtype)

    def allocate(self, height: int, width: int, format: Format, dtype: ImgDtype) -> None:
        """Zeroed memory for all images."""
        size = length(height, width, format)
        self.block = np.zeros(self.SIZE * size, element(dtype))
        parts = self.block.reshape(self.SIZE, size)
        self._slots = [Pixels(height, width, format, dtype, part) for part in parts]

    @property
    def slots(self) -> Sequence[Pixels]:
        """The images' memory."""
        return self._slots

    def __len__(self) -> int:
        return self.SIZE

    @bound("i: size, /")
    def __getitem__(self, index: int) -> bm_image:
        return bm_image(self._slots[self._index(index)])

    @bound("i: size, t: bm_image, /")
    def __setitem__(self, index: int, image: bm_image) -> None:
        self._copy(self._index(index), image.pixels)

    @bound("i: int, data: BMImage, /")
    def copy_from(self, index: int, image: BMImage) -> None:
        """Copy an image of the same geometry to a slot."""
        self._copy(self._index(index), image.pixels)

    @bound("i: int, data: BMImage, /")
    def attach_from(self, index: int, image: BMImage) -> None:
        """Let a slot share an image's memory; the array is then no batch for a tensor any more."""
        self._slots[self._index(index)] = image.pixels
        self.block = None

    def check_need_free(self) -> bool:
        """True when the array has memory of its own."""
        return self.block is not None

    @bound("value: bool, /")
    def set_need_free(self, value: bool) -> None:
        """Accepted; memory is freed when nobody uses it."""

    def get_device_id(self) -> int:
        """Number of the device."""
        return self._device

    def _index(self, index: int) -> int:
        if not 0 <= index < self.SIZE:
            raise IndexError(f"{type(self).__name__}: no such image: {index}")
        return index

    def _copy(self, index: int, source: Pixels) -> None:
        if not source.data.size:
            raise ValueError(f"{type(self).__name__}: the image is empty")
        if not self._slots[index].data.size:
            self.allocate(source.height, source.width, source.format, source.dtype)
        slot = self._slots[index]
        if not slot.fits(source):
            raise ValueError(f"{type(self).__name__}: holds {slot}, cannot take: {source}")
        slot.data[:] = source.data


class BMImageArray2D(BMImageArray):
    SIZE = 2


class BMImageArray3D(BMImageArray):
    SIZE = 3


class BMImageArray4D(BMImageArray):
    SIZE = 4


class BMImageArray8D(BMImageArray):
    SIZE = 8


class BMImageArray16D(BMImageArray):
    SIZE = 16


class BMImageArray32D(BMImageArray):
    SIZE = 32


class BMImageArray64D(BMImageArray):
    SIZE = 64


class BMImageArray128D(BMImageArray):
    SIZE = 128


class BMImageArray256D(BMImageArray):
    SIZE = 256
