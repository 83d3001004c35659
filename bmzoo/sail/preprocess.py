"""ImagePreProcess: pictures in, batches for a network out.

A card works through its queues in threads of its own. Here the work is done by whoever asks for a batch; what
scripts see of it is the same, but for the time it takes.
"""

# ruff: noqa: N802, PLR0913, PLR0917  # the names and signatures are sail's

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import ClassVar, Deque, List, Optional, Sequence, Tuple

import numpy as np

from bmzoo.sail.binding import bound
from bmzoo.sail.bmcv import Bmcv
from bmzoo.sail.device import LOGGER, Handle
from bmzoo.sail.enums import TENSOR_OF_IMAGE, Dtype, Format, ImgDtype, bmcv_resize_algorithm, sail_resize_type
from bmzoo.sail.errors import NotSupport, Partial, SailEngineError
from bmzoo.sail.image import BMImage, PaddingAtrr
from bmzoo.sail.pixels import Pixels
from bmzoo.sail.tensor import Tensor

# Batches that sail has arrays of images for; without them it takes no batch.
SIZES = (1, 4, 8, 16, 32, 64)
QUEUES_FULL = 2  # code of PushImage
_ALGORITHMS = {
    sail_resize_type.BM_RESIZE_TPU_LINEAR: bmcv_resize_algorithm.BMCV_INTER_LINEAR,
    sail_resize_type.BM_RESIZE_TPU_BICUBIC: bmcv_resize_algorithm.BMCV_INTER_BICUBIC,
    sail_resize_type.BM_PADDING_TPU_LINEAR: bmcv_resize_algorithm.BMCV_INTER_LINEAR,
    sail_resize_type.BM_PADDING_TPU_BICUBIC: bmcv_resize_algorithm.BMCV_INTER_BICUBIC,
}
_STILL = 1.0  # seconds of waiting after which it is said


@dataclass
class Waiting:
    """A picture in the queue: which one of which channel."""

    image: BMImage
    channel: int
    index: int


@dataclass
class Batch:
    """Network input, and what it was made of: where each picture lies in it is [left, top, width, height]."""

    tensor: Tensor
    pictures: List[Waiting]
    places: List[List[int]]


