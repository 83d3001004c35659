"""Bmcv: between images, tensors and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Union

import numpy as np

from bmzoo.runtime.nms import nms
from bmzoo.sail.arrays import BMImageArray
from bmzoo.sail.batch import OVERLOADED, Images, code_of, fill, first_of
from bmzoo.sail.binding import bound
from bmzoo.sail.device import Handle
from bmzoo.sail.enums import IMAGE_OF_TENSOR, TENSOR_OF_IMAGE, Dtype, Format
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.image import BMImage
from bmzoo.sail.pixels import PACKED, PLANAR, Pixels
from bmzoo.sail.tensor import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Attaching:
    """Images and tensors that share device memory, and copies to and from numpy."""

    _handle: Handle

    @bound("img: Images, /", "img: Images, tensor: Tensor, /")
    def bm_image_to_tensor(self, image: Images, tensor: Optional[Tensor] = None) -> Any:
        """Attach the image's memory to a tensor (the given one, or a new one that is returned), uncopied.

        Planar images give [N,3,h,w], packed ones [N,h,w,3], gray ones [N,1,h,w].
        """
        first = first_of(image)
        if first.format in PLANAR or first.format is Format.FORMAT_GRAY or first.format in PACKED:
            shape = first.native().shape
        else:
            raise SailBMImageError(f"bm_image_to_tensor: not for this format: {first.format.name}")
        data = first.data if isinstance(image, BMImage) else image.block
        if data is None:
            raise SailBMImageError("bm_image_to_tensor: the array's images do not lie in one block")
        count = 1 if isinstance(image, BMImage) else len(image)
        target = Tensor(self._handle, [], Dtype.BM_FLOAT32) if tensor is None else tensor
        target.attach(data, (count, *shape), TENSOR_OF_IMAGE[first.dtype], image)
        return target if tensor is None else None

    @bound(
        "tensor: Tensor, img: BMImage, bgr2rgb: bool = False, layout: str = 'nchw'",
        "tensor: Tensor, img: BMImage, format: Format",
        "tensor: Tensor, bgr2rgb: bool = False, layout: str = 'nchw'",
        "tensor: Tensor, format: Format",
        *(f"tensor: Tensor, img: {kind}, bgr2rgb: bool = False" for kind in OVERLOADED[1:]),
    )
    def tensor_to_bm_image(self, tensor: Tensor, *arguments: Any, **named: Any) -> Any:
        """`(tensor, bgr2rgb=False, layout="nchw")` or `(tensor, format)` -> a new image; with an image or an
        array after the tensor that one is filled. Reads device memory.
        """
        output, rest = None, arguments
        if isinstance(arguments[0], (BMImage, BMImageArray)):
            output, rest = arguments[0], arguments[1:]
        found = _images(tensor, _layout(*rest))
        images = [BMImage.of(Pixels.of(array, format)) for array, format in found]
        if output is None:
            if len(images) != 1:
                raise SailBMImageError(f"tensor_to_bm_image: must be one image: {tensor.shape()}")
            return images[0]
        if isinstance(output, BMImage):
            return fill(output, images[0])
        if len(output) != len(images):
            raise SailBMImageError(f"tensor_to_bm_image: must be {len(output)} images: {tensor.shape()}")
        for i, image in enumerate(images):
            output[i] = image.data()
        return None

    @bound("input_array: bytes_array", "input_array: bytes_array, img: BMImage")
    def mat_to_bm_image(self, input_array: NDArray[np.uint8], img: Optional[BMImage] = None) -> Any:
        """uint8 [H,W,3] in BGR order -> BGR_PACKED: a new image, or `img` is filled and 0 returned."""
        if img is None:
            return _of_mat(input_array)
        return code_of(lambda: fill(img, _of_mat(input_array)))

    @bound("input: array, threshold: float, /")
    def nms(self, input: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
        """Rows [x1, y1, x2, y2, score] of float [N,5] that remain, best score first."""
        rows = np.asarray(input, np.float32).reshape(-1, 5)
        return rows[nms(rows[:, :4], rows[:, 4], threshold)]


def _of_mat(array: NDArray[np.uint8]) -> BMImage:
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise SailBMImageError(f"mat_to_bm_image: must be [H,W,3]: {list(array.shape)}")
    return BMImage.of(Pixels.of(array, Format.FORMAT_BGR_PACKED))


def _layout(wanted: Union[Format, bool], layout: str = "nchw") -> Tuple[Format, bool]:
    """Format of the images, and whether channels come last, from the arguments of tensor_to_bm_image."""
    if isinstance(wanted, Format):
        return wanted, wanted in PACKED
    if layout not in ("nchw", "nhwc"):
        raise SailBMImageError(f"tensor_to_bm_image: layout: allowed: nchw, nhwc: {layout}")
    if layout == "nhwc":
        return (Format.FORMAT_RGB_PACKED if wanted else Format.FORMAT_BGR_PACKED), True
    return (Format.FORMAT_RGB_PLANAR if wanted else Format.FORMAT_BGR_PLANAR), False


def _images(tensor: Tensor, layout: Tuple[Format, bool]) -> List[Tuple[NDArray[Any], Format]]:
    """One array for each image in the tensor's device memory."""
    format, packed = layout
    shape = tensor.shape()
    channels = 1 if format is Format.FORMAT_GRAY else 3
    if len(shape) != 4 or shape[3 if packed else 1] != channels or tensor.dtype() not in IMAGE_OF_TENSOR:
        raise SailBMImageError(f"tensor_to_bm_image: not {format.name} images: {tensor.dtype().name} {shape}")
    if tensor.device is None:
        raise SailBMImageError("tensor_to_bm_image: the tensor has no device memory")
    return [(array, format) for array in tensor.device[: tensor.size()].reshape(shape)]
