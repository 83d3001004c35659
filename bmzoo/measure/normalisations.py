"""Ways to normalise pictures that projects share, by the names that people know them by. Pure."""

from dataclasses import dataclass

_ZERO, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Normalisation:
    """Numbers as people know them by a name: mean and scale in the order red, green, blue."""

    name: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def ordered(self, pixel_format: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and scale in the order of a pixel format; of green for gray."""
        if pixel_format == "gray":
            return self.mean[1:2], self.scale[1:2]
        order = -1 if pixel_format.startswith("bgr") else 1
        return self.mean[::order], self.scale[::order]


PIXEL_VALUES = Normalisation("pixel values", _ZERO, _ONE)
UNIT = Normalisation("0 to 1", _ZERO, (1 / 255,) * 3)
SIGNED = Normalisation("-1 to 1", (127.5,) * 3, (1 / 127.5,) * 3)
# Deng et al., "ImageNet"; the numbers of torchvision.
IMAGENET = Normalisation(
    "ImageNet's", (123.675, 116.28, 103.53), (1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255))
)
CAFFE = Normalisation("Caffe's means", (123.0, 117.0, 104.0), _ONE)
USUAL_ONES = (PIXEL_VALUES, UNIT, SIGNED, IMAGENET, CAFFE)
