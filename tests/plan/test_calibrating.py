"""Who calibrates: what is run for it, and what of the settings its decision is recognised by."""

import json
from pathlib import Path

import pytest
from tiny_config import edited, load

from bmzoo.config.model import Model
from bmzoo.plan.shared import calibrate_step
from bmzoo.plan.step import Output, Step

OLD = "minimum: 2}"


def planned(folder: Path, settings: str = OLD) -> Step:
    folder.mkdir(exist_ok=True)
    return calibrate_step(*_weights(load(folder, edited((OLD, settings)))))


def _weights(model: Model) -> tuple[Model, object]:
    return model, model.config.weights[0]


def settings_of(step: Step) -> dict[str, object]:
    assert step.decision is not None
    return dict(json.loads(step.decision.settings))


def test_run_calibration_is_who_does_it_where_nothing_is_said(tmp_path: Path) -> None:
    """Committed decisions do not know the key: neither stated nor left out may it reach their settings."""
    for settings in (OLD, "minimum: 2, engine: vendor}"):
        step = planned(tmp_path, settings)
        assert [command.tool for command in step.commands] == ["prepare", "run_calibration.py", "table"]
        assert step.outputs == ("calibration.table",)
        assert not step.resumable
        assert "engine" not in settings_of(step)
        assert "model.onnx" not in dict(step.inputs)


def test_bmzoo_reads_the_network_and_says_how_sure_it_is(tmp_path: Path) -> None:
    step = planned(tmp_path, "minimum: 2, engine: bmzoo, method: mse}")
    assert [command.tool for command in step.commands] == ["prepare", "calibrate"]
    assert step.outputs == ("calibration.table", "certainty.json")
    assert step.resumable
    assert isinstance(dict(step.inputs)["model.onnx"], Output)
    assert json.loads(dict(step.documents)["calibrate.json"]) == {
        **{"method": "mse", "histogram_bins": 2048, "tune": True, "int4": False, "pictures": True}
    }
    assert settings_of(step)["engine"] == "bmzoo"


def test_an_equalized_network_is_read_as_it_is_lowered(tmp_path: Path) -> None:
    model, weights = _weights(load(tmp_path, edited((OLD, "minimum: 2, engine: bmzoo, equalize: true}"))))
    source = dict(calibrate_step(model, weights, "bm1684x").inputs)["model.onnx"]
    assert isinstance(source, Output)
    assert source.step.kind == "transform"


@pytest.mark.parametrize(("one", "other"), [("tune: 5", "tune: 3"), ("tune: 0", "tune: 3")])
def test_how_many_pictures_tune_is_no_matter_to_bmzoo(tmp_path: Path, one: str, other: str) -> None:
    """It takes all of them, or none."""
    first, second = (planned(tmp_path / key, f"minimum: 2, engine: bmzoo, {key}}}") for key in (one, other))
    assert (settings_of(first) == settings_of(second)) == ("5" in one)


@pytest.mark.parametrize("engine", ["vendor", "bmzoo"])
def test_thresholds_are_refined_on_the_lowering_that_they_lead_to(tmp_path: Path, engine: str) -> None:
    step = planned(tmp_path, f"minimum: 2, engine: {engine}, refine: 6}}")
    lower, after, refine = step.commands[-3:]
    assert (lower.tool, after.tool, refine.tool) == ("model_deploy.py", "lowered", "refine")
    assert "--not_gen_bmodel" in lower.args and lower.args[lower.args.index("--calibration_table") + 1] == (
        "calibration.table"
    )
    assert step.outputs[0] == "calibration.table" and "refined.json" in step.outputs
    assert isinstance(dict(step.inputs)["model.onnx"], Output)
    assert json.loads(dict(step.documents)["refine.json"])["layers"] == 6
    assert settings_of(step)["refine"] == 6 and "decoder" in settings_of(step)
    assert step.resumable
    assert "refine" not in settings_of(planned(tmp_path / "none", "minimum: 2, refine: 0}"))
