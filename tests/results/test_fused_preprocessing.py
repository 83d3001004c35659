"""A target whose preprocessing is compiled in, from its build to its archive."""

import io
import json

import numpy as np
import pytest
from conftest import Project
from exports import export_of

from bmzoo.export.archive import unpacked
from bmzoo.measure.npz import arrays
from bmzoo.plan.build import shown_step
from bmzoo.plan.verify import proof, siblings
from bmzoo.release.inventory import take
from bmzoo.release.outcomes import Outcomes
from bmzoo.results.artifact import build_artifact
from bmzoo.results.verify import verify_target
from bmzoo.runtime.preprocess import prepare_batch
from bmzoo.runtime.settings import read_config, settings_from

NAME = "bm1688_fp32_1b"


@pytest.fixture
def fused(project: Project) -> Project:
    project.edit("verify: {images", "verify: {floats: 2, images")
    project.edit("targets:\n", "targets:\n  - {chip: bm1688, precision: fp32, fuse_preprocess: bgr_packed}\n")
    return project


def test_the_artifact_says_that_it_is_fed_pixels(fused: Project) -> None:
    assert "raw" in fused.build(NAME)
    told = json.loads((fused.root / "build/BM1688/tiny_fp32_1b.json").read_text())
    assert told["fuse_preprocess"] == "bgr_packed" and "inputs" not in told
    at = fused.open()
    in_manifest = {one.file: one.fuse_preprocess for one in take(at, Outcomes()).artifacts}
    assert in_manifest["BM1688/tiny_fp32_1b.bmodel"] == "bgr_packed" and set(in_manifest.values()) == {
        None,
        "bgr_packed",
    }
    fed = told["input"]
    assert (fed["mean"], fed["scale"], fed["dtype"], fed["layout"]) == ([0.0] * 3, [1.0] * 3, "uint8", "nhwc")


def test_simulator_and_lowering_are_fed_pixels_and_onnx_what_they_become(fused: Project) -> None:
    at = fused.open()
    build_artifact(at, at.target(NAME))
    verify_target(at, at.target(NAME))
    model, target = at.models["tiny"], at.target(NAME)
    steps = proof(model, target, at.weights.chosen(model))
    ran = at.builder(model).run(steps.build.simulate)
    pixels, fed = arrays(ran.path("raw.npz")), arrays(ran.path("inputs.npz"))
    assert pixels["x_raw"].dtype == np.uint8
    assert np.array_equal(pixels["x_raw"].transpose(0, 3, 1, 2), fed["x"]), "tiny takes nothing off"
    (deploy,) = [one for one in steps.lower.commands if one.tool == "model_deploy.py"]
    assert "--fuse_preprocess" in deploy.args and "BGR_PACKED" in deploy.args
    figures = json.loads((fused.root / "build/BM1688/tiny_fp32_1b.verify.json").read_text())
    assert figures["passed"] and figures["engines"]["equal"]


def test_the_runtime_feeds_pixels_by_the_file_beside_the_artifact(fused: Project) -> None:
    fused.build(NAME)
    told = fused.root / "build/BM1688/tiny_fp32_1b.json"
    config = {**read_config(told), "decoder": {"kind": "retinaface"}}
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    batch, _ = prepare_batch([picture], settings_from(config, str(told)).input, 1)
    assert batch.shape == (1, 32, 32, 3) and np.array_equal(batch[0], picture)


def test_an_archive_holds_pixels_to_check_with(fused: Project) -> None:
    members = unpacked(export_of(fused, NAME).read_bytes(), "archive")
    with np.load(io.BytesIO(members["inputs.npz"])) as made:
        assert made.files == ["x_raw"] and made["x_raw"].dtype == np.uint8


def test_targets_that_are_fed_otherwise_are_no_siblings(fused: Project) -> None:
    at = fused.open()
    model = at.models["tiny"]
    assert siblings(model, at.target("bm1688_fp32_2b")) == ()
    assert siblings(model, at.target("bm1684_fp32_2b")) == (at.target("bm1684_fp32_1b"),)
    assert shown_step(model, at.target(NAME), at.weights.chosen(model)).outputs[-1] == "raw.npz"
