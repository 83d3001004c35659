"""JSON documents as published beside results: provenance, verifications, evaluations."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCUMENT_SCHEMA = 1


def read_document(path: Path) -> Mapping[str, Any]:
    """A published document; empty when there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("schema") == DOCUMENT_SCHEMA else {}


class Documents:
    """Published documents, each read once, and again when it was replaced. Safe for threads."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], Mapping[str, Any]]] = {}

    def by(self, path: Path) -> Mapping[str, Any]:
        """As `read`."""
        try:
            stat = path.stat()
        except OSError:
            return {}
        key = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        known = self._known.get(path)
        if known is None or known[0] != key:
            known = self._known[path] = key, read_document(path)
        return known[1]
