"""`calibrate`: activation thresholds over real pictures, by bmzoo itself: onnxruntime and histograms.

TPU-MLIR's interpreter is asked only for tensors of its own making, which the ONNX network does not have.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from bmzoo.commands.table import rounded
from bmzoo.errors import SourceError, VerifyFailed
from bmzoo.measure.given_names import as_given, given_names
from bmzoo.measure.npz import arrays
from bmzoo.measure.picture_statistics import copies, of_folder, unlike
from bmzoo.quantization.certainty import Certainty, movement
from bmzoo.quantization.histograms import Histogram, difference, histogram, together
from bmzoo.quantization.observing import HINT, Observation, Observer, grouped, observers
from bmzoo.quantization.table_tensors import Tapped, tap
from bmzoo.quantization.thresholds import LEAST_THRESHOLD, TUNED, Clipping, clipping
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.engines.registry import find_tpuc_root
from bmzoo.runtime.engines.session import as_taken
from bmzoo.system.partial import Pieces

TAPPED = "tapped.onnx"
# A tensor whose name begins with that of another holds its values if they differ by no more than this.
ALIKE = 1e-3
# Bins on either side of 0: powers of two leave up to half of them empty.
SPARE = 2
INT8_LEVELS, INT4_LEVELS = 128, 8


@dataclass(frozen=True)
class Found:
    """A tensor's rows, INT8 first and then those asked for besides, and how far its threshold moves."""

    rows: tuple[Clipping, ...]
    moves: float


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `calibration.table` and `certainty.json`. args: the settings, a JSON file. Raises BmzooError."""
    settings = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    samples = [folder / line for line in (folder / "samples.txt").read_text(encoding="utf-8").split()]
    tapped = tap(onnx.load(str(folder / "model.onnx")), (folder / "model.mlir").read_text(encoding="utf-8"))
    onnx.save(tapped.model, str(folder / TAPPED))
    bins = SPARE * settings["histogram_bins"]
    shown = _pictures(folder)
    job = Observation(folder / TAPPED, tuple(dict.fromkeys(tapped.sources.values())), bins, shown)
    find = partial(_found, settings=settings)
    with observers(job, samples) as processes:
        processes.watch(Pieces(folder, len(list(grouped(samples)))))
        own = processes.each(find)
        pairs = copies(processes.small()) if settings["pictures"] else []
    others = {name: find(seen) for name, seen in _of_the_tool(folder, job, tapped, samples).items()}
    found = {name: others[name] if name in others else own[tapped.sources[name]] for name in tapped.rows}
    _check_alive(folder, found)
    (folder / "calibration.table").write_text(rounded(_text(found, settings, len(samples))), encoding="utf-8")
    given = given_names(folder)
    sure = Certainty({as_given(name, given): one.moves for name, one in found.items()}, len(samples))
    _tell(folder, sure, [(shown[samples[a].stem], shown[samples[b].stem]) for a, b in pairs])
    _warn(folder, unlike(of_folder(folder / "pictures"), of_folder(folder / "verify"), "verify"))


def _found(seen: Histogram, settings: Mapping[str, Any]) -> Found:
    method, tune = settings["method"], settings["tune"]
    levels = (INT8_LEVELS, *((INT4_LEVELS,) if settings["int4"] else ()))
    # INT4 is not tuned, as TPU-MLIR has it.
    rows = tuple(clipping(seen, method, each, tune and not settings["int4"]) for each in levels)
    return Found(rows, movement(seen, method, tune and not settings["int4"]))


def _of_the_tool(folder: Path, job: Observation, tapped: Tapped, samples: Sequence[Path]) -> dict[str, Histogram]:
    """Histograms by TPU-MLIR's interpreter, of tensors that the ONNX network does not have. Raises SessionError."""
    doubtful = (*tapped.guessed, *tapped.missing)
    if not doubtful:
        return {}
    running = MlirSession(folder / "model.mlir", find_tpuc_root(), log=folder / "interpreter.log")
    try:
        first = _interpreted(running, doubtful, samples[0], job.bins)
        here = dict(zip(job.tensors, Observer(job).histograms(samples[0], arrays(samples[0])), strict=True))
        apart = {name: difference(here[tapped.sources[name]], first[name]) for name in tapped.guessed}
        names = [name for name in doubtful if apart.get(name, 1.0) > ALIKE]
        parts = [_interpreted(running, names, sample, job.bins) for sample in samples] if names else []
    finally:
        running.close()
    return {name: together([part[name] for part in parts]) for name in names}


