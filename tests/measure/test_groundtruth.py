import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from orientations import FILES, WAYS, stored, upright
from scipy.io import savemat

from bmzoo.config.project import ApDrop
from bmzoo.errors import SourceError
from bmzoo.measure import groundtruth, listed
from bmzoo.measure import wider as wider_face
from bmzoo.measure.metrics.registry import FACES_AP, SUBSETS, ordered
from bmzoo.measure.picture import Picture
from bmzoo.measure.wider import LEFT_OUT


def write_picture(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 100, np.uint8))


class Listing:
    """Two pictures in JSON, the first stored stretched to 16x16."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gt.json"
        subsets = {"easy": [1], "medium": [0, 1], "hard": []}
        first = {"file": "images/a.png", "width": 40, "height": 30, "file_size": [16, 16], **subsets}
        second = {"file": "images/b.png", "width": 20, "height": 24, "easy": [], "medium": [], "hard": []}
        self.entries: dict[str, Any] = {
            "b": {**second, "boxes": []},
            "a": {**first, "boxes": [[1, 2, 3, 4], [30, 20, 20, 10.5]]},
        }
        write_picture(folder / "images" / "a.png", 16, 16)
        write_picture(folder / "images" / "b.png", 20, 24)

    def load(self) -> tuple[Picture, ...]:
        self.path.write_text(json.dumps(self.entries))
        return listed.load(self.path)


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return Listing(tmp_path)


def test_json(listing: Listing) -> None:
    a, b = listing.load()
    assert (a.name, a.width, a.height) == ("a", 40, 30)
    assert a.boxes.dtype == np.float64
    assert a.boxes.tolist() == [[1, 2, 3, 4], [30, 20, 20, 10.5]]
    assert {key: value.tolist() for key, value in a.kept.items()} == {"easy": [1], "medium": [0, 1], "hard": []}
    assert a.read().shape == (30, 40, 3)  # from 16x16
    assert b.read().shape == (24, 20, 3)
    assert b.boxes.shape == (0, 4)


@pytest.mark.parametrize("name", FILES)
def test_sizes_are_those_of_the_picture_upright(listing: Listing, name: str) -> None:
    image = upright(24, 40)
    path = listing.path.with_name(name)
    for way in WAYS:
        path.write_bytes(FILES[name](stored(image, way), way))
        listing.entries = {"a": {"file": name, "width": 40, "height": 24, "boxes": [[30, 2, 8, 20]]}}
        assert listing.load()[0].read().shape == (24, 40, 3)
        listing.entries["a"] |= {"width": 24, "height": 40, "boxes": [[2, 30, 8, 8]]}
        with pytest.raises(SourceError, match=r"a: picture should be 24x40, is: 40x24") as caught:
            listing.load()
        assert "upright" in caught.value.hint
        listing.entries["a"]["file_size"] = [40, 24]
        assert listing.load()[0].read().shape == (40, 24, 3), "stretched, as it says"


def test_a_picture_of_another_size_is_never_stretched_unasked(listing: Listing) -> None:
    a, b = listing.load()
    write_picture(listing.path.parent / "images" / "b.png", 24, 20)
    with pytest.raises(SourceError, match=r"b.png: picture should be 20x24, is: 24x20"):
        b.read()
    write_picture(listing.path.parent / "images" / "a.png", 16, 17)
    with pytest.raises(SourceError, match=r"a.png: picture should be 16x16, is: 16x17"):
        a.read()


def test_without_subsets_all_faces_count(listing: Listing) -> None:
    for entry in listing.entries.values():
        for key in ("easy", "medium", "hard"):
            del entry[key]
    a, b = listing.load()
    assert {key: value.tolist() for key, value in a.kept.items()} == {"all": [0, 1]}
    assert {key: value.tolist() for key, value in b.kept.items()} == {"all": []}


def test_a_picture_in_no_file_cannot_be_read() -> None:
    with pytest.raises(SourceError, match=r"^x: the picture is in no file"):
        Picture("x", None, 1, 1, np.zeros((0, 4)), {}).read()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("boxes", [[1, 2, 3]], r"a: boxes\[0\]: must be \[x, y, w, h\]: \[1, 2, 3\]"),
        ("boxes", [[1, 2, 3, "4"]], r"boxes\[0\]: must be"),
        ("boxes", {"x": 1}, r"boxes: must be a list"),
        (
            "boxes",
            [[0, 0, 1, 1], [36, 0, 10, 10]],
            r"face 1 does not lie in the picture of 40x30: \[36, 0, 10, 10\]",
        ),
        ("boxes", [[0, 0, 1, 1], [3, 3, -1, 5]], "face 1 does not lie in"),
        ("boxes", [[0, 0, 1, 1], [float("nan"), 3, 1, 5]], "face 1 does not lie in"),
        (
            "boxes",
            [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.2, 0.2]],
            r"face 0 is smaller than a pixel of 40x30: \[0",
        ),
        ("boxes", [[5, 5, 9, 9], [0.9, 0.9, 0.3, 0.3]], "face 1 is smaller than a pixel"),
        ("boxes", [[0, 0, 1, 1], [0, 0, 1, 1]], "face 0 is smaller than a pixel"),
        ("easy", [2], "easy: there are 2 faces, none has the index: 2"),
        ("easy", [-1], "none has the index: -1"),
        ("easy", [10**30], "easy: there are 2 faces"),
        ("easy", [0, 0], "easy: names a face twice: 0"),
        ("easy", [True], "easy: must be a list of indices"),
        ("easy", None, "easy: must be a list of indices"),
        ("width", 0, "width and height: must be two positive integers"),
        ("width", "40", "width and height: must be two positive integers"),
        ("file_size", [16], "file_size: must be two positive integers"),
        ("file_size", [17, 16], "picture should be 17x16, is: 16x16"),
        ("file", "images/c.png", "picture is missing: .*c.png"),
        ("file", "gt.json", "not a picture, or damaged: .*gt.json"),
        ("file", ".", "picture cannot be read: "),
        ("file", 3, "file: must be a path: 3"),
    ],
)
def test_json_that_does_not_fit(listing: Listing, key: str, value: object, message: str) -> None:
    listing.entries["a"][key] = value
    with pytest.raises(SourceError, match=rf"^{listing.path}: a: .*{message.removeprefix('a: ')}"):
        listing.load()


@pytest.mark.parametrize("key", ["file", "width", "boxes", "medium"])
def test_json_without_a_key(listing: Listing, key: str) -> None:
    del listing.entries["a"][key]
    with pytest.raises(SourceError, match=f"a: key is missing: `{key}`"):
        listing.load()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not JSON"), (b'{"a": ', "not JSON"), (b"\xff\xfe", "not JSON"), (b"[1]", "must be an object")]
    + [(b"{}", "at least one picture"), (b'{"a": 3}', "a: must be an object: 3")],
)
def test_damaged_json(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "gt.json"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        listed.load(path)


def test_missing_json(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gt.json: cannot be read: No such file"):
        listed.load(tmp_path / "gt.json")


def cells(*values: object) -> NDArray[Any]:
    """A column of cells, as MATLAB writes it."""
    column = np.empty((len(values), 1), object)
    for i, value in enumerate(values):
        column[i, 0] = value
    return column


class Wider:
    """WIDER FACE's validation set in its standard layout: two events, three pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = {"0--Parade": ["0_Parade_a", "0_Parade_b"], "6--Funeral": [LEFT_OUT[0], "6_Funeral_c"]}
        boxes = [[[1, 2, 3, 4], [10, 11, 5, 6]], [[5, 5, 5, 5]]], [[[0, 0, 9, 9]], []]
        self.listing = {
            "event_list": cells(*names),
            "file_list": cells(*(cells(*files) for files in names.values())),
        }
        self.boxes = cells(*(cells(*(np.reshape(b, (-1, 4)).astype(float) for b in event)) for event in boxes))
        self.kept = {
            "easy": [[[2], []], [[1], []]],
            "medium": [[[1, 2], [1]], [[1], []]],
            "hard": [[[1, 2], [1]], [[1], []]],
        }
        for event, files in names.items():
            for name in files:
                write_picture(folder / "WIDER_val" / "images" / event / f"{name}.jpg", 40, 30)

    def write(self, place: str = ".") -> None:
        folder = self.folder / place
        folder.mkdir(parents=True, exist_ok=True)
        savemat(folder / "wider_face_val.mat", {**self.listing, "face_bbx_list": self.boxes})
        for subset, events in self.kept.items():
            lists = cells(*(cells(*(np.reshape(i, (-1, 1)).astype(np.uint16) for i in event)) for event in events))
            savemat(folder / f"wider_{subset}_val.mat", {**self.listing, "gt_list": lists})


