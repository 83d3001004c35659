"""`profile`: what the compiler says of the time of a bmodel, kept as `profile.json`."""

import json
from pathlib import Path
from typing import Any

from bmzoo.measure.profile import layer_names, parse_profile, run_modes
from bmzoo.measure.profile_document import profile_document

PATTERN = "compiler_profile_*.txt"


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `profile.json`; for a chip without one, and for a form that is not known, it says why there is none."""
    final = sorted(folder.glob("*_final.mlir"))
    mlir = final[0].read_text(encoding="utf-8") if final else ""
    told = {**_document(folder, args[0], mlir), "modes": run_modes(mlir)}
    (folder / "profile.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def _document(folder: Path, chip: str, mlir: str) -> dict[str, Any]:
    paths = sorted(folder.glob(PATTERN), key=lambda path: (len(path.name), path.name))
    if not paths:
        return {"known": False, "why": f"the compiler writes no profile for {chip}"}
    try:
        cores = [parse_profile(path.read_text(encoding="utf-8")) for path in paths]
        return profile_document(cores, layer_names(mlir), chip)
    except ValueError as error:
        warning = f"no profile: that of the compiler is not of the known form: {error}"
        (folder / "warnings.json").write_text(json.dumps([warning]), encoding="utf-8")
        return {"known": False, "why": f"not of the known form: {error}"}