def _interpreted(running: MlirSession, names: Sequence[str], sample: Path, bins: int) -> dict[str, Histogram]:
    values = running.tensors(as_taken(arrays(sample), running.inputs), names)
    try:
        return {name: histogram(value, bins) for name, value in values.items()}
    except ValueError as error:
        raise SourceError(f"{sample.name}: TPU-MLIR's float network gives {error}", HINT) from None


def _check_alive(folder: Path, found: Mapping[str, Found]) -> None:
    """Warn of tensors that are 0 in every picture; raise VerifyFailed where all are but those that are fed."""
    given = given_names(folder)
    dead = [as_given(name, given) for name, one in found.items() if one.rows[0].threshold <= LEAST_THRESHOLD]
    if len(dead) >= max(len(found) - 1, 1):
        raise VerifyFailed(
            f"nothing to calibrate: {len(dead)} of {len(found)} tensors are 0 in every picture", HINT
        )
    if dead:
        shown = ", ".join(f"`{name}`" for name in dead[:4]) + (", ..." if len(dead) > 4 else "")
        _warn(folder, [f"0 in every picture, so that INT8 knows nothing of it: {shown}"])


def _text(found: Mapping[str, Found], settings: Mapping[str, Any], number: int) -> str:
    """The table as TPU-MLIR reads it."""
    tunes = settings["tune"] and settings["method"] in TUNED
    tuned = ", raised where noise is far from the least" if tunes else ""
    lines = [
        f"# thresholds by bmzoo: {settings['method']}, {settings['histogram_bins']} bins or more{tuned}",
        f"# sample number: {number}",
        "###",
        "# op_name    threshold    min    max",
    ]
    lines += [
        f"{name} {one.rows[0].threshold!r} {one.rows[0].low!r} {one.rows[0].high!r}" for name, one in found.items()
    ]
    if settings["int4"]:
        fours = {name: one.rows[1].threshold for name, one in found.items()}
        lines += ["", "#int4_th"]
        lines += [
            f"{name} {each!r} {-each * INT4_LEVELS / (INT4_LEVELS - 1)!r} {each!r}" for name, each in fours.items()
        ]
    return "\n".join(lines) + "\n"


def _tell(folder: Path, sure: Certainty, pairs: Sequence[tuple[str, str]]) -> None:
    """Write `certainty.json`, and warn of what makes thresholds chance."""
    said = sure.said()
    told = {
        "pictures": sure.pictures,
        "enough": sure.enough,
        "said": said,
        "typical": round(sure.typical, 4),
        "moves": {name: round(move, 4) for name, move in sure.moves.items()},
        "copies": pairs,
    }
    (folder / "certainty.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    warnings = [said] if sure.doubtful else []
    if pairs:
        more = f", and {len(pairs) - 3} pairs more" if len(pairs) > 3 else ""
        shown = ", ".join(f"{one} and {other}" for one, other in pairs[:3])
        warnings.append(f"nearly the same picture, which says nothing new: {shown}{more}")
    _warn(folder, warnings)


def _pictures(folder: Path) -> dict[str, str]:
    """By the name of a sample, that of the picture that it was made of; empty where the network takes none."""
    path = folder / "pictures.json"
    names = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {Path(inside).stem: str(shown) for inside, shown in names.items() if inside != "folder"}


def _warn(folder: Path, warnings: Sequence[str]) -> None:
    """Add to what the step warns of."""
    path = folder / "warnings.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    path.write_text(json.dumps([*before, *warnings]), encoding="utf-8")
