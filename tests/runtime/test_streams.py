"""The runtime's own command line, where its output goes nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a program writes, by way of the outlets.
WRITES = """
import sys
from bmzoo.runtime.streams import ended

def run():
    for _ in range(20000):
        sys.stdout.write("a line\\n")
    sys.stdout.write("\\ud800\\n")
    sys.stderr.write("done\\n")
    return 7

sys.exit(ended(run))
"""


def shell(line: str, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    argv = ["/bin/bash", "-c", f"set -o pipefail; {line}", "sh", sys.executable, WRITES]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    return done


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ('"$1" -c "$2" | head -n 1', 141, ""),
        ('"$1" -c "$2" > /dev/full', 1, "error: stdout: cannot be written: No space left on device\n"),
        ('"$1" -c "$2" > /dev/null', 7, "done\n"),
        ('"$1" -c "$2" 2> /dev/full > /dev/null', 7, ""),
        ('"$1" -c "$2" >&- 2>&-', 7, ""),
        ('"$1" -m bmzoo.runtime detect --help > /dev/full', 1, "error: stdout: cannot be written: "),
        ('"$1" -m bmzoo.runtime detect --nonsense > /dev/full', 2, "usage: "),
    ],
)
def test_output_that_goes_nowhere(line: str, status: int, said: str, unbuffered: str) -> None:
    done = shell(line, unbuffered)
    assert done.returncode == status and done.stderr.startswith(said)


def test_letters_that_the_encoding_lacks_are_escaped() -> None:
    assert shell('"$1" -c "$2" | tail -n 1').stdout == "\\ud800\n"
    assert shell('PYTHONIOENCODING=ascii "$1" -c "$2" | tail -n 1').stdout == "\\ud800\n"
