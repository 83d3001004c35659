"""Virtual paths of rendered scene sets: `scenes/640x640-1000-32` is 32 scenes from seed 1000 on. Pure.

`lines/48x320-1000-32` is as many lines of text.
"""

import re
from dataclasses import dataclass

# Raise where seeds come to other pictures: what was derived from them is derived again then. Held by
# tests/scenes/test_scenes.py.
DRAWING = 1
# The same of lines of text.
LINE_DRAWING = 1
SCENES, LINES = "scenes", "lines"
_TRUTHS = {SCENES: "gt.json", LINES: "gt.txt"}
_SIZE = r"([1-9]\d{0,4})x([1-9]\d{0,4})-(\d{1,9})-([1-9]\d{0,5})"
_NAMES = {drawn: re.compile(rf"{drawn}/{_SIZE}(?:/{re.escape(truth)})?") for drawn, truth in _TRUTHS.items()}
# The project's own weights are trained on the scenes from this one on. Also bmzoo.scenes.FIRST_TRAINING_SEED, whose
# package is slow to import.
FIRST_TRAINED_SCENE = 1_000_000


@dataclass(frozen=True)
class SceneSet:
    """`count` scenes of height x width pixels, of the seeds from `seed` on; lines of text are as high and at most
    as wide. `drawn`: SCENES or LINES.
    """

    height: int
    width: int
    seed: int
    count: int
    drawn: str = SCENES

    def __str__(self) -> str:
        return f"{self.drawn}/{self.height}x{self.width}-{self.seed}-{self.count}"

    @property
    def pictures(self) -> str:
        """The folder of the pictures."""
        return f"{self}/images"

    @property
    def truth(self) -> str:
        """The file with the ground truth."""
        return f"{self}/{_TRUTHS[self.drawn]}"

    @property
    def drawing(self) -> int:
        """Changes where seeds come to other pictures."""
        return LINE_DRAWING if self.drawn == LINES else DRAWING

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.count)


def split(path: str) -> tuple[SceneSet, str] | None:
    """The set that a virtual path belongs to, and the path inside it; None for any other path."""
    name, _, _ = path.partition("/images")
    for drawn, pattern in _NAMES.items():
        if match := pattern.fullmatch(name):
            height, width, seed, count = map(int, match.groups())
            found = SceneSet(height, width, seed, count, drawn)
            return found, path.removeprefix(str(found)).lstrip("/")
    return None


def trained_on(seeds: range) -> str:
    """Why nothing may be calibrated, chosen or judged on these scenes; empty where none was trained on."""
    if seeds.stop <= FIRST_TRAINED_SCENE:
        return ""
    first = max(seeds.start, FIRST_TRAINED_SCENE)
    return f"reaches into the scenes that weights are trained on: {first} to {seeds.stop - 1}"


def common(one: range, other: range) -> str:
    """The scenes that two sets share, for people; empty where they share none."""
    start, end = max(one.start, other.start), min(one.stop, other.stop)
    return f"{start} to {end - 1}" if start < end else ""
