"""Committed decisions: text files that say on top what they are derived from, and whether they are what they were.

# bmzoo: calibration thresholds, version 1
# weights: <sha256>
# ...
# content: <sha256 of the rest>
<the table, as TPU-MLIR or bmzoo reads it>
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bmzoo.plan.decisions import changed

_FIRST = "decision"
_LAST = "content"
_CONFLICT = ("<<<<<<< ", ">>>>>>> ")


class Standing(Enum):
    """What a committed decision is worth now."""

    CURRENT = "current"
    STALE = "stale"
    MISSING = "missing"
    BY_HAND = "written or edited by hand"
    CONFLICT = "a merge conflict"


@dataclass(frozen=True)
class Committed:
    """A committed decision as it is found. `why`: what has changed since, for a stale one."""

    standing: Standing
    why: str = ""
    content: str = ""

    def __str__(self) -> str:
        return f"{self.standing.value}: {self.why}" if self.why else self.standing.value


def text_of(facts: Mapping[str, str], content: str) -> str:
    """A decision as it is committed. `facts`: see plan/decisions.py, `decision` first."""
    lines = [f"# bmzoo: {facts[_FIRST]}", *(f"# {name}: {text}" for name, text in facts.items() if name != _FIRST)]
    return "\n".join([*lines, f"# {_LAST}: {_sha256(content)}", content])


def read_committed(path: Path, facts: Mapping[str, str]) -> Committed:
    """What lies at a path, beside what a decision would be derived from now."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Committed(Standing.MISSING)
    except (OSError, UnicodeDecodeError) as error:
        return Committed(Standing.BY_HAND, f"cannot be read: {error}")
    return judge(text, facts)


def judge(text: str, facts: Mapping[str, str]) -> Committed:
    """As `read`, of a text."""
    if any(line.startswith(_CONFLICT) for line in text.splitlines()):
        return Committed(Standing.CONFLICT, "two branches derived it")
    parsed = _parsed(text)
    if parsed is None:
        return Committed(Standing.BY_HAND)
    before, digest, content = parsed
    if digest != _sha256(content):
        return Committed(Standing.BY_HAND, "its content is not what was written, or is cut short")
    why = changed(before, facts)
    return Committed(Standing.STALE if why else Standing.CURRENT, why, content)


def is_ours(text: str) -> bool:
    """Whether a text is a decision as bmzoo wrote it, current or not."""
    return judge(text, {}).standing in (Standing.CURRENT, Standing.STALE)


def content_of(text: str) -> str:
    """What follows the facts; empty for what does not begin as a decision does."""
    parsed = _parsed(text)
    return parsed[2] if parsed is not None else ""


def _parsed(text: str) -> tuple[dict[str, str], str, str] | None:
    """Facts, digest and content; None for what does not begin as a decision does."""
    first, _, rest = text.partition("\n")
    if not first.startswith("# bmzoo: "):
        return None
    facts = {_FIRST: first.removeprefix("# bmzoo: ")}
    while rest.startswith("# "):
        line, _, rest = rest.partition("\n")
        name, _, value = line.removeprefix("# ").partition(": ")
        if name == _LAST:
            return facts, value, rest
        facts[name] = value
    return None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
