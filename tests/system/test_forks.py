import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bmzoo.errors import StoreError, ToolFailed
from bmzoo.system.forks import forked

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=(1, 2, 5))
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count: int = request.param
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(count))
    return count


def with_process(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(number, os.getpid()) for number in numbers]


def test_everything_is_made_once_and_in_order(processors: int) -> None:
    for count in (0, 1, 7, 10, 23):
        made = forked(with_process, range(count), 2)
        assert [number for number, _ in made] == list(range(count))
        assert len({process for _, process in made} | {os.getpid()}) == max(1, min(processors, count // 2))


def test_few_things_stay_in_this_process() -> None:
    assert {process for _, process in forked(with_process, range(63), 32)} == {os.getpid()}


def test_what_is_not_passed_by_value_is_there_in_every_copy(processors: int) -> None:
    known = object()  # cannot be told to another process

    def same(numbers: Sequence[int]) -> list[bool]:
        return [isinstance(known, object) for _ in numbers]

    assert forked(same, range(8), 1) == [True] * 8


@pytest.mark.parametrize("where", (0, 7))
def test_an_error_of_any_run_is_raised_whole(where: int, processors: int) -> None:
    def action(numbers: Sequence[int]) -> list[int]:
        if where in numbers:
            raise StoreError(f"no {where}", "a hint")
        return list(numbers)

    with pytest.raises(StoreError, match=f"no {where}") as raised:
        forked(action, range(8), 1)
    assert raised.value.hint == "a hint"


def test_a_copy_that_is_killed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(2))

    def action(numbers: Sequence[int]) -> list[int]:
        if 7 in numbers:
            os.kill(os.getpid(), signal.SIGKILL)
        return list(numbers)

    with pytest.raises(ToolFailed, match="was killed"):
        forked(action, range(8), 1)


SCRIPT = """\
import os, time
os.sched_getaffinity = lambda _: range(2)
from bmzoo.system.forks import forked
def action(numbers):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60 if 0 in numbers else {other})
    return ["x" * 1_000_000 for _ in numbers]  # more than a pipe holds
forked(action, range(8), 1)
"""


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process with one copy, and the copy's number."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(other=request.param)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    numbers = {int(process.stdout.readline()) for _ in range(2)}
    (copy,) = numbers - {process.pid}
    yield process, copy
    process.kill()
    process.communicate()


@pytest.mark.parametrize("running", (60,), indirect=True)
def test_an_interrupt_ends_copies_too(running: tuple["subprocess.Popen[str]", int]) -> None:
    process, copy = running
    for number in (copy, process.pid):  # as a terminal sends it: to all
        os.kill(number, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert err.count("KeyboardInterrupt") == 1, "the copy has nothing to say"
    assert gone(copy)


@pytest.mark.parametrize("running", (1,), indirect=True)
def test_a_copy_ends_with_its_run_where_its_parent_was_killed(
    running: tuple["subprocess.Popen[str]", int],
) -> None:
    process, copy = running
    process.kill()
    assert gone(copy)


def gone(number: int) -> bool:
    """Whether a process ends within 20 s."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2][0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":  # nobody is there to ask how it ended
            return True
        time.sleep(0.1)
    return False
