"""Whether bmzoo knows how far its thresholds move: what it says over few pictures, and what other pictures come to.

    python bench/enough_pictures.py [--json bench/enough_pictures.json] [--data ../shared/data] [--pictures 64]
                                    [--sizes 4,8,16] [--models retinaface_mobilenet0.25 ...] [--method kl]

All pictures are watched once. Then they are parted into sets of equal size: `said` is what each set says of its own
thresholds (what nine tensors of ten do not exceed, the median over sets), `seen` is how far thresholds really are
apart from set to set. Of few sets the upper end of that is chance, so there are medians over tensors, too. `enough`
is how many pictures the sets say would do, the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.commands import prepare  # noqa: E402
from bmzoo.commands.calibrate import SPARE  # noqa: E402
from bmzoo.config.options import Options  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.shared import calibrate_step, import_step  # noqa: E402
from bmzoo.quantization.certainty import Certainty, movement  # noqa: E402
from bmzoo.quantization.histogram_files import Observed  # noqa: E402
from bmzoo.quantization.histograms import Histogram  # noqa: E402
from bmzoo.quantization.observing import Observation, observers  # noqa: E402
from bmzoo.quantization.table_tensors import tap  # noqa: E402
from bmzoo.quantization.thresholds import clipping  # noqa: E402
from bmzoo.system.partial import FOLDER, Pieces  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

MODELS = ("retinaface_mobilenet0.25", "yunet_n_320", "ultraface_rfb_320", "yolox_nano")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pictures", type=int, default=64, help="at most; and as many as the config names")
    parser.add_argument("--sizes", type=lambda text: tuple(map(int, text.split(","))), default=(4, 8, 16))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--method", default="kl")
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    for model in options.models:
        with tempfile.TemporaryDirectory(prefix="enough-") as name:
            seen = _watched(Path(name), options.data, model, options.pictures)
        number = len(next(iter(seen.values())).counts)
        sizes = {size: _sets(seen, size, number, options.method) for size in options.sizes}
        rows[model] = {"pictures": number, "sizes": sizes}
        for size, row in sizes.items():
            print(model, size, json.dumps(row), flush=True)
    if options.json:
        told = {"machine": machine(), "method": options.method, "models": rows}
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0


def _watched(root: Path, data: Path, name: str, number: int) -> dict[str, Histogram]:
    """Every tensor's histogram, a row for each picture."""
    shutil.copytree(ROOT / "configs", root / "configs")
    (root / "models").mkdir()
    at = Workspace(root, {**os.environ, "BMZOO_DATA": str(data)}, Progress(), Options())
    at.layout.make_build()
    model = at.models[name]
    step = calibrate_step(model, at.weights.chosen(model), "")
    folder = root / "step"
    (folder / "pictures").mkdir(parents=True)
    for inside, path in sorted(at.builder(model).inputs(step).items()):
        if not inside.startswith("pictures/") or inside < f"pictures/{number:05d}":
            (folder / inside).symlink_to(path)
    names = {path.name: path.name for path in (folder / "pictures").iterdir()}
    (folder / "pictures.json").write_text(json.dumps({"folder": name, **names}), encoding="utf-8")
    (folder / "request.json").write_text(dict(step.documents)["request.json"], encoding="utf-8")
    prepare.run(folder, ("request.json",))
    source = at.builder(model).run(import_step(model, at.weights.chosen(model))).path("model.onnx")
    tapped = tap(onnx.load(str(source)), (folder / "model.mlir").read_text(encoding="utf-8"))
    onnx.save(tapped.model, str(folder / "tapped.onnx"))
    tensors = tuple(dict.fromkeys(tapped.sources.values()))
    samples = [folder / line for line in (folder / "samples.txt").read_text(encoding="utf-8").split()]
    with observers(Observation(folder / "tapped.onnx", tensors, SPARE * 2048, {}), samples) as processes:
        processes.watch(Pieces(folder, len(samples)))
    found = Observed([folder / FOLDER / f"{index}.npz" for index in range(len(samples))], tensors)
    return {tensor: found.of(tensor) for tensor in tensors}


def _sets(seen: dict[str, Histogram], size: int, number: int, method: str) -> dict[str, Any]:
    sets = [list(range(start, start + size)) for start in range(0, number - size + 1, size)]
    parts = [{name: one.picked(pictures) for name, one in seen.items()} for pictures in sets]
    sure = [
        Certainty({name: movement(one, method, tune=True) for name, one in part.items()}, size) for part in parts
    ]
    thresholds = np.log([[clipping(one, method, tune=True).threshold for one in part.values()] for part in parts])
    apart = thresholds.std(axis=0, ddof=1)
    return {
        "sets": len(sets),
        "said": round(float(np.median([one.typical for one in sure])), 3),
        "seen": round(float(np.quantile(apart, 0.9)), 3),
        "said_median": round(float(np.median([list(one.moves.values()) for one in sure])), 3),
        "seen_median": round(float(np.median(apart)), 3),
        "enough": [min(one.enough for one in sure), max(one.enough for one in sure)],
    }


if __name__ == "__main__":
    raise SystemExit(main())
