"""What steps see of a decoder: its settings, and the files that they name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Project
from pydantic import ValidationError

from bmzoo.config.decoding import Decoder
from bmzoo.errors import BmzooError
from bmzoo.measure.specs import decoder_spec
from bmzoo.plan.build import recipe
from bmzoo.plan.evaluate import evaluate_lowering, evaluate_onnx
from bmzoo.plan.shared import import_step
from bmzoo.plan.step import File, Output
from bmzoo.runtime.decoders.registry import DECODERS, unread

VALUES: Mapping[str, Any] = {"classes": ["a"], "characters": ["a"], "plugin": "mine.py"}
PLUGIN = """
GIVES = "classes"

def decode(outputs, size, confidence):
    return [{"scores": [0.1, 0.9]} for _ in next(iter(outputs.values()))]
"""


@pytest.mark.parametrize("kind", DECODERS)
def test_a_section_tells_what_its_decoder_reads(kind: str) -> None:
    given = {"kind": kind, **({"plugin": "mine.py"} if kind == "plugin" else {})}
    told = Decoder.model_validate(given).model_dump()
    assert set(told) == {"kind", *DECODERS[kind].reads}
    for key in set(Decoder.model_fields) - set(told):
        value = VALUES.get(key, Decoder.model_fields[key].default)
        with pytest.raises(ValidationError, match=f"{key}: means nothing to {kind}, which reads"):
            Decoder.model_validate({**given, key: value})
        assert unread(kind, key)


@pytest.mark.parametrize("value", [[], "", 3, [1, 2], ["a", ""]])
def test_names_are_a_list_or_a_file(value: Any) -> None:
    with pytest.raises(ValidationError, match="must be a list of names, or the path of a text file") as caught:
        Decoder.model_validate({"kind": "yolov8", "classes": value})
    assert caught.value.errors()[0]["loc"] == ("classes",)


def test_a_plugin_needs_no_kind_and_a_kind_no_plugin() -> None:
    assert Decoder.model_validate({"plugin": "mine.py"}).kind == "plugin"
    wrongs: list[dict[str, str]] = [{}, {"kind": "plugin"}]
    for wrong in wrongs:
        with pytest.raises(ValidationError, match="plugin is missing: the Python file that has the decoder"):
            Decoder.model_validate(wrong)


@pytest.mark.parametrize(
    ("anchors", "said"),
    [([[1, 2]], "strides and anchors differ in length: 3, 1"), ([[1], [1, 2], [3, 4]], "a width and a height")],
)
def test_anchors_that_do_not_fit(anchors: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Decoder.model_validate({"kind": "yolov5", "anchors": anchors})


def test_files_are_inputs_of_the_steps_that_decode(project: Project) -> None:
    project.edit("kind: none", "kind: yolov8, classes: names.txt")
    at = project.open()
    model = at.models["tiny"]
    made = recipe(model, model.targets[0], model.config.weights[0])
    assert dict(made.measure.inputs)["classes.txt"] == File("names.txt")
    request = json.loads(dict(made.measure.documents)["request.json"])
    assert request["decoder"]["classes"] == "classes.txt"
    assert all("classes.txt" not in dict(step.inputs) for step in made.steps if step.kind != "measure")


def test_names_are_read_from_the_steps_folder(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\nhot dog\n\n")
    assert decoder_spec({"kind": "yolov8", "classes": "classes.txt"}, tmp_path).classes == ("cat", "hot dog")


def test_a_plugin_runs_in_the_step_and_decides_what_it_is(project: Project) -> None:
    (project.root / "configs/mine.py").write_text(PLUGIN)
    project.edit("decoder: {kind: none}", "decoder: {plugin: mine.py}")
    assert project.build("bm1688_fp32_2b")
    told: Mapping[str, Any] = json.loads((project.root / "build/BM1688/tiny_fp32_2b.json").read_text())
    assert told["verdict"]["detections"]["what"] == "pictures"
    assert told["verdict"]["detections"]["expected"] == 2
    assert (project.root / "build/BM1688" / told["decoder"]["plugin"]).resolve().is_file()
    (project.root / "configs/mine.py").write_text(PLUGIN.replace("0.9", "1 / 0"))
    with pytest.raises(BmzooError, match=r"plugin.py:5: ZeroDivisionError: division by zero"):
        project.build("bm1688_fp32_2b")


def test_evaluation_has_the_files_too(project: Project) -> None:
    project.edit("selection}}", "selection}}\nevaluate: {truth: faces/all.json}")
    project.edit("kind: none", "kind: yolov8, classes: names.txt")
    model = project.open().models["tiny"]
    assert dict(evaluate_onnx(model, model.config.weights[0]).inputs)["classes.txt"] == File("names.txt")


@pytest.mark.parametrize(
    ("decoder", "expected"),
    [("kind: ctc_text", True), ("kind: ctc_text, characters: [a, b]", False), ("kind: none", False)],
)
def test_an_evaluation_of_a_lowering_is_told_what_only_the_models_file_says(
    project: Project, decoder: str, expected: bool
) -> None:
    project.edit("kind: none", decoder)
    project.edit("verify:", "evaluate: {truth: lines/8x8-1-1/gt.txt}\nverify:")
    at = project.open()
    model = at.models["tiny"]
    weights = model.config.weights[0]
    lowered = evaluate_lowering(model, model.targets[0], weights)
    named = dict(lowered.inputs).get("named.onnx")
    assert (named == Output(import_step(model, weights), "model.onnx")) is expected
    assert ("characters_of" in dict(lowered.documents)["request.json"]) is expected
    assert "named.onnx" not in dict(evaluate_onnx(model, weights).inputs)
