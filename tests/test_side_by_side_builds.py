"""Two runs of bmzoo in one checkout at once: real processes, a toolchain that compiles nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.store import fsck
from bmzoo.store.local import Store
from bmzoo.system.hashing import sha256

REPOSITORY = Path(__file__).resolve().parents[1]
# Every tool takes a moment, so that the runs meet in each step, and leaves a line in `ran`.
SLOW = """

import time
from fake_toolchain import FakeToolchain


def before(command, folder):
    with open("ran", "a") as ran:
        ran.write(f"{command}\\n")
    time.sleep(0.05)


WORKSPACE.toolchain_override = FakeToolchain()
WORKSPACE.toolchain_override.before = before
"""
TARGET = "bm1688_int8_2b"


@pytest.fixture
def checkout(project: Project) -> Path:
    (project.root / "dodo.py").write_text((REPOSITORY / "dodo.py").read_text() + SLOW)
    shutil.copy(REPOSITORY / "doit.cfg", project.root)
    return project.root


def start(checkout: Path, *words: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "BMZOO_DATA": str(checkout / "data")}
    argv = [sys.executable, "-m", "doit", *words]
    pipe, out = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(argv, cwd=checkout, env=env, stdout=pipe, stderr=out, text=True)


def test_two_builds_of_one_target_share_the_work_and_both_succeed(checkout: Path, project: Project) -> None:
    project.edit("verify:", "quantization: {}\nverify:")  # no settings are tried, which take equal commands again
    runs = [start(checkout, "-n", "2", f"build:{TARGET}") for _ in range(2)]
    for run in runs:
        out, _ = run.communicate(timeout=120)
        assert run.returncode == 0 and "Traceback" not in out, out
    ran = Counter((checkout / "ran").read_text().splitlines())
    repeated = {command: count for command, count in ran.items() if count > 1 and not command.startswith("prepare")}
    assert repeated == {}
    artifact = checkout / "build/BM1688/tiny_int8_2b.bmodel"
    told = json.loads(artifact.with_suffix(".json").read_text())
    assert told["sha256"] == sha256(artifact)
    assert list(fsck.check_store(Store(checkout / "build"), lambda count: None)) == []
    assert [path for path in (checkout / "build/scratch").iterdir() if path.name != "making"] == []
