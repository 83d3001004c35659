"""A folder of drawn pictures and videos: `<stem>_out.jpg` for `<stem>.jpg`, never over an input."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Optional, Set, Tuple

import cv2
import numpy as np

from bmzoo.errors import StoreError
from bmzoo.runtime.pictures import video_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.pictures import Frame, Source

# Anything else, and what its own codec refuses, is written as PNG.
WRITABLE = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
# Suffix and codec, the first that this machine can write.
VIDEO_KINDS = ((".mp4", "mp4v"), (".avi", "MJPG"))
DEFAULT_FPS = 25.0


class Album:
    """Below `folder`, pictures in the subfolders where they were found. Raises StoreError when it is read-only.

    `sources` are the inputs, which are never overwritten. Videos are complete after `close`; until then, and
    when a run is killed, they have `.part` in their names.
    """

    def __init__(self, folder: Path, sources: Iterable[Source]) -> None:
        self._folder = folder
        self._taken: Set[Path] = {source.path.resolve() for source in sources}
        self._video: Optional[_Video] = None
        check_folder(folder)

    def add(self, frame: Frame, drawn: NDArray[np.uint8]) -> Path:
        """Write a picture, or the next frame of a video; the path that it has or will have."""
        if self._video is not None and frame.source != self._video.source:
            self.close()
        if frame.index is None:
            path, data = self._encoded(frame.source, drawn)
            write_whole(path, data)
            return path
        if self._video is None:
            self._video = self._open(frame, drawn)
        self._video.writer.write(drawn)
        return self._video.path

    def close(self) -> None:
        """Finish the video that is being written."""
        video, self._video = self._video, None
        if video is not None:
            video.writer.release()
            os.replace(video.part, video.path)  # noqa: PTH105  # Path.replace gives the same

    def _encoded(self, source: Source, drawn: NDArray[np.uint8]) -> Tuple[Path, bytes]:
        suffix = source.path.suffix.lower()
        for choice in (suffix if suffix in WRITABLE else ".png", ".png"):
            try:
                good, data = cv2.imencode(choice, drawn)
            except cv2.error:  # WebP and JPEG have largest sizes
                continue
            if good:
                return self._free(source, choice), data.tobytes()
        raise StoreError(f"{source.path}: cannot be written as {suffix} or .png: {list(drawn.shape)}")

    def _open(self, frame: Frame, drawn: NDArray[np.uint8]) -> _Video:
        height, width = drawn.shape[:2]
        for suffix, codec in VIDEO_KINDS:
            path = self._free(frame.source, suffix)
            part = path.with_name(f"{path.stem}.part{suffix}")
            code = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(video_path(part), code, frame.fps or DEFAULT_FPS, (width, height))
            if writer.isOpened():
                return _Video(frame.source, path, part, writer)
            part.unlink() if part.exists() else None
        raise StoreError(f"{path}: no codec here writes a video: {width}x{height}", "--no-draw leaves it out")

    def _free(self, source: Source, suffix: str) -> Path:
        """A path that neither an input nor an earlier output has; its folder is there."""
        folder = self._folder / source.folder
        for number in range(1, len(self._taken) + 2):
            path = folder / f"{source.path.stem}_out{f'_{number}' if number > 1 else ''}{suffix}"
            if path.resolve() not in self._taken:
                break
        check_folder(folder)
        self._taken.add(path.resolve())
        return path


class _Video:
    def __init__(self, source: Source, path: Path, part: Path, writer: Any) -> None:
        self.source, self.path, self.part, self.writer = source, path, part, writer


def check_folder(folder: Path) -> None:
    """Make the folder and see that it can be written to. Raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written to: {error.strerror}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises StoreError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