class ImagePreProcess(Partial):
    """Resize, pad, convert to the network's type, gather into batches."""

    LEFT_OUT: ClassVar = frozenset({"GetBatchData_CV"})

    @bound(
        "batch_size: int, resize_mode: sail_resize_type, tpu_id: int = 0, queue_in_size: int = 20, "
        "queue_out_size: int = 20, use_mat_flag: bool = False"
    )
    def __init__(
        self,
        batch_size: int,
        resize_mode: sail_resize_type,
        tpu_id: int = 0,
        queue_in_size: int = 20,
        queue_out_size: int = 20,
        use_mat_flag: bool = False,
    ) -> None:
        if batch_size not in SIZES:
            allowed = ", ".join(map(str, SIZES))
            raise SailEngineError(f"ImagePreProcess: not supported: a batch of {batch_size}; allowed: {allowed}")
        if use_mat_flag:
            raise NotSupport("ImagePreProcess: use_mat_flag: there is no function that returns its pictures")
        self._handle = Handle(tpu_id)
        self._bmcv = Bmcv(self._handle)
        self._batch, self._mode = batch_size, resize_mode
        # A card's threads hold pictures in four queues at once.
        self._room = max(queue_in_size, batch_size) + 4 * max(queue_out_size, batch_size)
        self._waiting: Deque[Waiting] = deque()
        self._arrived = threading.Condition()
        self._size: Optional[Tuple[int, int]] = None
        self._format, self._dtype = Format.FORMAT_BGR_PLANAR, ImgDtype.DATA_TYPE_EXT_1N_BYTE
        self._padding: Optional[Tuple[int, int, int, int]] = None  # red, green, blue, align
        self._pairs: Optional[Sequence[Sequence[float]]] = None
        self._exhausted = False

    @bound("output_width: int, output_height: int, bgr2rgb: bool, dtype: ImgDtype, /")
    def SetResizeImageAtrr(self, output_width: int, output_height: int, bgr2rgb: bool, dtype: ImgDtype) -> None:
        """Size, order of the channels and type of the batches."""
        if dtype not in TENSOR_OF_IMAGE:
            raise SailEngineError(f"SetResizeImageAtrr: not supported: {dtype.name}")
        self._size, self._dtype = (output_width, output_height), dtype
        self._format = Format.FORMAT_RGB_PLANAR if bgr2rgb else Format.FORMAT_BGR_PLANAR

    @bound("padding_b: int = 114, padding_g: int = 114, padding_r: int = 114, align: int = 0")
    def SetPaddingAtrr(
        self, padding_b: int = 114, padding_g: int = 114, padding_r: int = 114, align: int = 0
    ) -> None:
        """Colour around a padded picture, and where that lies: 0 at the top left, 1 in the middle."""
        self._padding = (padding_r, padding_g, padding_b, align)

    @bound("alpha_beta: ((float, float), (float, float), (float, float)), /")
    def SetConvertAtrr(self, alpha_beta: Sequence[Sequence[float]]) -> int:
        """y = a * x + b for each channel: ((a0, b0), (a1, b1), (a2, b2)). 0; 1 when it was called before."""
        if self._pairs is not None:
            return 1
        self._pairs = alpha_beta
        return 0

    @bound("channel_idx: int, image_idx: int, image: BMImage, /")
    def PushImage(self, channel_idx: int, image_idx: int, image: BMImage) -> int:
        """Queue a picture. 0; 2 when the queues are full. The image is moved: the caller's is empty afterwards.

        Raises RuntimeError before the attributes are set, where a card ends the program.
        """
        self.check_ready()
        with self._arrived:
            if len(self._waiting) >= self._room:
                return QUEUES_FULL
            self._waiting.append(Waiting(BMImage.of(image.pixels), channel_idx, image_idx))
            held = image.pixels
            image.pixels = Pixels(held.height, held.width, held.format, held.dtype, held.data[:0])
            self._arrived.notify_all()
        return 0

    def check_ready(self) -> None:
        """Raise RuntimeError for an attribute that is missing."""
        if self._size is None:
            raise RuntimeError("ImagePreProcess: invalid status: call SetResizeImageAtrr first")
        if self._pairs is None:
            raise RuntimeError("ImagePreProcess: invalid status: call SetConvertAtrr first")
        if self._mode.name.startswith("BM_PADDING") and self._padding is None:
            raise RuntimeError(f"ImagePreProcess: invalid status: {self._mode.name}: call SetPaddingAtrr first")

    def GetBatchData(self) -> Tuple[Tensor, List[BMImage], List[int], List[int], List[List[int]]]:
        """The next batch: tensor, pictures, their channels and indices, where each lies in the network's input as
        [left, top, width, height]. Waits until there are enough pictures, as on a card for ever.
        """
        batch = self.take()
        images, channels = [p.image for p in batch.pictures], [p.channel for p in batch.pictures]
        return batch.tensor, images, channels, [p.index for p in batch.pictures], batch.places

    def take(self) -> Batch:
        """The next batch; waits for it."""
        with self._arrived:
            while len(self._waiting) < self._batch:
                if not self._arrived.wait(_STILL):
                    LOGGER.info("waiting for pictures: %d of %d are here", len(self._waiting), self._batch)
            pictures = [self._waiting.popleft() for _ in range(self._batch)]
        made = [self._prepared(picture.image) for picture in pictures]
        return Batch(self._tensor([image for image, _ in made]), pictures, [place for _, place in made])

    def _tensor(self, images: Sequence[BMImage]) -> Tensor:
        if len(images) == 1:
            tensor: Tensor = self._bmcv.bm_image_to_tensor(images[0])
            return tensor
        assert self._size is not None, "checked when pictures are pushed"
        data = np.concatenate([image.pixels.data for image in images])
        tensor = Tensor(self._handle, [1], Dtype.BM_FLOAT32)
        shape = (len(images), 3, self._size[1], self._size[0])
        tensor.attach(data, shape, TENSOR_OF_IMAGE[self._dtype], data)
        return tensor

    def _prepared(self, image: BMImage) -> Tuple[BMImage, List[int]]:
        assert self._size is not None and self._pairs is not None, "checked when pictures are pushed"
        resized, place = self._resized(self._bmcv.convert_format(image, self._format), *self._size)
        made = BMImage(self._handle, self._size[1], self._size[0], self._format, self._dtype)
        code = self._bmcv.convert_to(resized, made, self._pairs)
        assert code == 0, "planar images of one size are converted"
        return made, place

    def _resized(self, image: BMImage, width: int, height: int) -> Tuple[BMImage, List[int]]:
        algorithm = _ALGORITHMS.get(self._mode, bmcv_resize_algorithm.BMCV_INTER_NEAREST)
        on_vpp = "_VPP_" in self._mode.name
        if self._mode.name.startswith("BM_RESIZE"):
            resize = self._bmcv.vpp_resize if on_vpp else self._bmcv.resize
            return resize(image, width, height, algorithm), [0, 0, width, height]
        assert self._padding is not None, "checked when pictures are pushed"
        red, green, blue, align = self._padding
        place = place_of(image.width(), image.height(), width, height, align)
        padding = PaddingAtrr(*place, red, green, blue)
        pad = self._bmcv.vpp_crop_and_resize_padding if on_vpp else self._bmcv.crop_and_resize_padding
        return pad(image, 0, 0, image.width(), image.height(), width, height, padding, algorithm), place

    @bound("print_flag: bool, /")
    def set_print_flag(self, print_flag: bool) -> None:
        """Accepted; no times are printed."""

    def exhausted(self) -> None:
        """Say that no picture comes any more."""
        self._exhausted = True

    def get_exhausted_flag(self) -> bool:
        """Whether that was said, and all pictures are worked through."""
        return self._exhausted and not self._waiting


def place_of(width: int, height: int, net_width: int, net_height: int, align: int) -> List[int]:
    """Where a picture lies in the network's input when its aspect is kept: [left, top, width, height]."""
    scale_x = np.float32(net_width) / np.float32(width)
    scale_y = np.float32(net_height) / np.float32(height)
    if scale_x < scale_y:
        inner = (net_width, int(np.float32(height) * scale_x))
    else:
        inner = (int(np.float32(width) * scale_y), net_height)
    if align != 1:
        return [0, 0, *inner]
    return [(net_width - inner[0]) // 2, (net_height - inner[1]) // 2, *inner]
