"""Checkpoints of long steps, kept outside the scratch folder, so that a kill loses only one piece of work."""

import json
import os
import time
from pathlib import Path
from typing import Any

FOLDER = "partial"
PROGRESS = "progress.json"


class Pieces:
    """Finished pieces of one step by name, in the checkpoint folder that the builder keeps for its fingerprint."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder / FOLDER
        self._progress = folder / PROGRESS
        self._number = number
        self._start = time.monotonic()
        self._made = 0
        self._folder.mkdir(exist_ok=True)

    def find(self, name: str) -> Any:  # noqa: ANN401  # JSON of the step's own
        """A finished piece, or None. Never a half-written one: pieces are written atomically."""
        try:
            return json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def keep(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Save a finished piece, and report progress."""
        part = self._folder / f".{name}.{os.getpid()}"
        part.write_text(json.dumps(value), encoding="utf-8")
        part.replace(self._folder / f"{name}.json")
        self._made += 1
        self.report(len(list(self._folder.glob("*.json"))))

    def report(self, done: int) -> None:
        """Report that `done` pieces are finished; the time left is estimated from those made in this run."""
        each = (time.monotonic() - self._start) / max(self._made, 1)
        left = each * max(self._number - done, 0)
        text = json.dumps({"done": done, "of": max(self._number, done), "seconds_left": round(left, 1)})
        part = self._progress.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self._progress)
