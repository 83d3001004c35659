"""What a SOURCE of `./doit new` is: an ONNX file, a script, a `config.yaml` of tpu-perf, or a folder of these."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bmzoo.config.fields import is_name
from bmzoo.config.project import STEM
from bmzoo.errors import SourceError
from bmzoo.runtime.listing import is_stray

Source = Literal["onnx", "script", "tpu_perf"]
_LARGEST_TEXT = 1 << 20
_MOST_SOURCES = 1000
_TOOLS = re.compile(r"\bmodel_(?:transform|deploy)(?:\.py)?\b")
_TPU_PERF = re.compile(r"^\s*(?:mlir_transform|mlir_calibration|deploy|fp32_compile_options)\s*:", re.MULTILINE)
_KINDS = "an ONNX file, a shell script that calls model_transform, a config.yaml of tpu-perf, or a folder of these"


def source_kind(path: Path, shown: str) -> Source:
    """What a file is, by its suffix where that says it and else by its content. Raises SourceError."""
    if not path.is_file():
        raise SourceError(f"{shown}: {'not a file' if path.exists() else 'no such file'}", f"SOURCE is {_KINDS}")
    if path.suffix.lower() == ".onnx":
        return "onnx"
    text = read_source(path, shown)
    if path.suffix.lower() in (".yaml", ".yml"):
        return "tpu_perf"
    if path.suffix.lower() in (".sh", ".bash") or text.startswith("#!") or _TOOLS.search(text):
        return "script"
    raise SourceError(f"{shown}: not understood: {text[:40]!r}...", f"SOURCE is {_KINDS}")


def read_source(path: Path, shown: str) -> str:
    """The text of a script or YAML file. Raises SourceError for one that is none."""
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise SourceError(
                f"{shown}: too large for a script: {path.stat().st_size} bytes", f"SOURCE is {_KINDS}"
            )
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}") from None
    if b"\0" in content:
        raise SourceError(f"{shown}: binary, and not named .onnx: {len(content)} bytes", f"SOURCE is {_KINDS}")
    return content.decode("utf-8", errors="replace")


def sources_in(folder: Path, shown: str) -> list[Path]:
    """The files of a folder that a config can be made of, models last. Raises SourceError."""
    found = [path for path in _below(folder) if _is_source(path)]
    found.sort(key=lambda path: path.suffix.lower() == ".onnx")
    if not found:
        raise SourceError(f"{shown}: nothing in this folder to make a config of", f"SOURCE is {_KINDS}")
    if len(found) > _MOST_SOURCES:
        raise SourceError(
            f"{shown}: too many sources: {len(found)}", f"at most {_MOST_SOURCES}; name a folder of it"
        )
    return found


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if is_stray(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)
        elif path.is_file():
            yield path


def _is_source(path: Path) -> bool:
    """Whether a file of a folder is meant: many a script there converts nothing."""
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return True
    if suffix not in (".sh", ".bash", ".yaml", ".yml") or path.stat().st_size > _LARGEST_TEXT:
        return False
    text = path.read_bytes().decode("utf-8", errors="replace")
    return bool((_TOOLS if suffix in (".sh", ".bash") else _TPU_PERF).search(text))


def model_name(text: str) -> str:
    """A name for a model that is as near to a text as names of models may be."""
    name = re.sub(r"[^A-Za-z0-9_.\-]+", "_", text).strip("_.-")[:64].rstrip("_.-")
    return name if is_name(name) and name != STEM else "model"
