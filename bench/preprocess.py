"""Preprocessing against the bare OpenCV and numpy calls that it cannot do without, for batches of 1 to 32.

    python bench/preprocess.py [--json bench/preprocess.json] [--data ../shared/data] [--rounds 15]

Bare: resize, copy onto the canvas, subtract the mean channel by channel into the tensor; no checks, no
geometry, everything allocated beforehand. Ours fills one tensor over and over, as detection, evaluation and stages
do; "new" is a new tensor for each batch, which the kernel hands out page by page once it is large. All are timed in
turn within each round, OpenCV on one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.measure.groundtruth import load  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.runtime.preprocess import InputSpec, prepare_batch  # noqa: E402

SIDE = 640
MEAN = (104.0, 117.0, 123.0)
SPEC = InputSpec(SIDE, SIDE, "bgr", MEAN, (1.0,) * 3, "letterbox")
BATCHES = (1, 4, 8, 16, 32)


def bare(images: Sequence[NDArray[np.uint8]], canvas: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    for slot, image in enumerate(images):
        ratio = SIDE / max(image.shape[:2])
        resized = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
        rows, columns = resized.shape[:2]
        canvas[rows:], canvas[:rows, columns:] = 0, 0
        canvas[:rows, :columns] = resized
        for channel in range(3):
            np.subtract(canvas[..., channel], np.float32(MEAN[channel]), out=out[slot, channel], dtype=np.float32)


def measure(images: Sequence[NDArray[np.uint8]], batch: int, rounds: int) -> dict[str, float]:
    """Median milliseconds per image, ours and bare, each over rounds that take other images each."""
    canvas, out = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((batch, 3, SIDE, SIDE), np.float32)
    ways: dict[str, Callable[[list[NDArray[np.uint8]]], object]] = {
        "ours": lambda some: prepare_batch(some, SPEC, batch, out),
        "new": lambda some: prepare_batch(some, SPEC, batch),
        "bare": lambda some: bare(some, canvas, out),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        some = [images[(number * batch + i) % len(images)] for i in range(batch)]
        for name, way in ways.items():
            start = time.perf_counter()
            way(some)
            if number:  # the first round warms up
                times[name].append((time.perf_counter() - start) * 1000 / batch)
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    facts = machine()
    cv2.setNumThreads(1)
    images = [picture.read() for picture in load(options.data / "wider_val" / "gt.json")[:40]]
    print(f"{'batch':>6}{'ours':>9}{'new':>9}{'bare':>9}{'ours':>8}{'new':>8}   ms per image, ratio to bare")
    rows = []
    for batch in BATCHES:
        times = measure(images, batch, options.rounds)
        ratios = {f"{name}_ratio": times[name] / times["bare"] for name in ("ours", "new")}
        print(
            f"{batch:>6}", *(f"{t:>9.3f}" for t in times.values()), *(f"{r:>8.2f}" for r in ratios.values()), sep=""
        )
        figures = {name: round(value, 4) for name, value in (times | ratios).items()}
        rows.append({"batch": batch, **figures})
    if options.json:
        result = {"machine": facts, "rounds": options.rounds, "milliseconds_per_image": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
