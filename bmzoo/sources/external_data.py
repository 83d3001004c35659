"""External data of an ONNX file: found beside it, and held against what the config pins."""

import mmap
from collections.abc import Callable
from pathlib import Path

from bmzoo.errors import SourceError, nearest
from bmzoo.plan.step import ExternalData
from bmzoo.sources.lookup import Sources

Digest = Callable[[Path], str]
# The key of an entry that names a data file, as protobuf writes it.
_MARK = b"\x0a\x08location"


def external_data(sources: Sources, ref: ExternalData, digest: Digest) -> dict[str, tuple[Path, str]]:
    """Path below the model's folder -> file and digest, for all that the model reads. Raises SourceError.

    The ONNX file may be in several places of the search path; the first that has its data beside it counts.
    """
    problem: SourceError | None = None
    for path in sources.candidates(ref.model, digest):
        try:
            return _beside(path, ref, digest)
        except SourceError as error:
            problem = problem or error
    if problem is None:
        return _beside(sources.pinned(ref.model, digest)[0], ref, digest)
    raise problem


def _beside(path: Path, ref: ExternalData, digest: Digest) -> dict[str, tuple[Path, str]]:
    files = _named(path, ref.model.path)
    pinned = {one.path: one.sha256 for one in ref.files}
    for name in pinned:
        if name not in files:
            guess = nearest(name, files)
            reads = f"it reads {', '.join(list(files)[:4]) or 'none'}"
            hint = f"did you mean {guess}?" if guess else "correct `external_data` in the config"
            raise SourceError(f"{ref.model.path}: external data: the model does not read {name}: {reads}", hint)
    found = {}
    for name, file in files.items():
        try:
            found[name] = file, digest(file)
        except OSError as error:
            raise SourceError(f"{file}: cannot be read: {error.strerror}") from None
    for name, (file, now) in found.items() if pinned else ():
        if name not in pinned:
            hint = f"add {{file: {name}, sha256: {now}}} to `external_data`"
            raise SourceError(f"{file}: external data that the config does not pin", hint)
        if now != pinned[name]:
            raise SourceError(
                f"{file}: not the file that the config pins: sha256 {now}",
                f"the config says {pinned[name]} in `external_data`; get the right file, or pin this one",
            )
    return found


def _named(path: Path, shown: str) -> dict[str, Path]:
    """The data files that an ONNX file names."""
    try:
        if not _may_have(path):
            return {}
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    # onnx takes long to import, and most models keep all in one file
    from bmzoo.onnx_import import external
    from bmzoo.onnx_import.onnx_file import read

    return external.files(read(path, shown), path.parent, shown)


def _may_have(path: Path) -> bool:
    """Whether an ONNX file can name external data; without reading it as a model. Raises OSError."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_MARK) >= 0
