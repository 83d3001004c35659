"""A disk that fills up while results are written: an error that says so, and nothing that looks whole and is not.

The limit on the size of a file stands for a full disk: it needs no disk of its own, and OpenCV is as silent of it.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from square_finder import square_finder, squares
from videos import video

from bmzoo.errors import StoreError
from bmzoo.runtime import album as albums
from bmzoo.runtime.album import Album, read_back
from bmzoo.runtime.pictures import Frame, Source

FRAMES = 12
FULL = "No space left on device"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "squares.onnx"
    onnx.save(square_finder(), str(path))
    return path


def limited(most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def detect(model: Path, given: Path, *more: str, most: int = -1) -> subprocess.CompletedProcess[str]:
    """`detect`, in a process whose files may have `most` bytes."""
    command = [sys.executable, "-m", "bmzoo.runtime", "detect", str(model), str(given), *more]
    before = limited(most) if most >= 0 else None
    done = subprocess.run(command, check=False, capture_output=True, text=True, preexec_fn=before)  # noqa: PLW1509
    assert "Traceback" not in done.stderr, done.stderr
    return done


def noisy(folder: Path, name: str = "v.avi") -> Path:
    folder.mkdir(exist_ok=True)
    return video(folder / name, frames=FRAMES)


def complete(path: Path) -> bool:
    return bool(json.loads(path.read_text())["complete"])


def test_a_video_that_was_not_written_whole_is_an_error(model: Path, tmp_path: Path) -> None:
    given, out = noisy(tmp_path / "in"), tmp_path / "out"
    assert detect(model, given, "--out", str(out)).returncode == 0
    (whole,) = out.glob("v_out.*")
    assert complete(out / "results.json") and read_back(whole, (120, 160)) == (FRAMES, "")
    size = whole.stat().st_size
    for most in (20_000, size // 2, size - 400):
        for old in (*out.glob("v_out*"), out / "results.json"):
            old.unlink()
        done = detect(model, given, "--out", str(out), most=most)
        assert done.returncode == 1 and "v_out" in done.stderr and "cannot be written: " in done.stderr, most
        assert "frames can be read back" in done.stderr and "hint: " in done.stderr
        assert not complete(out / "results.json")
        (part,) = out.glob("v_out*")
        assert ".part" in part.name


def test_the_first_of_two_videos_stops_the_run_too(model: Path, tmp_path: Path) -> None:
    noisy(tmp_path / "in"), noisy(tmp_path / "in", "w.avi")
    done = detect(model, tmp_path / "in", "--out", str(tmp_path / "out"), most=20_000)
    assert done.returncode == 1 and "v_out" in done.stderr and not complete(tmp_path / "out" / "results.json")


def frame(source: Source, index: int, shape: tuple[int, ...] = (32, 48, 3)) -> tuple[Frame, NDArray[np.uint8]]:
    drawn = np.full(shape, 40 + index, np.uint8)
    return Frame(source, drawn, index, 10.0), drawn


@pytest.mark.parametrize("shape", [(64, 96, 3), (48, 32, 3), (32, 46, 3), (32, 48), (32, 48, 4)])
def test_a_frame_of_another_size_is_an_error_and_no_hole(shape: tuple[int, ...], tmp_path: Path) -> None:
    source = Source(tmp_path / "v.avi", "v.avi")
    album = Album(tmp_path / "out", [source])
    album.add(*frame(source, 0))
    with pytest.raises(StoreError, match=r"v_out\.\w+: v\.avi#1 does not fit: .*, the video is 48x32"):
        album.add(*frame(source, 1, shape))
    album.leave()
    (part,) = (tmp_path / "out").glob("*")
    assert ".part" in part.name and read_back(part, (32, 48)) == (1, "")


@pytest.mark.parametrize(("codec", "suffix"), [("mp4v", ".mp4"), ("MJPG", ".avi")])
@pytest.mark.parametrize("fps", [0.0, 0.5, 7.3, 29.97, 240.0])
@pytest.mark.parametrize("size", [(32, 48), (33, 49), (121, 161)])
def test_what_was_written_whole_is_read_back_whole(
    size: tuple[int, int], fps: float, codec: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(albums, "VIDEO_KINDS", ((suffix, codec),))
    source = Source(tmp_path / "v.avi", "v.avi")
    album = Album(tmp_path / "out", [source])
    for index in range(3):
        album.add(Frame(source, np.zeros((*size, 3), np.uint8), index, fps), np.zeros((*size, 3), np.uint8))
    album.close()
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == f"v_out{suffix}" and read_back(path, size) == (3, "")


def test_what_is_read_back_is_judged(tmp_path: Path) -> None:
    path = noisy(tmp_path)
    assert read_back(path, (120, 160)) == (FRAMES, "")
    assert read_back(path, (240, 160)) == (0, "frame 0 is read back as 160x120, not 160x240")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0 < read_back(path, (120, 160))[0] < FRAMES
    path.write_bytes(b"")
    assert read_back(path, (120, 160)) == (0, "")
    assert read_back(tmp_path / "none.avi", (120, 160)) == (0, "")


@pytest.mark.parametrize("kind", [".bmp", ".jpg", ".png", ".webp"])
def test_a_picture_that_cannot_be_written_is_an_error(kind: str, model: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    given, out = tmp_path / f"a{kind}", tmp_path / "out"
    assert cv2.imwrite(str(given), noise)
    done = detect(model, given, "--out", str(out), most=8192)
    assert done.returncode == 1 and f"a_out{kind}: cannot be written: File too large" in done.stderr
    assert not complete(out / "results.json") and list(out.glob("a_out*")) == []


def test_lists_that_cannot_be_written_are_an_error(model: Path, tmp_path: Path) -> None:
    given, out = tmp_path / "a.png", tmp_path / "out"
    assert cv2.imwrite(str(given), squares((2, 3)))
    for option in ("--results", "--json"):
        done = detect(model, given, "--out", str(out), option, "/dev/full")
        assert done.returncode == 1 and f"/dev/full: cannot be written: {FULL}" in done.stderr, option
        assert Path("/dev/full").is_char_device()
    assert not complete(out / "results.json")


def test_json_may_go_to_a_pipe(model: Path, tmp_path: Path) -> None:
    given, pipe = tmp_path / "a.png", tmp_path / "pipe"
    assert cv2.imwrite(str(given), squares((2, 3)))
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert detect(model, given, "--out", str(tmp_path / "out"), "--json", str(pipe)).returncode == 0
        assert reader.stdout is not None and json.loads(reader.stdout.read())["complete"] is True
    assert pipe.is_fifo()


def test_a_run_that_is_killed_leaves_no_older_list_that_says_it_is_complete(model: Path, tmp_path: Path) -> None:
    given, out = noisy(tmp_path / "in"), tmp_path / "out"
    assert detect(model, given, "--out", str(out), "--no-draw").returncode == 0 and complete(out / "results.json")
    full = (out / "results.json").stat().st_size
    done = detect(model, given, "--out", str(out), "--no-draw", most=full // 2)
    assert done.returncode == 1 and not complete(out / "results.json") and "File too large" in done.stderr
