"""Which names of a folder are of what was put there: one rule for all that list folders."""

from __future__ import annotations

READABLE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def is_stray(name: str) -> bool:
    """Whether a file or folder is none of the user's: hidden, such as `._x`, which macOS puts beside x on disks of
    others, and `.#x`, an editor's lock.
    """
    return name.startswith(".")


def is_picture(name: str) -> bool:
    """Whether a file in a folder is taken for a picture."""
    return name.lower().endswith(READABLE_SUFFIXES) and not is_stray(name)
