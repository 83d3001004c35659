import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bmzoo.errors import ToolFailed
from bmzoo.system.process import Call, describe, run

ROOT = Path(__file__).parents[2]
PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
# A child that starts a grandchild; both write their process ids and then sleep.
FAMILY = "sleep 60 & echo $! > grandchild; echo $$ > child; wait"


@pytest.fixture
def sh(tmp_path: Path) -> Callable[..., int]:
    """Runs a shell script in a folder, as any other command."""

    def call(script: str, **more: Any) -> int:
        settings: dict[str, Any] = {"env": PATH, **more}
        return run(Call(("sh", "-c", script), tmp_path, tmp_path / "log", **settings))

    return call


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def pids(folder: Path) -> list[int]:
    """Ids of child and grandchild, once both have been written."""
    files = [folder / "child", folder / "grandchild"]
    assert eventually(lambda: all(f.exists() and f.read_text().endswith("\n") for f in files))
    return [int(f.read_text()) for f in files]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.parametrize("status", [0, 1, 3, 127])
def test_the_exit_status_is_the_commands(status: int, sh: Callable[..., int]) -> None:
    assert sh(f"exit {status}") == status


@pytest.mark.parametrize("name", ["KILL", "SEGV", "ABRT", "TERM", "INT", "PIPE"])
def test_a_signal_is_negative_and_named(name: str, sh: Callable[..., int]) -> None:
    status = sh(f"kill -{name} $$")
    assert status == -getattr(signal, f"SIG{name}")
    assert describe(status) == f"killed by SIG{name}"


def test_an_exit_status_is_described_as_such() -> None:
    assert describe(3) == "exit status 3"


def test_a_missing_program_is_127_with_its_name_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "not-a-program").write_text("#!/no/such/interpreter\n")
    (tmp_path / "not-a-program").chmod(0o755)
    for argv in (("no-such-program", "x"), (str(tmp_path / "not-a-program"),), (str(tmp_path),)):
        assert run(Call(argv, tmp_path, tmp_path / "log", PATH)) == 127
        assert f"cannot start {argv[0]}: " in (tmp_path / "log").read_text()


def test_stdout_may_go_to_a_file_of_its_own_and_the_rest_to_the_log(tmp_path: Path, sh: Callable[..., int]) -> None:
    sh("echo out; echo err >&2", stdout=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "out\n"
    assert (tmp_path / "log").read_text() == "err\n"


def test_the_log_is_added_to(tmp_path: Path, sh: Callable[..., int]) -> None:
    sh("echo first")
    sh("echo second; echo third >&2")
    assert (tmp_path / "log").read_text() == "first\nsecond\nthird\n"


def test_the_environment_is_exactly_what_was_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("PYTHONPATH", "/from/outside")
    env = {"B": "2", "A": "ä b", "LANG": "C.UTF-8"}
    run(Call(("/usr/bin/env",), tmp_path, tmp_path / "log", env, tmp_path / "out"))
    assert sorted((tmp_path / "out").read_text().splitlines()) == ["A=ä b", "B=2", "LANG=C.UTF-8"]


def test_a_command_lies_at_the_same_addresses_every_time(tmp_path: Path) -> None:
    ask = "import ctypes, sys; sys.exit(ctypes.CDLL(None).personality(0x0040000) == -1)"
    allowed = subprocess.run([sys.executable, "-c", ask], check=False).returncode == 0
    code = "print(id(object()), hex(id(print)))"
    for name in ("one", "two"):
        run(
            Call((sys.executable, "-c", code), tmp_path, tmp_path / "log", {"PYTHONHASHSEED": "0"}, tmp_path / name)
        )
    same = (tmp_path / "one").read_text() == (tmp_path / "two").read_text()
    assert same == allowed


def test_arguments_and_folder_arrive_as_they_are(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], os.getcwd())"
    words = ("$HOME", "a b", "*", "", "'; rm -rf x", "--", "é")
    run(Call((sys.executable, "-c", code, *words), tmp_path, tmp_path / "log", {}))
    assert (tmp_path / "log").read_text() == f"{list(words)} {tmp_path}\n"


def test_there_is_nothing_to_read_and_nobody_to_ask(tmp_path: Path, sh: Callable[..., int]) -> None:
    assert sh('read line; test -z "$line" && ! test -t 0 && test "$(readlink /proc/$$/fd/0)" = /dev/null') == 0


def test_no_descriptor_of_ours_reaches_the_command(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        code = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:-1])"
        run(Call((sys.executable, "-c", code), tmp_path, tmp_path / "log", {}))
    assert (tmp_path / "log").read_text() == "[0, 1, 2]\n"


def test_a_timeout_ends_child_and_grandchild(tmp_path: Path, sh: Callable[..., int]) -> None:
    start = time.monotonic()
    with pytest.raises(ToolFailed, match="sh: ran longer than .* s and was stopped") as caught:
        sh(FAMILY, timeout=0.4)
    assert time.monotonic() - start < 3
    assert str(tmp_path / "log") in caught.value.hint
    assert all(eventually(partial(gone, pid)) for pid in pids(tmp_path))


def test_what_ignores_sigterm_is_ended_too(tmp_path: Path, sh: Callable[..., int]) -> None:
    with pytest.raises(ToolFailed):
        sh(f"trap '' TERM INT HUP; {FAMILY}", timeout=0.4)
    assert all(eventually(partial(gone, pid)) for pid in pids(tmp_path))


def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path, sh: Callable[..., int]) -> None:
    assert sh("sleep 60 & echo $! > grandchild") == 0
    assert eventually(lambda: gone(int((tmp_path / "grandchild").read_text())))


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_when_we_are_ended_so_are_child_and_grandchild(name: str, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from bmzoo.system.process import Call, run; "
        f"run(Call(('sh', '-c', {FAMILY!r}), Path.cwd(), Path('log'), {PATH!r}))"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL) as parent:
        family = pids(tmp_path)
        assert not any(gone(pid) for pid in family)
        parent.send_signal(getattr(signal, name))
        parent.wait()
    assert all(eventually(partial(gone, pid)) for pid in family)


def test_a_command_goes_on_when_nobody_reads_what_is_echoed(
    sh: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert sh("seq 1 100000", echo=True) == 0
        monkeypatch.undo()
        assert (tmp_path / "log").read_text().splitlines()[-1] == "100000"
