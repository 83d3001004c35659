"""Make .venv from requirements.lock, or bring it up to date; `./doit` calls this when the two differ.

Usage: python3.10 tools/bootstrap.py [--dev]    (--dev adds requirements-dev.lock, for the tests and linters)

Runs on the bare interpreter, so it imports the standard library only. Files that it keeps inside .venv:
bmzoo.lock      a copy of the lock that was installed; bmzoo-dev.lock likewise
bmzoo.stamp     the checkout's folder, then `bundled` or `external` (a TPU-MLIR of $TPUC_ROOT is used). It is
                removed before anything changes and written last: an environment without it is incomplete,
                and is made anew.
"""

import argparse
import ast
import fcntl
import os
import platform
import pwd
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What the wheel's own libgcc_s.so.1 asks of the host, once the wheel's libc is out of the way.
GLIBC = (2, 35)
# The glibc of Ubuntu 22.04, shipped in a folder that tpu_mlir puts first in LD_LIBRARY_PATH. Beside the
# loader of any other glibc it crashes every child process, /bin/sh included.
BUNDLED_GLIBC = ("libc.so.6", "libm.so.6", "libpthread.so.0")
# Imported once when all is installed: shows that the environment works on this machine, and leaves bytecode
# of just what the steps import (all of it would be 8 s and 90 MB; without, each step takes a second more).
SMOKE = (
    "import doit.doit_cmd, fsspec, pydantic, yaml, rich.console, rich.table, numpy, cv2, onnx, onnxruntime, "
    "onnxsim, filelock, graphviz, pkg_resources, psutil, scipy.spatial, setuptools.sandbox, sklearn.cluster, "
    "sklearn.metrics, PIL.Image, plotly.graph_objects as go, plotly.subplots, tqdm; go.Figure, go.Scattergl"
)
# Settings that make pip install somewhere else, something else, or nothing at all, in variables and in pip.conf.
HARMFUL_OPTIONS = {
    *("target", "prefix", "root", "python", "dry-run", "user", "src", "upgrade-strategy", "report", "log"),
    *("constraint", "build-constraint", "requirement", "editable", "group", "requirements-from-script"),
    *("platform", "python-version", "implementation", "abi", "no-binary", "only-binary", "pre", "config-settings"),
    *("ignore-installed", "force-reinstall", "require-virtualenv", "no-build-isolation", "uploaded-prior-to"),
}
HARMFUL = {"__PYVENV_LAUNCHER__", *(f"PIP_{name.upper().replace('-', '_')}" for name in HARMFUL_OPTIONS)}
# Signs in pip's output, most telling first, and what to do about each.
ADVICE = (
    (
        r"No space left on device|Disk quota exceeded",
        "free some disk: .venv takes 1.4 GB, another TPU-MLIR 0.8 GB, TMPDIR (now {tmp}) 0.5 GB while installing",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "the package index served another file than requirements.lock names: try another mirror "
        "(`pip config list` shows the one in use), or `pip cache purge` if the cache is damaged",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "the package index's certificate is not trusted: behind a proxy, set PIP_CERT to its certificates",
    ),
    (
        r"NewConnectionError|NameResolutionError|Connect(ion)?Timeout|ReadTimeout|ProxyError|Max retries"
        r"|Connection (refused|broken|reset)|Temporary failure in name resolution|\(from versions: none\)",
        "no answer from the package index: check the network, HTTPS_PROXY or PIP_INDEX_URL, and try again",
    ),
    (
        r"No matching distribution|Could not find a version",
        "the package index in use lacks a package: try one that mirrors pypi.org fully (PIP_INDEX_URL)",
    ),
    (r"Permission denied|Read-only file system", "this user cannot write there"),
)


