"""Classes as a ground truth names them, as numbers of the network's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bmzoo.errors import SourceError, nearest


@dataclass(frozen=True)
class ClassWord:
    """The class of a picture as it is written; `order`: which it is of all folders by name, None in a list."""

    word: str
    order: int | None
    where: str


def by_order(words: Collection[str], names: Sequence[str], count: int) -> bool:
    """Whether classes can only be meant in their order: as many as the network has, and none is known by name."""
    return len(words) == count and not any(word in names or word.isdecimal() for word in words)


def class_number(word: str, names: Sequence[str], count: int, where: str) -> int:
    """A class of the network's `count` by its name or number. Raises SourceError."""
    if names.count(word) > 1:
        both = " and ".join(str(index) for index, name in enumerate(names) if name == word)
        raise SourceError(
            f"{where}: the network has several classes of that name: {word}", f"give a number: {both}"
        )
    if word in names:
        return names.index(word)
    if word.isdecimal() and len(word) < 10 and int(word) < count:
        return int(word)
    if word.isdecimal():
        raise SourceError(f"{where}: the network has {count} classes, from 0 on: {word}")
    near = nearest(word, names)
    hint = f"did you mean `{near}`?" if near else "decoder.classes names the classes of the network, in their order"
    raise SourceError(f"{where}: class is not known: {word}", hint)


def class_numbers(words: Mapping[str, str], names: Sequence[str], count: int) -> dict[str, int]:
    """The same for words, by where each is written. Raises SourceError where two mean one class."""
    found: dict[int, str] = {}
    for word, where in words.items():
        number = class_number(word, names, count, where)
        if number in found:
            raise SourceError(f"{where}: means the same class as {found[number]}: {word}")
        found[number] = word
    return {word: number for number, word in found.items()}
