"""What stands around doit's actions and checks."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from doit.exceptions import TaskFailed

from bmzoo.errors import BmzooError
from bmzoo.tasks.guard import guarded, quietly


@pytest.fixture
def collecting() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def mistake() -> bool:
    raise BmzooError("wrong", "do it right")


def test_a_users_mistake_fails_a_task_and_makes_a_check_say_no() -> None:
    failed = guarded(mistake)()
    assert isinstance(failed, TaskFailed) and "wrong\nhint: do it right" in failed.get_msg()
    assert quietly(mistake)() is False and quietly(lambda: True)() is True


def test_a_full_disk_fails_a_task_whoever_meets_it() -> None:
    failed = guarded(lambda: Path("/dev/full").write_text("more"))()
    assert isinstance(failed, TaskFailed) and "cannot be written: No space left on device" in failed.get_msg()
    assert "gc removes results" in failed.get_msg()
    with pytest.raises(FileNotFoundError):
        guarded(lambda: Path("/no/such/file").read_text())()


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 / 0)()


@pytest.mark.usefixtures("collecting")
def test_garbage_is_looked_for_from_the_first_action_on() -> None:
    gc.disable()
    before = gc.get_freeze_count()
    seen: list[bool] = []
    assert guarded(lambda: seen.append(gc.isenabled()))() is None
    assert seen == [True] and gc.get_freeze_count() > before