class BootstrapError(Exception):
    """A failure that is explained in one line, with a hint on what to do next."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}\nhint: {hint}")


Run = Callable[[list[str]], None]


def say(text: str) -> None:
    """Progress, to stderr: stdout belongs to the task that runs afterwards."""
    print(f"bmzoo: {text}", file=sys.stderr, flush=True)


def requirements(lock: str, bundled: bool) -> list[str]:
    """The lock's requirement lines, without tpu_mlir when an installation of one's own is used."""
    lines = [line for line in lock.splitlines() if line.strip() and not line.startswith("#")]
    return [line for line in lines if bundled or not re.match(r"tpu[-_.]mlir==", line, re.IGNORECASE)]


def external_toolchain(environ: Mapping[str, str], venv: Path) -> Path | None:
    """The TPU-MLIR that $TPUC_ROOT names, if it is one of the user's own and looks complete."""
    named = environ.get("TPUC_ROOT", "")
    # `import tpu_mlir` sets the variable for its children, which may well be another ./doit.
    if not named or Path(named).is_relative_to(venv):
        return None
    tool = Path(named) / "python/tools/model_transform.py"
    if not tool.exists():
        raise BootstrapError(
            f"TPUC_ROOT does not name a TPU-MLIR installation: {named} (no {tool})",
            "name the folder that holds bin, lib and python, or unset TPUC_ROOT to have one installed here",
        )
    return Path(named)


def child_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what would break a virtual environment; mirrors and proxies stay."""
    env = {key: value for key, value in environ.items() if not key.startswith("PYTHON") and key not in HARMFUL}
    env["PIP_USER"] = "0"  # beats `user = true` in a pip.conf
    if not env.get("HOME"):  # empty, pip would keep its cache in /
        env.pop("HOME", None)
        try:
            pwd.getpwuid(os.getuid())
        except KeyError:  # a container's nameless user has no other home either
            env["PIP_NO_CACHE_DIR"] = "1"
    return env


def pip_settings(listed: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What pip.conf files say, as variables and without what breaks an environment; empty where nothing does.

    `listed`: what `pip config list` prints, lines as `global.index-url='https://...'`. Variables of the caller
    win, as they do for pip; what a file says of `install` wins over what it says of everything.
    """
    found: dict[str, dict[str, str]] = {}
    for line in listed.splitlines():
        match = re.fullmatch(r"(global|install)\.([a-z-]+)=('.*'|\".*\")", line)
        if match:
            found.setdefault(match[1], {})[match[2]] = str(ast.literal_eval(match[3]))
    settings = {**found.get("global", {}), **found.get("install", {})}
    bad = sorted(settings.keys() & HARMFUL_OPTIONS)
    if not bad:
        return {}
    say(f"pip.conf: not used here: {', '.join(f'{name} = {settings[name]}' for name in bad)}")
    kept = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in settings.items() if name not in bad}
    own = {name: environ[name] for name in kept if name in environ}
    return {**kept, **own, "PIP_CONFIG_FILE": os.devnull}  # which keeps pip from reading any


