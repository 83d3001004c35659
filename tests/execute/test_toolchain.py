import ast
import json
import os
import threading
import time
from pathlib import Path

import pytest

from bmzoo.commands.registry import COMMANDS
from bmzoo.errors import ConfigError, SourceError, ToolFailed
from bmzoo.execute.toolchain import PACKAGE, LocalToolchain, failure, find_installation, vendor_environment
from bmzoo.plan.step import Command
from bmzoo.system.hashing import Digests


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An unpacked release: what decides its results, and a tool that says what it was given."""
    for name in ("bin/model_tool", "lib/libx.so", "python/tools/model_deploy.py", "python/utils/a.py"):
        path = tmp_path / "tpu-mlir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "tpu-mlir/bin/model_tool").write_bytes(b"\0\0B.2.2+v1.24.1-20260101\0")
    return tmp_path / "tpu-mlir"


def toolchain(root: Path) -> LocalToolchain:
    installation = find_installation({"TPUC_ROOT": str(root)})
    assert installation is not None
    return LocalToolchain(installation, Digests(root.parent / "memory.json"))


def test_an_external_installation_names_its_version(root: Path) -> None:
    assert toolchain(root).version == f"tpu_mlir 1.24.1 ({root})"
    (root / "bin/model_tool").write_bytes(b"nothing to see")
    assert toolchain(root).version == f"tpu_mlir tpu-mlir ({root})"
    assert find_installation({"TPUC_ROOT": str(root / "missing")}) is None


def test_identity_changes_with_any_file_that_decides_and_with_nothing_else(root: Path) -> None:
    before = toolchain(root).identity("model_deploy.py")
    (root / "README").write_text("said in passing")
    assert toolchain(root).identity("model_deploy.py") == before
    for name in ("bin/model_tool", "lib/libx.so", "python/tools/model_deploy.py", "python/utils/a.py"):
        (root / name).write_text("changed")
        after = toolchain(root).identity("model_deploy.py")
        assert after != before, name
        before = after


def test_our_own_commands_do_not_depend_on_the_compiler(root: Path) -> None:
    prepare, simulate = (toolchain(root).identity(tool) for tool in ("prepare", "simulate"))
    (root / "lib/libx.so").write_text("changed")
    assert toolchain(root).identity("prepare") == prepare
    assert toolchain(root).identity("simulate") != simulate
    assert "opencv-python-headless" in prepare


def test_nothing_of_the_users_environment_reaches_a_tool(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_SETTING", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    (root / "python/tools/show.py").write_text("import json, os; print(json.dumps(dict(os.environ)))")
    command = Command("show.py", stdout="seen.json")
    toolchain(root).run(command, tmp_path, tmp_path / "log.txt", 10)
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert "SECRET_SETTING" not in seen and seen["OMP_NUM_THREADS"] in ("1", "2")
    assert seen["HOME"] == seen["TMPDIR"] == str(tmp_path)
    assert seen["TPUC_ROOT"] == str(root)


def test_commands_side_by_side_share_the_cores(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    meet = (
        "import os, pathlib, sys, time\n"
        "print(os.environ['OMP_NUM_THREADS'], flush=True)\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.01)\n"
    )
    (root / "python/tools/meet.py").write_text(meet)
    tools = toolchain(root)
    here, there = tmp_path / "here", tmp_path / "there"

    def run(name: str, *marks: Path) -> None:
        command = Command("meet.py", tuple(map(str, marks)), stdout=name)
        tools.run(command, tmp_path, tmp_path / f"{name}.log", 20)

    first = threading.Thread(target=run, args=("first", here, there))
    first.start()
    while not here.exists():
        time.sleep(0.01)
    run("second", there, here)
    first.join()
    run("third", here, here)
    assert [(tmp_path / name).read_text().strip() for name in ("first", "second", "third")] == ["2", "1", "2"]


def test_stand_ins_are_used_only_where_the_real_package_is_missing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def placeholders() -> list[str]:
        path = vendor_environment(root, "/bin")["PYTHONPATH"].split(os.pathsep)
        return [Path(p).name for p in path if "placeholders" in p]

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert placeholders() == ["torch", "onnxruntime_extensions"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert placeholders() == []


def test_a_failure_says_what_our_command_reported_or_what_the_log_shows(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("old: No space left on device\n$ model_deploy.py\nstd::bad_alloc\n")
    command = Command("model_deploy.py")
    error = failure(command, 1, tmp_path, log, log.read_text().index("$"))
    assert isinstance(error, ToolFailed) and error.message == "model_deploy.py: out of memory"
    log.write_text("nothing known")
    killed = failure(command, -9, tmp_path, log, 0)
    assert killed.message == "model_deploy.py: killed by SIGKILL: from outside, mostly for want of memory"
    assert "fewer steps" in killed.hint
    assert "SIGFPE: it divided by zero" in failure(command, -8, tmp_path, log, 0).message
    assert failure(command, -50, tmp_path, log, 0).message == "model_deploy.py: killed by signal 50"
    said = {"type": "SourceError", "message": "x.onnx: damaged", "hint": "get it again"}
    (tmp_path / "error.json").write_text(json.dumps(said))
    error = failure(command, 1, tmp_path, log, 0)
    assert isinstance(error, SourceError) and not isinstance(error, ConfigError) and error.hint == "get it again"


# Does not decide what a command writes: what it says where it writes nothing, and how that is laid out.
NEUTRAL = {"errors", "system/text"}
# What a command begins with, where that is not its module.
STARTS = {"simulate": "runtime/engines/simulate"}


def sources_of(tool: str) -> set[Path]:
    return {path for pattern in COMMANDS[tool].sources for path in PACKAGE.glob(pattern)}


def imported(path: Path) -> set[str]:
    """The modules of bmzoo that a module imports anywhere in it, as paths below the package without a suffix."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bmzoo"):
            modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {m.removeprefix("bmzoo").removeprefix(".").replace(".", "/") for m in modules}
    return {name for name in found if (PACKAGE / f"{name}.py").is_file()}


@pytest.mark.parametrize("tool", sorted(COMMANDS))
def test_every_source_that_decides_a_commands_result_counts_in_its_identity(tool: str) -> None:
    """Otherwise an edit to it would leave stale results behind."""
    counted = sources_of(tool)
    # What counts is walked, too: rows of a table are imported by name.
    todo = [STARTS.get(tool, f"commands/{COMMANDS[tool].module}")]
    todo += [str(path.relative_to(PACKAGE).with_suffix("")) for path in counted]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in seen and name not in NEUTRAL:
            seen.add(name)
            todo += imported(PACKAGE / f"{name}.py")
    assert {PACKAGE / f"{name}.py" for name in seen} - counted == set()


@pytest.mark.parametrize("tool", ["import", "measure", "compare", "agree", "evaluate", "infer", "drift"])
def test_the_session_of_the_reference_counts_in_every_verdict(tool: str) -> None:
    assert PACKAGE / "runtime" / "engines" / "session.py" in sources_of(tool)


def test_every_pattern_of_sources_finds_something() -> None:
    for tool, command in COMMANDS.items():
        assert not [pattern for pattern in command.sources if not [*PACKAGE.glob(pattern)]], tool
