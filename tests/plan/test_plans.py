"""What is run for a target. `PYTHONPATH=.:tests python tests/plan/test_plans.py` rewrites the golden plans;
read the diff before committing it: a line that changes is a command that changes for everybody."""

from collections import Counter
from pathlib import Path

import pytest
from conftest import Silent

from bmzoo.config import model as config
from bmzoo.config.model import Model
from bmzoo.plan.build import Recipe, recipe
from bmzoo.plan.step import Output, Step
from bmzoo.target import parse
from bmzoo.tasks.actions.plan import render_plan, render_recipe
from bmzoo.workspace import Workspace

ROOT = Path(__file__).parents[2]
NAME = "retinaface_mobilenet0.25"
SHIPPED = ROOT / "configs" / f"{NAME}.yaml"
PLANS = Path(__file__).parents[1] / "data" / "plans"
TARGETS = ("bm1684_fp32_1b", "bm1684x_fp16_1b", "bm1688_int8_4b_2core")


def shipped() -> Model:
    return config.load(SHIPPED, SHIPPED.name)


def steps_of(name: str) -> Recipe:
    model = shipped()
    return recipe(model, parse(name, model.name), model.config.weights[0])


def every_step() -> set[Step]:
    model = shipped()
    return {step for t in model.targets for step in recipe(model, t, model.config.weights[0]).steps}


@pytest.mark.parametrize("name", TARGETS)
def test_the_plan_is_the_golden_one(name: str) -> None:
    assert render_recipe(steps_of(name), name) == (PLANS / f"{name}.txt").read_text(encoding="utf-8")


def test_all_17_targets_share_what_can_be_shared() -> None:
    assert Counter(step.kind for step in every_step()) == {
        "import": 1,
        "ranges": 1,
        "scales": 2,  # once for each quantizer, and so are transforms and calibrations from there on
        "transform": 6,  # batches 1 and 4, of the model as imported and as equalized
        "calibrate": 2,
        "lower": 2,  # plain INT8, once for each quantizer
        "rank": 2,
        "choose": 2,
        "cut": 3,
        "deploy": 17,
        "simulate": 17,
        "measure": 17,
    }


def test_every_step_comes_after_what_it_needs_and_once() -> None:
    model = shipped()
    for target in model.targets:
        steps = recipe(model, target, model.config.weights[0]).steps
        assert len(set(steps)) == len(steps)
        for index, step in enumerate(steps):
            assert set(step.needs) <= set(steps[:index])


def test_what_a_step_reads_from_another_is_among_its_outputs() -> None:
    for step in every_step():
        for _, ref in step.inputs:
            assert not isinstance(ref, Output) or ref.file in ref.step.outputs


def test_only_integer_precisions_are_calibrated() -> None:
    assert steps_of("bm1684_fp32_1b").calibrate is None
    int8 = steps_of("bm1684_int8_4b")
    assert int8.calibrate is not None and int8.calibrate.needs[0].subject.detail.endswith("1b equalized for bm1684")
    assert "--calibration_table" in str(int8.deploy.commands[1])
    assert "--calibration_table" not in str(steps_of("bm1688_fp16_1b").deploy.commands)


def test_thresholds_and_pictures_of_the_verdict_do_not_reach_the_compiler(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    old = "cosine: 0.9, sqnr: 6.5"
    assert old in text
    head, judged = text.replace(old, "cosine: 0.8, sqnr: 5.0").split("\nverify:")
    text = head + "\nverify:" + judged.replace("selection/wider_test", "selection/other")
    path = tmp_path / SHIPPED.name
    path.write_text(text, encoding="utf-8")
    model = config.load(path, "edited")
    edited = recipe(model, parse("bm1688_int8_4b", model.name), model.config.weights[0])
    before = steps_of("bm1688_int8_4b")
    assert (edited.deploy, edited.calibrate) == (before.deploy, before.calibrate)
    assert edited.simulate != before.simulate


def test_a_mixed_precision_table_reaches_only_the_targets_it_is_for(tmp_path: Path) -> None:
    path = tmp_path / SHIPPED.name
    text = SHIPPED.read_text(encoding="utf-8").replace("max_float_layers: 4", "max_float_layers: 0")
    path.write_text(text, encoding="utf-8")
    old = config.load(path, "plain")
    path.write_text(
        text.replace("\nquantization:\n", "\nquantization:\n  tables: {bm1684: my.qtable}\n"), encoding="utf-8"
    )
    model = config.load(path, "edited")
    for target in model.targets:
        steps, before = (recipe(m, target, m.config.weights[0]) for m in (model, old))
        uses = any("--quantize_table" in command.args for command in steps.deploy.commands)
        assert uses == (target.chip == "bm1684" and target.precision == "int8")
        assert uses or steps == before


def test_plans_need_neither_toolchain_nor_pictures_nor_weights(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / SHIPPED.name).write_bytes(SHIPPED.read_bytes())
    at = Workspace(tmp_path, {}, Silent())
    everything = render_plan(at, [])
    for name in TARGETS:
        assert (PLANS / f"{name}.txt").read_text(encoding="utf-8") in everything
    assert everything.count(" -> build/") == 17
    assert [p.name for p in tmp_path.iterdir()] == ["configs"]


def test_a_plan_holds_nothing_of_this_machine() -> None:
    everything = "".join(render_recipe(steps_of(str(t)), str(t)) for t in shipped().targets)
    assert str(ROOT) not in everything and "/tmp" not in everything


if __name__ == "__main__":
    PLANS.mkdir(parents=True, exist_ok=True)
    for name in TARGETS:
        (PLANS / f"{name}.txt").write_text(render_recipe(steps_of(name), name), encoding="utf-8")
