"""The published conversions, imported: what is planned has the flags that the samples' scripts give."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import draw
from published import BATCHES, Deploy, Published, published, script_of

from bmzoo.config import search_methods
from bmzoo.config.model import load
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.from_script import from_script
from bmzoo.config_import.places import Places
from bmzoo.config_import.yaml_text import yaml_text
from bmzoo.plan.build import Recipe, recipe
from bmzoo.plan.step import Step
from bmzoo.target import Target

ROWS = published()
PRECISIONS = {"F32": "fp32", "F16": "fp16", "INT8": "int8"}
ALL_SEARCHES = frozenset(search_methods.SEARCHES)


def imported(one: Published, root: Path) -> Draft:
    """The draft of a row's script, whose model and pictures are there."""
    for name in ("scripts", "models/onnx", "configs"):
        (root / name).mkdir(parents=True)
    pictures = root / "datasets" / "cali"
    pictures.mkdir(parents=True)
    for index in range(20):
        draw(pictures / f"{index:02}.png", str(index))
    for batch in BATCHES:
        (root / "models" / "onnx" / f"{one.stem.replace('$1b', f'{batch}b')}.onnx").write_bytes(b"weights")
    if not one.row["search"]:
        (root / "scripts" / "net_qtable").write_text("layer F16\n")
    script = root / "scripts" / one.row["script"]
    script.write_text(script_of(one))
    places = Places(root / "configs", (), root, ALL_SEARCHES)
    (draft,) = from_script(script, script.name, (), places, [])
    return draft


def wanted(one: Published) -> dict[Target, Deploy]:
    """The targets of a row, by the samples' rule: bm1684x unless another chip is named, two cores for bm1688."""
    found: dict[Target, Deploy] = {}
    for chip in ("bm1684x", *(["bm1688"] if any(deploy.cores > 1 for deploy in one.deploys) else [])):
        for deploy in one.deploys:
            if deploy.quantize in PRECISIONS and (chip == "bm1688" or deploy.cores == 1):
                for batch in BATCHES if "$1" in one.row["input_shapes"] else BATCHES[:1]:
                    target = Target("net", chip, PRECISIONS[deploy.quantize], batch, deploy.cores)
                    found.setdefault(target, deploy)
    return found


def planned(step: Step, tool: str) -> list[str]:
    """The words of a tool's call in a step of a plan."""
    (call,) = (str(command) for command in step.commands if str(command).startswith(tool))
    return shlex.split(call)


def value(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_the_plan_has_the_flags_of_the_script(one: Published, tmp_path: Path) -> None:
    draft = imported(one, tmp_path)
    path = tmp_path / "configs" / "net.yaml"
    path.write_text(said(yaml_text(draft)))
    model = load(path, path.name, ALL_SEARCHES)
    assert set(model.targets) == set(wanted(one))
    for target, deploy in wanted(one).items():
        steps = recipe(model, target, model.config.weights[0])
        if one.is_picture:
            check_fused(one, planned(steps.transform, "model_transform.py"), target.batch)
        else:
            check_shaped(one, steps, target.batch)
        request = requested(steps.source)
        assert (request.get("outputs") or []) == [name for name in one.row["output_names"].split(",") if name]
        check_compiled(planned(steps.deploy, "model_deploy.py"), target, deploy)


def check_fused(one: Published, transform: list[str], batch: int) -> None:
    """A picture alone: the same flags, word for word."""
    assert value(transform, "--input_shapes").replace(" ", "") == str(one.shapes(batch)).replace(" ", "")
    for key, default in (("mean", 0.0), ("scale", 1.0)):
        found = [float(part) for part in value(transform, f"--{key}").split(",")]
        assert found == pytest.approx(one.numbers(key, default), rel=1e-5)
    assert value(transform, "--pixel_format") == (one.row["pixel_format"] or ("gray" if len(found) == 1 else "bgr"))
    assert ("--keep_aspect_ratio" in transform) == bool(one.row["keep_aspect_ratio"])


def check_shaped(one: Published, steps: Recipe, batch: int) -> None:
    """Several inputs, or none that is a picture: the import fixes all sizes but the batch, which is fixed later."""
    transform, request = planned(steps.transform, "model_transform.py"), requested(steps.source)
    assert value(transform, "--model_def") == "shaped.onnx" and "--input_shapes" not in transform
    assert planned(steps.transform, "shapes") == ["shapes", "model.onnx", str(batch), "shaped.onnx"]
    shapes = one.shapes(1)
    assert [fed["shape"] for fed in request.get("inputs", {}).values()] == [s for s in shapes if not picture(s)]
    section = request["input"] or {}
    pictures = [shape for shape in shapes if picture(shape)]
    assert ([[section["height"], section["width"]]] if section else []) == [shape[2:] for shape in pictures]
    for key, default in (("mean", 0.0), ("scale", 1.0)):
        if section:
            assert list(section[key]) == pytest.approx(one.numbers(key, default), rel=1e-5)


def check_compiled(compiled: list[str], target: Target, deploy: Deploy) -> None:
    assert value(compiled, "--quantize") == deploy.quantize
    assert value(compiled, "--chip") == target.chip
    assert value(compiled, "--num_core") == str(deploy.cores)
    flags = {flag for flag in ("--quant_input", "--quant_output") if flag in compiled}
    assert flags == {f"--{flag}" for flag in deploy.flags if flag.startswith("quant_")}
    assert ("--quantize_table" in compiled) == ("quantize_table" in deploy.flags and deploy.quantize == "INT8")


def requested(step: Step) -> dict[str, Any]:
    """What an import is told."""
    found: dict[str, Any] = json.loads(dict(step.documents)["request.json"])
    return found


def said(text: str) -> str:
    """A config whose pictures a person has named: no script of a float model does."""
    return re.sub(r"folder: TODO [^\n}]*", "folder: datasets", text)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_a_draft_says_shapes_outputs_and_targets(one: Published, tmp_path: Path) -> None:
    draft = imported(one, tmp_path)
    shapes = one.shapes(1)
    inputs = [shape for shape in shapes if not picture(shape)]
    assert [each["shape"] for each in draft.config.get("inputs", {}).values()] == inputs
    assert draft.config.get("outputs", []) == [name for name in one.row["output_names"].split(",") if name]
    pictures = [shape for shape in shapes if picture(shape)]
    if pictures:
        assert [draft.config["input"][key] for key in ("height", "width")] == pictures[0][2:]
    assert len(draft.config["targets"]) > 0
    left = {deploy.quantize for deploy in one.deploys} - {*PRECISIONS}
    dropped = "\n".join(str(remark) for remark in draft.remarks if remark.said == "dropped")
    assert all(f"--quantize {quantize}" in dropped for quantize in left)
    assert "--test_input" in dropped


def picture(shape: list[int]) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3, 4)


def test_the_table_is_of_many_networks() -> None:
    assert len({row.row["sample"] for row in ROWS}) >= 8
