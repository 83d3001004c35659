"""Runs one command in the current folder; what it has to say to people goes to `error.json` there."""

import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from bmzoo.errors import BmzooError

Run = Callable[[Path, tuple[str, ...]], None]
# Modules are imported when used: `finish` should not wait for onnxruntime.
MODULES: Mapping[str, str] = {
    "import": "importing",
    "prepare": "preparing",
    "table": "tabling",
    "check-tables": "checking",
    "normalize": "normalizing",
    "finish": "finishing",
    "measure": "measuring",
    "golden": "golden",
    "lowered": "lowered",
    "infer": "inferring",
    "compare": "comparing",
    "drift": "drifting",
    "evaluate": "evaluating",
    "equalize": "equalizing",
    "rank": "ranking",
    "choose": "choosing",
    "cut": "cutting",
    "vendor-start": "vendor_starting",
    "vendor-read": "vendor_reading",
    "vendor-cut": "vendor_cutting",
    "agree": "agreeing",
}


def run(name: str, folder: Path, args: tuple[str, ...]) -> int:
    """Run one command in a folder. 0, or 1 with the error written to `error.json`."""
    command: Run = import_module(f"bmzoo.steps.{MODULES[name]}").run
    try:
        command(folder, args)
    except BmzooError as error:
        said = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        (folder / "error.json").write_text(json.dumps(said), encoding="utf-8")
        sys.stderr.write(f"{error.render()}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], Path.cwd(), tuple(sys.argv[2:])))
