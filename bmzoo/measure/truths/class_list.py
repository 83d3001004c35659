"""Ground truth of classes as a list: a picture and its class, by name or number, a line."""

from pathlib import Path

from bmzoo.errors import SourceError
from bmzoo.measure.truths.class_words import ClassWord
from bmzoo.measure.truths.sample import Sample, listed_lines, once_each, picture_file


def load(path: Path) -> tuple[Sample, ...]:
    """The pictures of a list, in its order. A tab parts the two where there is one, else the last space.

    Raises SourceError for a file that is no such list, and for missing pictures.
    """
    found = []
    for where, line in listed_lines(path):
        parts = line.split("\t") if "\t" in line else line.rsplit(maxsplit=1)
        name, word = (part.strip() for part in parts) if len(parts) == 2 else ("", "")
        if not name or not word:
            raise SourceError(f"{where}: must be a picture and its class: {line.strip()}", "such as dog/1.jpg 17")
        found.append(Sample(name, picture_file(path.parent, name, where), ClassWord(word, None, where)))
    return once_each(found, path)
