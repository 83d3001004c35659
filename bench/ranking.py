"""How long finding the float layers takes: ranking, choosing, confirming; and TPU-MLIR's own search beside it.

    python bench/ranking.py [--json bench/ranking.json] [--data ../shared/data] [--chips bm1684,bm1688,bm1684x]
                            [--vendor bm1684,bm1688]

Everything runs anew in a folder of its own, by the same steps as `./doit qtable:CHIP`; what both searches need
(calibration, the lowering to plain INT8) is made before and not counted. Both searches get the same network, the
same calibration table and the same 16 pictures. TPU-MLIR's takes minutes for each chip; `--vendor ''` leaves it
out. Chips that share a quantizer share what was ranked and chosen: its time is the first one's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.config.model import Model  # noqa: E402
from bmzoo.config.options import Options  # noqa: E402
from bmzoo.config.quantization import Search  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.float_layers import cut_step  # noqa: E402
from bmzoo.plan.lowering import int8_target, plain_lowering  # noqa: E402
from bmzoo.plan.own_search import choose_step, rank_step  # noqa: E402
from bmzoo.plan.step import Step  # noqa: E402
from bmzoo.plan.vendor_search import ranking_step as search_step  # noqa: E402
from bmzoo.results import qtable  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--chips", type=_list, default=("bm1684", "bm1688", "bm1684x"))
    parser.add_argument("--vendor", type=_list, default=("bm1684", "bm1688"))
    options = parser.parse_args()
    facts = machine()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="ranking-") as folder:
        at = _checkout(Path(folder), options.data)
        model = at.models[at.default_model]
        for chip in options.chips:
            rows.append(_ours(at, model, chip))
            print(json.dumps(rows[-1]), flush=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        for row in rows:
            if row["chip"] in options.vendor:
                row.update(_vendor(at, model, row))
                print(json.dumps(row), flush=True)
    total = round(sum(row["seconds"] for row in rows), 1)
    print(f"all chips: {total} s; the largest process of ours had {peak:.0f} MiB")
    if options.json:
        found = {"machine": facts, "chips": rows, "seconds_all_chips": total, "largest_process_mib": round(peak)}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _checkout(root: Path, data: Path) -> Workspace:
    """A workspace with nothing made, but the tables of calibrations, which both sides start from."""
    for name in ("configs", "calibration"):
        shutil.copytree(ROOT / name, root / name)
    (root / "models" / "onnx").mkdir(parents=True)
    at = Workspace(root, {**os.environ, "BMZOO_DATA": str(data)}, Progress(), Options(weights="official"))
    at.layout.make_build()
    return at


def _ours(at: Workspace, model: Model, chip: str) -> dict[str, Any]:
    builder, weights = at.builder(model), at.weights.chosen(model)
    builder.run(plain_lowering(model, chip, weights))
    search = model.search(int8_target(model, chip))
    assert search is not None, "the model's config asks for a search"
    seconds = {
        "rank": _timed(at, model, rank_step(model, chip, weights)),
        "choose": _timed(at, model, choose_step(model, chip, weights, search)),
    }
    start = time.monotonic()
    found = qtable.confirm(at, model, chip, cut_step(model, chip, weights, search))
    seconds["confirm"] = round(time.monotonic() - start, 1)
    return {
        "chip": chip,
        "layers": len(_ranking(at, model, chip)),
        "seconds": round(sum(seconds.values()), 1),
        "seconds_by_step": seconds,
        "float_layers": len(found.choice["layers"]),
        "agreement": {"plain": found.plain["agreement"], "mixed": found.mixed["agreement"]},
    }


def _vendor(at: Workspace, model: Model, ours: dict[str, Any]) -> dict[str, Any]:
    chip, weights = ours["chip"], at.weights.chosen(model)
    # The mean cosine of 0.9999 is out of reach, so that it ranks every layer.
    step = search_step(
        model, chip, weights, Search(method="vendor_qtable", max_float_layers=8, expected_cos=0.9999)
    )
    seconds = _timed(at, model, step)
    theirs = {row["layer"]: row["loss"] for row in at.builder(model).run(step).read_json("ranking.json")["layers"]}
    own = _ranking(at, model, chip)
    both = [name for name in theirs if name in own]
    return {
        "vendor_seconds": seconds,
        "vendor_layers": len(theirs),
        "ranking_faster": round(seconds / ours["seconds_by_step"]["rank"], 1),
        "search_faster": round(seconds / ours["seconds"], 1),
        "layers_in_both": len(both),
        # Ours by cosine is the vendor's own question; by loss is what the choice goes by.
        "spearman_by_cosine": _spearman([theirs[n] for n in both], [own[n]["cosine_loss"] for n in both]),
        "spearman_by_loss": _spearman([theirs[n] for n in both], [own[n]["loss"] for n in both]),
    }


def _ranking(at: Workspace, model: Model, chip: str) -> dict[str, Any]:
    entry = at.builder(model).run(rank_step(model, chip, at.weights.chosen(model)))
    return {row["layer"]: row for row in entry.read_json("ranking.json")["layers"]}


def _timed(at: Workspace, model: Model, step: Step) -> float:
    """Seconds to run a step; inputs that it lacks count as well. Raises SystemExit when it did not run."""
    builder = at.builder(model)
    if builder.find(step) is not None:
        return 0.0  # made for another chip with the same quantizer
    start = time.monotonic()
    builder.run(step)
    return round(time.monotonic() - start, 1)


def _spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation, -1..1; equal values share the mean of their ranks."""
    return round(float(np.corrcoef(_ranks(one), _ranks(other))[0, 1]), 4)


def _ranks(values: Sequence[float]) -> Any:
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _list(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


if __name__ == "__main__":
    raise SystemExit(main())
