"""Of many scenes without faces, those that a network finds faces in, kept for training as `scene_cache.py` does.

Usage: python tools/hard_scenes.py FOLDER WEIGHTS.pth COUNT --first SEED [--workers N]

Draws COUNT scenes of 640x640 and keeps the one block that the network is most wrong about. What looks like a face
is rare among things that do not: training on such scenes as they come mostly repeats what is known already.
"""

import argparse
import os
import sys
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import cv2
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from retinaface_network import RetinaFace, prepared
from scene_cache import BLOCK, training_seed, write

from bmzoo.scenes import draw

SIZE, KIND = 640, "empty"


def wrong(weights: Path, seeds: range) -> list[tuple[float, int]]:
    """How sure the network is of a face in each of these scenes without one, and the scene's seed."""
    cv2.setNumThreads(1)  # the workers share the machine already
    torch.set_num_threads(1)
    network = RetinaFace().to(memory_format=torch.channels_last).eval()
    network.load_state_dict(torch.load(weights, map_location="cpu"))
    found = []
    with torch.no_grad():
        for seed in seeds:
            _, classes, _ = network(prepared(torch.from_numpy(draw(seed, SIZE, SIZE, KIND).image)[None]))
            found.append((float(classes.softmax(2)[..., 1].max()), seed))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=training_seed, required=True)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if args.count < BLOCK:
        parser.error(f"COUNT: a block holds {BLOCK} scenes: {args.count}")
    starts = range(args.first, args.first + args.count, BLOCK)
    jobs = [range(start, min(start + BLOCK, args.first + args.count)) for start in starts]
    found: list[tuple[float, int]] = []
    with Pool(args.workers) as pool:
        for part in pool.imap_unordered(partial(wrong, args.weights), jobs):
            found += part
            print(f"{len(found)} scenes, {sum(score >= 0.5 for score, _ in found)} with a false face", flush=True)
    hardest = sorted(found, reverse=True)[:BLOCK]
    print(f"kept: the {len(hardest)} with a face surer than {hardest[-1][0]:.3f}")
    args.folder.mkdir(parents=True, exist_ok=True)
    write(args.folder / f"{SIZE}-{args.first}.npy", [draw(seed, SIZE, SIZE, KIND) for _, seed in hardest])
    return 0


if __name__ == "__main__":
    sys.exit(main())
