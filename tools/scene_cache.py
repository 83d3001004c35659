"""Drawn scenes kept in files, block by block, for training that wants them faster than they can be drawn.

Usage: python tools/scene_cache.py FOLDER SIZE COUNT [--first SEED] [--kind KIND] [--workers N]

A block of scenes is two files: `<size>-<first seed>.npy`, uint8 [256,size,size,3], and `.npz` with `boxes`
float32 [m,4], `landmarks` float32 [m,5,2] and `counts` int64 [256], faces a scene. Blocks that are there already
are kept, so an interrupted call goes on where it was.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bmzoo.scenes import FIRST_TRAINING_SEED, KINDS, Scene, draw

BLOCK = 256


def fill(job: tuple[Path, int, int, str | None]) -> None:
    """Draw one block: its folder, the side of its pictures, its first seed, and the kind of its scenes."""
    folder, size, first, kind = job
    target = folder / f"{size}-{first}.npy"
    if target.exists():
        return
    cv2.setNumThreads(1)  # the workers share the machine already
    write(target, [draw(first + i, size, size, kind) for i in range(BLOCK)])


def write(target: Path, scenes: Sequence[Scene]) -> None:
    """A block of BLOCK scenes, whole: `target` names the file of its pictures."""
    # The pictures come last: a block whose pictures are there is complete.
    counts = np.array([len(scene.boxes) for scene in scenes], np.int64)
    boxes, landmarks = (np.concatenate([getattr(s, key) for s in scenes]) for key in ("boxes", "landmarks"))
    np.savez(target.with_suffix(".npz"), boxes=boxes, landmarks=landmarks, counts=counts)
    scratch = target.with_suffix(".part")
    with scratch.open("wb") as file:
        np.save(file, np.stack([scene.image for scene in scenes]))
    scratch.replace(target)


class SceneCache:
    """The scenes of one size in a folder, by number; `grown` looks for blocks that were added since."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._blocks: dict[str, tuple[NDArray[np.uint8], list[NDArray[np.float32]], list[NDArray[np.float32]]]] = {}
        self.grown()

    def grown(self) -> int:
        """How many scenes there are now."""
        for path in sorted(self._folder.glob(f"{self._size}-*.npy")):
            if path.name not in self._blocks:
                truth = np.load(path.with_suffix(".npz"))
                ends = np.cumsum(truth["counts"])[:-1]
                boxes, landmarks = (np.split(truth[key], ends) for key in ("boxes", "landmarks"))
                self._blocks[path.name] = (np.load(path, mmap_mode="r"), boxes, landmarks)
        self._order = list(self._blocks.values())
        return BLOCK * len(self._order)

    def __getitem__(self, index: int) -> Scene:
        images, boxes, landmarks = self._order[index // BLOCK]
        at = index % BLOCK
        return Scene(np.array(images[at]), boxes[at], landmarks[at])


def training_seed(text: str) -> int:
    """The value of `--first`. ArgumentTypeError: models are judged on the scenes of that seed."""
    if int(text) < FIRST_TRAINING_SEED:
        raise argparse.ArgumentTypeError(f"seeds below {FIRST_TRAINING_SEED} are not for training: {text}")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("size", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=training_seed, default=FIRST_TRAINING_SEED)
    parser.add_argument("--kind", choices=KINDS, help="of all scenes; by default each seed chooses")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    jobs = [(args.folder, args.size, args.first + i, args.kind) for i in range(0, args.count, BLOCK)]
    with Pool(args.workers) as pool:
        for done, _ in enumerate(pool.imap_unordered(fill, jobs), 1):
            print(f"{done * BLOCK} scenes, {done * BLOCK / (time.monotonic() - start):.0f}/s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
