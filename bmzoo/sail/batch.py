"""Application of an operation to one image or to each of an array, and to output images given by the caller."""

from __future__ import annotations

from typing import Any, Callable, Union

from bmzoo.sail.arrays import BMImageArray
from bmzoo.sail.colour import convert_into
from bmzoo.sail.device import LOGGER
from bmzoo.sail.errors import FAILED, SailBMImageError
from bmzoo.sail.image import BMImage, bm_image
from bmzoo.sail.pixels import Pixels

Images = Union[BMImage, BMImageArray]
# An image, and the arrays for which sail has overloads.
OVERLOADED = ("BMImage", "BMImageArray2D", "BMImageArray3D", "BMImageArray4D", "BMImageArray8D")


def code_of(work: Callable[[], Any]) -> int:
    """Run `work` and return 0; on a SailBMImageError log it and return FAILED."""
    try:
        work()
    except SailBMImageError as error:
        LOGGER.error("%s", error)
        return FAILED
    return 0


def each(images: Images, work: Callable[[Pixels], Pixels]) -> Any:
    """The result for one image, or an array of the results for each image."""
    if isinstance(images, BMImage):
        return BMImage.of(work(filled(images)))
    first_of(images)
    made = type(images)()
    for i, source in enumerate(images.slots):
        made[i] = bm_image(work(source))
    return made


def first_of(images: Images) -> Pixels:
    """Memory of the image, or of the first of an array. Raises SailBMImageError for an empty one."""
    if isinstance(images, BMImage):
        return filled(images)
    if not images.slots[0].data.size:
        raise SailBMImageError("the array has no images")
    return images.slots[0]


def filled(image: BMImage) -> Pixels:
    """Memory of the image. Raises SailBMImageError for an empty one."""
    if not image.pixels.data.size:
        raise SailBMImageError("the image is empty")
    return image.pixels


def fill(output: Any, made: Any) -> None:
    """Copy a result into the caller's image or array, or attach its memory to an empty one."""
    if isinstance(output, BMImageArray):
        for i, source in enumerate(made.slots):
            _put(output.slots[i], source) if output.slots[i].data.size else output.copy_from(i, BMImage.of(source))
    elif output.pixels.data.size:
        _put(output.pixels, made.pixels)
    else:
        output.pixels = made.pixels


def _put(target: Pixels, source: Pixels) -> None:
    if (target.height, target.width) != (source.height, source.width):
        raise SailBMImageError(f"the output has another size: {target}, not {source}")
    convert_into(source, target)
