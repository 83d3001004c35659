"""All batches of a chip and precision in one bmodel: what goes together, what is checked, what is published."""

import json
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.config import model as config
from bmzoo.errors import VerifyFailed
from bmzoo.plan.combine import combination, combinations
from bmzoo.plan.step import Command
from bmzoo.results.artifact import build_artifact
from bmzoo.results.combined import combine_targets
from bmzoo.system.hashing import sha256

SHIPPED = Path(__file__).parents[2] / "configs" / "retinaface_mobilenet0.25.yaml"


def combine(project: Project) -> str:
    at = project.open()
    together = combinations(at.models["tiny"])["bm1688_int8"]
    for target in together:
        build_artifact(at, target)
    return combine_targets(at, at.models["tiny"], together)


def test_batches_of_one_chip_precision_and_number_of_cores_go_together() -> None:
    model = config.load(SHIPPED, SHIPPED.name)
    assert {name: [t.batch for t in targets] for name, targets in combinations(model).items()} == {
        name: [1, 4]
        for name in (
            *("bm1684_fp32", "bm1684_int8", "bm1684x_fp32", "bm1684x_int8"),
            *("bm1688_int8", "bm1688_int8_2core"),
        )
    }
    together = combinations(model)["bm1688_int8_2core"]
    steps = combination(model, together, model.config.weights[0])
    assert str(steps.combine) == f"combine {model.name}.official bm1688_int8_2core of 1b 4b"
    assert str(steps.combine.commands[0]) == "model_tool --combine 1b.bmodel 4b.bmodel -o model.bmodel"
    assert [str(step.commands[1]).split()[3] for _, step in steps.parts] == [
        "bm_net0_stage0.bmodel",
        "bm_net0_stage1.bmodel",
    ]


def test_what_is_fed_otherwise_stays_apart_and_so_does_a_cvimodel(project: Project) -> None:
    fused = "  - {chip: bm1688, precision: fp32, fuse_preprocess: bgr_planar}\n"
    project.edit("targets:\n", f"targets:\n{fused}  - {{chip: cv181x, precision: int8, batch: [1, 2]}}\n")
    assert sorted(combinations(project.open().models["tiny"])) == ["bm1684_fp32", "bm1684_int8", "bm1688_int8"]


def test_a_combined_bmodel_is_published_with_what_the_runtime_reads(project: Project) -> None:
    assert "each batch gives what it gives by itself" in combine(project)
    made = project.root / "build/combined/BM1688/tiny_int8_1b_2b.bmodel"
    told = json.loads(made.with_suffix(".json").read_text())
    assert told["sha256"] == sha256(made) and list(told["combined"]) == ["bm1688_int8_1b", "bm1688_int8_2b"]
    assert told["combined"]["bm1688_int8_2b"]["sha256"] == sha256(project.root / "build/BM1688/tiny_int8_2b.bmodel")
    assert told["input"]["height"] == 32 and told["decoder"]["kind"] == "none"
    combine(project)
    assert "model_tool" not in project.toolchain.ran, "kept in the store"


def test_a_part_that_gives_something_else_is_not_published(project: Project) -> None:
    def spoil(command: Command, folder: Path) -> None:
        project.toolchain.noise = 0.01 if any("bm_net0_stage1" in word for word in command.args) else 0.0

    project.toolchain.before = spoil
    with pytest.raises(VerifyFailed) as caught:
        combine(project)
    assert "bm1688_int8_2b: gives other outputs" in caught.value.message
    assert not (project.root / "build/combined/BM1688/tiny_int8_1b_2b.bmodel").exists()
