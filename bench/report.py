"""What the report takes over a large zoo: 100 models of 20 targets each, whole process, pictures written or there.

    python bench/report.py [--json bench/report.json] [--models 100] [--rounds 3]

Documents and results are written as `build`, `verify` and `eval` leave them, with 120 layers and 400 spans of the
timeline for each core, and 8 pictures of 320x320 for each model; there are no networks behind them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.config.model import load  # noqa: E402
from bmzoo.execute.layout import Layout  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.store.local import Store  # noqa: E402
from bmzoo.system import files  # noqa: E402
from bmzoo.target import Target  # noqa: E402

LAYERS, SPANS, PICTURES, SIDE = 120, 400, 8, 320
CONFIG = """\
weights: [{{name: given, file: model.onnx, sha256: {digest}}}]
input: {{height: 320, width: 320}}
decoder: {{kind: ultraface}}
calibration: {{images: {{folder: pictures}}, minimum: 2}}
verify: {{images: {{folder: pictures}}}}
evaluate: {{truth: truth/gt.json}}
targets:
  - {{chip: bm1684, precision: [fp32, int8], batch: [1, 4]}}
  - {{chip: [bm1684x, cv186x], precision: [fp16, int8], batch: [1, 4]}}
  - {{chip: bm1688, precision: [fp16, int8], batch: [1, 4], cores: [1, 2]}}
