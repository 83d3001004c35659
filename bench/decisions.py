"""What rounding of scales and thresholds costs in agreement, and how often derivations with noise still differ.

    python bench/decisions.py [--json bench/decisions.json] [--data ../shared/data] [--derivations 20]
                              [--pictures 16]

Agreement: plain INT8 by real lowerings on the selection pictures, each variant derived from nothing. Noise: what
another processor does, as relative noise of 1e-6 on every channel's range for the scales, and on every input value
for the thresholds of TPU-MLIR's run_calibration, over fewer pictures than a calibration takes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.environ.get("BENCH_PACKAGE", str(ROOT)))

from bmzoo.commands.ranges import channel_ranges  # noqa: E402
from bmzoo.config.options import Options  # noqa: E402
from bmzoo.measure.npz import arrays  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.fed import input_request, pictures  # noqa: E402
from bmzoo.plan.float_layers import agree_step  # noqa: E402
from bmzoo.plan.shared import calibrate_step, import_step  # noqa: E402
from bmzoo.plan.step import HOUR, Command  # noqa: E402
from bmzoo.quantization.equalize import RANGE_SHARES, derive, factors_text  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

# Bits of a scale's mantissa, digits of a threshold: none lost, powers of two, few bits, as bmzoo has it, fewer.
VARIANTS = ((24, 9), (1, 9), (5, 9), (5, 3), (5, 2))
CHIPS = ("bm1684", "bm1684x")  # one of each quantizer
NOISE = 1e-6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--derivations", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--variant", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant is not None:
        print(json.dumps(agreements(opened(options.variant, options.data))))
        return 0
    found: dict[str, Any] = {"machine": machine(), "agreement": []}
    with tempfile.TemporaryDirectory(prefix="decisions-") as name:
        folder = Path(name)
        found["noise"] = noise(folder / "noise", options)
        print(json.dumps(found["noise"]), flush=True)
        for bits, digits in VARIANTS:
            row = {
                "bits": bits,
                "digits": digits,
                **variant(folder / f"{bits}-{digits}", bits, digits, options.data),
            }
            found["agreement"].append(row)
            print(json.dumps(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def opened(root: Path, data: Path) -> Workspace:
    """A checkout with nothing derived."""
    (root / "models" / "onnx").mkdir(parents=True, exist_ok=True)
    if not (root / "configs").exists():
        shutil.copytree(ROOT / "configs", root / "configs")
    environ = {**os.environ, "BMZOO_DATA": str(data)}
    at = Workspace(root, environ, Progress(), Options(weights="official"))
    at.layout.make_build()
    return at


def variant(folder: Path, bits: int, digits: int, data: Path) -> dict[str, Any]:
    """Agreement of both quantizers with a copy of bmzoo that rounds otherwise."""
    shutil.copytree(ROOT / "bmzoo", folder / "package" / "bmzoo")
    for name, old, new in (
        ("quantization/equalize.py", "BITS = 5", f"BITS = {bits}"),
        ("commands/table.py", "DIGITS = 3", f"DIGITS = {digits}"),
    ):
        path = folder / "package" / "bmzoo" / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name}: {old}"
        path.write_text(text.replace(old, new), encoding="utf-8")
    argv = [sys.executable, __file__, "--variant", str(folder / "checkout"), "--data", str(data)]
    environ = {**os.environ, "BENCH_PACKAGE": str(folder / "package"), "PYTHONPATH": str(folder / "package")}
    done = subprocess.run(argv, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def agreements(at: Workspace) -> dict[str, Any]:
    model = at.models[at.default_model]
    builder, weights = at.builder(model), at.weights.chosen(model)
    figures = {
        chip: builder.run(agree_step(model, chip, weights, None)).read_json("agreement.json") for chip in CHIPS
    }
    return {chip: {"agreement": f["agreement"], "cosine": f["cosine"]} for chip, f in figures.items()}


def noise(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """How many different scales and tables come of derivations with noise."""
    at = opened(root, options.data)
    model = at.models[at.default_model]
    builder, weights = at.builder(model), at.weights.chosen(model)
    images = at.weights.using(model).config.calibration
    assert images is not None and images.images is not None
    shown = at.sources(model).pictures(pictures(images.images)).files
    samples = prepared(root / "samples", shown[: options.pictures], at)
    network = onnx.load(str(builder.run(import_step(model, weights)).path("model.onnx")))
    ranges = channel_ranges(network, ({"input": sample} for sample in samples))
    random = np.random.default_rng(0)
    told: dict[str, Any] = {"noise": NOISE, "derivations": options.derivations, "pictures": options.pictures}
    for kind, shares in RANGE_SHARES.items():
        texts = set()
        for _ in range(50 * options.derivations):
            noisy = {name: r * (1 + NOISE * random.standard_normal(r.shape)) for name, r in ranges.items()}
            texts.add(factors_text(derive(network, noisy, shares)))
        told[f"scales by {kind}: different of {50 * options.derivations}"] = len(texts)
    tables = [thresholds(at, root / f"table{n}", samples, n) for n in range(options.derivations)]
    told["tables: different"] = len(set(tables))
    rows = [dict(line.split(maxsplit=1) for line in t.splitlines() if line and line[0] != "#") for t in tables]
    told["thresholds that ever differ"] = sum(len({row[name] for row in rows}) > 1 for name in rows[0])
    told["thresholds"] = len(rows[0])
    return told


def prepared(folder: Path, shown: tuple[Path, ...], at: Workspace) -> list[Any]:
    """What the network sees of some pictures, by the step's own command."""
    (folder / "pictures").mkdir(parents=True)
    names = {path.name: path.name for path in shown}
    for path in shown:
        (folder / "pictures" / path.name).symlink_to(path)
    model = at.models[at.default_model]
    request = {**input_request(model), "minimum": 1}
    (folder / "request.json").write_text(json.dumps(request))
    (folder / "pictures.json").write_text(json.dumps({**names, "folder": str(folder)}))
    (folder / "model.json").write_text(json.dumps({"input": "input"}))
    at.toolchain.run(Command("prepare", ("request.json",)), folder, folder / "log.txt", HOUR)
    return [next(iter(arrays(path).values())) for path in sorted((folder / "samples").iterdir())]


def thresholds(at: Workspace, folder: Path, samples: list[Any], seed: int) -> str:
    """A calibration table of inputs with noise."""
    model = at.models[at.default_model]
    weights = at.weights.chosen(model)
    step = calibrate_step(model, weights, "bm1684x")
    folder.mkdir()
    for name, path in at.builder(model).inputs(step).items():
        if not name.startswith("pictures/"):
            (folder / name).symlink_to(path)
    random, lines = np.random.default_rng(seed), []
    for number, sample in enumerate(samples):
        noisy = sample * (1 + NOISE * random.standard_normal(sample.shape)).astype(np.float32)
        np.savez(folder / f"{number:05d}.npz", **{"input": noisy})
        lines.append(f"{number:05d}.npz\n")
    (folder / "samples.txt").write_text("".join(lines))
    calibrate = next(command for command in step.commands if command.tool == "run_calibration.py")
    args = list(calibrate.args)
    args[args.index("--input_num") + 1] = str(len(samples))
    for command in (Command(calibrate.tool, tuple(args)), Command("table", ("request.json",))):
        at.toolchain.run(command, folder, folder / "log.txt", HOUR)
    return (folder / "calibration.table").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
