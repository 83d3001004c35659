"""Thresholds by bmzoo and by TPU-MLIR's run_calibration, in turn: time, memory, disk, nearness, and INT8 by either.

    python bench/calibration.py [--json bench/calibration.json] [--data ../shared/data] [--pictures 16] [--tune 5]
                                [--method kl] [--models retinaface_mobilenet0.25,yolov5n,ppocr_v3_det]

Each model is imported and transformed before, which is not timed. Both engines then get the same network, pictures
and settings, channels as they are, and run by the same step as in `./doit calibrate`, which prepares pictures, too.
Memory is the proportional share (PSS) of all processes of the step, sampled; disk what its folder holds at most.
INT8 by either is the real lowering for bm1684x in TPU-MLIR's interpreter, against ONNX on the pictures of `verify`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.config.model import Model  # noqa: E402
from bmzoo.config.options import Options  # noqa: E402
from bmzoo.config.quantization import Calibration, Quantization  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.ladder import judged, trial_step  # noqa: E402
from bmzoo.plan.shared import calibrate_step, transform_step  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

MODELS = ("retinaface_mobilenet0.25", "yolov5n", "ppocr_v3_det")
ENGINES = ("bmzoo", "vendor")
Rows = Mapping[str, tuple[float, ...]]


class Watching(threading.Thread):
    """The most memory that children of this process have together, and the most that a folder holds, in MiB."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._ended = folder, threading.Event()
        self.memory = self.disk = 0.0

    def run(self) -> None:
        while not self._ended.wait(0.25):
            self.memory = max(self.memory, sum(map(_pss, psutil.Process().children(recursive=True))) / 2**20)
            files = [path for path in self._folder.rglob("*") if path.is_file() and not path.is_symlink()]
            self.disk = max(self.disk, sum(map(_size, files)) / 2**20)

    def end(self) -> None:
        self._ended.set()
        self.join()


def _pss(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return float(process.memory_full_info().pss)
    return 0.0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--tune", type=int, default=5)
    parser.add_argument("--method", default="kl")
    parser.add_argument("--models", type=lambda text: tuple(text.split(",")), default=MODELS)
    options = parser.parse_args()
    settings = {"pictures": options.pictures, "tune": options.tune, "method": options.method}
    found: dict[str, Any] = {"machine": machine(), **settings, "models": {}}
    with tempfile.TemporaryDirectory(prefix="calibration-") as name:
        at = _checkout(Path(name), options.data)
        for model in options.models:
            found["models"][model] = _measured(at, at.models[model], settings)
            print(json.dumps({model: found["models"][model]}), flush=True)
            if options.json:  # after each: with run_calibration this takes long
                options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _checkout(root: Path, data: Path) -> Workspace:
    """A workspace with nothing made and nothing decided."""
    shutil.copytree(ROOT / "configs", root / "configs")
    (root / "models").mkdir()
    at = Workspace(root, {**os.environ, "BMZOO_DATA": str(data)}, Progress(), Options())
    at.layout.make_build()
    return at


def _measured(at: Workspace, model: Model, settings: Mapping[str, Any]) -> dict[str, Any]:
    builder, weights = at.builder(model), at.weights.chosen(model)
    rows: dict[str, Any] = {}
    tables: dict[str, Rows] = {}
    for engine in ENGINES:
        own = _with_engine(model, engine, settings)
        builder.run(transform_step(own, weights, 1, ""))
        watching = Watching(at.layout.build)
        before = _folder_size(at.layout.build)
        watching.start()
        start = time.monotonic()
        entry = builder.run(calibrate_step(own, weights, ""))
        seconds = time.monotonic() - start
        watching.end()
        tables[engine] = _rows(entry.path("calibration.table").read_text(encoding="utf-8"))
        rows[engine] = {
            "seconds": round(seconds, 1),
            "load": round(os.getloadavg()[0], 1),
            "memory_mib": round(watching.memory),
            "disk_mib": round(watching.disk - before),
            "int8": _int8(at, own),
        }
        if engine == "bmzoo":
            rows[engine]["said"] = entry.read_json("certainty.json")["said"]
    rows["faster"] = round(rows["vendor"]["seconds"] / rows["bmzoo"]["seconds"], 1)
    rows["nearness"] = _nearness(tables["bmzoo"], tables["vendor"])
    return rows


def _with_engine(model: Model, engine: str, settings: Mapping[str, Any]) -> Model:
    """The model with plain INT8, and its thresholds by an engine."""
    given = model.config.calibration
    assert given is not None and given.images is not None, "only models that calibrate with pictures"
    images = given.images.model_copy(update={"count": settings["pictures"]})
    who = {"engine": engine, "method": settings["method"], "tune": settings["tune"]}
    calibration = Calibration.model_validate({"images": images, **who})
    update = {"calibration": calibration, "quantization": Quantization()}
    return replace(model, config=model.config.model_copy(update=update))


def _int8(at: Workspace, model: Model) -> dict[str, Any]:
    target = judged(model)["bm1684x"]
    step = trial_step(model, target, at.weights.chosen(model))
    figures = at.builder(model).run(step).read_json("figures.json")
    told = figures.get("detections") or {}
    found = {key: told[key] for key in ("expected", "missed", "extra") if key in told}
    return {**found, "sqnr_db": {head: round(row["sqnr_db"], 2) for head, row in figures["tensors"].items()}}


def _nearness(ours: Rows, theirs: Rows) -> dict[str, float | int]:
    """|ln| of the ratio of thresholds, and how far the ranges are apart as a share of the largest value."""
    assert list(ours) == list(theirs), "both tables have the same rows"
    ratios = np.abs([np.log(ours[name][0] / theirs[name][0]) for name in ours])
    ranges = [_apart(ours[name][1:], theirs[name][1:]) for name in ours]
    return {
        "tensors": len(ours),
        "median": round(float(np.median(ratios)), 4),
        "ninetieth_percentile": round(float(np.quantile(ratios, 0.9)), 4),
        "ranges_apart_at_most": round(max(ranges), 4),
    }


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    largest = max(map(abs, other)) or 1.0
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) / largest


def _rows(table: str) -> Rows:
    found = re.findall(r"^([^#\s]\S*) (\S+) (\S+) (\S+)$", table, re.MULTILINE)
    return {name: tuple(map(float, numbers)) for name, *numbers in found}


def _folder_size(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(map(_size, files)) / 2**20


if __name__ == "__main__":
    raise SystemExit(main())
