"""ONNX files as they are found: whole, cut short, something else, or with data beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper
from toy_graphs import network, node

from bmzoo.errors import SourceError
from bmzoo.onnx_import.contract import load_onnx


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        load_onnx(path)
    assert caught.value.hint
    return caught.value.message


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    model = network(node("Relu", "x"))
    path.write_bytes(model.SerializeToString())
    assert load_onnx(path) == model
    assert "cannot be read" in refusal(tmp_path / "absent.onnx")
    with pytest.raises(SourceError, match=r"^zoo.yaml: model: cannot"):
        load_onnx(tmp_path / "absent.onnx", "zoo.yaml: model")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x00" * 50, b"\x08\x07"])
def test_load_garbage(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    assert "not an ONNX model" in refusal(tmp_path / "a.onnx")


INSTEAD = [
    (b"\n<!DOCTYPE html><html>", "a web page"),
    (b"<HTML><body>", "a web page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
    (b"PK\x03\x04rest", "a zip archive"),
    (b'{"message": "Not Found"}', "a message in JSON"),
]


@pytest.mark.parametrize(("content", "what"), INSTEAD, ids=[str(row[0][:9]) for row in INSTEAD])
def test_what_is_fetched_in_place_of_a_model_is_said(content: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    assert f"not an ONNX model, but {what}: {len(content)} bytes" in refusal(tmp_path / "a.onnx")


def test_load_cut_short(tmp_path: Path) -> None:
    whole = network(node("Relu", "x")).SerializeToString()
    for length in range(len(whole)):
        (tmp_path / "a.onnx").write_bytes(whole[:length])
        refusal(tmp_path / "a.onnx")


def test_load_without_opset(tmp_path: Path) -> None:
    model = network(node("Relu", "x"))
    del model.opset_import[:]
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    assert "no `opset_import`" in refusal(tmp_path / "a.onnx")


@pytest.fixture
def external(tmp_path: Path) -> Callable[..., Path]:
    """A model whose only weight lies in another file."""

    def write(**entries: str) -> Path:
        model = network(node("Add", "x", "w"), weights={"w": np.arange(6, dtype="f4")})
        weight = model.graph.initializer[0]
        (tmp_path / "w.bin").write_bytes(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in ({"location": "w.bin", "length": "24"} | entries).items():
            weight.external_data.add(key=key, value=value)
        (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
        return tmp_path / "a.onnx"

    return write


def test_external_data_is_read_in(external: Callable[..., Path]) -> None:
    model = load_onnx(external())
    np.testing.assert_array_equal(numpy_helper.to_array(model.graph.initializer[0]), np.arange(6))
    assert not model.graph.initializer[0].external_data


@pytest.mark.parametrize(
    ("entries", "wording"),
    [
        ({"location": "gone.bin"}, "`gone.bin` is missing"),
        ({"location": "../w.bin"}, "outside the model's folder"),
        ({"location": "/etc/passwd"}, "outside the model's folder"),
        ({"location": ""}, "outside the model's folder"),
        ({"offset": "8"}, "is too short: 24 bytes wanted at 8"),
        ({"offset": "8", "length": ""}, "is too short: 24 bytes wanted at 8, it has 24"),
        ({"offset": "-8"}, "no such place: 24 bytes wanted at -8"),
        ({"length": "many"}, "no such place: many bytes wanted"),
        ({"length": "1²"}, "no such place"),
        ({"length": "20"}, "20 bytes are said to hold 24"),
        ({"location": "w\x1b.bin"}, "outside the model's folder"),
        ({"location": "a" * 300}, "is missing"),
    ],
)
def test_external_data_refused(external: Callable[..., Path], entries: dict[str, str], wording: str) -> None:
    assert wording in refusal(external(**entries))


def test_external_data_through_a_link(external: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    assert "outside the model's folder" in refusal(external(location="link.bin"))
