"""Whether this board gives what the simulator gave: `python3 check.py`, where an archive of export is unpacked.

Needs Python 3.8, numpy and sophon.sail. `--sail bmzoo.sail` runs the artifact on the chip simulator instead, with
the wheel beside this file, OpenCV and TPU-MLIR. Exit code: 0 same outputs, 1 others, 2 nothing was compared.

This file is copied into archives as it is, and imports nothing of bmzoo.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib
import json
import math
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Dict[str, NDArray[np.float32]]

_FORMAT = 1  # of check.json
_ATTESTATION = "attestation.json"
# Where a driver says its version: a card's, and the link that a board's SDK makes.
DRIVER = "proc/bmsophon/driver_version"
LIBSOPHON = "opt/sophon/libsophon-current"
NOT_TOLD = "not told"


class Unusable(Exception):
    """Nothing can be compared: why, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point: the exit code."""
    parser = argparse.ArgumentParser(description="Compare this board's outputs with those of the chip simulator.")
    parser.add_argument("--sail", default="sophon.sail", help="the module to run the artifact by (%(default)s)")
    parser.add_argument("--device", type=int, default=0, help="number of the device (%(default)s)")
    parser.add_argument("--loose", action="store_true", help="let INT8 with layers in float differ as floats may")
    parser.add_argument("--anyway", action="store_true", help="go on with an older driver or SDK, or another chip")
    args = parser.parse_args(argv)
    folder = Path(__file__).resolve().parent
    try:
        differs = checked(folder, args.sail, args.device, args.loose, args.anyway)
    except Unusable as error:
        sys.stderr.write("{}\nhint: {}\n".format(error, error.hint))
        return 2
    return 1 if differs else 0


def checked(folder: Path, module: str, device: int, loose: bool, anyway: bool) -> bool:
    """Check everything in an unpacked archive and say so; whether outputs differ. Raises Unusable."""
    check_files(folder)
    told = json.loads((folder / "check.json").read_text(encoding="utf-8"))
    if told["format"] != _FORMAT:
        why = "check.json: of format {}, known: {}".format(told["format"], _FORMAT)
        raise Unusable(why, "take the check.py that came with it")
    sail = load_sail(module, folder)
    say("artifact: {}, {}".format(told["target"], told["toolchain"]))
    board, wrong = compare_board(told["asks"], sail, device, Path("/"))
    say("board:    {}".format(board))
    if wrong and not anyway:
        raise Unusable("; ".join(wrong), "install what the artifact asks for, or go on with --anyway")
    inputs, expected = arrays(folder / told["inputs"]), arrays(folder / told["outputs"])
    start = time.monotonic()
    given = run_engine(sail, folder / told["artifact"], device, inputs)
    seconds = time.monotonic() - start
    differs = first_difference(expected, given, told["loose"] if loose and told["loose"] else told["bound"])
    if differs:
        say("other outputs than simulated: {}".format(differs))
        if told["loose"] and not first_difference(expected, given, told["loose"]):
            say("it has layers in float, and this is within what these may differ by: --loose accepts it")
        return True
    many, near = "{} outputs of {}".format(len(expected), told["samples"]), nearness(expected, given)
    say("same outputs as simulated: {}, {}, {:.1f} s".format(many, near, seconds))
    return False


def say(line: str) -> None:
    """Print a line before whatever the driver prints next."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def first_difference(expected: Arrays, given: Arrays, bound: Mapping[str, Any]) -> str:
    """The first output that differs by more than allowed, and how; empty where none does."""
    for name, value in expected.items():
        why = "not given, but: {}".format(", ".join(sorted(given)))
        if name in given:
            why = difference(value, given[name], bound["relative"], bound["sqnr_db"])
        if why:
            return "{}: {}".format(name, why)
    return ""


def check_files(folder: Path) -> None:
    """Whether the files beside this one are those of the archive. Raises Unusable."""
    try:
        payload = json.loads((folder / _ATTESTATION).read_text(encoding="utf-8"))["payload"]
        subjects = json.loads(base64.b64decode(payload))["subject"]
        wanted = {one["name"]: one["digest"]["sha256"] for one in subjects}
    except (OSError, ValueError, KeyError, TypeError):
        raise Unusable(
            "{}: not here, or damaged".format(_ATTESTATION), "unpack the archive again, all of it"
        ) from None
    for name, digest in sorted(wanted.items()):
        path = folder / name
        if not path.is_file():
            raise Unusable("{}: not here".format(name), "unpack the archive again, all of it")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise Unusable("{}: changed since it was exported".format(name), "unpack the archive again")


def load_sail(name: str, folder: Path) -> Any:
    """The module to run by: an installed one, or from the wheel in `folder`. Raises Unusable."""
    sys.path += [str(wheel) for wheel in sorted(folder.glob("*.whl"))]
    load_module("numpy", "pip install numpy")
    if name.startswith("bmzoo."):
        return load_module(name, "pip install opencv-python-headless")
    return load_module(name, "install the SDK's sophon-sail; --sail bmzoo.sail runs on the simulator")


