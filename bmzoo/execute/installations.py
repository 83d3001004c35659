"""Other versions of TPU-MLIR: put below build/toolchains by tools/toolchain.py, and asked once what they know."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bmzoo.errors import ToolFailed
from bmzoo.execute.dialect import DIALECT_TOOLS, Capabilities, flags_of
from bmzoo.execute.failures import known_cause
from bmzoo.execute.layout import Layout
from bmzoo.execute.toolchain import SYSTEM_PATH, Installation, LocalToolchain, vendor_environment
from bmzoo.system import files, process
from bmzoo.system.hashing import Digests

SCRIPT = "tools/toolchain.py"
INSTALLING, ASKING = 3600.0, 300.0  # seconds
_WIDE = "10000"  # columns, so that argparse breaks no line


@dataclass(frozen=True)
class Provenance:
    """Where a version is from: `url` and `sha256` of its wheel. `libraries`: of which .venv has others."""

    url: str = ""
    sha256: str = ""
    libraries: tuple[str, ...] = ()


def install(layout: Layout, version: str, environ: Mapping[str, str]) -> Installation:
    """The version below build/toolchains, put there where it is not. Raises ToolFailed: no such one, no network."""
    folder = layout.toolchain(version)
    if not folder.is_dir():
        log = layout.build / "logs" / f"toolchain-{version}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        argv = (sys.executable, str(layout.root / SCRIPT), version)
        if process.run(process.Call(argv, layout.root, log, environ, timeout=INSTALLING)):
            raise _told(log.read_text(encoding="utf-8", errors="replace"), version)
    return Installation(folder / "tpu_mlir", version, external=True)


def _told(log: str, version: str) -> ToolFailed:
    """The script's last words as an error."""
    said = log.rpartition("bmzoo: ")[2].strip()
    message, _, hint = said.partition("\nhint: ")
    return ToolFailed(message or f"TPU-MLIR {version} could not be installed", hint)


def provenance(layout: Layout, version: str) -> Provenance:
    """Where a version below build/toolchains is from; nothing of one that is not there."""
    try:
        told = json.loads((layout.toolchain(version) / "bmzoo.json").read_text(encoding="utf-8"))
        return Provenance(str(told["url"]), str(told["sha256"]), tuple(map(str, told["libraries"])))
    except (OSError, ValueError, KeyError, TypeError):
        return Provenance()


def knowing(installation: Installation, layout: Layout, digests: Digests) -> Installation:
    """The same, with what its tools understand: asked of them once, and kept beside it. Raises ToolFailed."""
    identity = LocalToolchain(installation, digests).identity("model_deploy.py")
    path = layout.capabilities(installation.version)
    known = _kept(path, identity)
    if known is None:
        known = Capabilities(installation.version, _asked(installation, path.with_name(f"{path.stem}.help.txt")))
        files.write(files.json_text({**known.as_json(), "identity": identity}), path)
    return replace(installation, knows=known)


def _kept(path: Path, identity: str) -> Capabilities | None:
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
        return Capabilities.from_json(told) if told["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _asked(installation: Installation, said: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """The flags of every tool that there is."""
    tools = installation.root / "python" / "tools"
    return {name: _help(installation, tools / name, said) for name in DIALECT_TOOLS if (tools / name).is_file()}


def _help(installation: Installation, tool: Path, said: Path) -> dict[str, tuple[str, ...]]:
    said.parent.mkdir(parents=True, exist_ok=True)
    said.write_bytes(b"")
    env = {
        **vendor_environment(installation.root, SYSTEM_PATH),
        **{"LANG": "C.UTF-8", "HOME": str(said.parent), "COLUMNS": _WIDE, "PYTHONDONTWRITEBYTECODE": "1"},
    }
    argv = (sys.executable, str(tool), "--help")
    status = process.run(process.Call(argv, said.parent, said, env, timeout=ASKING))
    text = said.read_text(encoding="utf-8", errors="replace")
    found = flags_of(text)
    if status or "--help" not in found:
        cause = known_cause(text)[0] or process.describe(status)
        raise ToolFailed(f"TPU-MLIR {installation.version} does not run here: {tool.name}: {cause}", f"log: {said}")
    said.unlink()
    return found
