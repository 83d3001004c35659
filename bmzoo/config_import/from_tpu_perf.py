"""Configs for a `config.yaml` of tpu-perf, as sophgo/model-zoo has them.

`mlir_transform` and `mlir_calibration` are a command line each, `deploy` is a list of them, alone or below a chip;
`$(name)` stands for another key, for `home` (the file's folder), `root` (the zoo's), `workdir`, `target` (the chip)
or `shape_param` (one of `shapes`). Keys of the `config.yaml` in folders above count too.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bmzoo.chips import CHIPS
from bmzoo.config import yamlfile
from bmzoo.config_import.conversions import conversions
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.from_conversion import ConversionSource, from_conversion
from bmzoo.config_import.places import Places
from bmzoo.config_import.shell_run import TOOLS, ToolCall
from bmzoo.errors import BmzooError, SourceError

_VARIABLE = re.compile(r"\$\(([\w.-]+)\)")
_MOST_TURNS = 20  # of variables that name variables
_ABOVE = 6  # folders
_FORMAT = "tpu-perf's config.yaml has mlir_transform and deploy; see https://github.com/sophgo/tpu-perf"


def from_tpu_perf(path: Path, shown: str, places: Places, folders: Sequence[Path]) -> Iterator[Draft]:
    """A draft for each network of the file. Raises SourceError, ConfigError."""
    value = yamlfile.read_yaml(path, shown).value
    if not isinstance(value.get("mlir_transform"), str):
        old = [key for key in value if key.endswith(("compile_options", "bmnetu_options", "_cali"))]
        why = f": made for an older toolchain: {', '.join(old)}" if old else ""
        raise SourceError(f"{shown}: no mlir_transform in it{why}", _FORMAT)
    given = {**_above(path), **value, "home": str(path.parent.resolve())}
    calls = [call for shape in _shapes(value) for call in _calls(given, shape)]
    found, lost = conversions(calls)
    if not found:
        raise SourceError(f"{shown}: no conversion in it: mlir_transform calls no model_transform", _FORMAT)
    unused = [f"{key}: nothing of it goes into a config" for key in value if key in ("harness", "dataset")]
    for conversion in found:
        yield from_conversion(ConversionSource(path, shown, (*unused, *lost)), conversion, places, folders)


def _above(path: Path) -> dict[str, Any]:
    """Keys of the files in the folders above, inner ones first; `root` is the outermost."""
    found: dict[str, Any] = {}
    for folder in list(path.resolve().parents)[1 : _ABOVE + 1]:
        upper = folder / "config.yaml"
        if not upper.is_file():
            continue
        try:
            said = yamlfile.read_yaml(upper, str(upper)).value
        except BmzooError:
            continue  # of another program: nothing here depends on it
        found = {**said, **found, "root": str(folder)}
    return found


def _shapes(value: Mapping[str, Any]) -> list[str]:
    """What `$(shape_param)` stands for, one after the other."""
    shapes = value.get("shapes") or [""]
    return [str(shape).replace(" ", "") for shape in (shapes if isinstance(shapes, list) else [shapes])]


def _calls(given: Mapping[str, Any], shape: str) -> Iterator[ToolCall]:
    """All calls for one shape: transform, calibration, and the deploys of every chip."""
    bare = re.sub(r"^\[(.*)\]$", r"\1", shape) if not shape.startswith("[[") else shape[1:-1]
    here = {
        "workdir": "workdir",
        "shape_param": f"[{bare}]" if shape and not bare.startswith("[") else bare,
        **given,
    }
    here["shape"] = shape
    for key in ("mlir_transform", "mlir_calibration"):
        yield from _call(given.get(key), here)
    yield from (call for line in _listed(given.get("deploy")) for call in _call(line, here))
    for key, section in given.items():
        chip = key.lower()
        if chip in CHIPS or re.fullmatch(r"bm\d+\w*|cv\d+\w*", chip):
            lines = _listed(section.get("deploy") if isinstance(section, dict) else None)
            yield from (call for line in lines for call in _call(line, {**here, "target": chip}))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _call(line: object, given: Mapping[str, Any]) -> Iterator[ToolCall]:
    """The call of a command line, if it is one of TPU-MLIR's programs."""
    if not isinstance(line, str):
        return
    text = line
    for _ in range(_MOST_TURNS):
        text, before = _VARIABLE.sub(lambda match: _text(given.get(match[1], match[0])), text), text
        if text == before:
            break
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    tool = Path(words[0]).name.removesuffix(".py") if words else ""
    if tool in TOOLS:
        yield ToolCall(tool, tuple(words[1:]), 0)


def _text(value: object) -> str:
    return str(value).replace(" ", "") if isinstance(value, list) else str(value)
