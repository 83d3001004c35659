"""tools/bootstrap.py, with an installer that only pretends: what is installed, and what survives interruptions."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bootstrap_module import PYTHON, ROOT, bootstrap, executable

Made = tuple[Path, list[list[str]], Callable[[Path, int], Callable[[list[str]], None]]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A checkout with locks, the commands run so far, and the installer."""
    root = (tmp_path / "zoo").resolve()
    root.mkdir()
    (root / "requirements.lock").write_text("# header\nnumpy==1 --hash=sha256:0\ntpu-mlir==1 --hash=sha256:0\n")
    (root / "requirements-dev.lock").write_text("pytest==1 --hash=sha256:0\n")
    calls: list[list[str]] = []

    def install(argv: list[str]) -> None:
        calls.append(argv)
        if "venv" in argv:
            shutil.rmtree(root / ".venv", ignore_errors=True)
            for name in ("python", "doit"):
                executable(root / ".venv/bin" / name, "exit 0")
            (root / ".venv/lib/python3.10/site-packages/tpu_mlir/python").mkdir(parents=True)
        if "pip" in argv:
            time.sleep(0.05)

    return root, calls, lambda _log, _lock: install


def installs(calls: list[list[str]]) -> int:
    return sum("pip" in argv for argv in calls)


def shell_thinks_current(root: Path, **env: str) -> bool:
    """Whether ./doit goes straight to .venv."""
    shutil.copy(ROOT / "doit", root / "doit")
    (root / "tools").mkdir(exist_ok=True)
    (root / "tools/bootstrap.py").write_text("import sys; sys.exit(7)")
    full = {"PATH": "/usr/bin:/bin", "BMZOO_PYTHON": PYTHON, **env}
    return subprocess.run([root / "doit"], env=full, check=False, capture_output=True).returncode == 0


@pytest.fixture(autouse=True)
def no_toolchain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TPUC_ROOT", raising=False)
    monkeypatch.setattr(bootstrap.platform, "libc_ver", lambda: ("glibc", "2.36"))


