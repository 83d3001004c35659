"""Finding and reading inputs, the damaged ones above all."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from videos import video

from bmzoo.errors import SourceError
from bmzoo.runtime.album import Album
from bmzoo.runtime.pictures import Frame, count, find, read_frames
from bmzoo.runtime.report import Report

# A valid baseline JPEG of four components, 8x8, all blocks empty: nothing here writes CMYK.
CMYK = bytes.fromhex(
    "ffd8 ffdb004300" + "01" * 64 + "ffc000140800080008 04 011100 021100 031100 041100"
    "ffc4001400 01" + "00" * 16 + "ffc4001410 01" + "00" * 16 + "ffda000e04 0100 0200 0300 0400 003f00 00 ffd9"
)


def picture(path: Path, shape: tuple[int, ...] = (8, 10, 3), dtype: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(0, np.iinfo(dtype).max, shape, dtype)
    path.write_bytes(cv2.imencode(path.suffix.lower(), noise)[1].tobytes())
    return path


def frames_of(*paths: Path, every: int = 1) -> tuple[list[Frame], Report]:
    report = Report()
    return list(read_frames(find(paths), report, every)), report


def test_folders_are_searched_to_the_bottom_in_name_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/z.png", "a/b/c.jpg", "c.bmp", ".hidden/x.jpg", "a/.x.jpg", "out/b_out.jpg"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "gt.json").write_text("{}")
    found = find([tmp_path], leave_out=tmp_path / "out")
    assert [(s.name, s.folder) for s in found] == [("c.jpg", "a/b"), ("z.png", "a"), ("b.JPG", "."), ("c.bmp", ".")]


@pytest.mark.parametrize("name", ["12:30.mp4", "http:y.mp4", "file:x.mp4", "rtsp:z.mp4", "%03d.mp4", "a b#c?d.mp4"])
def test_a_videos_name_is_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (64, 48))
    for k in range(5):
        writer.write(np.full((48, 64, 3), 40 * k, np.uint8))
    writer.release()
    (tmp_path / "clip.mp4").rename(name)
    found, report = frames_of(Path(name))
    assert [frame.name for frame in found] == [f"{name}#{k}" for k in range(5)]
    assert not report.skipped and not report.warnings
    assert count(find([name])) == 5
    album = Album(Path(), find([name]))
    written = {album.add(frame, frame.image) for frame in found}
    album.close()
    assert [path.name for path in written] == [f"{Path(name).stem}_out.mp4"]
    again, _ = frames_of(*written)
    assert len(again) == 5


def test_globs_and_names_that_look_like_one(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "[1].jpg", "1.jpg", "sub/c.jpg", "out/c_out.jpg"):
        picture(tmp_path / name)
    (tmp_path / "d.txt").touch()
    assert [s.name for s in find([f"{tmp_path}/[ab].*", tmp_path / "[1].jpg"])] == ["a.jpg", "b.jpg", "[1].jpg"]
    assert [s.name for s in find([f"{tmp_path}/**"], tmp_path / "out")] == [
        *("1.jpg", "[1].jpg", "a.jpg", "b.jpg", "c.jpg")
    ]
    assert [s.name for s in find([f"{tmp_path}/s*"])] == ["c.jpg"]
    assert [s.name for s in find([f"{tmp_path}/out/*.jpg"], tmp_path / "out")] == ["c_out.jpg"]
    assert [s.name for s in find([f"{tmp_path}/sub/*.jpg"], tmp_path)] == ["c.jpg"]


def test_names_are_unique_and_files_count_once(tmp_path: Path) -> None:
    for name in ("one/a.jpg", "one/sub/a.jpg", "two/sub/a.jpg", "two/b.jpg"):
        picture(tmp_path / name)
    found = find([tmp_path / "one", tmp_path / "two", tmp_path / "one" / "a.jpg"])
    top = tmp_path.as_posix()
    assert [s.name for s in found] == ["a.jpg", f"{top}/one/sub/a.jpg", "b.jpg", f"{top}/two/sub/a.jpg"]


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("phto.jpg", "no such file", "photo.jpg"),
        ("none/a.jpg", "no such file", ""),
        ("texts", "no pictures or videos", "known: "),
        ("*.png", "nothing that matches", ""),
    ],
)
def test_inputs_that_are_not_there(tmp_path: Path, given: str, message: str, hint: str) -> None:
    picture(tmp_path / "photo.jpg")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    with pytest.raises(SourceError, match=message) as caught:
        find([tmp_path / "photo.jpg", f"{tmp_path}/{given}"])
    assert hint in caught.value.hint


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 4), (1, 300, 3), (300, 1, 3), (3, 12000, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_kinds_of_pictures_become_bgr(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    (frame,), report = frames_of(picture(tmp_path / "x.png", shape, dtype))
    assert (frame.image.shape, frame.image.dtype) == ((*shape[:2], 3), np.dtype(np.uint8))
    assert (report.skipped, report.warnings) == ([], [])


def test_cmyk_and_a_wrong_suffix(tmp_path: Path) -> None:
    (tmp_path / "cmyk.jpg").write_bytes(CMYK)
    (tmp_path / "really_png.jpg").write_bytes(picture(tmp_path / "x.png").read_bytes())
    (tmp_path / "no_suffix").write_bytes(CMYK)
    frames, report = frames_of(*(tmp_path / name for name in ("cmyk.jpg", "really_png.jpg", "no_suffix")))
    assert [frame.image.shape for frame in frames] == [(8, 8, 3), (8, 10, 3), (8, 8, 3)]
    assert (report.skipped, report.warnings) == ([], [])


def test_damaged_files_are_skipped_and_the_others_read(tmp_path: Path) -> None:
    whole = picture(tmp_path / "d.jpg", (64, 64, 3)).read_bytes()
    (tmp_path / "a_empty.jpg").touch()
    (tmp_path / "b_text.png").write_text("no picture")
    (tmp_path / "c_cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "e_video.mp4").write_bytes(b"\0" * 1000)
    (tmp_path / "f_empty.avi").touch()
    (tmp_path / "g_dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    picture(tmp_path / "h.png")
    frames, report = frames_of(tmp_path)
    assert [frame.name for frame in frames] == ["c_cut.jpg", "d.jpg", "h.png"]
    reasons = {
        "a_empty.jpg": "empty",
        "b_text.png": "damaged",
        "e_video.mp4": "opened",
        "f_empty.avi": "opened",
        "g_dangling.jpg": "No such file",
    }
    assert [name for name, _ in report.skipped] == list(reasons)
    for name, reason in report.skipped:
        assert reasons[name] in reason and str(tmp_path / name) in reason
    assert len(report.warnings) == 1 and "c_cut.jpg: breaks off" in report.warnings[0]


def test_videos_by_every_nth_frame(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi")
    frames, report = frames_of(path, every=3)
    assert [frame.name for frame in frames] == ["v.avi#0", "v.avi#3", "v.avi#6"]
    assert [int(frame.image.mean() / 20) for frame in frames] == [0, 3, 6]
    assert frames[0].fps == pytest.approx(10 / 3)
    assert report.warnings == []
    assert count(find([path, picture(tmp_path / "a.png")]), every=3) == 4
    assert report.times.stages()[0].images == 3


def test_a_video_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", frames=12)
    os.truncate(path, path.stat().st_size * 2 // 3)
    frames, report = frames_of(path)
    assert 4 < len(frames) < 12
    assert "v.avi: ends early: " in report.warnings[0] and report.warnings[0].endswith(" of 12 frames")


def test_a_video_without_frames_is_skipped(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi")
    os.truncate(path, 5000)
    _, report = frames_of(path)
    assert [name for name, _ in report.skipped] == ["v.avi"]


@pytest.mark.parametrize("name", ["12:30:05.avi", "file:x.avi", "a:b/clip.avi", "pipe:0.avi"])
def test_a_colon_in_the_name_of_a_video_is_no_protocol(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    video(tmp_path / "plain.avi", 3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    frames, report = frames_of(Path(name))
    assert len(frames) == 3 and report.skipped == [] and count(find([name])) == 3
    album = Album(Path("out:put"), find([name]))
    paths = [album.add(frame, frame.image) for frame in frames]
    album.close()
    assert len(frames_of(paths[0])[0]) == 3
