import json
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.errors import ConfigError, SourceError, VerifyFailed
from bmzoo.plan.step import Command
from bmzoo.plan.verify import lower_step
from bmzoo.release.prune import find_orphans
from bmzoo.results import eval


@pytest.fixture
def judged(project: Project) -> Project:
    """The small project with ground truth for one picture."""
    (project.data / "truth").mkdir()
    (project.data / "truth/gt.json").write_text("{}")
    project.edit("selection}}", "selection}, quantized: 2}\nevaluate: {truth: truth/gt.json}")
    return project


def test_a_lowering_is_evaluated_once_for_all_its_batches_and_reported_beside_onnx(judged: Project) -> None:
    at = judged.open()
    assert eval.evaluate_model(at, at.models["tiny"]) == "AP easy 0.900"
    assert eval.evaluate_target(at, at.target("bm1688_int8_2b")) == "AP easy 0.890 (-1.0 points)"
    assert eval.is_current_onnx(at, at.models["tiny"])
    told = json.loads((judged.root / "build/eval/tiny.given.bm1688_int8.json").read_text())
    assert told["ap"] == {"easy": 0.89} and told["difference_to_onnx"] == {"easy": -0.01}
    at = judged.open()
    eval.evaluate_target(at, at.target("bm1688_int8_1b"))
    assert "evaluate" not in judged.toolchain.ran
    assert eval.is_current(at, at.target("bm1688_int8_2b"))


def test_the_metric_is_named_in_the_line_and_in_the_document(
    judged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(folder: Path, command: Command) -> None:
        lost = 0.0 if "model.onnx" in (folder / "request.json").read_text() else 0.02
        figures = {"AP50": 0.5 - lost, "mAP": 0.3 - lost}
        (folder / "ap.json").write_text(json.dumps({"metric": "COCO", "figures": figures, "pictures": 1}))

    monkeypatch.setattr(judged.toolchain, "_evaluate", judge)
    at = judged.open()
    assert eval.evaluate_model(at, at.models["tiny"]) == "COCO mAP 0.300, AP50 0.500"
    line = "COCO mAP 0.280 (-2.0 points), AP50 0.480 (-2.0 points)"
    assert eval.evaluate_target(at, at.target("bm1688_int8_2b")) == line
    told = json.loads((judged.root / "build/eval/tiny.given.bm1688_int8.json").read_text())
    assert told["metric"] == "COCO" and "ap" not in told
    assert told["difference_to_onnx"] == {"AP50": -0.02, "mAP": -0.02}


def test_targets_with_settings_of_their_own_are_evaluated_apart(judged: Project) -> None:
    """Neither file may say of one what was found of the other, and neither may be pruned."""
    (judged.data / "float.qtable").write_text("r F32\n")
    judged.edit("targets:", "quantization: {tables: {bm1688_int8_2b: float.qtable}}\ntargets:")
    at = judged.open()
    targets = [at.target(name) for name in ("bm1688_int8_1b", "bm1688_int8_2b", "bm1688_fp32_1b")]
    for target in targets:
        eval.evaluate_target(at, target)
        assert eval.is_current(at, target)
    assert all(eval.is_current(at, target) for target in targets)
    names = sorted(path.name for path in (judged.root / "build/eval").iterdir())
    kinds = ("bm1688_fp32", "bm1688_int8_1b", "bm1688_int8_2b")
    assert names == [f"tiny.given.{name}.json" for name in kinds]
    model = at.models["tiny"]
    lowered = [dict(lower_step(model, target, at.weights.chosen(model)).inputs) for target in targets]
    assert ["mixed.qtable" in inputs for inputs in lowered] == [False, True, False]
    assert find_orphans(at, frozenset()) == ()


def test_ground_truth_that_changed_is_used_anew(judged: Project) -> None:
    at = judged.open()
    eval.evaluate_model(at, at.models["tiny"])
    (judged.data / "truth/gt.json").write_text('{"a": 1}')
    at = judged.open()
    assert not eval.is_current_onnx(at, at.models["tiny"])


def test_figures_of_an_mlir_that_is_not_the_artifacts_are_refused(judged: Project) -> None:
    judged.toolchain.gap = 0.1
    at = judged.open()
    with pytest.raises(VerifyFailed, match="its MLIR cannot stand for it"):
        eval.evaluate_target(at, at.target("bm1688_int8_2b"))


def test_missing_ground_truth_is_explained(judged: Project) -> None:
    judged.edit("truth/gt.json", "nowhere/gt.json")
    at = judged.open()
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        eval.evaluate_model(at, at.models["tiny"])
    judged.edit("\nevaluate: {truth: nowhere/gt.json}", "")
    at = judged.open()
    with pytest.raises(ConfigError, match="there is no ground truth"):
        eval.evaluate_model(at, at.models["tiny"])
