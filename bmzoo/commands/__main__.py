"""Runs one command in the current folder. An error for people is written to `error.json` there."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from bmzoo.commands.registry import COMMANDS
from bmzoo.errors import BmzooError

Run = Callable[[Path, tuple[str, ...]], None]


def run(name: str, folder: Path, args: tuple[str, ...]) -> int:
    """Run one command in a folder. Returns 0, or 1 with the error written to `error.json`."""
    # Imported lazily: `finish` should not wait for onnxruntime.
    command: Run = import_module(f"bmzoo.commands.{COMMANDS[name].module}").run
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