@pytest.fixture
def wider(tmp_path: Path) -> Wider:
    return Wider(tmp_path)


@pytest.mark.parametrize("place", [".", "eval_tools/ground_truth"])
def test_wider(wider: Wider, place: str) -> None:
    wider.write(place)
    a, b, c = wider_face.load(wider.folder)
    assert [picture.name for picture in (a, b, c)] == ["0_Parade_a", "0_Parade_b", "6_Funeral_c"]
    assert (a.width, a.height) == (40, 30)
    assert a.boxes.tolist() == [[1, 2, 3, 4], [10, 11, 5, 6]]
    assert {key: value.tolist() for key, value in a.kept.items()} == {"easy": [1], "medium": [0, 1], "hard": [0, 1]}
    assert b.kept["easy"].tolist() == []
    assert (c.boxes.shape, c.kept["hard"].tolist()) == ((0, 4), [])
    assert a.read().shape == (30, 40, 3)
    assert len(wider_face.load(wider.folder, leave_out=())) == 4


@pytest.mark.parametrize("name", ["face", "easy", "medium", "hard"])
def test_wider_without_a_file(wider: Wider, name: str) -> None:
    wider.write()
    (wider.folder / f"wider_{name}_val.mat").unlink()
    with pytest.raises(SourceError, match=f"ground truth is missing: wider_{name}_val.mat"):
        wider_face.load(wider.folder)


