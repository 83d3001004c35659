import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bmzoo.system.parallel import each

ROOT = Path(__file__).parents[2]


def test_everything_is_done_once_some_at_a_time() -> None:
    seen: list[int] = []
    together = threading.Barrier(3, timeout=5)  # passes only where three are at it

    def action(number: int) -> None:
        together.wait()
        seen.append(number)

    each(action, range(9), 3)
    assert sorted(seen) == list(range(9))


def test_one_at_a_time_keeps_the_order() -> None:
    seen: list[str] = []
    each(seen.append, "tune", 1)
    assert seen == list("tune")


def test_nothing_to_do_is_done() -> None:
    each(lambda _: pytest.fail("called"), (), 2)


def test_after_an_error_nothing_is_started_and_what_runs_ends() -> None:
    done: list[int] = []

    def action(number: int) -> None:
        if number == 0:
            raise ValueError("no")
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(ValueError, match="no"):
        each(action, range(100), 2)
    assert len(done) <= 2
    before = list(done)
    time.sleep(0.1)
    assert done == before


def test_threads_do_not_keep_an_interrupted_process() -> None:
    kinds: list[bool] = []
    each(lambda _: kinds.append(threading.current_thread().daemon), range(2), 2)
    assert kinds == [True, True]


def test_an_interrupt_ends_a_run_at_once() -> None:
    script = (
        "import time, sys\nfrom bmzoo.system.parallel import each\n"
        "def action(n):\n    print(n, flush=True)\n    time.sleep(60)\n"
        "each(action, range(9), 1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "0\n"
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err and out == ""
    assert time.monotonic() - start < 20
