"""Worker processes, with an engine that does as it is told in place of a real one."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.worker import OWN_PACKAGE, Worker, call, inherited

ENGINE = """
import os, sys, time
from bmzoo.errors import SessionError
from bmzoo.runtime.engines.worker_serve import main

class Engine:
    def __init__(self, model):
        self.order = model.read_text()
        os.write(1, b"banner on stdout\\n")
        if self.order == "refuse":
            raise SessionError("this model is refused", "take another")
        if self.order == "abort":
            print("x.cpp:1: Assertion `ok` failed.", "stack", "dump", "of", "lines", sep="\\n", flush=True)
            os.abort()

    def describe(self):
        return {"pid": os.getpid(), "stdin": sys.stdin.read()}

    def run(self, feeds, names):
        os.write(1, b"chatter " + b"x" * 100000)
        os.system("echo from a child")
        word = names[0] if names else ""
        if word == "exit": os._exit(7)
        if word == "segv": os.kill(os.getpid(), 11)
        if word == "hang": time.sleep(60)
        if word == "raise": raise RuntimeError("what engines raise")
        return {name: array * 2 for name, array in feeds.items()}

if __name__ == "__main__":
    main(Engine)
"""
X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = make(tmp_path)
    yield made
    made.close()


def make(folder: Path, order: str = "work", timeout: float = 20.0) -> Worker:
    (folder / "engine_of_test.py").write_text(ENGINE)
    model = folder / "m.model"
    model.write_text(order)
    worker = Worker("engine_of_test", "toy", sys.executable, timeout, None)
    worker.model = model
    worker.env = {**inherited(), "PYTHONPATH": f"{folder}:{OWN_PACKAGE.parent}"}
    return worker


def state(pid: int) -> str:
    """R, S, T (stopped), Z or an empty string for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while state(pid) not in ("", "Z"):
        assert time.monotonic() < deadline, state(pid)
        time.sleep(0.01)


def comes_to(pid: int, wanted: str) -> bool:
    """Whether a process gets into a state; a signal takes its time where others are busy."""
    end = time.monotonic() + 30
    while state(pid) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return state(pid) == wanted


def test_one_process_serves_many_requests_and_sleeps_between_them(worker: Worker) -> None:
    said = worker.start()
    assert said["stdin"] == "", "the engine cannot read what is meant for the worker"
    for i in range(3):
        assert worker.start()["pid"] == said["pid"]
        assert comes_to(said["pid"], "T")
        results = worker.run({"b": X + i, "a": X})
        assert list(results) == ["b", "a"]
        np.testing.assert_array_equal(results["b"], (X + i) * 2)
    log = worker.log.read_text()
    assert "banner on stdout" in log and "chatter" in log and "from a child" in log
    folder = worker.folder
    worker.close()
    worker.close()
    assert state(said["pid"]) == "" and not folder.exists()
    with pytest.raises(SessionError, match=r"m\.model: the session is closed"):
        worker.run({"a": X})


def test_a_crash_is_explained_and_the_next_run_starts_anew(worker: Worker) -> None:
    first = worker.start()["pid"]
    for word, how in (("exit", "exit code 7"), ("segv", "ended by SIGSEGV")):
        with pytest.raises(SessionError, match=rf"m\.model: toy: {how}; chatter x+") as caught:
            worker.run({"a": X}, names=[word])
        assert caught.value.hint == f"log: {worker.log}"
        assert len(caught.value.message) < 500
    np.testing.assert_array_equal(worker.run({"a": X})["a"], X * 2)
    assert worker.start()["pid"] != first
    worker.close()
    assert [path.name for path in worker.folder.iterdir()] == ["engine.log"], "kept, since something failed"


def test_a_hang_ends_with_the_worker(tmp_path: Path, worker: Worker) -> None:
    pid = worker.start()["pid"]
    worker._timeout = 0.1
    started = time.monotonic()
    with pytest.raises(SessionError, match=r"toy: not done after 0\.3 s"):
        worker.run({"a": X}, count=3, names=["hang"])
    assert time.monotonic() - started < 30, "the worker would hang for good"
    assert state(pid) == ""