def test_wider_without_a_picture(wider: Wider) -> None:
    wider.write()
    (wider.folder / "WIDER_val" / "images" / "0--Parade" / "0_Parade_b.jpg").unlink()
    with pytest.raises(SourceError, match=r"wider_face_val.mat: 0--Parade/0_Parade_b: picture is missing: .*jpg"):
        wider_face.load(wider.folder)


def test_wider_with_other_pictures(wider: Wider) -> None:
    wider.write()
    write_picture(wider.folder / "WIDER_val" / "images" / "0--Parade" / "0_Parade_a.jpg", 12, 12)
    with pytest.raises(SourceError, match=r"0_Parade_a: face 2 does not lie in the picture of 12x12"):
        wider_face.load(wider.folder)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([[[3], []], [[1], []]], "0_Parade_a: easy: there are 2 faces, none has the index: 3"),
        ([[[0], []], [[1], []]], "none has the index: 0"),
        ([[[1]], [[1], []]], r"wider_easy_val.mat: gt_list\[0\]: should have 2 pictures, has: 1"),
        ([[[1], []]], "wider_easy_val.mat: gt_list: should have 2 events, has: 1"),
    ],
)
def test_wider_with_a_subset_that_does_not_fit(wider: Wider, events: list[Any], message: str) -> None:
    wider.kept["easy"] = events
    wider.write()
    with pytest.raises(SourceError, match=message):
        wider_face.load(wider.folder)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x89HDF\r\n", b"text"])
def test_wider_with_a_damaged_file(wider: Wider, content: bytes) -> None:
    wider.write()
    (wider.folder / "wider_hard_val.mat").write_bytes(content)
    with pytest.raises(SourceError, match=r"wider_hard_val.mat: (not a MATLAB file|variable is missing)"):
        wider_face.load(wider.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gt_list": np.zeros((2, 1))}, r"gt_list: should be a cell array, is: float64 \[2, 1\]"),
        ({"gt_list": cells(cells("x", []), cells([], []))}, "0_Parade_a: should be numbers"),
        ({"gt_list": cells(cells([1.5], []), cells([], []))}, "0_Parade_a: indices should be whole numbers"),
    ],
)
def test_wider_with_values_of_another_kind(wider: Wider, change: dict[str, Any], message: str) -> None:
    wider.write()
    savemat(wider.folder / "wider_easy_val.mat", {**wider.listing, **change})
    with pytest.raises(SourceError, match=message):
        wider_face.load(wider.folder)


