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
# Batch sizes for which sail has overloads.
OVERLOADED_BATCHES = (2, 3, 4, 8)


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
    """Memory of the image, or of the first of an array. Raises TypeError for other types."""
    if isinstance(images, BMImage):
        return filled(images)
    if not isinstance(images, BMImageArray) or len(images) not in OVERLOADED_BATCHES:
        allowed = ", ".join(f"BMImageArray{n}D" for n in OVERLOADED_BATCHES)
        raise TypeError(f"Bmcv: takes BMImage and {allowed}: {type(images).__name__}")
    if not images.slots[0].data.size:
        raise SailBMImageError("the array has no images")
    return images.slots[0]


def filled(image: BMImage) -> Pixels:
    if not isinstance(image, BMImage):
        raise TypeError(f"Bmcv: must be a BMImage: {type(image).__name__}")
    if not image.pixels.data.size:
        raise SailBMImageError("the image is empty")
    return image.pixels


def fill(output: Any, made: Any) -> None:
    """Copy a result into the caller's image or array, or attach its memory to an empty one."""
    if isinstance(output, BMImageArray):
        if type(output) is not type(made):
            raise TypeError(f"Bmcv: input and output differ: {type(made).__name__}, {type(output).__name__}")
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
