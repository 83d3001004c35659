"""Pictures and videos by path: finding them in folders, reading them one after the other."""

from __future__ import annotations

import glob
import itertools
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from bmzoo.errors import SourceError, nearest
from bmzoo.runtime.listing import READABLE_SUFFIXES, is_picture, is_stray
from bmzoo.runtime.preprocess import breaks_off, decode_image, read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.report import Report

VIDEOS = (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")


@dataclass(frozen=True)
class Source:
    """A picture or video file. `name` is unique in a run, `folder` is where it lay in the folder searched."""

    path: Path
    name: str
    folder: str = ""

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEOS


@dataclass(frozen=True)
class Frame:
    """A picture, uint8 [H,W,3] BGR, or frame `index` of a video of which `fps` frames per second are read."""

    source: Source
    image: NDArray[np.uint8]
    index: Optional[int] = None
    fps: float = 0.0

    @property
    def name(self) -> str:
        """What results call it: `a.jpg`, or `clip.mp4#12`."""
        return self.source.name if self.index is None else f"{self.source.name}#{self.index}"


def find(inputs: Iterable[Union[str, Path]], leave_out: Optional[Path] = None) -> List[Source]:
    """Pictures and videos: files as given; folders searched to the bottom, in name order; globs (`**` too).

    In folders and globs other files and what begins with a dot are passed over, and so is the folder
    `leave_out`. A file met twice counts once. Raises SourceError for what does not exist and for folders and
    globs that hold no picture.
    """
    seen, found = set(), []
    for given in inputs:
        for path, folder in _expand(str(given), leave_out.resolve() if leave_out else None):
            key = path.resolve()
            if key not in seen:
                seen.add(key)
                found.append(Source(path, path.name, folder))
    return _named_apart(found)


def read_frames(sources: Iterable[Source], report: Report, every: int = 1) -> Iterator[Frame]:
    """Read what can be read, of videos each `every`-th frame; the rest is skipped in the report."""
    for source in sources:
        try:
            if source.is_video:
                yield from _read_video(source, report, every)
                continue
            with report.times.stage("read"):
                data = read_bytes(source.path)
                image = decode_image(data, source.path)
        except SourceError as error:
            report.skip(source.name, error)
            continue
        if breaks_off(data):
            report.warn(f"{source.path}: breaks off: what is missing is grey")
        yield Frame(source, image)


def video_path(path: Path) -> str:
    """A file for OpenCV's video functions: whole, as FFmpeg takes what stands before a colon for a protocol."""
    return os.path.abspath(path)  # noqa: PTH100  # links stay as they are


def count(sources: Iterable[Source], every: int = 1) -> int:
    """How many images `read` may give, from what videos announce."""
    total = 0
    for source in sources:
        frames = _announced(source) if source.is_video else 1
        total += -(-frames // (every if source.is_video else 1))
    return total


def _expand(given: str, leave_out: Optional[Path]) -> List[Tuple[Path, str]]:
    path = Path(given)
    if path.is_dir():
        found = _walk(path, leave_out)
        if not found:
            raise SourceError(
                f"{path}: no pictures or videos in this folder", f"known: {', '.join(READABLE_SUFFIXES + VIDEOS)}"
            )
        return found
    if path.exists() or not glob.has_magic(given):
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder", _near(path))
        return [(path, "")]
    found = []
    # A folder of results is left out where the glob would wander into it, not where it was asked for.
    base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)).resolve()
    leave_out = leave_out if leave_out and base in leave_out.parents else None
    # Path.glob takes no absolute patterns, and it finds hidden files.
    for match in sorted(Path(text) for text in glob.glob(given, recursive=True)):  # noqa: PTH207
        if match.is_dir() and "**" not in given:
            found += _walk(match, leave_out)
        elif _is_known(match) and not _is_below(match, leave_out):
            found.append((match, ""))
    if not found:
        raise SourceError(f"{given}: nothing that matches is a picture or video")
    return found


def _walk(top: Path, leave_out: Optional[Path]) -> List[Tuple[Path, str]]:
    found = []
    for folder, below, files in os.walk(str(top), onerror=_refuse):
        below[:] = [name for name in below if not is_stray(name) and Path(folder, name).resolve() != leave_out]
        found += [Path(folder, name) for name in files if _is_known(Path(name))]
    found.sort(key=lambda path: path.parts)
    return [(path, path.parent.relative_to(top).as_posix()) for path in found]


def _refuse(error: OSError) -> None:
    raise SourceError(f"{error.filename}: cannot be searched: {error.strerror}")


def _is_known(path: Path) -> bool:
    return is_picture(path.name) or (path.suffix.lower() in VIDEOS and not is_stray(path.name))


def _is_below(path: Path, folder: Optional[Path]) -> bool:
    return folder is not None and folder in path.resolve().parents


def _near(path: Path) -> str:
    try:
        near = nearest(path.name, os.listdir(path.parent))  # noqa: PTH208  # names, not paths
    except OSError:
        return ""
    return f"did you mean `{path.parent / near}`?" if near else ""


def _named_apart(sources: Sequence[Source]) -> List[Source]:
    """File names where they are unique, as result files have it; else with the folder, else the whole path."""
    result = list(sources)
    for whole in (False, True):
        counts = Counter(source.name for source in result)
        result = [replace(s, name=_longer(s, whole)) if counts[s.name] > 1 else s for s in result]
    return result


def _longer(source: Source, whole: bool) -> str:
    return (source.path if whole else Path(source.folder, source.path.name)).as_posix()


def _announced(source: Source) -> int:
    capture: Any = cv2.VideoCapture(video_path(source.path))  # its stubs are half typed
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return max(0, int(frames))  # streams without an index announce absurd negative numbers


def _read_video(source: Source, report: Report, every: int) -> Iterator[Frame]:
    capture: Any = cv2.VideoCapture(video_path(source.path))  # its stubs are half typed
    index = 0
    try:
        if not capture.isOpened():
            raise SourceError(f"{source.path}: not a video that can be opened, or damaged: {_size(source.path)}")
        fps = capture.get(cv2.CAP_PROP_FPS) / every
        while capture.grab():
            if index % every == 0:
                with report.times.stage("read"):
                    good, image = capture.retrieve()
                if not good:
                    break
                yield Frame(source, np.asarray(image, np.uint8), index, fps)
            index += 1
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    except cv2.error as error:
        raise SourceError(f"{source.path}: cannot be decoded after {index} frames: {error}") from error
    finally:
        capture.release()
    if not index:
        raise SourceError(f"{source.path}: not one frame can be decoded")
    if index < announced:
        report.warn(f"{source.path}: ends early: {index} of {announced} frames")


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size} bytes"
    except OSError as error:
        return str(error.strerror)