def test_wider_with_boxes_of_another_shape(wider: Wider) -> None:
    wider.boxes = cells(cells(np.ones((2, 5)), np.ones((1, 4))), cells(np.ones((1, 4)), []))
    wider.write()
    with pytest.raises(SourceError, match=r"0_Parade_a: boxes should be \[n, 4\], are: \[2, 5\]"):
        wider_face.load(wider.folder)


def test_wider_with_names_of_another_kind(wider: Wider) -> None:
    wider.listing["event_list"] = cells(1.0, "6--Funeral")
    wider.write()
    with pytest.raises(SourceError, match=r"should be one name: \[1"):
        wider_face.load(wider.folder)


def test_the_real_subset(data: Path) -> None:
    pictures = listed.load(data / "wider_val" / "gt.json")
    assert len(pictures) == 122
    counts = {s: sum(len(p.kept[s]) for p in pictures) for s in ("easy", "medium", "hard")}
    assert counts == {"easy": 374, "medium": 717, "hard": 1572}
    assert pictures[0].read().shape == (819, 1024, 3)


def test_the_real_group_photographs(data: Path) -> None:
    pictures = listed.load(data / "group_photos" / "gt.json")
    assert (len(pictures), sum(len(p.kept["all"]) for p in pictures)) == (9, 43)


def test_a_path_tells_the_data_set_and_all_its_files(listing: Listing, wider: Wider) -> None:
    assert groundtruth.tree("a/gt.json") == ("a", "gt.json")
    assert groundtruth.tree("WIDER.v2") == ("WIDER.v2", "")
    wider.write()
    assert [picture.name for picture in groundtruth.load(wider.folder)] == [
        picture.name for picture in wider_face.load(wider.folder)
    ]
    listing.load()
    assert [picture.name for picture in groundtruth.load(listing.path)] == ["a", "b"]


def test_a_ground_truth_without_a_face_is_none(listing: Listing) -> None:
    listing.entries["a"].update(boxes=[], easy=[], medium=[])
    assert len(listing.load()) == 2
    with pytest.raises(SourceError, match=f"^{listing.path}: no face in any of its 2 pictures"):
        groundtruth.load(listing.path)
    listing.entries["a"].update(boxes=[[1, 2, 3, 4]], easy=[], medium=[])
    listing.load()
    with pytest.raises(SourceError, match="no face in any"):  # of a subset, which is what counts
        groundtruth.load(listing.path)


@pytest.mark.parametrize("again", ["images/a.png", "images/../images/a.png", "images/link.png"])
def test_a_picture_counts_once(listing: Listing, again: str) -> None:
    (listing.path.parent / "images/link.png").symlink_to("a.png")
    listing.entries["c"] = {**listing.entries["a"], "file": again}
    listing.load()
    with pytest.raises(SourceError, match=f"^{listing.path}: one picture under two names: a and c$"):
        groundtruth.load(listing.path)


def test_a_name_counts_once(listing: Listing) -> None:
    listing.load()
    text = listing.path.read_text()
    listing.path.write_text(f'{text.removesuffix("}")}, "a": {json.dumps(listing.entries["b"])}}}')
    with pytest.raises(SourceError, match=f"^{listing.path}: key written twice: a$"):
        listed.load(listing.path)


def test_subsets_go_from_easy_to_hard_then_by_name() -> None:
    shuffled = ["small", "hard", "all", "easy", "medium"]
    assert ordered(FACES_AP, shuffled) == [*SUBSETS, "all", "small"]


def test_every_subset_has_a_limit_of_its_drop() -> None:
    assert set(ApDrop.model_fields) == {*SUBSETS, "other"}
