"""A cache of rendered scene sets: lossless pictures, and the ground truth in the format that `evaluate` reads.

<root>/<digest of the renderer>/<set>/images/00000.png, ...
<root>/<digest of the renderer>/<set>/gt.json
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bmzoo.config.scene_sets import SceneSet
from bmzoo.errors import SourceError
from bmzoo.runtime.listing import is_stray
from bmzoo.store.scratch import Scratch
from bmzoo.system.files import cannot_write

# Packages whose version affects the rendered pixels.
_PACKAGES = ("numpy", "opencv-python-headless")


def folder(root: Path, scenes: SceneSet) -> Path:
    """The folder of a set, which is rendered if missing or incomplete. Raises SourceError, StoreError."""
    place = root / drawing() / Path(str(scenes)).name
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
        return len(drawn) == scenes.count and (place / "gt.json").is_file()
    except OSError:
        return False


def _draw(scratch: Scratch, place: Path, scenes: SceneSet) -> None:
    with scratch.folder() as work:
        new = work / "set"
        (new / "images").mkdir(parents=True)
        truth = dict(_pictures(new, scenes))
        (new / "gt.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():  # incomplete
            place.rename(work / "old")
        new.rename(place)


def _pictures(new: Path, scenes: SceneSet) -> Iterator[tuple[str, Any]]:
    """Write the pictures; their names and what `measure.listed` wants to know of each."""
    import cv2  # slow to import, and most runs find their scenes drawn

    from bmzoo.scenes import draw

    for index in range(scenes.count):
        scene = draw(scenes.seed + index, scenes.height, scenes.width)
        file = f"images/{index:05d}.png"
        done, data = cv2.imencode(".png", scene.image)
        if not done:
            raise SourceError(f"{scenes}: a picture cannot be written as PNG: {file}")
        (new / file).write_bytes(data.tobytes())
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
