"""Another process that works on the store of a test."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def another(tmp_path: Path, code: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that works on the same store and has said that it does; killed at the end."""
    opened = "import os, time; from pathlib import Path; from bmzoo.store.local import Store\n"
    opened += f"store = Store(Path({str(tmp_path / 'build')!r}))"
    argv = [sys.executable, "-c", f"{opened}\n{code}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        try:
            yield other
        finally:
            other.kill()