"""


def digest(*words: object) -> str:
    return sha256(" ".join(map(str, words)).encode()).hexdigest()


def profile_of(target: Target) -> dict[str, Any]:
    """Of every core: layers one after the other, each engine at work in half of the spans."""
    if target.chip == "bm1684":
        return {"known": False, "why": "the compiler writes no profile for bm1684"}
    unit = 2.0 / target.cores / LAYERS
    core = {"cycles": 2_000_000, "milliseconds": 2.0, "arithmetic": 1.5, "memory": 0.9, "idle": 0.5, "bytes": 10**7}
    known = {"operation": "Conv2D", "bytes": 10**5, "commands": 9, "transfers": 2, "bound": "memory"}
    times = [round(unit * (1 + math.sin(i)), 6) for i in range(LAYERS)]
    layers = [
        {"core": c, "layer": f"body.stage{i}.conv", "milliseconds": t, "arithmetic": t, "memory": t, **known}
        for c in range(target.cores)
        for i, t in enumerate(times)
    ]
    spans = [[i % 2, i % LAYERS, round(i * 2.0 / SPANS, 6), round((i + 1) * 2.0 / SPANS, 6)] for i in range(SPANS)]
    timeline = {"layers": [f"body.stage{i}.conv" for i in range(LAYERS)], "cores": [spans] * target.cores}
    return {
        "known": True,
        "milliseconds": 2.0,
        "cores": [{**core, "commands": 900, "flops": 10**9}] * target.cores,
        "layers": sorted(layers, key=lambda row: -row["milliseconds"]),
        "timeline": timeline,
    }


def keep(store: Store, name: str, source: Path, **facts: Any) -> str:
    """A result of one file."""
    key = digest(source, name)
    with store.scratch() as folder:
        shutil.copyfile(source, folder / name)
        store.publish(key, folder, (name,), facts)
    return key


def pictures_of(store: Store, model: str, folder: Path) -> dict[str, Any]:
    """What `verify` looked at and found, in the store."""
    seen, found = folder / f"{model}.npz", folder / f"{model}.json"
    random = np.random.default_rng(len(model))
    np.savez(seen, input=random.uniform(0, 255, (PICTURES, 3, SIDE, SIDE)).astype(np.float32))
    boxes = [[10.0 * i, 10.0, 10.0 * i + 8, 20.0, 0.9] for i in range(12)]
    same: dict[str, Any] = {
        "onnx": boxes,
        "artifact": boxes,
        "pairs": [[i, i] for i in range(12)],
        "missed": [],
        "extra": [],
    }
    found.write_text(json.dumps({"pictures": [same] * PICTURES}))
    material: dict[str, Any] = {"inputs": {f"pictures/{i:05}.jpg": digest(model, i) for i in range(PICTURES)}}
    told = {"pictures": keep(store, "inputs.npz", seen, material=material)}
    return {**told, "fingerprint": keep(store, "found.json", found)}


def publish(layout: Layout, target: Target, shown: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    """All that lies beside an artifact, but itself."""
    own = digest(target.artifact)
    text = json.dumps(profile_of(target), indent=1)
    files.write(text, layout.profile(target))
    tensors = {"boxes": {"cosine": 0.99, "sqnr_db": 20.0, "max_error": 0.1}}
    faces = {"expected": 96, "missed": 0, "extra": 0, "mean_iou": 0.97}
    figures = {"images": PICTURES, "tensors": tensors, "detections": faces}
    step: dict[str, Any] = {
        "fingerprint": digest(own, "step"),
        "commands": [["model_deploy.py", "--chip", target.chip, ""]] * 5,
    }
    step |= {"inputs": {f"input{i}": digest(own, i) for i in range(8)}, "tools": {"model_deploy.py": "tpu_mlir"}}
    deploy = {**step, "files": {"profile.json": sha256(text.encode()).hexdigest()}}
    told: dict[str, Any] = {
        "schema": 1,
        "weights": "given",
        "sha256": own,
        "input": dict(settings),
        "verdict": figures,
    }
    told |= {
        "facts": {"bytes": 10**6, "cost": 10**6},
        "steps": {"deploy": deploy, "simulate": step, "measure": step},
    }
    files.write(files.json_text(told), layout.provenance(target))
    engines: dict[str, Any] = {
        "engines": {"equal": True, "sqnr_db": None},
        "consistency": {},
        "misses": [],
        "passed": True,
    }
    files.write(
        files.json_text({"schema": 1, "sha256": own, "thresholds": {"cosine": 0.9}, **figures, **engines, **shown}),
        layout.verification(target),
    )


def checkout_of(folder: Path, models: int) -> None:
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(ROOT / name, folder)
    (folder / "configs").mkdir()
    layout, store = Layout(folder), Store(folder / "build")
    (folder / "data" / "truth").mkdir(parents=True)
    (folder / "data" / "truth" / "gt.json").write_text("{}")
    (folder / "made").mkdir()
    for number in range(models):
        path = folder / "configs" / f"model{number:03}.yaml"
        path.write_text(CONFIG.format(digest=digest(number)))
        model = load(path, path.name)
        assert model.config.input is not None, "as CONFIG has it"
        shown = pictures_of(store, model.name, folder / "made")
        for target in model.targets:
            publish(layout, target, shown, model.config.input.model_dump())
        for engine in {"onnx", *(f"{target.chip}_{target.precision}" for target in model.targets)}:
            ap = {"easy": 0.8 - number / 1000, "hard": 0.6}
            text = files.json_text({"schema": 1, "pictures": 100, "ap": ap})
            files.write(text, layout.evaluation(model.name, "given", engine))


def seconds(checkout: Path) -> tuple[float, float]:
    """One whole `./doit report`: how long it took, and for how long of that a processor was at work for it."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "BMZOO_DATA": str(checkout / "data")}
    start, before = time.perf_counter(), _at_work()
    argv = [sys.executable, "-m", "bmzoo.tasks", "report"]
    done = subprocess.run(argv, cwd=checkout, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - start, _at_work() - before


def _at_work() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make the checkout there, and leave it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch) / "checkout"
        folder.mkdir()
        checkout_of(folder, given.models)
        report = folder / "build" / "report"
        first = seconds(folder)
        again = [seconds(folder) for _ in range(given.rounds)]
        pages = list(report.rglob("*.html"))
        found = {
            "targets": len(pages) - 1,
            **{"first_s": round(first[0], 2), "first_cpu_s": round(first[1], 2)},
            **{"again_s": round(statistics.median(wall for wall, _ in again), 2)},
            "again_cpu_s": round(statistics.median(cpu for _, cpu in again), 2),
            "index_mb": round((report / "index.html").stat().st_size / 1e6, 2),
            "pages_mb": round(sum(page.stat().st_size for page in pages) / 1e6, 1),
            "pictures": len(list((report / "pictures").iterdir())),
        }
    sys.stdout.write("\n".join(f"{key:12}{value}" for key, value in found.items()) + "\n")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
