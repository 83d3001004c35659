"""Ground truth of text as a list: a picture of a line and, after a tab, what it says."""

from pathlib import Path

from bmzoo.errors import SourceError
from bmzoo.measure.truths.sample import Sample, listed_lines, once_each, picture_file


def load(path: Path) -> tuple[Sample, ...]:
    """The pictures of a list, in its order; the answers are texts.

    Raises SourceError for a file that is no such list, and for missing pictures.
    """
    found = []
    for where, line in listed_lines(path):
        name, tab, text = line.partition("\t")
        if not tab or not text:
            raise SourceError(f"{where}: must be a picture, a tab and its text: {line.strip()}")
        found.append(Sample(name, picture_file(path.parent, name, where), text))
    return once_each(found, path)
