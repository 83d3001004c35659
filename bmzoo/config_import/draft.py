"""A config to be: its keys, what stands beside them as comments, and what is said about where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bmzoo.config.unsaid import TODO_MARK

Said = Literal["took", "guessed", "dropped", "unknown"]


@dataclass(frozen=True)
class Remark:
    """One line for people: what became of one thing that the source says, or does not say."""

    said: Said
    text: str

    def __str__(self) -> str:
        return f"{self.said:8} {self.text}"


@dataclass
class Draft:
    """`config`: as YAML will hold it. `comments`: by key path. `origin`: what it was made of, for its head.

    `offers`: by section, above it: what for, and the keys that could be taken in.
    """

    name: str
    origin: str
    config: dict[str, Any] = field(default_factory=dict)
    comments: dict[tuple[str, ...], str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    offers: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def put(self, path: str, value: object, comment: str = "") -> None:
        """Set the value of a key, such as `input.mean`, with the comment that stands beside it."""
        *sections, key = keys = tuple(path.split("."))
        place = self.config
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
        if comment:
            self.comments[keys] = comment

    def took(self, path: str, value: object, why: str, comment: str = "") -> None:
        """A key that the source says."""
        self.put(path, value, comment)
        self.say("took", f"{path}: {shown(value)}, {why}")

    def guessed(self, path: str, value: object, why: str, sure: bool = True, said: str = "") -> None:
        """A key that was concluded from something else; why, stands beside it too, and whether that is sure.

        said: what the line says of it, where that is more than the key.
        """
        beside = why if sure else f"not sure: {why}"
        self.put(path, value, beside)
        self.say("guessed", f"{said or f'{path}: {shown(value)}'}, {beside}")

    def unknown(self, path: str, what: str) -> None:
        """A key that only a person can say."""
        self.put(path, f"{TODO_MARK} {what}")
        self.say("unknown", f"{path}: {what}")

    def dropped(self, what: str, why: str) -> None:
        """Something of the source that the config has no place for."""
        self.say("dropped", f"{what}: {why}")

    def offer(self, section: str, what: str, keys: dict[str, Any]) -> None:
        """Keys that could be taken in: each a line above a section, behind the sign of a comment."""
        self.offers[section] = (what, keys)

    def say(self, said: Said, text: str) -> None:
        """Note a line, once."""
        if (remark := Remark(said, text)) not in self.remarks:
            self.remarks.append(remark)


def shown(value: object) -> str:
    """A value of a config, short enough for a line."""
    text = f"[{', '.join(map(shown, value))}]" if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def as_written(numbers: Sequence[float]) -> list[int | float]:
    """Numbers as people write them: 104 and not 104.0."""
    return [int(number) if float(number).is_integer() else float(number) for number in numbers]
