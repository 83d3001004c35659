"""`tune` from end to end on a toolchain that compiles nothing, and what stands on its line."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Project
from fake_toolchain import FakeToolchain

from bmzoo.config.model import load
from bmzoo.errors import BmzooError, ConfigError, ToolFailed
from bmzoo.plan.step import Command
from bmzoo.quantization.tables import float_layers
from bmzoo.tasks.actions.tune import options
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.tuning.report import TuningReport, markdown
from bmzoo.tuning.run import Tuner, TuningOptions, publish_found
from bmzoo.tuning.settings import Setting

LAYERS = ("c", "r", "y")


class Tunable(FakeToolchain):
    """Ranks three layers; each one in float takes off noise and adds cost, and the method matters, too."""

    broken = ""  # a calibration method that fails

    def run(self, command: Command, folder: Path, log: Path, timeout: float) -> None:
        own = {"rank": self._rank, "choose": self._choose}
        if command.tool not in own:
            super().run(command, folder, log, timeout)
            return
        self.ran.append(command.tool)
        own[command.tool](folder)

    def _rank(self, folder: Path) -> None:
        rows = [{"layer": name, "loss": 0.1, "group": [name]} for name in LAYERS]
        (folder / "ranking.json").write_text(json.dumps({"pictures": 3, "layers": rows}))

    def _choose(self, folder: Path) -> None:
        choices = [{"layers": [n], "loss": 0.1 / 4 ** (i + 1), "cosine": 0.9} for i, n in enumerate(LAYERS)]
        path = {"pictures": 3, "plain": {"loss": 0.1, "cosine": 0.8}, "choices": choices, "alone": {}}
        (folder / "path.json").write_text(json.dumps(path))

    def _run_calibration(self, folder: Path, command: Command) -> None:
        method = command.args[command.args.index("--cali_method") + 1]
        if method == self.broken:
            raise ToolFailed("run_calibration.py: no thresholds")
        super()._run_calibration(folder, command)
        table = folder / "tool.table"
        table.write_text(f"# method {method}\n{table.read_text()}")

    def _model_deploy(self, folder: Path, command: Command) -> None:
        super()._model_deploy(folder, command)
        table, thresholds = folder / "mixed.qtable", folder / "calibration.table"
        number = len(float_layers(table.read_text())) if table.exists() else 0
        text = thresholds.read_text() if thresholds.exists() else ""
        if "--not_gen_bmodel" in command.args:
            noise = 0.5 / 2**number + (0.2 if "# method max\n" in text else 0.0)
            weights = folder / "net_tpu_weights.npz"
            weights.write_bytes(f"{noise:.4f}".encode() + weights.read_bytes())
        else:
            cost = 1000 + 100 * number if text else 1150
            (folder / "net.layer_group_cache.json").write_text(json.dumps({"group_cost": cost}))

    def _infer(self, folder: Path, command: Command) -> None:
        _, inputs, outputs = command.args
        weights = folder / "lowered_weights.npz"
        self._run_network(weights, folder / inputs, folder / outputs, float(weights.read_bytes()[:6]))


@pytest.fixture
def tunable(project: Project) -> Project:
    project.toolchain = Tunable()
    project.edit("verify:", "quantization: {images: {folder: pictures/selection, count: 3}}\nverify:")
    return project


def tuned(project: Project, **values: Any) -> TuningReport:
    at = project.open()
    return Tuner(at, at.models["tiny"], "bm1684", "bm1684", TuningOptions(**values)).run()


def with_truth(project: Project) -> None:
    truth = project.data / "truth" / "gt.json"
    truth.parent.mkdir()
    truth.write_text("{}")
    project.edit("targets:", "evaluate: {truth: truth/gt.json}\ntargets:")


def test_every_axis_is_walked_from_the_best_of_the_one_before(tunable: Project) -> None:
    found = tuned(tunable)
    assert found.now == Setting(0, "kl", 4) and found.measure == "cosine" and found.rival.cost == 1150
    layers = {p.setting.max_float_layers for p in found.points if p.setting.method == "kl"}
    assert layers == {0, 1, 2, 3}
    best = found.chosen.setting.max_float_layers
    assert {p.setting.method for p in found.points if p.setting.max_float_layers == best} >= {"mse", "max"}
    assert [p.cost for p in found.points[:4]] == [1000, 1100, 1200, 1300]
    agreed = [p.agreement for p in found.points[:4]]
    assert agreed == sorted(agreed) and agreed[0] < agreed[3] < 1
    assert not found.accuracy and not found.onnx, "no ground truth, no average precision"


def test_layers_are_ranked_once_and_a_second_run_does_nothing(tunable: Project) -> None:
    tuned(tunable)
    ran = tunable.toolchain.ran
    assert (ran.count("rank"), ran.count("choose"), ran.count("run_calibration.py")) == (1, 1, 6)
    tuned(tunable)
    assert tunable.toolchain.ran == []


def test_average_precision_is_of_the_points_worth_a_look(tunable: Project) -> None:
    with_truth(tunable)
    found = tuned(tunable)
    marked = {p.setting for p in found.points if found.marks(p)}
    assert set(found.accuracy) == marked and found.onnx == {"easy": 0.9}
    assert len(marked) < len(found.points)
    assert set(tuned(tunable, evaluated="all").accuracy) == {p.setting for p in found.points}
    assert tuned(tunable, evaluated="none").accuracy == {}


def test_the_choice_is_the_same_whatever_average_precision_says(tunable: Project) -> None:
    with_truth(tunable)
    chosen = {tuned(tunable, evaluated=which).chosen for which in ("none", "front", "all")}
    assert len(chosen) == 1


def test_ground_truth_that_is_not_here_is_said(tunable: Project) -> None:
    tunable.edit("targets:", "evaluate: {truth: nowhere/gt.json}\ntargets:")
    assert tuned(tunable).accuracy == {}
    assert any("the ground truth is not here: nowhere/gt.json" in text for text in tunable.report.warnings)


def test_files_and_what_is_said(tunable: Project) -> None:
    at = tunable.open()
    model = at.models["tiny"]
    found = Tuner(at, model, "bm1684", "bm1684").run()
    said = publish_found(at, model, found)
    folder = tunable.root / "build" / "tune" / "tiny.given.bm1684"
    assert {path.name for path in folder.iterdir()} == {"table.md", "tune.json", "pareto.html"}
    document = json.loads((folder / "tune.json").read_text())
    assert len(document["points"]) == len(found.points) and document["points"][0]["ap"] is None
    assert "| max_float_layers |" in said and "recommended: max_float_layers" in said
    assert "to use it, in configs/tiny.yaml" in said and "build/tune/tiny.given.bm1684/: table.md" in said
    page = (folder / "pareto.html").read_text()
    assert "<script src=" not in page and "max_float_layers 3" in page


def test_what_is_to_be_pasted_is_what_was_recommended(tunable: Project) -> None:
    found = tuned(tunable)
    assert found.paste.startswith("quantization:") and found.chosen.setting.max_float_layers > 0
    lines = [line for line in tunable.config.read_text().splitlines() if not line.startswith("quantization:")]
    tunable.config.write_text("\n".join([*lines, found.paste]))
    load(tunable.config, "tiny.yaml")
    again = tuned(tunable)
    assert again.now == found.chosen.setting and again.chosen.setting == again.now and again.paste == ""


def test_without_the_plotting_package_table_and_document_are_there(
    tunable: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tunable.open()
    model = at.models["tiny"]
    found = Tuner(at, model, "bm1684", "bm1684").run()
    publish_found(at, model, found)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    said = publish_found(at, model, found)
    folder = at.layout.tuning("tiny.given.bm1684")
    assert {path.name for path in folder.iterdir()} == {"table.md", "tune.json"}, "no plot of an earlier run"
    assert "no pareto.html: plotly is not installed" in said


def test_a_setting_that_fails_is_left_out_with_the_reason(tunable: Project) -> None:
    assert isinstance(tunable.toolchain, Tunable)
    tunable.toolchain.broken = "aciq_gauss"
    found = tuned(tunable)
    assert len(found.left_out) == 1 and "aciq_gauss" in found.left_out[0] and "no thresholds" in found.left_out[0]
    assert not [p for p in found.points if p.setting.method == "aciq_gauss"]
    tunable.toolchain.broken = "kl"
    tunable.edit("minimum: 2", "minimum: 2, histogram_bins: 512")  # the current setting itself has to be made anew
    with pytest.raises(BmzooError, match="no thresholds"):
        tuned(tunable)


def test_no_more_is_started_when_the_time_is_up(tunable: Project) -> None:
    at = tunable.open()
    ticks = iter(np.arange(0, 1e6, 30.0).tolist())
    tuner = Tuner(
        at, at.models["tiny"], "bm1684", "bm1684", TuningOptions(minutes=3, workers=1), lambda: next(ticks)
    )
    found = tuner.run()
    assert any(p.setting == found.now for p in found.points)
    assert found.left_out and all("no time left of 3 minutes" in text for text in found.left_out)
    assert len(found.points) + len(found.left_out) >= 6


def test_equal_tables_are_one_point(tunable: Project) -> None:
    tunable.edit("count: 3}}", "count: 3}, search: {max_float_layers: 3, gain: 0.5}}")
    found = tuned(tunable)
    now = [p for p in found.points if p.setting.method == "kl"]
    assert [(p.setting.max_float_layers, p.float_layers) for p in now] == [(0, 0), (3, 1)]
    assert found.same == {1: 3, 2: 3} and "|          1, 2, 3 |" in markdown(found) and not found.left_out


def test_pictures_are_as_many_as_there_are(tunable: Project) -> None:
    tunable.edit("pictures/calibration}", "pictures/calibration, count: 3}")
    found = tuned(tunable)
    assert found.now.pictures == 3
    assert {p.setting.pictures for p in found.points} == {3, 4}


def test_a_table_written_by_hand_leaves_one_axis(tunable: Project) -> None:
    (tunable.data / "my.table").write_text("x 4.0 -4.0 4.0\nc 4.0 -4.0 4.0\nr 4.0 0.0 4.0\ny 4.0 -4.0 4.0\n")
    tunable.edit("{images: {folder: pictures/calibration}, minimum: 2}", "{table: my.table}")
    found = tuned(tunable)
    assert [str(p.setting) for p in found.points] == [f"max_float_layers {n}" for n in range(4)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "quantization: {images: {folder: pictures/selection, count: 3}}\n",
            "",
            "quantization.images: missing key",
        ),
        ("count: 3}}\n", "count: 3}, tables: {bm1684: a.qtable}}\n", "layers are named by hand: a.qtable"),
        ("count: 3}}\n", "count: 3}, search: {keep: 2}}\n", "layers are taken as ranked: keep: 2"),
    ],
)
def test_what_cannot_be_tuned_is_refused(tunable: Project, old: str, new: str, message: str) -> None:
    tunable.config.write_text(tunable.config.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match="configs/tiny.yaml: quantization") as caught:
        tuned(tunable)
    assert message in caught.value.message and caught.value.hint


def test_there_is_a_task_for_each_chip_with_int8(tunable: Project) -> None:
    [row] = [row for row in TASKS if row.name == "tune"]
    names = [task["name"] for task in row.dictionaries(Context(tunable.open(), TASKS))]
    assert names == [None, "bm1684", "bm1688"]


@pytest.mark.parametrize(
    ("ap", "minutes", "message"),
    [
        ("frnt", "", "--ap: not supported: frnt"),
        ("", "0", "--minutes: not a number of minutes above 0: 0"),
        ("", "soon", "--minutes: .*: soon"),
        ("", "nan", "--minutes: .*: nan"),
    ],
)
def test_wrong_options_are_refused(ap: str, minutes: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        options(ap, minutes)


def test_options_left_out_have_their_defaults() -> None:
    assert options("", "").evaluated == "front" and options("", "").minutes == 20.0
    assert options("all", "2.5").evaluated == "all" and options("all", "2.5").minutes == 2.5
