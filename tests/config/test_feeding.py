"""What configs may say of inputs: pictures, tensors, and the sections that go with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from bmzoo.config.model import Model, load
from bmzoo.errors import ConfigError
from bmzoo.plan.build import recipe
from bmzoo.plan.step import File, Pictures, Step, Tree
from bmzoo.plan.transforming import transform_arguments
from bmzoo.plan.verify import proof

WEIGHTS = [{"name": "given", "file": "m.onnx", "sha256": "0" * 64}]
PICTURED: dict[str, Any] = {
    **{"weights": WEIGHTS, "input": {}, "decoder": {"kind": "none"}, "verify": {"images": {"folder": "p"}}},
    "targets": [{"chip": "bm1688", "precision": ["fp32"]}],
}
STATE = {"random": {"distribution": "normal", "std": 0.5}, "shape": [2, 1, 3]}
BLIND: dict[str, Any] = {**PICTURED, "input": None, "inputs": {"state": STATE}, "verify": {}}


def loaded(values: dict[str, Any], folder: Path) -> Model:
    path = folder / "m.yaml"
    path.write_text(json.dumps(values))
    return load(path, path.name)


def steps(model: Model) -> dict[str, Step]:
    (target,) = model.targets
    found = proof(model, target, model.config.weights[0])
    return {step.kind: step for step in (*found.build.steps, found.infer)}


def arguments(folder: Path, **changes: Any) -> list[str]:
    return list(transform_arguments(loaded({**PICTURED, **changes}, folder), 2))


def test_a_size_that_is_left_out_is_in_the_file(tmp_path: Path) -> None:
    assert arguments(tmp_path)[:4] == ["--model_name", "m", "--model_def", "shaped.onnx"]
    assert "--input_shapes" not in arguments(tmp_path, input={"height": 8})
    (transform,) = [step for step in steps(loaded(PICTURED, tmp_path)).values() if step.kind == "transform"]
    assert [str(command)[:34] for command in transform.commands] == [
        "shapes model.onnx 1 shaped.onnx",
        "model_transform.py --model_name m ",
    ]
    sized = arguments(tmp_path, input={"height": 8, "width": 6})
    assert sized[2:6] == ["--model_def", "model.onnx", "--input_shapes", "[[2,3,8,6]]"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"resize": "center_crop"}, "--keep_aspect_ratio --keep_ratio_mode short_side_scale --resize_dims 256,320"),
        ({"resize": "fixed_height"}, "--pad_type normal --mlir"),
        ({"pixel_format": "rgba"}, "--mean 0,0,0,0 --scale 1,1,1,1 --pixel_format rgba"),
        ({"pixel_format": "bgra"}, "--channel_format none --mlir"),
    ],
)
def test_what_model_transform_has_words_for_is_said(section: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in " ".join(arguments(tmp_path, input={"height": 224, "width": 280, **section}))


def test_a_model_without_pictures_has_none_in_its_steps(tmp_path: Path) -> None:
    model = loaded(BLIND, tmp_path)
    for step in steps(model).values():
        assert not any(isinstance(ref, Pictures) for _, ref in step.inputs), step
    assert json.loads(dict(steps(model)["simulate"].documents)["request.json"])["input"] is None
    assert model.samples_are == "samples (random inputs: state normal std 0.5)"
    assert loaded(PICTURED, tmp_path).samples_are == "pictures"


@pytest.mark.parametrize(
    ("samples", "name", "kind"),
    [("a/states", "given/1", Tree), ("a/s.npz", "given/1/s.npz", File), ("s.npy", "given/1/s.npy", File)],
)
def test_samples_are_inputs_of_the_steps_that_feed(samples: str, name: str, kind: type, tmp_path: Path) -> None:
    model = loaded({**BLIND, "inputs": {"a": STATE, "b": {"samples": samples}}}, tmp_path)
    for step in (steps(model)["simulate"], steps(model)["infer"]):
        assert isinstance(dict(step.inputs)[name], kind)


def test_calibration_takes_other_samples_than_verification(tmp_path: Path) -> None:
    targets = [{"chip": "bm1688", "precision": "int8"}]
    values = {**BLIND, "calibration": {"count": 20}, "verify": {"quantized": 5}, "targets": targets}
    model = loaded(values, tmp_path)
    calibrate = recipe(model, model.targets[0], model.config.weights[0]).calibrate
    assert calibrate is not None
    request = json.loads(dict(calibrate.documents)["request.json"])
    assert (request["samples"], request["first"]) == (20, 5)


ERRORS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nothing": (PICTURED, {"input": None, "verify": {}}, "nothing is fed to the network"),
    "only what is always the same": (BLIND, {"inputs": {"sr": {"value": 1}}}, "nothing is fed to the network"),
    "no pictures": (PICTURED, {"verify": {}}, "verify.images: missing key: `input` takes pictures"),
    "pictures for nothing": (BLIND, {"verify": {"images": {"folder": "p"}}}, "verify.images: there is no `input`"),
    "a decoder": (BLIND, {"decoder": {"kind": "scrfd"}}, "decoder.kind: reads what a network says of pictures"),
    "truth": (BLIND, {"evaluate": {"truth": "gt.json"}}, "evaluate: there is no `input`"),
    "counts of samples": (PICTURED, {"calibration": {"count": 3}}, "calibration.count: is for models that take no"),
    "both": (PICTURED, {"calibration": {"count": 3, "table": "t"}}, "one of images, count and table is needed"),
    "scenes": (
        PICTURED,
        {"weights": [{**WEIGHTS[0], "scenes": {"verify": {"seed": 0, "count": 9}}}]},
        "input.height: missing key: scenes are drawn in this size",
    ),
    "a checkpoint": (
        PICTURED,
        {
            "input": {"height": 64},
            "weights": [{**WEIGHTS[0], "file": "m.pth", "architecture": "retinaface_mobilenet0.25"}],
        },
        "input.width: missing key: the graph is made in this size",
    ),
    "no source": (
        BLIND,
        {"inputs": {"x": {"shape": [1]}}},
        "one of samples, random and value is needed: none given",
    ),
    "two sources": (BLIND, {"inputs": {"x": {"value": 1, **STATE}}}, "is needed: random, value given"),
    "a text": (
        BLIND,
        {"inputs": {"x": {"value": "a"}}},
        "inputs.x: value must be a number, or lists of numbers: 'a'",
    ),
    "a key of another": (
        BLIND,
        {"inputs": {"x": {"random": {"distribution": "normal", "high": 2}}}},
        "high means nothing to normal: 2",
    ),
    "no vocabulary": (BLIND, {"inputs": {"x": {"random": {"distribution": "integers"}}}}, "integers needs high"),
    "upside down": (
        BLIND,
        {"inputs": {"x": {"random": {"distribution": "uniform", "low": 2}}}},
        "low must be below high: 2 and 1",
    ),
    "three means for four": (
        PICTURED,
        {"input": {"pixel_format": "rgba", "mean": [1, 2, 3]}},
        "rgba has 4 channels",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_sections_that_do_not_go_together(what: str, tmp_path: Path) -> None:
    base, changes, message = ERRORS[what]
    with pytest.raises(ConfigError) as caught:
        loaded({**base, **changes}, tmp_path)
    assert message in caught.value.message and caught.value.message.startswith("m.yaml:")
