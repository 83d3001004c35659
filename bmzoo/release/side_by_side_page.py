"""Writes the tables of `side_by_side.py` as a Markdown page, in the words of a language. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from bmzoo.release.side_by_side import BesideTable, Said
from bmzoo.release.side_by_side_words import PAGE_WORDS
from bmzoo.system.markdown import plain, table

# Columns that are words and not numbers.
_LEFT = ("platform", "program", "artifact", "size", "target")
# By language, in the name of a file, other than English.
LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "": {key: english for key, (english, _) in PAGE_WORDS.items()},
    ".zh-CN": {key: chinese for key, (_, chinese) in PAGE_WORDS.items()},
}


def page(model: str, tables: Sequence[BesideTable], problems: Sequence[str], words: Mapping[str, str]) -> str:
    """The whole page; columns without a figure are left out. `problems`: what of the published was not read."""
    parts = [f"# {words['title'].format(model=plain(model))}\n", f"{words['about']}\n"]
    for one in tables:
        parts += _section(one, words)
    if problems:
        parts += [f"## {words['left_out']}\n", *(f"- {plain(problem)}" for problem in problems), ""]
    return "\n".join(parts)


def _section(side: BesideTable, words: Mapping[str, str]) -> Iterator[str]:
    yield f"## {words[side.title]}\n"
    yield from (_sentence(note, words) for note in side.notes)
    yield ""
    columns = {words[key]: [plain(cell) for cell in cells] for key, cells in side.columns.items()}
    if any(columns.values()):
        yield table(columns, left=[words[key] for key in _LEFT])
    if side.reasons:
        yield from (f"- {_sentence(reason, words)}" for reason in side.reasons)
        yield ""


def _sentence(said: Said, words: Mapping[str, str]) -> str:
    return words[said.key].format(**{name: plain(value) for name, value in said.values.items()})