def test_what_the_engine_raises_is_passed_on_and_the_worker_lives(worker: Worker) -> None:
    pid = worker.start()["pid"]
    with pytest.raises(SessionError, match=r"m\.model: toy: RuntimeError: what engines raise"):
        worker.run({"a": X}, names=["raise"])
    worker.run({"a": X})
    assert worker.start()["pid"] == pid


@pytest.mark.parametrize(
    ("order", "message", "hint"),
    [
        ("refuse", "toy: this model is refused", "take another"),
        ("abort", r"toy: ended by SIGABRT; x\.cpp:1: Assertion `ok` failed\.$", "log: "),
    ],
)
def test_models_that_do_not_load(worker: Worker, tmp_path: Path, order: str, message: str, hint: str) -> None:
    worker.model.write_text(order)
    for _ in range(2):
        with pytest.raises(SessionError, match=message) as caught:
            worker.start()
        assert caught.value.hint.startswith(hint)


def test_an_answer_that_is_none(worker: Worker, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho noise\nsleep 60\n")
    script.chmod(0o700)
    worker._python = str(script)
    with pytest.raises(SessionError, match="toy: answers what is no answer: b'noise"):
        worker.start()


def test_a_worker_outlives_the_thread_that_started_it(worker: Worker) -> None:
    thread = threading.Thread(target=worker.start)
    thread.start()
    thread.join()
    time.sleep(0.05)
    pid = worker.start()["pid"]
    assert state(pid) == "T"
    worker.run({"a": X})
    assert worker.start()["pid"] == pid


def test_threads_take_turns(worker: Worker) -> None:
    results: dict[int, NDArray[Any]] = {}

    def work(i: int) -> None:
        results[i] = worker.run({"a": X + i})["a"]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(results[i], (X + i) * 2)


PARENT = """
import sys, time
from pathlib import Path
import numpy as np
from bmzoo.runtime.engines.worker import Worker, inherited

folder, words = Path(sys.argv[1]), sys.argv[2:]
worker = Worker("engine_of_test", "toy", sys.executable, 60, None)
worker.model = folder / "m.model"
worker.env = {**inherited(), "PYTHONPATH": ":".join(sys.path)}
print(worker.start()["pid"], flush=True)
worker.run({"a": np.ones(3, np.float32)}, names=words)
print("idle", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("words", [["hang"], []])
def test_a_killed_parent_leaves_no_worker(worker: Worker, words: list[str]) -> None:
    folder = worker.model.parent
    argv = [sys.executable, "-c", PARENT, str(folder), *words]
    env = {**worker.env, "TMPDIR": str(folder)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=env) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if not words:
            assert parent.stdout.readline() == b"idle\n"
        parent.kill()
    wait_until_gone(pid)


def test_a_forked_process_starts_workers_too(worker: Worker) -> None:
    worker.start()  # the thread that starts workers exists here, and does not in the fork
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        mine = make(worker.model.parent)
        worked = np.array_equal(mine.run({"a": X})["a"], X * 2)
        mine.close()
        os._exit(0 if worked else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_short_commands(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    assert call(["/bin/sh", "-c", "echo yes; echo no >&2; exit 3"], tmp_path, {}, answer, 10) == 3
    assert answer.read_text() == "yes\nno\n"
    with pytest.raises(SessionError, match=r"`/bin/sleep`: not done after 0\.1 s"):
        call(["/bin/sleep", "60"], tmp_path, {}, answer, 0.1)
    with pytest.raises(SessionError, match="cannot start `/nonexistent`: No such file"):
        call(["/nonexistent"], tmp_path, {}, answer, 1)


def test_threads_are_told_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert inherited()["OMP_NUM_THREADS"] == "7"
    assert inherited(2)["OMP_NUM_THREADS"] == "2"
    assert "LD_LIBRARY_PATH" not in inherited()


def test_workers_are_given_the_folder_in_which_the_package_lies() -> None:
    assert (OWN_PACKAGE / "runtime" / "engines" / "worker.py").is_file()
