"""What networks are fed that take more than a picture, or none: files, drawn values, and both in one batch."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from bmzoo.commands import prepare as command
from bmzoo.commands import shapes
from bmzoo.config.inputs import Input, TensorInput
from bmzoo.errors import SourceError, ToolFailed
from bmzoo.runtime.engines.session import as_taken
from bmzoo.runtime.engines.tensor_info import TensorInfo
from bmzoo.runtime.preprocess import InputSpec, prepare

IMAGE = np.random.RandomState(0).randint(0, 256, (70, 104, 3)).astype(np.uint8)
STATE = {"name": "state", "dtype": "float32", "shape": [2, 1, 3]}
IDS = {"name": "ids", "dtype": "int64", "shape": [None, 4]}


def drawn(**how: Any) -> dict[str, Any]:
    return TensorInput.model_validate({"random": how}).model_dump(exclude_none=True)


NORMAL = drawn(distribution="normal", std=0.5)
DIGITS = drawn(distribution="integers", low=3, high=9)


def fed(
    folder: Path, ports: list[dict[str, Any]], given: dict[str, Any], **request: Any
) -> dict[str, NDArray[Any]]:
    texts = {
        "request": {"input": None, "inputs": given, "minimum": 1, "slots": 0, **request},
        "model": {"input": None, "inputs": ports},
    }
    for name, value in texts.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    command.run(folder, ("request.json",))
    found = folder / "inputs.npz" if request.get("slots") else sorted((folder / "samples").iterdir())[-1]
    return dict(np.load(found).items())


def test_drawn_values_follow_from_seed_name_and_number(tmp_path: Path) -> None:
    folders = [tmp_path / str(i) for i in range(3)]
    for folder in folders:
        folder.mkdir()
    first = fed(folders[0], [STATE, IDS], {"state": NORMAL, "ids": DIGITS}, slots=2)
    again = fed(folders[1], [STATE, IDS], {"state": NORMAL, "ids": DIGITS}, slots=3)
    later = fed(folders[2], [STATE, IDS], {"state": NORMAL, "ids": DIGITS}, slots=1, first=2)
    assert {name: (value.shape, value.dtype.name) for name, value in first.items()} == {
        "state": ((4, 1, 3), "float32"),
        "ids": ((2, 4), "int64"),
    }
    np.testing.assert_array_equal(again["state"][:4], first["state"])
    np.testing.assert_array_equal(again["state"][4:], later["state"])
    assert len({tuple(row.ravel()) for row in again["state"].reshape(3, -1)}) == 3
    assert (again["ids"] >= 3).all() and (again["ids"] < 9).all()


@pytest.mark.parametrize(
    ("how", "low", "high"),
    [
        (drawn(distribution="normal", mean=10, std=2), 10, 2),
        (drawn(distribution="uniform", low=-2, high=4), 1, 6 / 12**0.5),
        (drawn(distribution="zeros"), 0, 0),
    ],
)
def test_values_are_of_the_distribution_that_is_stated(how: Any, low: float, high: float, tmp_path: Path) -> None:
    port = {"name": "x", "dtype": "float32", "shape": [1, 20000]}
    values = fed(tmp_path, [port], {"x": how}, slots=1)["x"]
    assert (values.mean(), values.std()) == (pytest.approx(low, abs=0.1), pytest.approx(high, abs=0.1))


def test_calibration_gets_a_file_for_each_sample(tmp_path: Path) -> None:
    sample = fed(tmp_path, [STATE], {"state": NORMAL}, samples=5)
    assert sample["state"].shape == (2, 1, 3)
    assert len((tmp_path / "samples.txt").read_text().split()) == 5


def with_files(folder: Path, **arrays: NDArray[Any]) -> dict[str, Any]:
    (folder / "given" / "0").mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / "given" / "0" / f"{name}.npy", array)
    return {"samples": "states", "folder": "given/0"}


def test_files_are_taken_in_turn(tmp_path: Path) -> None:
    rows = [np.full((2, 1, 3), i, np.float64) for i in range(2)]
    given = with_files(tmp_path, b=rows[1], a=rows[0])
    values = fed(tmp_path, [STATE], {"state": given}, slots=3)["state"]
    np.testing.assert_array_equal(values, np.concatenate([rows[0], rows[1], rows[0]]))
    assert values.dtype == np.float32


def test_an_npz_names_inputs_as_the_file_of_the_model_does(tmp_path: Path) -> None:
    (tmp_path / "given" / "0").mkdir(parents=True)
    np.savez(tmp_path / "given" / "0" / "a.npz", **{"odd name": np.ones((2, 1, 3), "f4"), "other": np.zeros(1)})
    port = {**STATE, "name": "odd_name"}
    texts = {
        "request": {
            "input": None,
            "inputs": {"odd name": {"samples": "s", "folder": "given/0"}},
            "minimum": 1,
            "slots": 1,
        },
        "model": {"input": None, "inputs": [port], "renamed": {"odd_name": "odd name"}},
    }
    for name, value in texts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    command.run(tmp_path, ("request.json",))
    assert (np.load(tmp_path / "inputs.npz")["odd_name"] == 1).all()


BAD = {
    "a shape": (np.zeros((2, 3), "f4"), r"states: float32 \[2, 3\], and the model takes float32 \[2, 1, 3\]"),
    "a type": (np.zeros((2, 1, 3), "c8"), "states: complex64"),
    "nothing": (np.full((2, 1, 3), np.nan, "f4"), "states: NaN or infinity in it"),
    "text": (np.array(["a"]), "states: <?.?str"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_sample_that_does_not_fit_is_named(what: str, tmp_path: Path) -> None:
    array, message = BAD[what]
    given = with_files(tmp_path, a=array)
    with pytest.raises(SourceError, match=f"^inputs.state: {message}") as caught:
        fed(tmp_path, [STATE], {"state": given}, slots=1)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 broken"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_file_that_is_no_sample_is_named(suffix: str, content: bytes, tmp_path: Path) -> None:
    given = with_files(tmp_path)
    (tmp_path / "given" / "0" / f"a{suffix}").write_bytes(content)
    with pytest.raises(SourceError, match="^inputs.state: states: cannot be read"):
        fed(tmp_path, [STATE], {"state": given}, slots=1)


def test_samples_that_are_not_there_or_beyond_the_type_are_named(tmp_path: Path) -> None:
    given = with_files(tmp_path)
    with pytest.raises(SourceError, match="^inputs.state: states: no samples in it"):
        fed(tmp_path, [STATE], {"state": given}, slots=1)
    np.save(tmp_path / "given" / "0" / "a.npy", np.array([[2**40, 0, 0, 0]]))
    (tmp_path / "samples").rmdir()
    port = {**IDS, "dtype": "int32"}
    with pytest.raises(SourceError, match="^inputs.ids: states: values beyond int32"):
        fed(tmp_path, [port], {"ids": given}, slots=1)


def test_fractions_for_whole_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="^inputs.ids: takes int64, and normal gives fractions"):
        fed(tmp_path, [IDS], {"ids": NORMAL}, slots=1)


def test_pictures_and_samples_go_together(tmp_path: Path) -> None:
    """A picture that cannot be read takes no sample away from those that can."""
    (tmp_path / "pictures").mkdir()
    for name, data in (("0.png", b"no"), ("1.png", cv2.imencode(".png", IMAGE)[1].tobytes())):
        (tmp_path / "pictures" / name).write_bytes(data)
    section = Input.model_validate({"pixel_format": "rgb"}).model_dump()
    picture = {"name": "x", "dtype": "float32", "shape": [None, 3, 48, 64], "layout": "nchw", "whole": "uint8"}
    texts = {
        "request": {"input": section, "inputs": {"state": NORMAL}, "minimum": 1, "slots": 1},
        "model": {"input": "x", "inputs": [picture, STATE]},
        "pictures": {"0.png": "a.png", "1.png": "b.png", "folder": "here"},
    }
    for name, value in texts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    command.run(tmp_path, ("request.json",))
    found = np.load(tmp_path / "inputs.npz")
    spec = InputSpec(48, 64, "rgb", (0.0,) * 3, (1.0,) * 3, "letterbox", dtype="uint8")
    np.testing.assert_array_equal(found["x"][0], prepare(IMAGE, spec)[0])
    assert found["state"].shape == (2, 1, 3)


SHAPES: dict[str, list[int | str]] = {"x": ["N", 3, 8, 6], "state": [2, 1, 3], "w": [4]}


def test_shapes_fixes_the_batch_and_nothing_else(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in SHAPES.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 8, 6])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports, [output], [weight])
    onnx.save(helper.make_model(graph), str(tmp_path / "model.onnx"))
    shapes.run(tmp_path, ("model.onnx", "4", "shaped.onnx"))
    made = onnx.load(str(tmp_path / "shaped.onnx"))
    sizes = [[dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in made.graph.input]
    assert sizes == [[4, 3, 8, 6], [2, 1, 3], [4]]
    ports[0].type.tensor_type.shape.dim[2].dim_param = "h"
    onnx.save(helper.make_model(helper.make_graph([], "g", ports, [output])), str(tmp_path / "model.onnx"))
    with pytest.raises(ToolFailed, match="left sizes of input `x` free"):
        shapes.run(tmp_path, ("model.onnx", "4", "shaped.onnx"))


def test_engines_get_the_types_that_they_take() -> None:
    feeds = {"ids": np.array([[1, 2]]), "x": np.zeros((1, 2), np.float32)}
    taken = as_taken(feeds, [TensorInfo("ids", (1, 2), "float32"), TensorInfo("x", (1, 2), "float32")])
    assert {name: array.dtype.name for name, array in taken.items()} == {"ids": "float32", "x": "float32"}
    assert taken["x"] is feeds["x"] and (taken["ids"] == [[1, 2]]).all()
