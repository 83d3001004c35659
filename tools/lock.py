"""Write requirements.lock and requirements-dev.lock: exact versions and wheel hashes for the .in files.

Usage: .venv/bin/python tools/lock.py

pip chooses the versions, one package at a time (nothing is resolved: requirements.in says why). Afterwards
the requirements that the chosen packages declare are compared with the lock, and what is left out must be
in LEFT_OUT.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by `.venv/bin/python tools/lock.py` from {source}; do not edit.\n"
# pip prefers the wheel for the newest glibc that a machine has, so ask for the oldest one that the compiler
# runs on and for one newer than any there is, and accept both answers.
GLIBC_MINORS = (35, 60)
# Declared and not installed. tpu_mlir: everything it declares is chosen in requirements.in by hand.
# onnxruntime imports these two only in its converters for transformer models.
LEFT_OUT = {"onnxruntime": {"coloredlogs", "sympy"}}
UNCHECKED = {"tpu-mlir"}

Package = dict[str, Any]


def choose(source: Path, glibc_minor: int, scratch: str) -> list[Package]:
    """What pip would install for the lines of `source` on Linux x86-64 with that glibc."""
    tags = [f"manylinux_2_{minor}_x86_64" for minor in range(glibc_minor, 4, -1)] + ["manylinux2014_x86_64"]
    argv = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    argv += ["--only-binary=:all:", "--python-version=3.10", "--implementation=cp", f"--target={scratch}"]
    argv += [f"--platform={tag}" for tag in tags] + ["--report=-", f"--requirement={source}"]
    # The hashes must be the public registry's, whatever mirrors this machine is configured for.
    env = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
    report = subprocess.run(argv, env=env, stdout=subprocess.PIPE, check=True).stdout
    packages: list[Package] = json.loads(report)["install"]
    return packages


def lock_lines(source: Path, scratch: str) -> tuple[list[str], list[Package]]:
    """One line per package, sorted, and the packages themselves."""
    hashes: dict[str, set[str]] = {}
    packages: dict[str, Package] = {}
    for minor in GLIBC_MINORS:
        for package in choose(source, minor, scratch):
            pin = f"{canonicalize_name(package['metadata']['name'])}=={package['metadata']['version']}"
            packages[pin] = package
            digest = package["download_info"]["archive_info"]["hash"].replace("=", ":", 1)
            hashes.setdefault(pin, set()).add(digest)
    lines = [f"{pin} " + " ".join(f"--hash={digest}" for digest in sorted(hashes[pin])) for pin in sorted(hashes)]
    return lines, list(packages.values())


def complaints(packages: list[Package]) -> Iterator[str]:
    """What the locked packages declare and the lock does not fulfil."""
    versions = {canonicalize_name(p["metadata"]["name"]): p["metadata"]["version"] for p in packages}
    if len(versions) < len(packages):
        yield "a package was chosen in two versions"
    for package in packages:
        name = canonicalize_name(package["metadata"]["name"])
        for line in [] if name in UNCHECKED else package["metadata"].get("requires_dist", []):
            need = Requirement(line)
            other = canonicalize_name(need.name)
            if (need.marker and not need.marker.evaluate({"extra": ""})) or other in LEFT_OUT.get(name, ()):
                continue
            if other not in versions:
                yield f"{name} needs {need}, which no .in file names"
            elif not need.specifier.contains(versions[other], prereleases=True):
                yield f"{name} needs {need}, but {versions[other]} was chosen"


def main() -> int:
    """Write both locks, or none when something does not fit."""
    everything: list[Package] = []
    locks: dict[Path, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for source in (ROOT / "requirements.in", ROOT / "requirements-dev.in"):
            lines, packages = lock_lines(source, scratch)
            everything += packages
            locks[source.with_suffix(".lock")] = HEADER.format(source=source.name) + "".join(
                f"{line}\n" for line in lines
            )
    if problems := sorted(set(complaints(everything))):
        print("\n".join(problems), file=sys.stderr)
        return 1
    for path, text in locks.items():
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {text.count('--hash')} wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
