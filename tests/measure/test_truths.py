"""Ground truth as it lies on disk, good and bad."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from square_finder import square_finder

from bmzoo.commands import evaluate
from bmzoo.errors import BmzooError, ConfigError, SourceError
from bmzoo.measure.groundtruth import data_set
from bmzoo.measure.picture import inside
from bmzoo.measure.truths import class_folders, class_list, coco, label_maps, region_files, region_json, text_lines
from bmzoo.measure.truths.coco import Objects
from bmzoo.runtime.predictions.registry import PREDICTIONS


def picture(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    return path


# --- which layout --------------------------------------------------------------------------------------------


def test_the_layout_follows_from_the_form_and_from_what_is_predicted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": []}')
    (tmp_path / "b.json").write_text('{"one": {}}')
    asked = {
        ("a.json", "detections"): "COCO",
        ("b.json", "detections"): "AP",
        (".", "detections"): "AP",
        ("l.txt", "classes"): "classification",
        (".", "classes"): "classification",
        (".", "mask"): "segmentation",
        ("l.txt", "text"): "text",
        (".", "regions"): "regions",
        ("b.json", "regions"): "regions",
    }
    assert {key: data_set(tmp_path / key[0], key[1]).metric for key in asked} == asked


@pytest.mark.parametrize("kind", ["points", "tensors"])
def test_what_has_no_metric_says_so(kind: str, tmp_path: Path) -> None:
    assert kind in PREDICTIONS
    with pytest.raises(ConfigError, match=f"there is no metric for a decoder that gives {kind}"):
        data_set(tmp_path, kind)


def test_a_folder_for_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"for text it is a file of .txt, and not: lines"):
        data_set(tmp_path / "lines", "text")


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "x/../../a.png", "a\0b", "a\nb"])
def test_names_never_lead_out_of_the_folder(name: str) -> None:
    with pytest.raises(SourceError, match="w: names no file below the ground truth's folder"):
        inside(Path("gt"), name, "w")


def test_names_may_go_up_inside_of_it() -> None:
    assert inside(Path("gt"), "images/../a.png", "w") == Path("gt/a.png")


# --- COCO ----------------------------------------------------------------------------------------------------


def annotation(number: int, image: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    told = {"id": number, "image_id": image, "category_id": 18, "bbox": [10, 10, 20, 20], "area": 300, "iscrowd": 0}
    return {**told, **more}


def coco_document() -> dict[str, Any]:
    return {
        "info": {},
        "images": [
            {"id": 7, "file_name": "b.png", "width": 64, "height": 48},
            {"id": 3, "file_name": "a.png", "width": 64, "height": 48},
        ],
        "annotations": [annotation(0, 7), annotation(9, 7, category_id=1, iscrowd=1)],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    }


def coco_file(folder: Path, change: Callable[[dict[str, Any]], object] = lambda told: told) -> Path:
    told = coco_document()
    change(told)
    picture(folder / "a.png")
    picture(folder / "images/b.png")
    path = folder / "instances.json"
    path.write_text(json.dumps(told))
    return path


def test_coco_as_it_is_published(tmp_path: Path) -> None:
    first, second = coco.load(coco_file(tmp_path))
    assert (first.path, second.path) == (tmp_path / "a.png", tmp_path / "images/b.png")
    assert first.answer.boxes.shape == (0, 4)
    found: Objects = second.answer
    assert found.categories == ("person", "dog"), "in the order of their ids"
    assert found.classes.tolist() == [1, 0] and found.crowds.tolist() == [False, True]
    assert found.areas.tolist() == [300, 300] and found.boxes[0].tolist() == [10, 10, 20, 20]
    assert second.read().shape == (48, 64, 3)


Change = Callable[[dict[str, Any]], object]
BAD_COCO: list[tuple[Change, str]] = [
    (lambda told: told.pop("categories"), "not in COCO's format: categories: must be a list of objects: missing"),
    (lambda told: told.update(images={}), "not in COCO's format: images: must be a list of objects: {}"),
    (lambda told: told.update(annotations=[3]), "annotations: must be a list of objects"),
    (lambda told: told.update(annotations=[]), "annotations: empty, so there is nothing to find"),
    (lambda told: told["annotations"].append(annotation(0, 7)), "annotations: id is there twice: 0"),
    (lambda told: told["images"].append(told["images"][0]), "images: id is there twice: 7"),
    (lambda told: told["images"].append({**told["images"][0], "id": 8}), "there twice: b.png"),
    (lambda told: told["categories"].append({"id": 18, "name": "x"}), "categories: id is there twice: 18"),
    (lambda told: told["categories"].append({"id": 2, "name": "dog"}), "categories: name is there twice: dog"),
    (lambda told: told["categories"].append({"id": 2}), "categories: id 2: name: must be a text: None"),
    (lambda told: told["annotations"][0].update(category_id=99), "id 0: category_id: there is none of that id: 99"),
    (lambda told: told["annotations"][0].update(image_id="7"), "id 0: image_id: there is none of that id: '7'"),
    (lambda told: told["annotations"][0].pop("bbox"), "id 0: bbox: must be numbers: None"),
    (lambda told: told["annotations"][0].update(bbox=[1, 2, 3]), r"id 0: bbox: must be \[x, y, w, h\]"),
    (lambda told: told["annotations"][0].update(bbox=[100, 1, 9, 9]), "annotation 0 does not lie in the picture"),
    (lambda told: told["annotations"][0].update(bbox=[0.1, 0.1, 0.5, 0.5]), "annotation 0 is smaller than a pixel"),
    (lambda told: told["annotations"][0].update(iscrowd=2), "id 0: iscrowd: must be 0 or 1: 2"),
    (lambda told: told["annotations"][0].update(area="big"), "id 0: area: must be numbers"),
    (lambda told: told["annotations"][0].update(keypoints=[1, 2]), "id 0: keypoints: must be x, y and 0, 1 or 2"),
    (lambda told: told["images"][0].update(width=63), "picture should be 63x48, is: 64x48"),
    (lambda told: told["images"][0].update(file_name="c.png"), "picture is missing: .*c.png"),
    (lambda told: told["images"][0].update(file_name="../c.png"), "names no file below the ground truth's folder"),
    (lambda told: told["images"][0].update(id="7"), r"images\[0\]: id: must be a whole number: '7'"),
]


@pytest.mark.parametrize(("change", "message"), BAD_COCO)
def test_coco_that_does_not_fit(change: Change, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        coco.load(coco_file(tmp_path, change))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("content", ["[]", "text", "", "[" * 100_000, '{"images": [], "images": []}'])
def test_json_that_is_no_coco(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=r"x.json: "):
        coco.load(path)


# --- lists and folders ---------------------------------------------------------------------------------------


def test_a_list_of_classes_with_any_line_end_and_mark(tmp_path: Path) -> None:
    for name in ("a.png", "images/b c.png"):
        picture(tmp_path / name)
    path = tmp_path / "val.txt"
    path.write_bytes("\ufeffa.png 3\r\n\r\nb c.png\tgreat auk\r\n".encode())
    first, second = class_list.load(path)
    assert (first.answer.word, second.answer.word) == ("3", "great auk") and second.answer.where.endswith(
        "val.txt:3"
    )
    assert second.path == tmp_path / "images/b c.png"


def test_a_list_of_texts_keeps_their_spaces(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    path = tmp_path / "gt.txt"
    path.write_bytes("\ufeffa.png\t two  words \r\n".encode())
    assert [one.answer for one in text_lines.load(path)] == [" two  words "]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "l.txt: names no picture"),
        (b"a.png\n", "l.txt:1: must be a picture"),
        (b"a.png\t1\na.png\t2\n", "l.txt: there twice: a.png"),
        (b"a.png\t1\nz.png\t1\n", "l.txt:2: picture is missing: .*z.png"),
        (b"../a.png\t1\n", "l.txt:1: names no file below"),
        (b"a.png\t\xff\n", "l.txt: not text in UTF-8: .* at byte 6"),
    ],
)
@pytest.mark.parametrize("load", [class_list.load, text_lines.load])
def test_lists_that_do_not_fit(
    load: Callable[[Path], object], content: bytes, message: str, tmp_path: Path
) -> None:
    picture(tmp_path / "in/a.png")
    path = tmp_path / "in/l.txt"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        load(path)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"l.txt: cannot be read: No such file"):
        class_list.load(tmp_path / "l.txt")


def test_folders_of_classes(tmp_path: Path) -> None:
    for name in ("dog/2.png", "dog/1.jpg", "cat/1.png", ".cache/1.png"):
        picture(tmp_path / name)
    (tmp_path / "dog/notes.md").touch()
    found = class_folders.load(tmp_path)
    assert [(one.name, one.answer.word, one.answer.order) for one in found] == [
        ("cat/1.png", "cat", 0),
        ("dog/1.jpg", "dog", 1),
        ("dog/2.png", "dog", 1),
    ]
    (tmp_path / "eel").mkdir()
    with pytest.raises(SourceError, match="eel: no pictures of this class"):
        class_folders.load(tmp_path)
    with pytest.raises(SourceError, match="nowhere: cannot be read"):
        class_folders.load(tmp_path / "nowhere")


# --- label maps ----------------------------------------------------------------------------------------------


def label_map(path: Path, size: tuple[int, int] = (64, 48), mode: str = "P") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, 5 if mode != "RGB" else (1, 2, 3))
    if mode == "P":
        image.putpalette([9, 9, 9] * 256)
    image.save(path)


@pytest.mark.parametrize("mode", ["P", "L", "I;16"])
def test_label_maps_are_values_and_not_colours(mode: str, tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    label_map(tmp_path / "labels/a.png", mode=mode)
    (found,) = label_maps.load(tmp_path)
    assert np.unique(found.answer.read()).tolist() == [5] and found.answer.read().shape == (48, 64)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda at: label_map(at / "labels/a.png", (63, 48)),
            "label map should be 64x48 as its picture, is: 63x48",
        ),
        (lambda at: label_map(at / "labels/a.png", mode="RGB"), "must be grey or have a palette"),
        (lambda at: (at / "labels/a.png").write_bytes(b"text"), "a.png: not a picture, or damaged"),
        (lambda at: (at / "labels/a.png").unlink(), "a.jpg: label map is missing: .*labels/a.png"),
        (lambda at: label_map(at / "labels/b.png"), "b.png: picture is missing"),
    ],
)
def test_label_maps_that_do_not_fit(break_it: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    label_map(tmp_path / "labels/a.png")
    break_it(tmp_path)
    with pytest.raises(SourceError, match=message):
        label_maps.load(tmp_path)


def test_label_maps_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="images: cannot be read"):
        label_maps.load(tmp_path)


# --- regions -------------------------------------------------------------------------------------------------


def test_regions_as_icdar_has_them(tmp_path: Path) -> None:
    picture(tmp_path / "images/img_1.jpg")
    (tmp_path / "gt_img_1.txt").write_bytes("\ufeff1,1,9,1,9,5,1,5,Tel, 5\r\n11,1,19,1,19,5,11,5,###\r\n".encode())
    (found,) = region_files.load(tmp_path)
    assert found.answer.wanted == (True, False)
    assert found.answer.polygons[0].tolist() == [[1, 1], [9, 1], [9, 5], [1, 5]]
    rows = [
        {"points": [[1, 1], [9, 1], [5, 9]], "transcription": "x"},
        {"points": [[1, 1]] * 3, "illegibility": True},
    ]
    (tmp_path / "gt.json").write_text(json.dumps({"img_1.jpg": rows}))
    (found,) = region_json.load(tmp_path / "gt.json")
    assert found.answer.wanted == (True, False) and len(found.answer.polygons[0]) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,1,9,1,9,5,1\n", "gt_a.txt:1: must be four points and a text"),
        ("1,1,9,1,9,5,1,nan,x\n", "gt_a.txt:1: must be the points of a polygon"),
        ("100,1,109,1,109,5,100,5,x\n", "region 0 does not lie in the picture of 64x48"),
    ],
)
def test_region_files_that_do_not_fit(line: str, message: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "gt_a.txt").write_text(line)
    with pytest.raises(SourceError, match=message):
        region_files.load(tmp_path)


def test_region_files_and_pictures_belong_together(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match=r"a.jpg: ground truth is missing: gt_a.txt or a.txt"):
        region_files.load(tmp_path)
    (tmp_path / "a.txt").touch()
    (tmp_path / "gt_b.txt").touch()
    with pytest.raises(SourceError, match=r"gt_b.txt: picture is missing: b"):
        region_files.load(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "a.jpg: must be a list of objects with `points`"),
        ([{"points": [[1, 2], [3, 4]]}], r"a.jpg\[0\]: points: must be the points of a polygon"),
        ([{"points": "x"}], r"a.jpg\[0\]: points: must be the points of a polygon"),
    ],
)
def test_region_json_that_does_not_fit(rows: object, message: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "gt.json").write_text(json.dumps({"a.jpg": rows}))
    with pytest.raises(SourceError, match=message):
        region_json.load(tmp_path / "gt.json")


# --- the command ---------------------------------------------------------------------------------------------


def run_on(folder: Path, truth: str, decoder: str = "retinaface") -> dict[str, Any]:
    (folder / "model.onnx").write_bytes(square_finder().SerializeToString())
    (folder / "model.json").write_text("{}")
    spec = {"name": "input", "height": 64, "width": 64, "pixel_format": "bgr", "mean": [104, 117, 123]}
    spec |= {"scale": [1, 1, 1], "resize": "letterbox", "pad_value": 0, "flavour": "opencv"}
    request = {"input": spec, "network": "model.onnx", "decoder": {"kind": decoder}, "truth": truth}
    (folder / "request.json").write_text(json.dumps({**request, "confidence": None, "nms": None}))
    evaluate.run(folder, ("request.json",))
    told: dict[str, Any] = json.loads((folder / "ap.json").read_text())
    return told


def with_square(folder: Path) -> Path:
    """A picture of a white cell; the network puts a box of 16x16 around it."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[16:24, 16:24] = 255
    (folder / "truth").mkdir(parents=True)
    cv2.imwrite(str(folder / "truth/a.png"), image)
    return folder / "truth"


