"""One reader for every format: upright, whatever this build of OpenCV turns by itself."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from orientations import FILES, LOSSLESS, WAYS, exif, stored, upright

import bmzoo
from bmzoo.errors import SourceError
from bmzoo.measure.picture import size_of
from bmzoo.runtime.listing import READABLE_SUFFIXES
from bmzoo.runtime.orientation import orientation, size_in_header, unturned
from bmzoo.runtime.pictures import find, read_frames
from bmzoo.runtime.preprocess import read_image
from bmzoo.runtime.report import Report


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FILES)
def test_a_picture_comes_upright_from_every_format(name: str, way: int, tmp_path: Path) -> None:
    path, image = tmp_path / name, upright()
    path.write_bytes(FILES[name](stored(image, way), way))
    found = read_image(path)
    if name in LOSSLESS:
        np.testing.assert_array_equal(found, image)
    else:
        assert found.shape == image.shape
        assert np.abs(found.astype(int) - image).mean() < 6, "codecs lose a little, turns much more"
    assert found.flags.c_contiguous
    assert size_of(path, "here") == (40, 24)
    if path.suffix in READABLE_SUFFIXES:
        (frame,) = read_frames(find([path]), Report())
        np.testing.assert_array_equal(frame.image, found)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("way", WAYS)
def test_jpeg_and_png_are_to_the_byte_what_opencv_reads(name: str, way: int, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name](stored(upright(), way), way))
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))


@pytest.mark.parametrize("kind", "BHI")
@pytest.mark.parametrize("order", "<>")
def test_numbers_of_every_kind(order: str, kind: str) -> None:
    for way in (*WAYS, 0, 9, 255):
        assert orientation(exif(way, order, kind)) == (way if way in WAYS else 1)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_breaks_off_anywhere_is_no_trouble(name: str) -> None:
    file = FILES[name](stored(upright(), 6), 6)
    for end in range(min(len(file), 700)):
        assert orientation(file[:end]) in (1, 6)
        assert len(unturned(file[:end])) == end
        size_in_header(file[:end])


def test_bytes_that_mean_nothing_are_no_trouble() -> None:
    random = np.random.default_rng(0)
    for begin in (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        for _ in range(200):
            file = begin + random.bytes(60)
            assert 1 <= orientation(file) <= 8
            assert len(unturned(file)) == len(file)


def test_nothing_else_reads_pictures() -> None:
    """Besides the reader: sail's imread, which leaves them as they lie, the drawing's own JPEG in memory, and label
    maps, whose values are classes and no colours.
    """
    package = Path(bmzoo.__file__).parent
    texts = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    reading = re.compile(r"cv2\.(imdecode|imread|imreadmulti|imdecodemulti)\(|(from|import) PIL")
    readers = {name for name, text in texts.items() if reading.search(text)}
    label_maps = "measure/truths/label_maps.py"
    assert readers == {"runtime/preprocess.py", "sail/bmcv_files.py", "scenes/camera.py", label_maps}


def test_what_lies_in_ways_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\0\0\x1cftypavif" + bytes(60))
    with pytest.raises(SourceError, match="a.jpg: not read: AVIF, HEIC") as caught:
        read_image(path)
    assert "PNG" in caught.value.hint
