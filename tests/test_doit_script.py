"""./doit: which Python it finds, and what it hands on."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootstrap_module import PYTHON, REAL, ROOT, executable

REFUSES = 'echo "pyenv: python3.10: command not found" >&2; exit 127'
OLD = "echo 'is not CPython 3.10 but CPython 3.8.1' >&2; exit 1"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the real ./doit, and a bootstrap that only says which Python runs it."""
    root = tmp_path / "a checkout"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "doit", root / "doit")
    (root / "tools/bootstrap.py").write_text(
        "import sys, os, pathlib\n"
        "print('bootstrap ran on', sys.executable, file=sys.stderr)\n"
        "doit = pathlib.Path('.venv/bin/python'); doit.parent.mkdir(parents=True)\n"
        "doit.write_text('#!/bin/sh\\nshift 2; echo task: $*; echo from: $BMZOO_CALLED_FROM $BMZOO_DATA\\n'\n"
        "    'if read -r line; then echo stdin: $line; fi')\n"
        "doit.chmod(0o755)\n"
    )
    (root / "requirements.lock").write_text("a==1\n")
    return root


def doit(
    root: Path, *path: Path, cwd: Path | None = None, given: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """./doit with only those folders and the system's on PATH (the system's own python3.10 comes last)."""
    full = {"PATH": ":".join([*map(str, path), "/usr/bin", "/bin"]), **env}
    argv = [str(root / "doit"), "plan", "two words"]
    return subprocess.run(argv, env=full, cwd=cwd, input=given, text=True, capture_output=True, check=False)


def test_a_shim_that_refuses_and_a_wrong_version_are_skipped(checkout: Path, tmp_path: Path) -> None:
    executable(tmp_path / "shims/python3.10", REFUSES)
    executable(tmp_path / "old/python3.10", OLD)
    executable(tmp_path / "good/python3.10", REAL)
    done = doit(checkout, tmp_path / "shims", tmp_path / "old", tmp_path / "good", given="typed\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"task: plan two words\nfrom: {Path.cwd()}\nstdin: typed\n"
    assert f"bootstrap ran on {PYTHON}" in done.stderr


def test_pyenv_versions_are_found_beside_their_shims_without_a_home(checkout: Path, tmp_path: Path) -> None:
    executable(tmp_path / "pyenv/shims/python3.10", REFUSES)
    executable(tmp_path / "pyenv/versions/3.10.99/bin/python3.10", REAL)
    for home in ({}, {"HOME": ""}):
        done = doit(checkout, tmp_path / "pyenv/shims", cwd=Path("/"), **home)
        assert done.returncode == 0, done.stderr
        shutil.rmtree(checkout / ".venv")


def test_conda_and_uv_are_asked(checkout: Path, tmp_path: Path) -> None:
    executable(tmp_path / "conda/envs/py310/bin/python3.10", REAL)
    assert doit(checkout, CONDA_EXE=str(tmp_path / "conda/bin/conda")).returncode == 0
    shutil.rmtree(checkout / ".venv")
    executable(tmp_path / "bin/uv", f"echo '{executable(tmp_path / 'uv python', REAL)}'")
    assert doit(checkout, tmp_path / "bin").returncode == 0


@pytest.mark.skipif(Path("/usr/bin/python3.10").exists(), reason="this system has a Python 3.10 of its own")
def test_without_a_python_the_message_says_what_was_tried_and_how_to_get_one(
    checkout: Path, tmp_path: Path
) -> None:
    shim = executable(tmp_path / "bin/python3.10", REFUSES)
    done = doit(checkout, tmp_path / "bin", HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"  {shim}: pyenv: python3.10: command not found\nhint: " in done.stderr
    for way in (
        "uv python install 3.10",
        "conda create",
        "deadsnakes",
        "dnf install python3.10",
        "BMZOO_PYTHON",
    ):
        assert way in done.stderr


def test_bmzoo_python_wins_and_is_not_replaced_when_it_is_wrong(checkout: Path, tmp_path: Path) -> None:
    executable(tmp_path / "bin/python3.10", REAL)
    old = executable(tmp_path / "old", OLD)
    for wrong, why in ((old, "is not CPython 3.10 but CPython 3.8.1"), (tmp_path / "absent", "not found")):
        done = doit(checkout, tmp_path / "bin", BMZOO_PYTHON=str(wrong))
        assert done.returncode == 1
        assert f"BMZOO_PYTHON: not usable: {wrong}: " in done.stderr
        assert why in done.stderr
        assert "\nhint: " in done.stderr
    good = executable(tmp_path / "my python", f'echo "$0" >> "{tmp_path}/used"; {REAL}')
    assert doit(checkout, BMZOO_PYTHON=str(good)).returncode == 0
    assert (tmp_path / "used").exists()


def test_another_machine_is_refused(checkout: Path, tmp_path: Path) -> None:
    executable(tmp_path / "bin/uname", "echo Darwin arm64")
    done = doit(checkout, tmp_path / "bin")
    assert done.returncode == 1
    assert "Linux x86-64 only, and this is: Darwin arm64" in done.stderr


def test_doit_can_be_called_through_a_link(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(checkout / "doit")
    done = subprocess.run([tmp_path / "link"], env={"PATH": "/usr/bin:/bin", "BMZOO_PYTHON": PYTHON}, check=False)
    assert done.returncode == 0
    assert (checkout / ".venv/bin/python").exists()


def test_relative_paths_in_variables_begin_where_the_caller_is(checkout: Path, tmp_path: Path) -> None:
    away = tmp_path / "some where"
    executable(away / "my/python", REAL)
    done = doit(checkout, cwd=away, BMZOO_PYTHON="my/python", BMZOO_DATA="my data")
    assert f"from: {away} {away}/my data\n" in done.stdout, done.stderr
    shutil.rmtree(checkout / ".venv")
    executable(tmp_path / "bin/python3.10", REAL)
    again = doit(checkout, tmp_path / "bin", cwd=away, BMZOO_PYTHON="python3.10", BMZOO_DATA="/data", TPUC_ROOT="")
    assert f"from: {away} /data\n" in again.stdout, again.stderr


def nobody(argv: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """Run as a user to whom nothing here belongs, where this one is root."""
    full = {"PATH": "/usr/bin:/bin", **env}
    who = 65534 if os.geteuid() == 0 else None
    return subprocess.run(argv, env=full, user=who, text=True, capture_output=True, check=False)


@pytest.fixture
def open_checkout() -> Iterator[Path]:
    """A checkout that every user can read, beside a home that nobody but root can enter."""
    folder = Path(tempfile.mkdtemp()).resolve()
    folder.chmod(0o755)
    (folder / "zoo/.venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "doit", folder / "zoo/doit")
    (folder / "zoo/requirements.lock").write_text("a==1\n")
    (folder / "zoo/.venv/bmzoo.lock").write_text("a==1\n")
    (folder / "zoo/.venv/bmzoo.stamp").write_text(f"{folder}/zoo\nbundled\n")
    executable(folder / "home/bin/python3.10", REAL)
    (folder / "zoo/.venv/bin/python").symlink_to(folder / "home/bin/python3.10")
    (folder / "home").chmod(0)
    (folder / "zoo/.venv").chmod(0o555)
    yield folder
    for closed in ("home", "zoo/.venv"):
        if (folder / closed).exists():
            (folder / closed).chmod(0o755)
    shutil.rmtree(folder)


def test_an_environment_with_a_python_in_a_closed_home_is_named(open_checkout: Path) -> None:
    done = nobody([str(open_checkout / "zoo/doit"), "list"])
    assert done.returncode == 1
    python = open_checkout / "home/bin/python3.10"
    assert f"bmzoo: .venv was made with a Python that this user cannot run: {python}\nhint: " in done.stderr
    assert "BMZOO_PYTHON" in done.stderr


@pytest.mark.skipif(Path("/usr/bin/python3.10").exists(), reason="this system has a Python 3.10 of its own")
def test_a_python_in_a_closed_home_is_listed_among_those_tried(open_checkout: Path) -> None:
    (open_checkout / "zoo/.venv").chmod(0o755)
    shutil.rmtree(open_checkout / "zoo/.venv")
    done = nobody([str(open_checkout / "zoo/doit"), "list"], PATH=f"{open_checkout}/home/bin:/usr/bin:/bin")
    assert done.returncode == 1
    python = open_checkout / "home/bin/python3.10"
    assert f"  {python}: {open_checkout}/home is closed to this user" in done.stderr
