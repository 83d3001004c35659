"""Lines of text as a recognizer gets them: cut out, nearly straight, in plain fonts, with what they say."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmzoo.errors import ConfigError
from bmzoo.scenes.backgrounds import surface
from bmzoo.scenes.camera import photograph
from bmzoo.scenes.canvas import Image
from bmzoo.scenes.palette import paint

LOWEST = 16  # pixels; below this no line is legible
_FONTS = (
    *(cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX),
    *(cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX),
)
_ZOOM = 4  # drawn so much larger, and averaged
_ONSETS, _VOWELS, _ENDS = "bcdfghjklmnprstvwz", "aeiou", ("", "", "n", "r", "s", "t", "l")
_CONTRAST = 80.0  # least difference of grey between text and ground
_ITALIC_SHARE, _UPPER_SHARE, _NUMBER_SHARE = 0.15, 0.25, 0.3
_LUMA = np.array((0.114, 0.587, 0.299))


@dataclass(frozen=True, eq=False)
class Line:
    """A line of text: uint8 [H,W,3] BGR, and what it says, of printable ASCII with single spaces."""

    image: Image
    text: str


def draw_line(seed: int, height: int, width: int) -> Line:
    """The line of a seed >= 0, for a network that takes height x width pixels: up to twice as large, no longer.

    Equal arguments give equal bytes in every process. Raises ConfigError for less than 16 pixels of height, and for
    a width below the height.
    """
    if height < LOWEST or width < height:
        raise ConfigError(f"line of text: must be at least {LOWEST} pixels high, and as wide: {height}x{width}")
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, height, width))))
    tall = round(height * random.uniform(0.6, 2.0))
    text, ink = _written(random, tall, tall * width // height)
    wide = ink.shape[1]
    ground = surface(random, tall, wide).astype(np.float32)
    colour = _contrasting(random, ground)
    mixed = ground + (colour - ground) * ink[..., None]
    return Line(photograph(np.clip(mixed, 0, 255).astype(np.uint8), random, tall / 3), text)


def _written(random: Generator, tall: int, widest: int) -> tuple[str, NDArray[np.float32]]:
    """Words, and where their ink is, float32 [tall,at most widest] 0..1."""
    font = int(random.choice(_FONTS)) | (cv2.FONT_ITALIC if random.random() < _ITALIC_SHARE else 0)
    letters = tall * random.uniform(0.4, 0.62)
    scale = _ZOOM * letters / cv2.getTextSize("H", font, 1.0, 1)[0][1]
    thickness = max(1, round(_ZOOM * letters * random.uniform(0.06, 0.14)))
    margin = tall * random.uniform(0.1, 0.5)
    text = ""
    for word in [_word(random) for _ in range(random.integers(1, 5))]:
        longer = f"{text} {word}".strip()
        if not text or cv2.getTextSize(longer, font, scale, thickness)[0][0] / _ZOOM + 2 * margin <= widest:
            text = longer
    long = cv2.getTextSize(text, font, scale, thickness)[0][0]
    wide = round(min(long / _ZOOM + 2 * margin, widest))
    large = np.zeros((tall * _ZOOM, round(long + 2 * margin * _ZOOM)), np.uint8)
    base = round((tall + letters) / 2 * _ZOOM + random.normal(0, 0.03) * tall * _ZOOM)
    cv2.putText(large, text, (round(margin * _ZOOM), base), font, scale, 255, thickness, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((large.shape[1] / 2, large.shape[0] / 2), random.normal(0, 0.7), 1.0)
    turned = cv2.warpAffine(large, turn, large.shape[::-1])
    ink: NDArray[np.float32] = cv2.resize(turned, (wide, tall), interpolation=cv2.INTER_AREA).astype(np.float32)
    return text, ink / 255


def _word(random: Generator) -> str:
    """A number, or syllables in some case, with a sign after it at times."""
    if random.random() < _NUMBER_SHARE:
        return str(random.integers(0, 10 ** random.integers(1, 6)))
    syllables = [
        random.choice(list(_ONSETS)) + random.choice(list(_VOWELS)) + random.choice(_ENDS)
        for _ in range(random.integers(1, 4))
    ]
    word = "".join(syllables)
    styled = word.upper() if random.random() < _UPPER_SHARE else word.capitalize()
    return (styled if random.random() < 0.6 else word) + str(random.choice(("", "", "", ",", ".", "!", "?")))


def _contrasting(random: Generator, ground: NDArray[np.float32]) -> NDArray[np.float32]:
    """A colour [3] that stands out against the ground; black or white where chance finds none."""
    grey = float((ground @ _LUMA).mean())
    for _ in range(20):
        colour = np.array(paint(random), np.float32)
        if abs(float(colour @ _LUMA) - grey) >= _CONTRAST:
            return colour
    return np.full(3, 0.0 if grey > 127 else 255.0, np.float32)
