"""Another version of TPU-MLIR beside the one in .venv: build/toolchains/VERSION; `./doit upgrade` calls this.

Usage: .venv/bin/python tools/toolchain.py VERSION

Its wheel alone is unpacked there, and runs with the libraries of .venv: 1.22, 1.24, 1.28.1 and 1.30.2 name the same
numpy, onnx, onnxruntime, onnxsim and protobuf, so that nothing but the compiler varies. Whatever differs is written
down in `bmzoo.json` beside it, with the URL and the sha256 that the package index gave and pip compared.

A folder without `.part` at the end is complete: it gets its name last.
"""

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bootstrap import BootstrapError, Run, alone, logged_runner, read_text, say, spare_glibc, write_whole

FOLDER = "build/toolchains"
PROVENANCE = "bmzoo.json"
# Versions of libraries that can show in a result.
DECISIVE = ("numpy", "onnx", "onnxruntime", "onnxsim", "protobuf", "scikit-learn", "scipy")
VERSION = re.compile(r"\d+(\.\d+){1,3}")
SHOWN = 8


def pip_arguments(version: str, part: Path) -> list[str]:
    """The command that unpacks a version's wheel into `part`, and tells in `report.json` where it is from."""
    argv = [sys.executable, "-I", "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-input"]
    argv += ["--disable-pip-version-check", "--progress-bar=off", "--no-compile", "--target", str(part)]
    return [*argv, "--report", str(part / "report.json"), f"tpu_mlir=={version}"]


def offered(log: str) -> list[str]:
    """The versions that pip says there are, the oldest first; empty where it does not say."""
    found = re.findall(r"from versions: ([^)]*)\)", log)
    names = [name.strip() for name in found[-1].split(",")] if found else []
    return [name for name in names if VERSION.fullmatch(name)]


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare with others: 1.9 is older than 1.21."""
    return tuple(int(part) for part in version.split("."))


def not_offered(version: str, there: list[str]) -> BootstrapError:
    """That the index has no such version, and which there are near it."""
    older = [one for one in there if numbers(one) < numbers(version)][-SHOWN // 2 :]
    newer = [one for one in there if numbers(one) > numbers(version)][: SHOWN // 2]
    return BootstrapError(
        f"the package index has no TPU-MLIR {version}", f"near it there are: {', '.join([*older, *newer])}"
    )


def differing(packages: Path) -> Iterator[str]:
    """Libraries that the version names and that .venv has in another version: `numpy 1.26.0, here 1.24.3`."""
    (metadata,) = packages.glob("tpu_mlir-*.dist-info/METADATA")
    pins = dict(
        re.findall(r"^Requires-Dist: ([\w.-]+)==([\w.]+)", metadata.read_text(encoding="utf-8"), re.MULTILINE)
    )
    for name in DECISIVE:
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            here = "missing"
        if pins.get(name, here) != here:
            yield f"{name} {pins[name]}, here {here}"


def provenance(version: str, part: Path) -> dict[str, Any]:
    """Where the wheel is from, by pip's report. Raises BootstrapError where that names no digest."""
    told = json.loads((part / "report.json").read_text(encoding="utf-8"))
    (wheel,) = (one for one in told["install"] if one["metadata"]["version"] == version)
    source = wheel["download_info"]
    digest = source.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    if not digest:
        raise BootstrapError(
            f"the package index gives no sha256 for TPU-MLIR {version}: {source['url']}",
            "use one that does, as pypi.org and its mirrors do (PIP_INDEX_URL)",
        )
    return {"version": version, "url": source["url"], "sha256": digest, "libraries": list(differing(part))}


def check_whole(version: str, packages: Path) -> None:
    """Raises BootstrapError for a wheel that is not laid out as one of TPU-MLIR."""
    for name in (
        "bin/model_tool",
        "bin/tpuc-opt",
        "python/tools/model_transform.py",
        "python/tools/model_deploy.py",
    ):
        if not (packages / "tpu_mlir" / name).is_file():
            raise BootstrapError(
                f"TPU-MLIR {version} is laid out in a way that bmzoo does not know: tpu_mlir/{name} is missing",
                "versions from 1.21.1 on are",
            )


def install(version: str, root: Path, make_run: Callable[[Path, int, str], Run]) -> None:
    """Make build/toolchains/VERSION, unless it is there. Raises BootstrapError."""
    folder, shown = root / FOLDER, f"{FOLDER}/{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / ".lock", FOLDER) as descriptor:
        done, part, log = folder / version, folder / f"{version}.part", folder / f"{version}.log"
        if done.is_dir():
            return
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        say(f"installing TPU-MLIR {version} into {shown} (0.8 GB, about a minute, once)")
        try:
            fill(version, part, make_run(log, descriptor, shown))
        except BootstrapError:
            shutil.rmtree(part, ignore_errors=True)
            if there := offered(read_text(log)):
                raise not_offered(version, there) from None
            raise
        part.replace(done)


def fill(version: str, part: Path, run: Run) -> None:
    """Unpack the wheel into an empty folder and make it fit to run. Raises BootstrapError."""
    run(pip_arguments(version, part))
    told = provenance(version, part)
    check_whole(version, part)
    spare_glibc(part)
    run([sys.executable, "-I", "-m", "compileall", "-q", str(part / "tpu_mlir/python")])
    (part / "report.json").unlink()
    write_whole(part / PROVENANCE, json.dumps(told, indent=1, sort_keys=True) + "\n")


def main(argv: list[str]) -> int:
    """The command line; failures are told in a line and a hint."""
    parser = argparse.ArgumentParser(description="Install another version of TPU-MLIR beside the one in .venv.")
    parser.add_argument("version", help="such as 1.28.1")
    version: str = parser.parse_args(argv).version
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that subprocess.run ends pip first
    root = Path(__file__).resolve().parent.parent
    try:
        if not VERSION.fullmatch(version):
            raise BootstrapError(f"not a version: {version}", "a version of TPU-MLIR, such as 1.28.1")
        if sys.version_info[:2] != (3, 10):
            here = ".".join(map(str, sys.version_info[:2]))
            raise BootstrapError(f"TPU-MLIR needs Python 3.10, and this is {here}", "use the one in .venv")
        install(version, root, lambda log, lock, what: logged_runner(log, lock, os.environ, what))
    except BootstrapError as err:
        say(str(err))
        return 1
    except OSError as err:
        say(f"cannot make {FOLDER}/{version}: {err}\nhint: build/ must be writable and its disk not full")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
