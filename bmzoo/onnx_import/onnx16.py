"""Runs the checker of the real onnx 1.6.0 with a Python 3.7 in a virtual environment of its own.

onnx 1.6.0 has wheels for CPython 3.5 to 3.7 only, and its source build fails on 3.10, so it cannot share an
environment with TPU-MLIR. Processes are started by an injected callable that returns exit status and output.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bmzoo.errors import SourceError, ToolFailed

Run = Callable[[list[str]], tuple[int, str]]

_VERSION = "import onnx; print(onnx.__version__)"
_CHECK = "import onnx, sys; onnx.checker.check_model(onnx.load(sys.argv[1]))"


def find_python37(environ: Mapping[str, str] = os.environ) -> Path | None:
    """A CPython 3.7 under `$PYENV_ROOT`, `~/.pyenv` or on PATH; None when this machine has none.

    pyenv's shims are passed over: they exist for versions that they then refuse to run.
    """
    places = (("PYENV_ROOT", ""), ("HOME", ".pyenv"))
    folders = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    roots = [Path(environ[key], folder) for key, folder in places if environ.get(key)]
    roots += [folder.parent for folder in folders if folder.name == "shims"]
    found = [python for root in roots for python in sorted(root.glob("versions/3.7*/bin/python3.7"))]
    found += [folder / "python3.7" for folder in folders if folder.name != "shims"]
    return next((python for python in found if os.access(python, os.X_OK)), None)


def environment_python(environment: Path) -> Path:
    return environment / "bin" / "python"


def create_environment(python37: Path, environment: Path, lock: Path, run: Run) -> None:
    """Makes the environment from `tools/onnx16.lock`; raises ToolFailed, for instance without a registry."""
    pip = [str(environment_python(environment)), "-m", "pip", "install", "--quiet", "--no-deps"]
    for argv in (
        [str(python37), "-m", "venv", "--clear", str(environment)],
        [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(lock)],
    ):
        status, output = run(argv)
        if status:
            message = f"{environment}: environment for onnx 1.6.0 could not be made: {_last_line(output)}"
            raise ToolFailed(message, "it needs a package registry; the other checks do not need it")


def check_with_onnx_16(model: Path, python: Path, run: Run) -> None:
    """Passes when the checker of onnx 1.6.0, under that interpreter, accepts the model file.

    Raises SourceError with the checker's reason when it does not, ToolFailed when `python` has another onnx.
    """
    status, output = run([str(python), "-c", _VERSION])
    if status or _last_line(output) != "1.6.0":
        raise ToolFailed(f"{python}: has no onnx 1.6.0: {_last_line(output)}", "remove that environment")
    status, output = run([str(python), "-c", _CHECK, str(model)])
    if status:
        message = f"{model}: refused by the checker of onnx 1.6.0: {_reason(output)}"
        raise SourceError(message, "IR version <= 6 and opset <= 11 are what it accepts")


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no output"])[-1]


def _reason(output: str) -> str:
    """The exception's line: the checker adds the node, as context, in the lines below it."""
    lines = output.strip().splitlines()
    return next((line for line in lines if line.startswith("onnx.")), _last_line(output))
