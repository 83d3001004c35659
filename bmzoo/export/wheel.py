"""The wheel of the runtime without a build tool, where nothing can be downloaded: what `pip wheel .` makes of
pyproject.toml, in bytes that depend on the sources only.

Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli

from bmzoo import __version__

ROOT = Path(__file__).resolve().parents[2]
_TAGS = "Wheel-Version: 1.0\nGenerator: bmzoo\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def runtime_wheel(root: Path = ROOT) -> tuple[str, bytes]:
    """File name and content of the wheel that a checkout's pyproject.toml describes."""
    told = tomli.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = told["project"]
    about = f"{project['name']}-{__version__}"
    info = f"{about}.dist-info"
    inside = {str(path.relative_to(root)): path.read_bytes() for path in _sources(root, told)}
    inside |= {f"{info}/{name}": (root / name).read_bytes() for name in project["license-files"]}
    inside[f"{info}/METADATA"] = _metadata(project).encode()
    inside[f"{info}/WHEEL"] = _TAGS.encode()
    inside[f"{info}/RECORD"] = _record(inside, f"{info}/RECORD").encode()
    return f"{about}-py3-none-any.whl", _zipped(inside)


def _sources(root: Path, told: Mapping[str, Any]) -> Iterator[Path]:
    for name in told["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        place = root / name
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and path.suffix != ".pyc")


def _metadata(project: Mapping[str, Any]) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {__version__}"]
    lines += [f"Summary: {project['description']}", f"License: {project['license']}"]
    lines += [f"Requires-Python: {project['requires-python']}"]
    lines += [f"Requires-Dist: {name}" for name in project["dependencies"]]
    for extra, names in project["optional-dependencies"].items():
        lines += [f"Provides-Extra: {extra}", *(f'Requires-Dist: {name}; extra == "{extra}"' for name in names)]
    return "\n".join(lines) + "\n"


def _record(inside: Mapping[str, bytes], own: str) -> str:
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(inside.items())]
    return "\n".join([*lines, f"{own},,"]) + "\n"


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zipped(inside: Mapping[str, bytes]) -> bytes:
    """Not compressed: what zlib makes of the same bytes differs among its builds."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(inside, key=lambda name: (".dist-info/" in name, name)):
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, inside[name])
    return out.getvalue()
