"""What every step's last result was made from, so that a later run can say what has changed since.

last/<step>.json    one file for each step, replaced whole whenever a run makes or uses another result

Only explanations rest on these files: losing one makes a step look as if it had never been made.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bmzoo.errors import StoreError
from bmzoo.execute.layout import Layout
from bmzoo.execute.origins import origins
from bmzoo.plan.fingerprint import fingerprint as fingerprint_of
from bmzoo.plan.step import Step
from bmzoo.system import files

if TYPE_CHECKING:
    from bmzoo.execute.resolve import Resolved


@dataclass(frozen=True)
class Record:
    """A result's fingerprint, its material (see fingerprint.py), and its inputs' names as people know them."""

    fingerprint: str
    material: Mapping[str, Any]
    origins: Mapping[str, str]


def record(step: Step, resolved: "Resolved") -> Record:
    """What a step would be made from now."""
    shown = origins(step, resolved.files, resolved.pictures)
    return Record(resolved.fingerprint, resolved.material, shown)


class Last:
    """The last results in a checkout. Safe for threads and processes: the latest writer wins."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def read(self, step: Step) -> Record | None:
        """The step's last result; None when there is none that is known, or what is there is damaged."""
        try:
            raw = json.loads(self._layout.last(step).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return _parse(raw, str(step)) if isinstance(raw, dict) else None

    def note(self, step: Step, resolved: "Resolved") -> None:
        """Keep what a result is made from. Never fails: what cannot be kept is not explained later."""
        text = json.dumps({"step": str(step), **asdict(record(step, resolved))}, sort_keys=True)
        path = self._layout.last(step)
        # Nearly always they are the same: a run that makes one result tells of all those that it uses.
        with suppress(OSError):
            if path.read_bytes() == text.encode():
                return
        with suppress(OSError, StoreError):
            files.write(text, path)


def _parse(raw: Mapping[str, Any], step: str) -> Record | None:
    material, origins = raw.get("material"), raw.get("origins")
    if not isinstance(material, dict) or not isinstance(origins, dict) or raw.get("step") != step:
        return None  # another step's: two names may come to one file name
    if raw.get("fingerprint") != fingerprint_of(material):
        return None
    return Record(raw["fingerprint"], material, {name: str(origin) for name, origin in origins.items()})
