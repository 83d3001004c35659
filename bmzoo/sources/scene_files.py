"""A cache of rendered scene sets: lossless pictures, and the ground truth in the format that `evaluate` reads.

<root>/<digest of the renderer>/<set>/images/00000.png, ...
<root>/<digest of the renderer>/<set>/gt.json, of lines of text gt.txt
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmzoo.config.scene_sets import LINES, SCENES, SceneSet
from bmzoo.errors import SourceError
from bmzoo.runtime.listing import is_stray
from bmzoo.store.scratch import Scratch
from bmzoo.system.files import cannot_write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Packages whose version affects the rendered pixels.
_PACKAGES = ("numpy", "opencv-python-headless")
# Below the digest of the renderer: lines of text may be of the size and the seeds of scenes.
_FOLDERS = {SCENES: "", LINES: "lines"}


def folder(root: Path, scenes: SceneSet) -> Path:
    """The folder of a set, which is rendered if missing or incomplete. Raises SourceError, StoreError."""
    place = root / drawing() / _FOLDERS[scenes.drawn] / Path(str(scenes)).name
    if _whole(place, scenes):
        return place
    scratch = Scratch(root / "scratch")
    try:
        scratch.sweep()
        lock = scratch.lock(hashlib.sha256(str(place).encode()).hexdigest())
        try:
            if not _whole(place, scenes):  # another thread or process may have rendered it meanwhile
                _draw(scratch, place, scenes)
        finally:
            lock.release()
    except OSError as error:
        raise cannot_write(place, error) from None
    return place


def drawing_sources() -> tuple[Path, ...]:
    """The source files that decide what the scene of a seed looks like, and how it is written."""
    here = Path(__file__)
    scenes = (here.parents[1] / "scenes").glob("*.py")
    return (*sorted(path for path in scenes if not is_stray(path.name)), here)


@cache
def drawing() -> str:
    """Cache key of drawn scenes, 16 hex digits: digest of `drawing_sources` and of the versions of _PACKAGES."""
    digest = hashlib.sha256()
    for path in drawing_sources():
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    for name in _PACKAGES:
        digest.update(f"{name} {version(name)}\0".encode())
    return digest.hexdigest()[:16]


def _whole(place: Path, scenes: SceneSet) -> bool:
    """Whether a set is complete. It is published by one rename, but a cache cleaner may remove single files."""
    try:
        drawn = [path for path in (place / "images").iterdir() if not is_stray(path.name)]
        return len(drawn) == scenes.count and (place / Path(scenes.truth).name).is_file()
    except OSError:
        return False


def _draw(scratch: Scratch, place: Path, scenes: SceneSet) -> None:
    with scratch.folder() as work:
        new = work / "set"
        (new / "images").mkdir(parents=True)
        told = _lines(new, scenes) if scenes.drawn == LINES else json.dumps(dict(_pictures(new, scenes)), indent=1)
        (new / Path(scenes.truth).name).write_text(told + "\n", encoding="utf-8")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():  # incomplete
            place.rename(work / "old")
        new.rename(place)


def _pictures(new: Path, scenes: SceneSet) -> Iterator[tuple[str, Any]]:
    """Write the pictures; their names and what `measure.listed` wants to know of each."""
    from bmzoo.scenes import draw  # slow to import, and most runs find their scenes drawn

    for index in range(scenes.count):
        scene = draw(scenes.seed + index, scenes.height, scenes.width)
        file = _write(new, scenes, index, scene.image)
        corners = scene.boxes.astype(float)
        boxes = [[round(v, 3) for v in (x1, y1, x2 - x1, y2 - y1)] for x1, y1, x2, y2 in corners.tolist()]
        yield (
            f"{index:05d}",
            {
                "file": file,
                "width": scenes.width,
                "height": scenes.height,
                "boxes": boxes,
                "landmarks": scene.landmarks.round(3).tolist(),
                "seed": scenes.seed + index,
            },
        )


def _lines(new: Path, scenes: SceneSet) -> str:
    """Write the pictures; a line for each with its name and, after a tab, what it says."""
    from bmzoo.scenes import draw_line

    told = []
    for index in range(scenes.count):
        line = draw_line(scenes.seed + index, scenes.height, scenes.width)
        told.append(f"{_write(new, scenes, index, line.image)}\t{line.text}")
    return "\n".join(told)


def _write(new: Path, scenes: SceneSet, index: int, image: NDArray[np.uint8]) -> str:
    """Write one picture. Returns its name in the set."""
    import cv2

    file = f"images/{index:05d}.png"
    done, data = cv2.imencode(".png", image)
    if not done:
        raise SourceError(f"{scenes}: a picture cannot be written as PNG: {file}")
    (new / file).write_bytes(data.tobytes())
    return file