def load_module(name: str, hint: str) -> Any:
    """A module that has to be installed. Raises Unusable."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # sail loads the driver's libraries
        raise Unusable("{}: cannot be imported: {}".format(name, error), hint) from error


def compare_board(asks: Mapping[str, Any], sail: Any, device: int, root: Path) -> Tuple[str, List[str]]:
    """What is here, in words, and what of it is not what the artifact asks for. `root`: where `/` is."""
    version = str(getattr(sail, "__version__", NOT_TOLD))
    if getattr(sail, "__bmzoo__", False):
        return "none, {} is simulated".format(asks["chip"]), []
    try:
        number, chip = int(sail.get_available_tpu_num()), NOT_TOLD
        if device < number:
            chip = str(sail.Handle(device).get_target())
    except Exception as error:  # sail's classes have no common base; old releases lack some of this
        raise Unusable("sail finds no device: {}".format(error), "is the driver loaded?") from error
    found = [("driver", driver_version(root), asks["driver"]), ("sophon.sail", version, asks["sail"])]
    wrong = [] if device < number else ["device {}: there are {}".format(device, number)]
    if chip not in (NOT_TOLD, asks["chip"]):
        wrong.append("the artifact is for {}, and this is: {}".format(asks["chip"], chip))
    for name, here, least in found:
        if least and is_older(here, least):
            wrong.append("{}: the artifact asks for {} or newer, and this is: {}".format(name, least, here))
    versions = ["{} {} (asked: {})".format(name, here, least or "any") for name, here, least in found]
    return ", ".join([chip, *versions]), wrong


def driver_version(root: Path) -> str:
    """Of a card's driver, else of a board's libsophon; NOT_TOLD where there is neither."""
    try:
        told = re.search(r"release version:\s*v?([0-9.]+)", (root / DRIVER).read_text(errors="replace"))
    except OSError:
        told = None
    place = root / LIBSOPHON
    if told is None and place.exists():
        told = re.search(r"libsophon-v?([0-9.]+)", str(place.resolve()))
    return told.group(1).strip(".") if told else NOT_TOLD


def is_older(here: str, least: str) -> bool:
    """Whether a version is known, and below another: 0.4.10 is not below 0.4.9."""
    numbers = [[int(part) for part in re.findall(r"\d+", text.split("+")[0])] for text in (here, least)]
    return bool(numbers[0]) and numbers[0] < numbers[1]


def arrays(path: Path) -> Arrays:
    """Arrays of an npz by name, in its order."""
    import numpy as np

    with np.load(str(path)) as found:
        return {name: found[name] for name in found.files}


def run_engine(sail: Any, artifact: Path, device: int, inputs: Arrays) -> Arrays:
    """The outputs for all pictures, batch after batch, by name. Raises Unusable."""
    import numpy as np

    try:
        engine = sail.Engine(str(artifact), device, sail.IOMode.SYSIO)
        graph = engine.get_graph_names()[0]
        sizes = {name: int(engine.get_input_shape(graph, name)[0]) for name in inputs}
        results = []
        for turn in range(max(len(inputs[name]) // size for name, size in sizes.items())):
            part = {name: inputs[name][turn * size : (turn + 1) * size] for name, size in sizes.items()}
            results.append(engine.process(graph, {name: np.ascontiguousarray(a) for name, a in part.items()}))
        return {name: np.concatenate([np.array(one[name], np.float32) for one in results]) for name in results[0]}
    except Exception as error:  # sail's classes have no common base, and differ between releases
        simulated = getattr(sail, "__bmzoo__", False)
        hint = "see what the simulator's log says" if simulated else "see what the driver says: dmesg"
        raise Unusable("{}: cannot be run: {}".format(artifact.name, error), hint) from error


def difference(wanted: Any, given: Any, relative: float, sqnr_db: Optional[float]) -> str:
    """How an output differs by more than allowed; empty where it does not.

    relative: largest difference, as a share of the largest absolute value wanted. sqnr_db: least ratio of signal to
    noise.
    """
    import numpy as np

    if wanted.shape != given.shape:
        return "has shape {}, simulated: {}".format(list(given.shape), list(wanted.shape))
    if np.array_equal(wanted, given, equal_nan=True):
        return ""
    gap = np.abs(wanted.astype(np.float64) - given.astype(np.float64))
    gap[np.isnan(wanted) & np.isnan(given)] = 0.0
    gap[np.isnan(gap)] = math.inf
    share, noise = share_of(wanted, gap), noise_of(wanted, gap)
    if share <= relative and (sqnr_db is None or noise >= sqnr_db):
        return ""
    place = np.unravel_index(int(np.argmax(gap)), gap.shape)
    where = "{} at {}, simulated: {}".format(given[place], [int(i) for i in place], wanted[place])
    allowed = "{:.2g}".format(relative) + ("" if sqnr_db is None else " and {:g} dB".format(sqnr_db))
    count = "{} of {} values differ".format(int(np.count_nonzero(gap)), gap.size)
    return "{}; by {:.2g} of the range, {:.1f} dB, allowed: {}; {}".format(count, share, noise, allowed, where)


def share_of(wanted: Any, gap: Any) -> float:
    """The largest gap as a share of the largest absolute value wanted; the gap itself where that is 0."""
    import numpy as np

    span = float(np.nanmax(np.abs(wanted)))
    return float(gap.max()) / span if span > 0 else float(gap.max())


def noise_of(wanted: Any, gap: Any) -> float:
    """Ratio of signal to noise in dB."""
    import numpy as np

    signal, noise = float(np.nansum(np.square(wanted, dtype=np.float64))), float(np.square(gap).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 and noise < math.inf else -math.inf


def nearness(wanted: Arrays, given: Arrays) -> str:
    """How near all outputs are, in words."""
    import numpy as np

    if all(np.array_equal(value, given[name], equal_nan=True) for name, value in wanted.items()):
        return "equal to the last bit"
    shares = [share_of(value, np.abs(value - given[name])) for name, value in wanted.items()]
    return "within {:.2g} of the range".format(max(shares))


if __name__ == "__main__":
    sys.exit(main())