def test_one_class_by_coco_from_the_file_to_the_figures(tmp_path: Path) -> None:
    told = {
        "images": [{"id": 0, "file_name": "a.png"}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 5, "bbox": [12, 12, 16, 16]}],
        "categories": [{"id": 5, "name": "face"}],
    }
    (with_square(tmp_path) / "gt.json").write_text(json.dumps(told))
    found = run_on(tmp_path, "truth/gt.json")
    assert found["metric"] == "COCO" and found["pictures"] == 1 and "ap" not in found
    assert found["figures"] == pytest.approx({"mAP": 1, "AP50": 1, "AP75": 1, "small": 1})


def test_faces_are_told_as_ever(tmp_path: Path) -> None:
    entry = {"file": "a.png", "width": 64, "height": 64, "boxes": [[12, 12, 16, 16]]}
    (with_square(tmp_path) / "gt.json").write_text(json.dumps({"a": entry}))
    found = run_on(tmp_path, "truth/gt.json")
    assert found == {"pictures": 1, "detections": found["detections"], "faces": {"all": 1}, "ap": {"all": 1.0}}


def test_outputs_without_a_meaning_are_not_judged(tmp_path: Path) -> None:
    with_square(tmp_path)
    with pytest.raises(BmzooError, match="there is no metric for a decoder that gives tensors"):
        run_on(tmp_path, "truth", "none")