def test_a_second_call_has_nothing_to_do_and_the_shell_agrees(made: Made) -> None:
    root, calls, make_run = made
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert shell_thinks_current(root)
    before = len(calls)
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert len(calls) == before
    assert (root / ".venv/lib/python3.10/site-packages/bmzoo.pth").read_text() == "../../../..\n"
    executable(root / ".venv/bin/python", 'echo "$@"')
    done = subprocess.run([root / ".venv/bin/doit", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == "-m bmzoo.tasks a b\n"


def test_a_changed_lock_is_installed_in_place_and_a_moved_checkout_anew(made: Made, tmp_path: Path) -> None:
    root, calls, make_run = made
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    (root / "requirements.lock").write_text("numpy==2 --hash=sha256:0\n")
    assert not shell_thinks_current(root)
    calls.clear()
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert shell_thinks_current(root)
    assert not any("venv" in argv for argv in calls)
    moved = tmp_path / "moved"
    root.rename(moved)
    assert not shell_thinks_current(moved)
    assert not bootstrap.Checkout(moved, True).current()
    assert bootstrap.Checkout(moved, True).stamped() == ""


def test_what_a_link_points_to_is_emptied_only_where_it_is_of_this_checkout(made: Made, tmp_path: Path) -> None:
    root, calls, make_run = made
    other = tmp_path / "other"
    other.mkdir()
    (other / "bmzoo.stamp").write_text("/somewhere/else\nbundled\n")
    for pointed in (other, tmp_path / "gone"):
        (root / ".venv").symlink_to(pointed)
        with pytest.raises(bootstrap.BootstrapError, match="is a link to"):
            bootstrap.bootstrap(root, False, make_run, PYTHON)
        (root / ".venv").unlink()
    assert not calls
    assert (other / "bmzoo.stamp").exists()
    (tmp_path / "empty").mkdir()
    (root / ".venv").symlink_to(tmp_path / "empty")
    bootstrap.Checkout(root, True).spare_linked()


@pytest.mark.parametrize("at", range(1, 5))
def test_an_interruption_at_any_step_is_made_good(made: Made, at: int) -> None:
    root, calls, make_run = made

    def dies(argv: list[str]) -> None:
        if len(calls) == at:
            raise KeyboardInterrupt
        make_run(root, 0)(argv)

    if at < 4:
        with pytest.raises(KeyboardInterrupt):
            bootstrap.bootstrap(root, False, lambda _log, _lock: dies, PYTHON)
        assert not shell_thinks_current(root)
    calls.clear()
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert "venv" in calls[0]
    assert shell_thinks_current(root)


def test_two_at_once_install_once_and_the_second_says_that_it_waits(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    root, calls, make_run = made
    threads = [threading.Thread(target=bootstrap.bootstrap, args=(root, False, make_run, PYTHON)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert installs(calls) == 1
    assert capsys.readouterr().err.count("waiting for another ./doit") == 1


def test_development_packages_are_added_once(made: Made) -> None:
    root, calls, make_run = made
    bootstrap.bootstrap(root, True, make_run, PYTHON)
    bootstrap.bootstrap(root, True, make_run, PYTHON)
    assert installs(calls) == 2


def test_a_toolchain_of_ones_own_is_used_and_tpu_mlir_is_not_installed(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root, calls, make_run = made
    tool = tmp_path / "tpuc/python/tools/model_transform.py"
    monkeypatch.setenv("TPUC_ROOT", str(tmp_path / "tpuc"))
    with pytest.raises(
        bootstrap.BootstrapError, match=r"TPUC_ROOT does not name[^\n]*model_transform.py\)\nhint: "
    ):
        bootstrap.bootstrap(root, False, make_run, PYTHON)
    tool.parent.mkdir(parents=True)
    tool.write_text("")
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert (root / ".venv/bmzoo.requirements").read_text() == "numpy==1 --hash=sha256:0\n"
    assert shell_thinks_current(root, TPUC_ROOT=str(tmp_path / "tpuc"))
    assert not shell_thinks_current(root, TPUC_ROOT="/nowhere")
    assert not shell_thinks_current(root)
    monkeypatch.delenv("TPUC_ROOT")
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert "tpu-mlir" in (root / ".venv/bmzoo.requirements").read_text()
    # One that has TPU-MLIR serves for both, and `import tpu_mlir` setting the variable changes nothing.
    assert shell_thinks_current(root, TPUC_ROOT=str(tmp_path / "tpuc"))
    assert shell_thinks_current(root, TPUC_ROOT=f"{root}/.venv/lib/python3.10/site-packages/tpu_mlir")
    assert bootstrap.external_toolchain({"TPUC_ROOT": f"{root}/.venv/lib/x"}, root / ".venv") is None


def test_the_wheels_glibc_is_set_aside_once_and_again_after_an_update(tmp_path: Path) -> None:
    library = tmp_path / "lib/python3.10/site-packages/tpu_mlir/lib"
    third_party = library / "third_party"
    third_party.mkdir(parents=True)
    for content in ("old", "new"):
        for name in ("libc.so.6", "libm.so.6", "libpthread.so.0", "libGL.so.1"):
            (third_party / name).write_text(content)
        for _ in range(2):
            bootstrap.set_glibc_aside(tmp_path)
        assert [path.name for path in third_party.iterdir()] == ["libGL.so.1"]
        assert (library / "host_glibc_unused/libc.so.6").read_text() == content


def test_what_cannot_work_is_refused_early(tmp_path: Path) -> None:
    bootstrap.check_host(tmp_path / "with space and ü", True, ("glibc", "2.35"))
    bootstrap.check_host(tmp_path, False, ("glibc", "2.31"))
    for libc in (("glibc", "2.31"), ("", "")):
        with pytest.raises(bootstrap.BootstrapError, match="TPU-MLIR needs glibc 2.35 or newer"):
            bootstrap.check_host(tmp_path, True, libc)
    with pytest.raises(bootstrap.BootstrapError, match="path contains ':'"):
        bootstrap.check_host(tmp_path / "a:b", True, ("glibc", "2.36"))


def test_a_lock_with_other_line_ends_is_the_same_lock(made: Made) -> None:
    root, calls, make_run = made
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    lock = root / "requirements.lock"
    lock.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))
    before = len(calls)
    assert not shell_thinks_current(root)
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert len(calls) == before and shell_thinks_current(root)
    shutil.rmtree(root / ".venv")
    bootstrap.bootstrap(root, False, make_run, PYTHON)
    assert shell_thinks_current(root)
    assert b"\r" not in (root / ".venv/bmzoo.requirements").read_bytes()


@pytest.mark.bootstrap
def test_a_real_environment_is_made_from_the_lock(tmp_path: Path) -> None:
    root = tmp_path / "a fresh clone"
    root.mkdir()
    for name in ("doit", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, root / name)
    for name in ("tools", "bmzoo"):
        shutil.copytree(ROOT / name, root / name)
    env = {**os.environ, "BMZOO_PYTHON": PYTHON}
    env.pop("TPUC_ROOT", None)
    done = subprocess.run([root / "doit", "--version"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.37.0")
    # The last call dies when the wheel's own glibc is still in its library folder.
    code = "import onnxruntime, doit, bmzoo, tpu_mlir, subprocess; subprocess.run(['/bin/true'], check=True)"
    subprocess.run([root / ".venv/bin/python", "-c", code], cwd=tmp_path, check=True, env=env)
