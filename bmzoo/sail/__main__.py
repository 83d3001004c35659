"""Run a script that imports sophon.sail: `python -m bmzoo.sail [--shadow] script.py [arguments]`."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import List

from bmzoo.sail.standing_in import HOOK, SHADOW, install, is_installed

USAGE = """usage: python -m bmzoo.sail [--shadow] script.py [arguments]

Runs script.py as python would, with bmzoo.sail in place of sophon.sail.
A sophon.sail that is installed is used instead, unless --shadow is given or $BMZOO_SAIL_SHADOW is 1.

       python -m bmzoo.sail --hook

Prints what to put on $PYTHONPATH for programs that others start, such as `streamlit run`.
"""


def main(argv: List[str]) -> int:
    """Run the script; its exit code is that of the process. 2 when there is no script to run."""
    shadow = argv[:1] == ["--shadow"]
    arguments = argv[1:] if shadow else argv
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    if argv == ["--hook"]:
        sys.stdout.write(f"{HOOK}\n")
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
    if shadow or os.environ.get(SHADOW) == "1" or not is_installed():
        install()
    else:
        sys.stderr.write("bmzoo.sail: the installed sophon.sail is used; --shadow runs bmzoo's instead\n")
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
