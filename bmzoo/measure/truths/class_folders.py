"""Ground truth of classes as a folder of pictures for each class."""

from pathlib import Path

from bmzoo.errors import SourceError
from bmzoo.measure.truths.class_words import ClassWord
from bmzoo.measure.truths.sample import Sample, once_each, pictures_below


def load(folder: Path) -> tuple[Sample, ...]:
    """All pictures of all folders, by name. Raises SourceError for a folder without pictures."""
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read: {error.strerror or error}") from error
    found = []
    for order, place in enumerate(classes):
        pictures = pictures_below(place)
        if not pictures:
            raise SourceError(f"{place}: no pictures of this class", "each folder is a class")
        word = ClassWord(place.name, order, str(place))
        found += [Sample(f"{place.name}/{path.name}", path, word) for path in pictures]
    return once_each(found, folder)
