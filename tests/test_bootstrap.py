"""./doit and tools/bootstrap.py: which Python, what is installed, and what survives interruptions."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON = f"{sys.base_prefix}/bin/python3.10"  # not the one of .venv


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


bootstrap = load("bootstrap")


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


REAL = f'exec "{PYTHON}" "$@"'
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


# What follows calls tools/bootstrap.py itself, with an installer that only pretends.


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


def test_settings_that_break_an_environment_do_not_reach_pip() -> None:
    env = bootstrap.child_environ(
        {
            "PYTHONPATH": "/x",
            "PYTHONHOME": "/x",
            "PIP_TARGET": "/x",
            "PIP_USER": "1",
            "PIP_INDEX_URL": "u",
            "HOME": "",
        }
    )
    assert {key: env[key] for key in ("PIP_USER", "PIP_INDEX_URL")} == {"PIP_USER": "0", "PIP_INDEX_URL": "u"}
    assert not env.keys() & {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "HOME"}


@pytest.mark.parametrize("section", ["global", "install"])
@pytest.mark.parametrize("name", sorted(bootstrap.HARMFUL_OPTIONS))
def test_settings_of_a_pip_conf_that_break_an_environment_do_not_reach_pip(
    name: str, section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = f"{section}.{name}='/x'\nglobal.index-url='https://a'\ninstall.find-links='/b\\n/c'\n:env:.target='/y'"
    settings = bootstrap.pip_settings(listed, {"PIP_INDEX_URL": "https://own"})
    assert settings == {
        **{"PIP_INDEX_URL": "https://own", "PIP_FIND_LINKS": "/b\n/c", "PIP_CONFIG_FILE": os.devnull}
    }
    assert f"pip.conf: not used here: {name} = /x" in capsys.readouterr().err
    assert bootstrap.child_environ({f"PIP_{name.upper().replace('-', '_')}": "1"}).keys() <= {
        *("PIP_USER", "PIP_NO_CACHE_DIR")
    }


def test_a_pip_conf_that_breaks_nothing_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.pip_settings("global.index-url='https://a'\nglobal.proxy='p'", {}) == {}
    assert bootstrap.pip_settings("ERROR: Configuration file could not be loaded", {}) == {}
    assert capsys.readouterr().err == ""


def test_a_real_pip_is_asked_and_obeys(tmp_path: Path) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text("[global]\nindex-url = https://a b\n[install]\ntarget = /x\nprefix = /y\nconstraint = c.txt\n")
    env = bootstrap.pip_environ(PYTHON, {"PATH": os.environ["PATH"], "HOME": "/", "PIP_CONFIG_FILE": str(conf)})
    assert env["PIP_CONFIG_FILE"] == os.devnull and env["PIP_INDEX_URL"] == "https://a b"
    argv = [PYTHON, "-I", "-m", "pip", "config", "list"]
    told = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    assert "index-url" in told and not [word for word in ("target", "prefix", "constraint") if word in told]


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


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "WARNING: Retrying ... NewConnectionError\nERROR: No matching distribution found for x==1",
            "no answer",
        ),
        ("ERROR: No matching distribution found for x==1", "lacks a package"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "another mirror"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "free some disk",
        ),
        ("ERROR: Could not find a version that satisfies x==1 (from versions: none)", "no answer"),
        ("Segmentation fault", "read the log's end"),
    ],
)
def test_a_failed_installation_is_explained(tmp_path: Path, said: str, advice: str) -> None:
    log = tmp_path / "logs/bootstrap.log"
    run = bootstrap.logged_runner(log, os.open(tmp_path, os.O_RDONLY), os.environ)
    with pytest.raises(bootstrap.BootstrapError) as caught:
        run(["/bin/sh", "-c", f"echo '{said}'; exit 3"])
    message, hint = str(caught.value).split("\nhint: ")
    assert "exit status 3" in message
    assert said.splitlines()[-1] in message
    assert advice in hint
    assert str(log) in hint


def names(path: Path) -> list[str]:
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return [re.split(r"[=<>]", line)[0].strip().lower().replace("_", "-") for line in lines if line]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_is_complete_hashed_and_names_no_index(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text()
    lines = bootstrap.requirements(text, True)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+( --hash=sha256:[0-9a-f]{64})+", line) for line in lines)
    assert lines == sorted(lines)
    assert "://" not in text
    assert sorted(names(ROOT / f"{name}.in")) == sorted(line.split("==")[0] for line in lines)
    for pin in re.findall(r"^(\S+==\S+)$", (ROOT / f"{name}.in").read_text(), re.MULTILINE):
        assert any(line.startswith(pin.replace("_", "-") + " ") for line in lines)


def test_the_two_locks_share_no_package() -> None:
    assert not set(names(ROOT / "requirements.lock")) & set(names(ROOT / "requirements-dev.lock"))


@pytest.mark.parametrize("package", ["torch", "onnxruntime_extensions"])
def test_a_placeholder_imports_and_any_use_says_what_to_install(package: str) -> None:
    use = {"torch": "torch.tensor([1])", "onnxruntime_extensions": "PyOrtFunction.from_model(b'')"}[package]
    code = f"import {package}; from {package} import *\n{use}"
    env = {"PYTHONPATH": str(ROOT / "bmzoo/execute/placeholders" / package)}
    done = subprocess.run([PYTHON, "-c", code], env=env, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: bmzoo: ")
    assert f".venv/bin/pip install {package}==" in last


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