def pip_environ(python: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a pip that installs."""
    env = child_environ(environ)
    argv = [python, "-I", "-m", "pip", "config", "list"]
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return {**env, **pip_settings(done.stdout, env)}


def check_host(root: Path, bundled: bool, libc: tuple[str, str]) -> None:
    """Refuse early what cannot work: a folder that breaks search paths, a host too old for TPU-MLIR."""
    if bad := set(str(root)) & set(':;\n"'):
        raise BootstrapError(
            f"the checkout's path contains {min(bad)!r}, which search paths cannot hold: {root}",
            "move the checkout to a folder with a plainer name",
        )
    if not bundled:
        return
    name, version = libc
    have = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if name != "glibc" or have < GLIBC:
        raise BootstrapError(
            f"TPU-MLIR needs glibc {GLIBC[0]}.{GLIBC[1]} or newer, and this system has: "
            + (f"{name} {version}" if name else "another C library"),
            "use Ubuntu 22.04, Debian 12, Fedora 36 or newer, or name an installation that runs in TPUC_ROOT",
        )


def set_glibc_aside(venv: Path) -> None:
    """Move the wheel's glibc out of its library folder, where the loader does not look."""
    for packages in venv.glob("lib/python3*/site-packages"):
        spare_glibc(packages)


def spare_glibc(packages: Path) -> None:
    """The same of the folder that the wheel was unpacked in."""
    for folder in packages.glob("tpu_mlir/lib/third_party"):
        aside = folder.parent / "host_glibc_unused"
        for name in BUNDLED_GLIBC:
            if (folder / name).exists():
                aside.mkdir(exist_ok=True)
                (folder / name).replace(aside / name)


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there in full or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", errors="surrogateescape")
    part.replace(path)


def read_text(path: Path) -> str:
    """A file's text, empty when it is not there."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


@contextmanager
def alone(path: Path, what: str = ".venv") -> Iterator[int]:
    """Hold the lock on .venv, waiting for another process that is at it; yields the lock's descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another ./doit that is installing into {what}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def logged_runner(log: Path, lock_descriptor: int, environ: Mapping[str, str], what: str = ".venv") -> Run:
    """A function that runs a command with its output in `log`, and explains how it failed. `what`: is made."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")

    def run(argv: list[str]) -> None:
        # The child keeps the lock too: should this process alone be killed, the next waits until pip is gone.
        with log.open("ab") as out:
            out.write(f"$ {' '.join(argv)}\n".encode(errors="replace"))
            out.flush()
            code = subprocess.run(
                argv,
                env=pip_environ(argv[0], environ) if "pip" in argv else child_environ(environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=[lock_descriptor],
                check=False,
            ).returncode
        if code:
            raise explained(log, code, what)

    return run


def explained(log: Path, code: int, what: str = ".venv") -> BootstrapError:
    """What the end of the log says about a command that failed."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if re.match(r"(ERROR|\w*Error):", line)] or [line for line in lines if line]
    tmp = os.environ.get("TMPDIR", "/tmp")  # noqa: S108  # named in a message only
    advice = next((advice.format(tmp=tmp) for sign, advice in ADVICE if re.search(sign, text)), "")
    if not advice:
        advice = "it was killed, by hand or for want of memory: try again" if code < 0 else "read the log's end"
    shown = "\n  ".join(line[:300] for line in telling[-3:])
    return BootstrapError(
        f"installing into {what} failed (exit status {code}):\n  {shown}", f"{advice}; log: {log}"
    )


@dataclass(frozen=True)
class Checkout:
    """One checkout, the environment inside it, and whether that holds TPU-MLIR itself."""

    root: Path
    bundled: bool

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        return self.venv / "bmzoo.stamp"

    def stamped(self) -> str:
        """The toolchain that a complete environment of this very folder was made for, or an empty string."""
        folder, _, toolchain = read_text(self.stamp).rpartition("\n")[0].rpartition("\n")
        works = os.access(self.venv / "bin/python", os.X_OK)
        return toolchain if works and folder == str(self.root) else ""

    def current(self) -> bool:
        """Whether there is nothing to do; `./doit` asks the same in shell."""
        serves = {"bundled"} if self.bundled else {"bundled", "external"}
        return (
            self.stamped() in serves
            and os.access(self.venv / "bin/doit", os.X_OK)
            and read_text(self.venv / "bmzoo.lock") == read_text(self.root / "requirements.lock")
        )

    def pip(self, lock: str, bundled: bool) -> list[str]:
        """Write the requirements into .venv and return the command that installs exactly those."""
        wanted = self.venv / "bmzoo.requirements"
        write_whole(wanted, "\n".join([*requirements(lock, bundled), ""]))
        argv = [str(self.venv / "bin/python"), "-I", "-m", "pip", "install", "--no-deps", "--require-hashes"]
        argv += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        return [*argv, "--no-warn-script-location", "--no-compile", "-r", str(wanted)]

    def install(self, run: Run, python: str) -> None:
        """Make the environment, or change a complete one in place."""
        lock = (self.root / "requirements.lock").read_text(encoding="utf-8")
        fresh = not self.stamped()
        self.spare_linked()
        self.stamp.unlink(missing_ok=True)
        count = len(requirements(lock, self.bundled))
        if fresh:
            size = "1.4 GB" if self.bundled else "0.6 GB"
            say(f"installing {count} packages into .venv ({size}, about a minute, once)")
            run([python, "-I", "-m", "venv", "--clear", str(self.venv)])
        else:
            say(f"requirements.lock has changed: updating .venv ({count} packages)")
        run(self.pip(lock, self.bundled))
        run([str(self.venv / "bin/python"), "-I", "-c", SMOKE])
        if self.bundled:
            set_glibc_aside(self.venv)
            compiler = next(self.venv.glob("lib/python3*/site-packages/tpu_mlir/python"))
            run([str(self.venv / "bin/python"), "-I", "-m", "compileall", "-q", "-j", "0", str(compiler)])
        # Makes `import bmzoo` work in plain `doit` too; relative, so that no locale can garble the path.
        write_whole(next(self.venv.glob("lib/python3*/site-packages")) / "bmzoo.pth", "../../../..\n")
        self.keep_program()
        self.keep_lock()
        write_whole(self.stamp, f"{self.root}\n{'bundled' if self.bundled else 'external'}\n")

    def spare_linked(self) -> None:
        """Raise BootstrapError where .venv is a link to what is not this checkout's: a new one would empty that."""
        folder = read_text(self.stamp).partition("\n")[0]
        if not self.venv.is_symlink() or folder == str(self.root):
            return
        if not self.venv.is_dir() or any(self.venv.iterdir()):
            raise BootstrapError(
                f".venv is a link to {self.venv.readlink()}, which is not an environment of this checkout",
                "remove the link, or let it point to an empty folder",
            )

    def keep_program(self) -> None:
        """Make plain `doit` of the activated environment the same as `./doit`."""
        program = self.venv / "bin/doit"
        python = shlex.quote(str(self.venv / "bin/python"))
        write_whole(program, f'#!/bin/sh\nexec {python} -m bmzoo.tasks "$@"\n')
        program.chmod(0o755)

    def keep_lock(self) -> None:
        """Keep the lock as it is, byte for byte: `./doit` compares it so, whatever ends its lines."""
        part = self.venv / "bmzoo.lock.part"
        part.write_bytes((self.root / "requirements.lock").read_bytes())
        part.replace(self.venv / "bmzoo.lock")

    def dev_current(self) -> bool:
        """Whether what tests and linters need is there."""
        return read_text(self.venv / "bmzoo-dev.lock") == read_text(self.root / "requirements-dev.lock")

    def install_dev(self, run: Run) -> None:
        """Add what tests and linters need."""
        lock = (self.root / "requirements-dev.lock").read_text(encoding="utf-8")
        done = self.venv / "bmzoo-dev.lock"
        done.unlink(missing_ok=True)
        say(f"installing {len(requirements(lock, True))} packages for tests and linters into .venv")
        run(self.pip(lock, True))
        write_whole(done, lock)


def bootstrap(root: Path, dev: bool, make_run: Callable[[Path, int], Run], python: str) -> None:
    """Bring the environment of the checkout in `root` up to date, one process at a time."""
    bundled = external_toolchain(os.environ, root / ".venv") is None
    checkout = Checkout(root, bundled)
    check_host(root, bundled, platform.libc_ver())
    with alone(root / ".venv.lock") as descriptor:
        if not checkout.current():
            checkout.install(make_run(root / "build/logs/bootstrap.log", descriptor), python)
        elif (root / "requirements.lock").read_bytes() != (root / ".venv/bmzoo.lock").read_bytes():
            checkout.keep_lock()  # only the ends of lines differ
        if dev and not checkout.dev_current():
            checkout.install_dev(make_run(root / "build/logs/bootstrap-dev.log", descriptor))


def main(argv: list[str]) -> int:
    """The command line; failures are told in a line and a hint."""
    parser = argparse.ArgumentParser(description="Make .venv from requirements.lock, or bring it up to date.")
    parser.add_argument("--dev", action="store_true", help="install requirements-dev.lock as well")
    dev: bool = parser.parse_args(argv).dev
    # An exception, so that subprocess.run ends pip before this process goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = Path(__file__).resolve().parent.parent
    # Never the interpreter inside .venv: it may be removed below.
    inside = sys.prefix != sys.base_prefix
    python = f"{sys.base_prefix}/bin/python3.10" if inside else sys.executable
    try:
        bootstrap(root, dev, lambda log, lock: logged_runner(log, lock, os.environ), python)
    except KeyboardInterrupt:
        say("interrupted; the next ./doit installs again")
        return 130
    except BootstrapError as err:
        say(str(err))
        return 1
    except OSError as err:
        say(f"cannot make .venv: {err}\nhint: the checkout's folder must be writable and its disk not full")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
