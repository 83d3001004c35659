"""`refine`: thresholds moved by what they do to the outputs in emulated INT8, over calibration pictures.

One half of the pictures chooses, and the moves are kept only where they help the other half as well.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.commands.requests import picture_size, read_request
from bmzoo.commands.table import rounded
from bmzoo.measure.npz import arrays
from bmzoo.quantization.emulator import Emulator, EmulatorJob, emulator
from bmzoo.quantization.loss import added, total
from bmzoo.quantization.refine import FACTORS, Scale, by_tensor, most_sensitive, moves, scales
from bmzoo.quantization.tables import calibrated
from bmzoo.runtime.engines.simulate import write_arrays
from bmzoo.system.partial import Pieces

# Pictures that choose, and as many that judge.
CHOOSING = 8
# Pictures by which layers are ranked.
RANKED = 4


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `calibration.table` anew, and `refined.json`. Resumes from the losses of an interrupted run."""
    request = read_request(folder, args[0])
    text = (folder / "calibration.table").read_text(encoding="utf-8")
    samples = (folder / "samples.txt").read_text(encoding="utf-8").split()[: 2 * CHOOSING]
    write_arrays(folder / "inputs.npz", _together([folder / name for name in samples]))
    job = EmulatorJob(folder, request["decoder"], picture_size(request), len(samples))
    half = len(samples) // 2
    known = len(list((folder / "partial").glob("*.json"))) if (folder / "partial").is_dir() else 0
    pieces = Pieces(folder, known + request["layers"] * len(FACTORS) + 1)
    every = scales(job.network(), _table(text))
    with emulator(job, len(samples)) as workers:
        order = most_sensitive(every, _alone(workers, min(RANKED, half)), request["layers"])

        def loss(factors: Mapping[str, float]) -> float:
            asked = json.dumps(sorted(factors.items()))
            name = hashlib.sha256(asked.encode()).hexdigest()[:24]
            found = pieces.find(name)
            if found is None:
                found = workers.score(factors=factors, pictures=range(half)).loss
                pieces.keep(name, found)
            return float(found)

        moved = moves(order, loss)
        rest = range(half, len(samples))
        before, after = (workers.score(factors=f, pictures=rest).loss for f in ({}, by_tensor(moved)))
    kept = moved if after < before else {}
    (folder / "calibration.table").write_text(rounded(_moved(text, kept)), encoding="utf-8")
    told = {
        "layers": {row: factor for one, factor in kept.items() for row in one.rows},
        "tried": len(order),
        "pictures": {"choosing": half, "judging": len(rest)},
        "loss": {"before": round(before, 6), "after": round(after, 6)},
        "said": _said(len(kept), len(moved), before, after, len(rest)),
    }
    (folder / "refined.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def _together(samples: Sequence[Path]) -> dict[str, NDArray[Any]]:
    parts = [arrays(sample) for sample in samples]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _table(text: str) -> dict[str, tuple[float, float]]:
    """Row -> threshold and largest value."""
    names, found = set(calibrated(text)), {}
    for line in _first_section(text):
        name, *numbers = line.split() or [""]
        if name in names and len(numbers) == 3:
            threshold, low, high = map(float, numbers)
            found[name] = (threshold, max(abs(low), abs(high)))
    return found


def _first_section(text: str) -> list[str]:
    """Lines before sections of their own, such as that of INT4."""
    lines = text.splitlines()
    ends = (i for i, line in enumerate(lines) if line.startswith("#") and line[1:2].isalpha())
    return lines[: next(ends, len(lines))]


def _alone(workers: Emulator, number: int) -> dict[str, float]:
    """Layer -> loss when it alone is in INT8."""
    found = [future.result() for future in [workers.sensitivities(index) for index in range(number)]]
    signal = added([one for _, one in found])
    return {name: total(added([layers[name].noise for layers, _ in found]), signal) for name in found[0][0]}


def _moved(text: str, moved: Mapping[Scale, float]) -> str:
    factors = {row: factor for one, factor in moved.items() for row in one.rows}
    first = _first_section(text)
    lines = [_row(line, factors) for line in first]
    return "\n".join([*lines, *text.splitlines()[len(first) :]]) + "\n"


def _row(line: str, factors: Mapping[str, float]) -> str:
    name, *numbers = line.split() or [""]
    if line.startswith("#") or name not in factors:
        return line
    return " ".join([name, repr(float(numbers[0]) * factors[name]), *numbers[1:]])


def _said(kept: int, moved: int, before: float, after: float, judging: int) -> str:
    if not moved:
        return "no threshold is better elsewhere for the outputs"
    effect = f"the loss at the outputs, on {judging} other pictures, is {after / max(before, 1e-12):.2f} of before"
    if not kept:
        return f"thresholds are left as they are: with {moved} of them moved, {effect}"
    return f"{kept} thresholds moved: {effect}"
