"""Checkouts whose compiler hangs until it is killed, and a look at what is still alive."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from conftest import Project

REPOSITORY = Path(__file__).resolve().parents[1]


# Stands in for every TPU-MLIR tool: says that it runs, starts a child of its own as compilers do, and hangs.
SLOW_TOOL = """\
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
with open({marks!r} + "/" + str(os.getpid()), "w") as mark:
    mark.write(f"{{os.getpid()}} {{child.pid}} {{os.getppid()}}")
time.sleep(600)
"""


def hanging(project: Project, tmp_path: Path) -> Path:
    """The small project with real doit files and an installation whose tools hang."""
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(REPOSITORY / name, project.root / name)
    tools = tmp_path / "tpuc" / "python" / "tools"
    tools.mkdir(parents=True)
    (tmp_path / "marks").mkdir()
    (tools / "model_transform.py").write_text(SLOW_TOOL.format(marks=str(tmp_path / "marks")))
    return project.root


def start(checkout: Path, *args: str) -> subprocess.Popen[bytes]:
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "TPUC_ROOT": str(checkout.parent / "tpuc"),
        "BMZOO_DATA": str(checkout / "data"),
    }
    argv = [sys.executable, "-m", "doit", *args]
    return subprocess.Popen(argv, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for_tools(checkout: Path, count: int) -> list[int]:
    """Process ids of `count` tools, their children and their supervisors, once all have started."""
    marks = checkout.parent / "marks"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        texts = [mark.read_text() for mark in marks.iterdir()]
        if len(texts) == count and all(texts):
            return [int(pid) for text in texts for pid in text.split()]
        time.sleep(0.05)
    raise AssertionError(f"{count} tools did not start")


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if _state(pid) not in ("Z", "X", "")]


def all_gone(pids: list[int]) -> bool:
    return alive(pids) == []


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
