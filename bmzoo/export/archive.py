"""Archives whose bytes depend on their members only, and the reading of such that may be damaged or hostile.

A tar in the format of POSIX 1988 (ustar), which every board can unpack: members sorted, below one folder, with no
time, owner or mode of their own. Not compressed, as what zlib makes of the same bytes differs among its builds.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import PurePosixPath

from bmzoo.errors import SourceError

_PART = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
_END = bytes(2 * tarfile.BLOCKSIZE)
_AGAIN = "copy it again, or make it again with ./doit export:TARGET"


def packed(folder: str, members: Mapping[str, bytes]) -> bytes:
    """The archive of `members`, content by name, all of them below `folder`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(members[name])
            tar.addfile(entry, io.BytesIO(members[name]))
    return out.getvalue()


def unpacked(content: bytes, shown: str) -> dict[str, bytes]:
    """The members of an archive, content by name without its folder. Writes nothing.

    `shown` names it in errors. Raises SourceError for what `packed` does not write: cut short, changed outside of
    its members, with names that lead out of the folder, with links.
    """
    if content[257:262] != b"ustar":
        raise SourceError(f"{shown}: not an archive of ./doit export", "name the .tar, not compressed")
    whole = len(content) % tarfile.RECORDSIZE == 0 and content.endswith(_END)
    found: dict[str, bytes] = {}
    folders: set[str] = set()
    try:
        for name, data in _entries(content, shown):
            folder, _, inside = name.partition("/")
            folders.add(folder)
            if not inside or len(folders) > 1:
                raise SourceError(f"{shown}: not below the folder of all others: {name}", "do not unpack it")
            if inside in found:
                raise SourceError(f"{shown}: there twice: {inside}", "do not unpack it")
            found[inside] = data
    except tarfile.TarError as error:
        whole = whole and "unexpected end" not in str(error)
    if not whole:
        raise SourceError(f"{shown}: cut short, of {len(content)} bytes only", _AGAIN)
    _check_the_rest(content, folders.pop() if folders else "", found, shown)
    return found


def _entries(content: bytes, shown: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for entry in tar:
            if not all(_PART.fullmatch(part) for part in entry.name.split("/")):
                raise SourceError(f"{shown}: a name that leads elsewhere: {entry.name}", "do not unpack it")
            data = tar.extractfile(entry) if entry.isreg() else None
            if data is None:
                raise SourceError(f"{shown}: no plain file: {entry.name}", "do not unpack it")
            yield entry.name, data.read()


def _check_the_rest(content: bytes, folder: str, found: Mapping[str, bytes], shown: str) -> None:
    """What is between the members: the same bytes come out when they are packed again."""
    again = packed(folder, found)
    if again == content:
        return
    place = next(i for i, (a, b) in enumerate(zip_longest(again, content)) if a != b)
    with tarfile.open(fileobj=io.BytesIO(again)) as tar:
        before = [entry.name for entry in tar if entry.offset <= place]
    last = PurePosixPath(*PurePosixPath(before[-1]).parts[1:]) if before else "the beginning"
    raise SourceError(f"{shown}: damaged at byte {place}, in or behind the header of {last}", _AGAIN)