def reader(**metadata: str) -> bytes:
    """A network that reads `ab` in every picture, and what its file says of itself."""
    steps = np.full((1, 4, 3), -5, np.float32)
    steps[0, [0, 1, 2, 3], [1, 0, 2, 2]] = 5
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceSum", ["mean"], ["sum"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["sum", "none"], ["nothing"]),
        helper.make_node("Add", ["nothing", "steps"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.zeros((1, 1), np.float32), "none"),
        numpy_helper.from_array(steps, "steps"),
    ]
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 32]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 3]),
    ]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString())


def test_a_lowering_reads_with_the_characters_of_the_models_own_file(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    cv2.imwrite(str(tmp_path / "truth/a.png"), np.zeros((16, 32, 3), np.uint8))
    (tmp_path / "truth/gt.txt").write_text("a.png\tab\n")
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "lowered.onnx").write_bytes(reader())
    (tmp_path / "named.onnx").write_bytes(reader(character="a\nb"))
    spec: dict[str, Any] = {
        "name": "x",
        "height": 16,
        "width": 32,
        "pixel_format": "bgr",
        "mean": [0, 0, 0],
        "scale": [1, 1, 1],
    }
    spec |= {"resize": "fixed_height", "pad_value": 0, "flavour": "opencv"}
    request: dict[str, Any] = {
        "input": spec,
        "network": "lowered.onnx",
        "decoder": {"kind": "ctc_text"},
        "truth": "truth/gt.txt",
    }
    request |= {"confidence": None, "nms": None}
    (tmp_path / "request.json").write_text(json.dumps(request))
    with pytest.raises(ConfigError, match="decoder.characters: missing key"):
        evaluate.run(tmp_path, ("request.json",))
    (tmp_path / "request.json").write_text(json.dumps({**request, "characters_of": "named.onnx"}))
    evaluate.run(tmp_path, ("request.json",))
    assert json.loads((tmp_path / "ap.json").read_text())["figures"] == {"accuracy": 1.0, "similarity": 1.0}
