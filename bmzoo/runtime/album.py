"""A folder of drawn pictures and videos: `<stem>_out.jpg` for `<stem>.jpg`, never over an input.

OpenCV writes videos without a word when the disk is full or a frame has another size, so they are read back.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Optional, Sequence, Set, Tuple

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
# Bytes that a trial writes, and with fewer free a disk counts as full.
TRIAL_BYTES = 4096


class Album:
    """Below `folder`, pictures in the subfolders where they were found. Raises StoreError when it is read-only.

    `sources` are the inputs, which are never overwritten. Videos are complete after `close`; until then, and
    when a run ends before, or what was written cannot be read back, they have `.part` in their names.
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
        self._video.add(frame, drawn)
        return self._video.path

    def close(self) -> None:
        """Finish the video that is being written, and read it back. Raises StoreError."""
        video, self._video = self._video, None
        if video is not None:
            video.finish()

    def leave(self) -> None:
        """End a run that stopped: a video that was being written stays as it is, with `.part` in its name."""
        video, self._video = self._video, None
        if video is not None:
            video.writer.release()

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
                return _Video(frame.source, path, part, writer, (height, width))
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
    def __init__(self, source: Source, path: Path, part: Path, writer: Any, size: Tuple[int, int]) -> None:
        self.source, self.path, self.part, self.writer, self.size = source, path, part, writer, size
        self._frames = 0

    def add(self, frame: Frame, drawn: NDArray[np.uint8]) -> None:
        """Write a frame. Raises StoreError for one of another size, which the writer would leave out."""
        if drawn.shape != (*self.size, 3) or drawn.dtype != np.uint8:
            height, width = self.size
            raise StoreError(
                f"{self.path}: {frame.name} does not fit: {_shown(drawn.shape)}, the video is {width}x{height}",
                f"--no-draw leaves videos out; what was written until then is {self.part}",
            )
        self.writer.write(drawn)
        self._frames += 1

    def finish(self) -> None:
        """Take the name of a whole video, if it is one. Raises StoreError."""
        self.writer.release()
        found, problem = read_back(self.part, self.size)
        if found != self._frames or problem:
            said = problem or f"{found} of {self._frames} frames can be read back"
            raise StoreError(
                f"{self.path}: cannot be written: {said}", f"{_space(self.part)}; what was written is {self.part}"
            )
        try:
            self.part.replace(self.path)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error


def read_back(path: Path, size: Tuple[int, int]) -> Tuple[int, str]:
    """How many frames of a video can be decoded, and what is wrong with their size; empty if nothing is.

    `size` is (height, width); codecs that want even sides leave out the last row and column of odd ones.
    """
    capture: Any = cv2.VideoCapture(video_path(path))  # its stubs are half typed
    frames = 0
    try:
        while capture.grab():
            good, image = capture.retrieve()
            if not good:
                break
            if any(image.shape[axis] not in (size[axis], size[axis] & -2) for axis in (0, 1)):
                return frames, f"frame {frames} is read back as {_shown(image.shape)}, not {size[1]}x{size[0]}"
            frames += 1
    except cv2.error:  # what cannot be decoded is not counted
        pass
    finally:
        capture.release()
    return frames, ""


def _space(part: Path) -> str:
    try:
        full = shutil.disk_usage(str(part.parent)).free < TRIAL_BYTES
    except OSError:
        full = False
    return "the disk is full" if full else "is the disk full, may a file be as large?"


def _shown(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}" if len(shape) > 1 else str(shape)


def check_folder(folder: Path) -> None:
    """Make the folder and see that it can be written to. Raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(bytes(TRIAL_BYTES))
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written to: {error.strerror}") from error


def is_special(path: Path) -> bool:
    """Whether something lies there that is no file, a device or a pipe: nothing can take its place."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises StoreError."""
    part = path if is_special(path) else path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        if part != path:
            part.replace(path)
    except OSError as error:
        if part != path:
            with suppress(OSError):  # what is left of it would only fill the disk
                part.unlink()
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
