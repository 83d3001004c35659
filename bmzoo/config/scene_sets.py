"""Virtual paths of rendered scene sets: `scenes/640x640-1000-32` is 32 scenes from seed 1000 on. Pure."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"scenes/([1-9]\d{0,4})x([1-9]\d{0,4})-(\d{1,9})-([1-9]\d{0,5})")


# Raise where seeds come to other pictures: what was derived from them is derived again then. Held by
# tests/scenes/test_scenes.py.
DRAWING = 1
# The project's own weights are trained on the scenes from this one on. Also bmzoo.scenes.FIRST_TRAINING_SEED, whose
# package is slow to import.
FIRST_TRAINED_SCENE = 1_000_000


@dataclass(frozen=True)
class SceneSet:
    """`count` scenes of height x width pixels, of the seeds from `seed` on."""

    height: int
    width: int
    seed: int
    count: int

    def __str__(self) -> str:
        return f"scenes/{self.height}x{self.width}-{self.seed}-{self.count}"

    @property
    def pictures(self) -> str:
        """The folder of the pictures."""
        return f"{self}/images"

    @property
    def truth(self) -> str:
        """The file with the ground truth."""
        return f"{self}/gt.json"

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.count)


def split(path: str) -> tuple[SceneSet, str] | None:
    """The set that a virtual path belongs to, and the path inside it; None for any other path."""
    name, _, inside = path.partition("/images")
    match = _NAME.fullmatch(name.removesuffix("/gt.json"))
    if match is None:
        return None
    found = SceneSet(*map(int, match.groups()))
    return found, path.removeprefix(str(found)).lstrip("/")


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
