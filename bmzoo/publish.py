"""What users see of results: artifacts with their provenance, ONNX models and calibration tables."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bmzoo.store import Entry, cannot_write

SCHEMA = 1


def copy(source: Path, destination: Path) -> None:
    """Put a whole copy in place by one rename. Raises StoreError."""
    place(destination, lambda part: shutil.copyfile(source, part))


def write(text: str, destination: Path) -> None:
    """Put a whole text in place by one rename. Raises StoreError."""
    place(destination, lambda part: part.write_text(text, encoding="utf-8"))


def place(destination: Path, fill: Callable[[Path], object]) -> None:
    """Put in place by one rename what `fill` writes to the path it is given. Raises StoreError."""
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=destination.suffix, dir=destination.parent)
        os.close(handle)
        part = Path(name)
        try:
            fill(part)
            part.chmod(0o644)
            part.replace(destination)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(destination, error) from None


def table_text(entry: Entry, name: str = "calibration.table") -> str:
    """A table as committed: two lines that tie it to its inputs and its content, then the table."""
    content = entry.path(name).read_text(encoding="utf-8")
    return f"# fingerprint: {entry.fingerprint}\n# content: {_sha256(content)}\n{content}"


def table_content(text: str, fingerprint: str) -> str | None:
    """The table inside a committed one, if it was made from these inputs and not edited since."""
    first, _, rest = text.partition("\n")
    second, _, content = rest.partition("\n")
    same = first == f"# fingerprint: {fingerprint}" and second == f"# content: {_sha256(content)}"
    return content if same else None


def is_our_table(text: str) -> bool:
    """Whether a committed table is one that `table_text` wrote, and not edited since."""
    first = text.partition("\n")[0]
    return table_content(text, first.removeprefix("# fingerprint: ")) is not None


def provenance(path: Path) -> Mapping[str, Any]:
    """The provenance beside an artifact; empty when there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA else {}


class Told:
    """What published documents say, each read once and again when it was replaced. Safe for threads."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], Mapping[str, Any]]] = {}

    def by(self, path: Path) -> Mapping[str, Any]:
        """As `provenance`."""
        try:
            stat = path.stat()
        except OSError:
            return {}
        key = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        known = self._known.get(path)
        if known is None or known[0] != key:
            known = self._known[path] = key, provenance(path)
        return known[1]


def document(value: Mapping[str, Any]) -> str:
    """JSON as published: indented, sorted, ending in a line break."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
