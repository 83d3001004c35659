"""Run a script that imports sophon.sail: `python -m bmzoo.sail [--shadow] script.py [arguments]`."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import List

import bmzoo.sail

USAGE = """usage: python -m bmzoo.sail [--shadow] script.py [arguments]

Runs script.py as python would, with bmzoo.sail in place of sophon.sail.
A sophon.sail that is installed is used instead, unless --shadow is given.
"""


def main(argv: List[str]) -> int:
    """Run the script; its exit code is that of the process. 2 when there is no script to run."""
    shadow = argv[:1] == ["--shadow"]
    arguments = argv[1:] if shadow else argv
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    script = Path(arguments[0])
    if not script.is_file():
        sys.stderr.write(f"bmzoo.sail: no such script: {script}\n")
        return 2
    sys.argv[:] = arguments
    sys.path[0] = str(script.resolve().parent)
    if shadow or not _installed():
        install()
    else:
        sys.stderr.write("bmzoo.sail: the installed sophon.sail is used; --shadow runs bmzoo's instead\n")
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


def install() -> None:
    """Make `import sophon.sail` find bmzoo.sail in this process."""
    package = ModuleType("sophon", "Stands in for the package of a card's driver.")
    package.__path__ = []
    package.__spec__ = importlib.machinery.ModuleSpec("sophon", None, is_package=True)
    package.__dict__["sail"] = bmzoo.sail
    sys.modules.update({"sophon": package, "sophon.sail": bmzoo.sail})


def _installed() -> bool:
    try:
        return importlib.util.find_spec("sophon.sail") is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
