"""Inputs that are no pictures: what is drawn, and what a person must say."""

import pytest

from bmzoo.config_import.draft import Draft
from bmzoo.config_import.tensor_inputs import put_tensors
from bmzoo.onnx_import.onnx_file import ValueInfo

DRAWN = {"random": {"distribution": "normal"}}


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", (1, 80, 100), DRAWN),
        ("float32", ("n", 80), {**DRAWN, "shape": [1, 80]}),
        ("float16", (2, "batch", 128), {**DRAWN, "shape": [2, 1, 128]}),
    ],
)
def test_floats_are_drawn(dtype: str, shape: tuple[int | str, ...], expected: dict[str, object]) -> None:
    draft = Draft("net", "here")
    put_tensors(draft, [ValueInfo("a.b", dtype, shape)])
    assert draft.config == {"inputs": {"a.b": expected}}
    assert [remark.said for remark in draft.remarks] == ["guessed"]
    assert draft.comments[("inputs", "a.b")].startswith("drawn, so that it builds")


def test_what_no_file_says_is_marked() -> None:
    draft = Draft("net", "here")
    ports = [
        ValueInfo("audio", "float32", ("batch", "n")),
        ValueInfo("ids", "int64", (1, 8)),
        ValueInfo("sr", "int64", ()),
        ValueInfo("gain", "float32", ()),
    ]
    put_tensors(draft, ports)
    found = draft.config["inputs"]
    assert found["audio"]["shape"] == "TODO its shape for a batch of 1, of which the file says [batch, n]"
    assert found["ids"]["samples"].startswith("TODO a .npy or .npz of samples, or a folder of these; or `random:")
    assert found["sr"] == {"value": "TODO its value: int64 []"}
    assert found["gain"] == {"value": "TODO its value: float32 []"}
