"""SIGKILL at random moments: what was published stays whole, nothing is left behind, and the next run is right."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.execute.toolchain import find_installation
from bmzoo.store import fsck
from bmzoo.store.local import Store
from bmzoo.store.scratch import Scratch
from bmzoo.system.hashing import sha256

REPOSITORY = Path(__file__).resolve().parents[1]
KILLS = 45
REAL_KILLS = 5
SHARED = 3  # the model, its INT8 settings, and its calibration table
TARGETS = {"build:bm1688_int8_2b": "BM1688/tiny_int8_2b", "build:bm1684_fp32_1b": "BM1684/tiny_fp32_1b"}
FAKE = """

from forked_doit import fake_toolchain
WORKSPACE.toolchain_override = fake_toolchain()
"""


@pytest.fixture
def checkout(project: Project) -> Path:
    """The small project with real doit files."""
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(REPOSITORY / name, project.root / name)
    return project.root


class Runs:
    """Runs of `doit -n 2 build:...` on the fake toolchain, one after the other."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        (checkout / "dodo.py").write_text((checkout / "dodo.py").read_text() + FAKE)
        paths = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests")))
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "BMZOO_DATA": str(checkout / "data")}
        argv = [sys.executable, "-B", str(REPOSITORY / "tests" / "forked_doit.py")]
        pipe = subprocess.PIPE
        self.server = subprocess.Popen(argv, cwd=checkout, env=env, stdin=pipe, stdout=pipe, text=True)

    def run(self, kill_after: float | None = None) -> int:
        """The run's wait status, with SIGKILL after that many seconds."""
        assert self.server.stdin is not None and self.server.stdout is not None
        seconds = "-" if kill_after is None else str(kill_after)
        self.server.stdin.write(" ".join([seconds, "-n", "2", *TARGETS]) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def close(self) -> None:
        self.server.communicate(timeout=30)


@pytest.fixture
def runs(checkout: Path) -> Iterator[Runs]:
    runs = Runs(checkout)
    yield runs
    runs.close()


def left_behind(checkout: Path) -> list[str]:
    """Command lines of processes that work in the checkout's build folder, after a moment to end in."""
    deadline = time.monotonic() + 10
    while found := list(_processes(checkout / "build")):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.005)
    return []


def _processes(folder: Path) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()).startswith(str(folder)):
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX":
                    yield (process / "cmdline").read_text()
        except OSError:  # gone meanwhile, or not ours
            pass


def corrupt(checkout: Path) -> list[str]:
    """What `fsck` would say."""
    return [str(bad) for bad in fsck.check_store(Store(checkout / "build"), lambda count: None)]


def digests(checkout: Path) -> dict[str, str]:
    """sha256 of everything published, by path below the checkout; the provenance tells of times and is left out."""
    patterns = ("build/BM*/[!.]*.bmodel", "models/onnx/[!.]*", "calibration/[!.]*")
    return {str(p.relative_to(checkout)): sha256(p) for each in patterns for p in checkout.glob(each)}


def scratch(checkout: Path) -> list[str]:
    """Work in progress that is left. A kill may leave an empty lock file alone, which goes when it is a day old."""
    paths = [path for path in (checkout / "build" / "scratch").iterdir() if path.name != "making"]
    return [path.name for path in paths if path.suffix != ".lock" or path.with_suffix("").exists()]


def scratch_two_days_later(checkout: Path) -> list[str]:
    folder = checkout / "build" / "scratch"
    for path in folder.iterdir():
        then = path.lstat().st_mtime - 2 * 86_400
        os.utime(path, (then, then))
    Scratch(folder).sweep()
    return [path.name for path in folder.iterdir() if path.name != "making"]


def everything(checkout: Path) -> None:
    for name in ("build", "models", "calibration"):
        shutil.rmtree(checkout / name)


def store(checkout: Path) -> None:
    shutil.rmtree(checkout / "build" / "store")


def published(checkout: Path) -> None:
    for name in ("build/BM1688", "build/BM1684", "models", "calibration"):
        shutil.rmtree(checkout / name)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_corrupts_nothing_and_the_next_is_right(runs: Runs) -> None:
    chance = random.Random(20_000_101)
    checkout = runs.checkout
    losses: tuple[Callable[[Path], None], ...] = (everything, everything, store, published)
    assert runs.run() == 0, (checkout / "doit.log").read_text()
    everything(checkout)
    start = time.monotonic()
    assert runs.run() == 0
    whole = time.monotonic() - start
    right = digests(checkout)
    assert len(right) == len(TARGETS) + SHARED
    killed = 0
    for number in range(KILLS):
        chance.choice(losses)(checkout)
        killed += runs.run(kill_after=chance.uniform(0, whole)) == signal.SIGKILL
        assert left_behind(checkout) == [], number
        assert corrupt(checkout) == [], number
        assert digests(checkout).items() <= right.items(), number
        assert runs.run() == 0, (number, (checkout / "doit.log").read_text())
        assert digests(checkout) == right, number
        assert corrupt(checkout) == [] and scratch(checkout) == [], number
    assert killed > KILLS // 2  # the others had just ended
    assert scratch_two_days_later(checkout) == []


@pytest.mark.toolchain
def test_a_killed_run_of_the_real_compiler_leaves_nothing_and_goes_on(checkout: Path) -> None:
    """Each run goes on where the one before was killed, so five kills take little longer than one build."""
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    chance = random.Random(20_000_101)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "BMZOO_DATA": str(checkout / "data")}
    argv = [sys.executable, "-m", "doit", "-n", "2", *TARGETS]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(argv, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    for number in range(REAL_KILLS):
        process = start()
        deadline = time.monotonic() + chance.uniform(0.5, 6)
        while time.monotonic() < deadline or (process.poll() is None and not list(_processes(checkout / "build"))):
            time.sleep(0.02)  # not before a compiler or simulator is at work
        process.kill()
        process.communicate(timeout=30)
        assert left_behind(checkout) == [], number
        assert corrupt(checkout) == [], number
    process = start()
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out.decode()
    assert corrupt(checkout) == [] and scratch(checkout) == []
    interrupted = digests(checkout)
    everything(checkout)
    out, _ = start().communicate(timeout=300)
    assert digests(checkout) == interrupted and len(interrupted) == len(TARGETS) + SHARED, out.decode()
