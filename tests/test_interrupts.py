"""doit stopped at any moment leaves no process behind and goes on where it was. Real processes, no compiler."""

import signal
import time
from pathlib import Path

import pytest
from conftest import Project
from hanging_tools import alive, hanging, start, wait_for_tools


@pytest.fixture
def checkout(project: Project, tmp_path: Path) -> Path:
    return hanging(project, tmp_path)


@pytest.mark.parametrize("parallel", [[], ["-n", "2"]], ids=["one step at a time", "two steps at a time"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_no_process_survives(checkout: Path, number: signal.Signals, parallel: list[str]) -> None:
    tasks = ["transform:1b", "transform:2b"]
    process = start(checkout, *parallel, *tasks)
    pids = wait_for_tools(checkout, len(tasks) if parallel else 1)
    assert alive(pids) == pids
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert alive(pids) == []
    assert process.returncode != 0
    if number != signal.SIGKILL:
        assert b"interrupted" in out and b"Traceback" not in out
    # The next run sweeps what was left and does not wait for a lock of the dead.
    again = start(checkout, "plan", "bm1688_fp32_1b")
    assert again.communicate(timeout=20)[0] and again.returncode == 0
