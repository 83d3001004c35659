"""Time per image of preprocessing, inference and postprocessing, by input size and batch, in onnxruntime.

    python bench/stages.py [--json bench/stages.json] [--data ../shared/data] [--rounds 5] [--threads 0]

The network is written for each size in memory, with a batch that is left free.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.measure.groundtruth import load as load_pictures  # noqa: E402
from bmzoo.measure.stages import STAGES, machine, stage_times  # noqa: E402
from bmzoo.onnx_import.checkpoint import load_state_dict  # noqa: E402
from bmzoo.onnx_import.retinaface import build  # noqa: E402
from bmzoo.runtime.decoders.decode import load  # noqa: E402
from bmzoo.runtime.engines.session import OnnxSession  # noqa: E402
from bmzoo.runtime.settings import Settings  # noqa: E402

# Height, width, batch.
CASES = (
    (640, 640, 1),
    (640, 640, 4),
    (320, 416, 1),
    (896, 1280, 1),
    *((448, 448, batch) for batch in (1, 2, 4, 8, 16, 32)),
)
ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of onnxruntime; 0 is its own choice")
    parser.add_argument("--confidence", type=float, default=0.02)
    options = parser.parse_args()
    facts = machine()
    state = load_state_dict(options.data / "weights" / "retinaface_mobilenet0.25_Final.pth")
    images = [picture.read() for picture in load_pictures(options.data / "wider_val" / "gt.json")[:32]]
    sizes = {case[:2] for case in CASES}
    sessions = {size: OnnxSession(build(state, *size).SerializeToString(), options.threads) for size in sizes}
    taken: dict[tuple[int, int, int], list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(ROUNDS):  # sizes in turn, so that a slow spell of the machine does not fall on one of them
        for height, width, batch in CASES:
            spec = replace(load("retinaface").input, height=height, width=width)
            settings = Settings(spec, confidence=options.confidence, batch=batch)
            times = stage_times(sessions[height, width], images, settings, options.rounds)
            taken[height, width, batch].append(times)
    rows = []
    print(f"{'size':>10}{'batch':>6}", *(f"{stage:>13}" for stage in (*STAGES, "total")), "   ms per image", sep="")
    for (height, width, batch), runs in taken.items():
        times = {stage: float(np.median([run[stage] for run in runs])) for stage in STAGES}
        times["total"] = sum(times.values())
        print(f"{f'{height}x{width}':>10}{batch:>6}", *(f"{value:>13.2f}" for value in times.values()), sep="")
        figures = {stage: round(value, 3) for stage, value in times.items()}
        rows.append({"height": height, "width": width, "batch": batch, **figures})
    if options.json:
        settled = {"rounds": options.rounds * ROUNDS, "threads": options.threads, "confidence": options.confidence}
        result = {"machine": facts, **settled, "milliseconds_per_image": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
