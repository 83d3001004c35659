"""What is planned for a goal: two rounds of compilations, of which a target only sees the table."""

import json
from collections import Counter
from pathlib import Path

from bmzoo.config import model as config
from bmzoo.config.model import Model
from bmzoo.plan.build import recipe
from bmzoo.plan.float_layers import cut_step
from bmzoo.plan.goal_search import trials
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.step import Output, Pictures, Step
from bmzoo.quantization.budgets.sets import SETS
from bmzoo.target import parse

SHIPPED = Path(__file__).parents[2] / "configs" / "retinaface_mobilenet0.25.yaml"


def asking(folder: Path, goal: str) -> Model:
    text = SHIPPED.read_text(encoding="utf-8")
    old = "  search: {max_float_layers: 4}\n"
    assert old in text
    path = folder / SHIPPED.name
    path.write_text(text.replace(old, f"  goal: {goal}\n"), encoding="utf-8")
    return config.load(path, path.name)


def cut(model: Model, chip: str = "bm1688") -> Step:
    search = model.search(int8_target(model, chip))
    assert search is not None and search.goal is not None
    return cut_step(model, chip, model.config.weights[0], search)


def every(step: Step) -> set[Step]:
    return {step}.union(*(every(needed) for needed in step.needs))


def test_two_rounds_are_compiled_and_the_second_is_compared_with_onnx(tmp_path: Path) -> None:
    made = Counter(step.kind for step in every(cut(asking(tmp_path, "{ap_drop: 0.5, latency: +10%}"))))
    assert made["arrange"] == 2
    assert made["deploy"] == 2 + 2 * SETS, "plain, all in float, and the sets of both rounds"
    assert made["agree"] == made["lower"] == 1 + SETS
    assert (made["rank"], made["choose"]) == (1, 1)


def test_what_a_step_reads_is_among_the_outputs_of_another(tmp_path: Path) -> None:
    for step in every(cut(asking(tmp_path, "{latency: +10%}"))):
        for _, ref in step.inputs:
            assert not isinstance(ref, Output) or ref.file in ref.step.outputs


def test_the_table_is_a_decision_by_the_goal_the_constants_and_all_pictures_that_it_is_judged_by(
    tmp_path: Path,
) -> None:
    step = cut(asking(tmp_path, "{ap_drop: 0.5, latency: +10.0%}"))
    assert step.decision is not None and step.decision.vendor
    settings = json.loads(step.decision.settings)
    assert settings["goal"] == {"ap_drop": 0.5, "latency": "+10%"}
    assert settings["constants"].keys() == {"arithmetic", "fp32", "memory", "run", "join"}
    pictures = dict(step.decision.sources)["pictures"]
    assert isinstance(pictures, Pictures) and pictures.count == 32
    assert not {"rank", "choose", "deploy"} & {ground.kind for ground in step.grounds}


def test_a_chip_without_constants_is_chosen_for_by_what_the_compiler_takes_it_to_cost(tmp_path: Path) -> None:
    step = cut(asking(tmp_path, "{latency: +10%}"), "bm1684")
    assert json.loads(dict(step.documents)["request.json"])["constants"] is None


def test_budgets_share_the_ranking_the_path_and_the_first_round(tmp_path: Path) -> None:
    one, other = (every(cut(asking(tmp_path, goal))) for goal in ("{latency: +10%}", "{ap_drop: 0.2}"))
    kinds = Counter(step.kind for step in one & other)
    assert (kinds["rank"], kinds["choose"], kinds["arrange"], kinds["deploy"]) == (1, 1, 1, 2 + SETS)


def test_steps_that_may_run_side_by_side_are_all_that_the_table_needs_besides_the_ranking(tmp_path: Path) -> None:
    model = asking(tmp_path, "{latency: +10%}")
    search = model.search(int8_target(model, "bm1688"))
    assert search is not None
    rounds = list(trials(model, "bm1688", model.config.weights[0], search))
    assert [Counter(step.kind for step in each) for each in rounds] == [
        {"deploy": 1 + SETS},
        {"deploy": 1 + SETS, "agree": 1 + SETS},
    ]
    assert set(rounds[1]) < set(cut(model).needs)


def test_a_target_is_compiled_with_the_table_as_with_any_other(tmp_path: Path) -> None:
    model = asking(tmp_path, "{latency: +10%}")
    target = parse("bm1688_int8_4b_2core", model.name)
    made = recipe(model, target, model.config.weights[0])
    assert dict(made.deploy.inputs)["mixed.qtable"] == Output(cut(model), "mixed.qtable")
