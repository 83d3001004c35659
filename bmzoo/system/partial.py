"""What a long step has finished so far, kept outside its scratch folder, so that a kill loses only one piece."""

import json
import os
import time
from pathlib import Path
from typing import Any

FOLDER = "partial"
PROGRESS = "progress.json"


class Pieces:
    """Finished pieces of one step by name, in the folder that the builder keeps for the step's fingerprint."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder / FOLDER
        self._progress = folder / PROGRESS
        self._number = number
        self._start = time.monotonic()
        self._made = 0
        self._folder.mkdir(exist_ok=True)

    def find(self, name: str) -> Any:  # noqa: ANN401  # JSON of the step's own
        """A piece made before, or None; half-written ones do not exist, as a piece arrives by one rename."""
        try:
            return json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def keep(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Keep a finished piece, and say how far the step is."""
        part = self._folder / f".{name}.{os.getpid()}"
        part.write_text(json.dumps(value), encoding="utf-8")
        part.replace(self._folder / f"{name}.json")
        self._made += 1
        self.report(len(list(self._folder.glob("*.json"))))

    def report(self, done: int) -> None:
        """Say that `done` pieces are there; the time left is what those made in this run took."""
        each = (time.monotonic() - self._start) / max(self._made, 1)
        left = each * max(self._number - done, 0)
        text = json.dumps({"done": done, "of": max(self._number, done), "seconds_left": round(left, 1)})
        part = self._progress.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self._progress)
