"""No key of a config is accepted and ignored: changing any of them changes what its consumer sees."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bmzoo.commands.prepare import input_spec
from bmzoo.commands.registry import COMMANDS
from bmzoo.config import model as config
from bmzoo.config.descriptions import described_schema
from bmzoo.config.images import Images
from bmzoo.config.model import Model, using
from bmzoo.config.schema import ModelConfig
from bmzoo.errors import ConfigError, SourceError
from bmzoo.execute.toolchain import PACKAGE
from bmzoo.measure.model_facts import resolved_input
from bmzoo.measure.specs import decoder_spec
from bmzoo.plan.decoding import FILES
from bmzoo.plan.evaluate import evaluate_lowering, evaluate_onnx
from bmzoo.plan.step import Pictures, Step
from bmzoo.plan.verify import proof
from bmzoo.sources.lookup import Sources
from bmzoo.sources.weights import choose

SCENES = {"seed": 10, "count": 20}
DATA = {"file": "zero.data", "sha256": "4" * 64}
NETWORK = {"file": "three.prototxt", "sha256": "7" * 64, "url": "https://one.example/p"}
BASE: dict[str, Any] = {
    "weights": [
        {"name": "zero", "file": "zero.onnx", "sha256": "3" * 64, "external_data": [DATA]},
        {"name": "one", "file": "one.onnx", "sha256": "0" * 64, "url": "https://one.example/x", "obtain": "ask"},
        {
            **{"name": "two", "file": "two.pth", "sha256": "1" * 64, "architecture": "retinaface_mobilenet0.25"},
            "scenes": {
                "calibration": {"seed": 100, "count": 20},
                "quantization": {"seed": 200, "count": 20},
                "verify": {"seed": 300, "count": 20},
                "evaluate": {"seed": 400, "count": 20},
            },
        },
        {
            **{"name": "three", "file": "three.caffemodel", "sha256": "6" * 64, "prototxt": NETWORK},
            "url": "https://three.example/x",
        },
    ],
    "input": {"height": 64, "width": 96, "mean": [1, 2, 3], "scale": [1, 2, 3]},
    "inputs": {
        "ids": {"random": {"distribution": "integers", "high": 9}, "shape": [1, 4]},
        "noise": {"random": {"distribution": "normal"}},
        "state": {"samples": "states"},
    },
    "decoder": {"kind": "retinaface", "strides": [8, 16], "min_sizes": [[16, 32], [64, 128]]},
    "calibration": {"images": {"folder": "calibration", "count": 20}, "equalize": False},
    "quantization": {
        "images": {"folder": "selection", "count": 10},
        "search": {"max_float_layers": 3, "expected_cos": 0.9},
        "chips": {"bm1688": {"max_float_layers": 2}},
    },
    "verify": {
        "images": {"folder": "verification", "count": 30},
        "thresholds": [{"precision": "int8", "cosine": 0.9}, {"weights": "one", "cosine": 0.8}],
    },
    "evaluate": {"truth": "truth/gt.json"},
    "targets": [
        {"chip": ["bm1684x", "bm1688"], "precision": ["fp32", "int8"], "batch": [1, 4]},
        {"chip": "bm1688", "precision": "int8", "cores": 2},
    ],
    "exclude": [{"chip": "bm1684x", "precision": "fp32", "batch": 4, "cores": 1}],
}
# By section and key: where it stands, and another value for it. A key without a row fails below.
CHANGES: dict[str, list[tuple[str, Any]]] = {
    ".weights": [("weights", BASE["weights"][1:])],
    ".input": [("input.height", 32)],
    ".outputs": [("outputs", ["a", "b"])],
    ".contract": [("contract", "toolchain")],
    ".inputs": [("inputs", {})],
    ".decoder": [("decoder.kind", "scrfd")],
    ".calibration": [("calibration", {"table": "hand.table"})],
    ".quantization": [("quantization", {})],
    ".verify": [("verify", {"images": {"folder": "others"}})],
    ".evaluate": [("evaluate", {"truth": "others.json"})],
    ".targets": [("targets", BASE["targets"][:1])],
    ".exclude": [("exclude", [])],
    "Weights.name": [("weights.0.name", "other"), ("weights.2.name", "other")],
    "Weights.file": [("weights.1.file", "other.onnx")],
    "Weights.sha256": [("weights.1.sha256", "2" * 64)],
    "Weights.url": [("weights.1.url", "https://other.example/x")],
    "Weights.obtain": [("weights.1.obtain", "buy")],
    "Weights.scenes": [("weights.1.scenes", {"verify": SCENES})],
    "Weights.external_data": [("weights.1.external_data", [DATA])],
    "ExternalDataFile.file": [("weights.0.external_data.0.file", "other.data")],
    "ExternalDataFile.sha256": [("weights.0.external_data.0.sha256", "5" * 64)],
    "Weights.architecture": [("weights.1", {**BASE["weights"][2], "name": "one", "file": "one.pt"})],
    "Weights.prototxt": [("weights.3.prototxt", {**NETWORK, "file": "other.prototxt"})],
    "Prototxt.file": [("weights.3.prototxt.file", "other.prototxt")],
    "Prototxt.sha256": [("weights.3.prototxt.sha256", "8" * 64)],
    "Prototxt.url": [("weights.3.prototxt.url", "https://other.example/p")],
    "SceneSets.calibration": [("weights.1.scenes", {"calibration": SCENES})],
    "SceneSets.quantization": [("weights.1.scenes", {"quantization": SCENES})],
    "SceneSets.verify": [("weights.1.scenes", {"verify": SCENES})],
    "SceneSets.evaluate": [("weights.1.scenes", {"evaluate": SCENES})],
    "SceneRange.seed": [
        (f"weights.2.scenes.{name}.seed", 1000) for name in ("calibration", "quantization", "verify", "evaluate")
    ],
    "SceneRange.count": [
        *((f"weights.2.scenes.{name}.count", 9) for name in ("calibration", "quantization", "evaluate")),
        ("weights.2.scenes.verify.count", 5),
    ],
    "Input.name": [("input.name", "x")],
    "Input.height": [("input.height", 32)],
    "Input.width": [("input.width", 32)],
    "Input.layout": [("input.layout", "nhwc")],
    "Input.pixel_format": [("input.pixel_format", "rgb")],
    "Input.mean": [("input.mean", [1, 2, 4])],
    "Input.scale": [("input.scale", [1, 2, 4])],
    "Input.resize": [("input.resize", "stretch"), ("input.resize", "letterbox_center")],
    "Input.pad_value": [("input.pad_value", 7)],
    "Input.flavour": [("input.flavour", "bmcv")],
    "TensorInput.samples": [("inputs.state.samples", "others"), ("inputs.state.samples", "one.npz")],
    "TensorInput.random": [("inputs.noise.random", {"distribution": "zeros"})],
    "TensorInput.value": [("inputs.state", {"value": 3})],
    "TensorInput.shape": [("inputs.ids.shape", [1, 8])],
    "Distribution.distribution": [("inputs.noise.random.distribution", "uniform")],
    "Distribution.low": [("inputs.ids.random.low", 1)],
    "Distribution.high": [("inputs.ids.random.high", 8)],
    "Distribution.mean": [("inputs.noise.random.mean", 1)],
    "Distribution.std": [("inputs.noise.random.std", 2)],
    "Distribution.seed": [("inputs.noise.random.seed", 1)],
    "Decoder.kind": [("decoder.kind", "scrfd")],
    "Decoder.strides": [("decoder.strides", [8, 32])],
    "Decoder.min_sizes": [("decoder.min_sizes", [[16, 32], [64, 256]])],
    "Decoder.variance": [("decoder.variance", [0.1, 0.3])],
    "Decoder.nms": [("decoder.nms", 0.3)],
    "Decoder.anchors": [("decoder.anchors", [[10, 13], [30, 61], [117, 90]])],
    "Decoder.classes": [("decoder.classes", ["cat", "dog"]), ("decoder.classes", "names.txt")],
    "Decoder.characters": [("decoder.characters", ["a", "b"]), ("decoder.characters", "letters.txt")],
    "Decoder.points": [("decoder.points", "pixels")],
    "Decoder.binarize": [("decoder.binarize", 0.4)],
    "Decoder.unclip": [("decoder.unclip", 2.0)],
    "Decoder.plugin": [("decoder.plugin", "other.py")],
    "Images.folder": [(f"{name}.images.folder", "others") for name in ("calibration", "quantization", "verify")],
    "Images.count": [
        ("calibration.images.count", 9),
        ("quantization.images.count", 9),
        ("verify.images.count", 5),
    ],
    "Images.first": [(f"{name}.images.first", ["a.jpg"]) for name in ("calibration", "quantization", "verify")],
    "Calibration.images": [("calibration.images", {"folder": "others"})],
    "Calibration.count": [("calibration.count", 9)],
    "Calibration.table": [("calibration", {"table": "hand.table"})],
    "Calibration.engine": [("calibration.engine", "bmzoo")],
    "Calibration.method": [("calibration.method", "mse")],
    "Calibration.histogram_bins": [("calibration.histogram_bins", 1024)],
    "Calibration.tune": [("calibration.tune", 3)],
    "Calibration.refine": [("calibration.refine", 4)],
    "Calibration.equalize": [("calibration.equalize", True)],
    "Calibration.minimum": [("calibration.minimum", 9)],
    "Quantization.tables": [("quantization.tables", {"bm1688": "hand.qtable"})],
    "Quantization.images": [("quantization.images", {"folder": "others"})],
    "Quantization.search": [("quantization.search", {"max_float_layers": 9})],
    "Quantization.chips": [("quantization.chips", {"bm1688": {"max_float_layers": 9}})],
    "Quantization.targets": [("quantization.targets", {"bm1688_int8_1b": {"max_float_layers": 9}})],
    "Search.method": [("quantization.search.method", "vendor_qtable")],
    "Search.max_float_layers": [
        ("quantization.search.max_float_layers", 9),
        ("quantization.chips.bm1688.max_float_layers", 9),
    ],
    "Search.expected_cos": [("quantization.search.expected_cos", 0.99)],
    "Search.gain": [("quantization.search.gain", 0.1)],
    "Search.keep": [("quantization.search.keep", 2)],
    "Search.metric": [("quantization.search.metric", "cosine")],
    "Search.exclude": [("quantization.search.exclude", ["conv1"])],
    "Search.goal": [("quantization.chips.bm1688.goal", {"latency": "+5%"})],
    "Quantization.goal": [("quantization.goal", {"latency": "+5%"})],
    "Budget.ap_drop": [("quantization.goal.ap_drop", 0.5)],
    "Budget.latency": [("quantization.goal.latency", "+9%"), ("quantization.goal.latency", "3 ms")],
    "Verify.images": [("verify.images", {"folder": "others"})],
    "Verify.confidence": [("verify.confidence", 0.4)],
    "Verify.margin": [("verify.margin", 0.1)],
    "Verify.quantized": [("verify.quantized", 9)],
    "Verify.floats": [("verify.floats", 5)],
    "Verify.thresholds": [("verify.thresholds", [])],
    **{
        f"Rule.{key}": [(f"verify.thresholds.0.{key}", 0.123)]
        for key in ("cosine", "sqnr", "iou", "missed", "extra", "engines", "engines_sqnr", "consistency")
    },
    "Rule.faces": [("verify.thresholds.0.faces", 7)],
    "Rule.chip": [("verify.thresholds.0.chip", "bm1688")],
    "Rule.precision": [("verify.thresholds.0.precision", "fp32")],
    "Rule.target": [("verify.thresholds.0.target", "bm1688_int8_1b")],
    "Rule.weights": [("verify.thresholds.1.weights", "two")],
    "Evaluate.truth": [("evaluate.truth", "others.json")],
    "Evaluate.confidence": [("evaluate.confidence", 0.1)],
    "Evaluate.nms": [("evaluate.nms", 0.1)],
    "Selection.chip": [("targets.0.chip", ["bm1688", "bm1684"])],
    "Selection.precision": [("targets.0.precision", "int8")],
    "Selection.batch": [("targets.1.batch", 4)],
    "Selection.cores": [("targets.1.cores", 1)],
    "Selection.fuse_preprocess": [("targets.1.fuse_preprocess", "bgr_packed")],
    "Selection.deploy": [("targets.1.deploy", ["--high_precision"])],
    # Without it the entry is refused.
    "Selection.unverified": [
        ("targets", [*BASE["targets"], {"chip": "sg2380", "precision": "fp32", "unverified": True}])
    ],
    "Exclusion.chip": [("exclude.0.chip", "bm1688")],
    "Exclusion.precision": [("exclude.0.precision", "int8")],
    "Exclusion.batch": [("exclude.0.batch", 1)],
    "Exclusion.cores": [("exclude.0.cores", 2)],
}
# Sections are checked against each other: what has to be changed first, so that a change stands alone.
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "quantization": {"weights.2.scenes": {"verify": SCENES}},
    "calibration": {"weights.2.scenes": {"verify": SCENES}},
    "quantization.goal": {"quantization.search": {"metric": "faces"}},
    **{
        f"quantization.goal.{key}": {
            "quantization.search": {"metric": "faces"},
            "quantization.goal": {"ap_drop": 1, "latency": "+5%"},
        }
        for key in ("ap_drop", "latency")
    },
    "targets.1.fuse_preprocess": {"inputs": {}},
    "decoder.anchors": {"decoder": {"kind": "yolov5"}},
    "decoder.classes": {"decoder": {"kind": "yolov8"}},
    "decoder.characters": {"decoder": {"kind": "ctc_text"}},
    "decoder.points": {"decoder": {"kind": "landmarks"}},
    "decoder.binarize": {"decoder": {"kind": "db_text"}},
    "decoder.unclip": {"decoder": {"kind": "db_text"}},
    "decoder.plugin": {"decoder": {"plugin": "mine.py"}},
    "calibration.count": {
        **{"input": None, "decoder": {"kind": "none"}, "calibration": {"count": 20}, "quantization": {}},
        **{"verify": {}, "evaluate": None, "weights": BASE["weights"][:2]},
    },
}


def changed(base: Mapping[str, Any], place: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(dict(base))
    *path, last = place.split(".")
    section: Any = made
    for part in path:
        section = section[int(part)] if isinstance(section, list) else section[part]
    section[int(last) if isinstance(section, list) else last] = value
    return made


def loaded(values: Mapping[str, Any], folder: Path) -> Model:
    path = folder / "m.yaml"
    path.write_text(json.dumps(values))  # YAML as well
    return config.load(path, path.name)


def steps_of(model: Model) -> Iterator[Step]:
    for weights in model.config.weights:
        if model.config.evaluate is not None:
            yield evaluate_onnx(model, weights)
        for target in model.targets:
            made = proof(model, target, weights)
            yield from (*made.build.steps, made.lower, made.infer, made.compare)
            if model.config.evaluate is not None:
                yield evaluate_lowering(model, target, weights)


def seen_in(step: Step) -> object:
    """What a step's commands see of it. Its sections of a config are what the runtime's settings hold of them."""
    documents = {name: json.loads(text) for name, text in step.documents}
    for told in documents.values():
        if told.get("input"):
            read = [told["input"][key] for key in ("name", "layout") if step.kind == "import"]
            told["input"] = [str(input_spec(resolved_input(told["input"], {}))), read]
        if "decoder" in told:
            told["decoder"] = [str(decoder_spec(without_files(told["decoder"]))), told["decoder"].get("nms")]
    return str(step), step.commands, step.inputs, json.dumps(documents, sort_keys=True)


def without_files(decoder: Mapping[str, Any]) -> dict[str, Any]:
    """The settings but for those that stand in a file, which is an input of the step."""
    return {key: value for key, value in decoder.items() if value != FILES.get(key, ())}


def seen(model: Model, folder: Path) -> dict[str, object]:
    asked: list[str] = []

    def fetch(url: str, sha256: str) -> None:
        asked.append(url)
        raise SourceError(f"{url}: not there")

    with pytest.raises(SourceError) as caught:
        choose(Sources([folder]), model.config.weights, None, str, fetch)
    return {
        "fetched": asked,
        "told": str(caught.value.hint),
        "targets": [str(target) for target in model.targets],
        "thresholds": [
            thresholds(using(model, weights), target)
            for weights in model.config.weights
            for target in map(str, model.targets)
        ],
        "steps": {seen_in(step) for step in steps_of(model)},
    }


def thresholds(model: Model, name: str) -> dict[str, Any]:
    return model.thresholds(next(t for t in model.targets if str(t) == name)).model_dump()


def keys() -> set[str]:
    schema = described_schema(ModelConfig)
    sections = {"": schema, **schema["$defs"]}
    return {f"{name}.{key}" for name, section in sections.items() for key in section["properties"]}


def test_every_key_has_a_row() -> None:
    assert keys() == set(CHANGES)


@pytest.mark.parametrize(
    ("place", "value"), [change for changes in CHANGES.values() for change in changes], ids=lambda x: str(x)[:60]
)
def test_changing_a_key_changes_what_its_consumer_sees(place: str, value: Any, tmp_path: Path) -> None:
    base: dict[str, Any] = BASE
    for other, beside in BESIDE.get(place, {}).items():
        base = changed(base, other, beside)
    before, after = (seen(loaded(v, tmp_path), tmp_path) for v in (base, changed(base, place, value)))
    assert before != after


def test_every_key_of_a_request_is_read_by_one_of_the_commands_that_it_is_for(tmp_path: Path) -> None:
    vendor = changed(BASE, "quantization.search.method", "vendor_qtable")
    variants = [BASE, vendor, changed(BASE, "quantization.chips.bm1688.goal", {"ap_drop": 1})]
    steps = {step for values in variants for step in steps_of(loaded(values, tmp_path))}
    assert {step.kind for step in steps} >= {
        "import",
        "calibrate",
        "rank",
        "choose",
        "cut",
        "search",
        "arrange",
        "compare",
    }
    for step in steps:
        sources = [pattern for c in step.commands if c.tool in COMMANDS for pattern in COMMANDS[c.tool].sources]
        text = "".join(path.read_text() for pattern in sources for path in PACKAGE.glob(pattern))
        for _, document in step.documents:
            for key in json.loads(document):
                assert re.search(rf"""(\[|get\()"{key}"[\],)]""", text), f"{step}: {key}"


@pytest.mark.parametrize("place", ["verify.images.count", "weights.2.scenes.verify.count"])
def test_too_few_pictures_for_a_batch_are_refused_at_once(place: str, tmp_path: Path) -> None:
    assert loaded(changed(BASE, place, 4), tmp_path).targets
    with pytest.raises(ConfigError, match=r"count: too few for a full batch of bm1684x_int8_4b: 3") as caught:
        loaded(changed(BASE, place, 3), tmp_path)
    assert "at least 4" in caught.value.hint


def test_sets_of_pictures_say_how_many_everywhere(tmp_path: Path) -> None:
    """`count` is the most that is taken of a set, by every step that takes pictures."""
    model = loaded(BASE, tmp_path)
    most = {
        images.folder: images.count
        for images in (
            model.config.verify.images,
            *(s.images for s in (model.config.calibration, model.config.quantization) if s is not None),
        )
        if isinstance(images, Images)
    }
    taken = {ref for step in steps_of(model) for _, ref in step.inputs if isinstance(ref, Pictures)}
    named = [ref for ref in taken if ref.folder in most]
    assert {ref.folder for ref in named} == set(most)
    assert all(0 < ref.count <= (most[ref.folder] or 0) for ref in named)
