"""INT8 settings that are found where a config has none: in which order, when it ends, and what is kept of it."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from conftest import Project

from bmzoo.errors import ConfigError, ToolFailed, VerifyFailed
from bmzoo.execute.decisions import content_of, is_ours
from bmzoo.measure.verdict import misses, shortfall
from bmzoo.plan.ladder import EQUALIZED, FLOAT_RUNGS, PLAIN_INT8, Int8Settings, climbs, with_search
from bmzoo.plan.step import Command
from bmzoo.results import decisions, ladder
from bmzoo.results.artifact import build_artifact
from bmzoo.results.int8_trials import Trial, Trials
from bmzoo.system.hashing import sha256
from bmzoo.workspace import Workspace

FILE = "calibration/tiny.given.int8"
TRIED = ("outcome", "settings")


@pytest.fixture
def climbing(project: Project) -> Project:
    project.edit("pictures/selection}", "pictures/selection, count: 2}")
    return project


def climb(at: Workspace) -> str:
    return ladder.climb(at, at.configs.models["tiny"])


def kept(project: Project) -> dict[str, object]:
    content: dict[str, object] = json.loads(content_of((project.root / FILE).read_text()))
    return content


def tried(project: Project) -> list[tuple[str, ...]]:
    rows = kept(project)["tried"]
    assert isinstance(rows, list)
    return [tuple(row[key] for key in TRIED) for row in rows]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("verify:", "verify:", True),
        ("verify:", "quantization: {}\nverify:", False),
        ("minimum: 2", "minimum: 2, method: kl", False),
        ("minimum: 2", "minimum: 2, equalize: false", False),
        ("minimum: 2", "minimum: 2, tune: 3", True),
        ("images: {folder: pictures/calibration}, minimum: 2", "table: by_hand.table", False),
        ("[fp32, int8]", "fp32", False),
    ],
)
def test_it_is_for_configs_that_say_nothing_of_int8(project: Project, old: str, new: str, expected: bool) -> None:
    project.edit(old, new)
    assert climbs(project.open().configs.models["tiny"]) is expected


def test_plain_int8_that_is_enough_is_taken(climbing: Project) -> None:
    at = climbing.open()
    assert climb(at) == f"{FILE}: thresholds by kl"
    assert tried(climbing) == [("enough", "thresholds by kl")] * 2, "one for each quantizer"
    assert kept(climbing)["left"] == []
    assert is_ours((climbing.root / FILE).read_text())
    assert (climbing.root / "calibration/tiny.given.table").is_file(), "what follows is written as well"
    build_artifact(at, at.target("bm1688_int8_1b"))


def test_fewer_pictures_than_verify_asks_for_are_enough_to_try(project: Project) -> None:
    """A folder of three, where eight are the default."""
    at = project.open()
    assert climb(at) == f"{FILE}: thresholds by kl"


def test_what_is_decided_is_not_tried_again_and_part_of_the_model(climbing: Project) -> None:
    at = climbing.open()
    climb(at)
    again = climbing.open()
    assert decisions.has_int8_settings(again, again.configs.models["tiny"])
    climb(again)
    assert climbing.toolchain.ran == []
    assert climbs(again.configs.models["tiny"])
    assert not climbs(again.models["tiny"])


def test_settings_in_the_checkout_count_from_the_start(climbing: Project) -> None:
    at = climbing.open()
    climb(at)
    path = climbing.root / FILE
    text = path.read_text()
    path.write_text(text.replace('"equalize": false', '"equalize": true').replace('"kl"', '"mse"'))
    calibration = climbing.open().models["tiny"].config.calibration
    assert calibration is not None
    assert (calibration.method, calibration.equalize) == ("mse", True)


def test_the_rungs_are_climbed_as_far_as_needed(climbing: Project) -> None:
    def noisy_until_equalized(command: Command, folder: Path) -> None:
        climbing.toolchain.noise = 0.0 if "equalize" in climbing.toolchain.ran else 0.5

    climbing.toolchain.before = noisy_until_equalized
    assert climb(climbing.open()) == f"{FILE}: thresholds by kl, channels equalized"
    assert tried(climbing) == [
        *[("not enough", str(PLAIN_INT8))] * 2,
        *[("enough", str(EQUALIZED))] * 2,
    ]
    scales = {path.name for path in (climbing.root / "calibration").glob("*.scales")}
    assert scales == {"tiny.given.scales", "tiny.given.bm1684.scales"}, "what follows is written as well"


def test_where_nothing_is_enough_it_says_so_and_the_build_is_refused(climbing: Project) -> None:
    climbing.toolchain.noise = 0.5
    at = climbing.open()
    climb(at)
    assert kept(climbing)["left"] == ["bm1684", "bm1684x"]
    assert "not enough for bm1684, bm1684x" in "\n".join(climbing.report.said)
    outcomes = {outcome for outcome, _ in tried(climbing)}
    assert outcomes == {"not enough", "cannot be made"}, "the fake's MLIR has no layers to leave in float"
    with pytest.raises(VerifyFailed, match="not published"):
        build_artifact(at, at.target("bm1688_int8_1b"))


def test_what_is_enough_by_chance_is_compared_with_the_other_thresholds(
    climbing: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubts = {"kl": 0.3, "mse": 0.1, "percentile9999": 0.2}

    def attempt(self: Trials, settings: Int8Settings, quantizer: str) -> Trial:
        return Trial((), "", 0.0, "no", doubts[settings.method])

    monkeypatch.setattr(Trials, "attempt", attempt)
    assert climb(climbing.open()) == f"{FILE}: thresholds by mse"
    doubts["kl"] = 0.0
    (climbing.root / FILE).unlink()
    assert climb(climbing.open()) == f"{FILE}: thresholds by kl", "surely enough, so nothing else is tried"


def test_enough_by_chance_is_better_than_not_enough(climbing: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(self: Trials, settings: Int8Settings, quantizer: str) -> Trial:
        return Trial((), "", 0.0, "no", 0.4) if settings.method == "kl" else Trial(("missed",), "", 0.01)

    monkeypatch.setattr(Trials, "attempt", attempt)
    assert climb(climbing.open()) == f"{FILE}: thresholds by kl"
    assert kept(climbing)["left"] == []


def test_no_figure_is_in_the_decision(climbing: Project) -> None:
    climbing.toolchain.noise = 0.5
    climb(climbing.open())
    assert not any("cosine" in value or "." in value.replace("...", "") for row in tried(climbing) for value in row)


def test_the_decision_says_whether_other_pictures_would_say_the_same(climbing: Project) -> None:
    climb(climbing.open())
    words = "not known, as it is by whole outputs"
    assert kept(climbing)["sure"] == {"bm1684": words, "bm1684x": words}
    assert f"bm1684: is this verdict sure: {words}" in "\n".join(climbing.report.said)


def test_a_file_by_hand_is_not_overwritten(climbing: Project) -> None:
    path = climbing.root / FILE
    path.parent.mkdir()
    path.write_text("mse\n")
    with pytest.raises(ConfigError, match=f"^{FILE}: written or edited by hand, so it is not overwritten$"):
        climb(climbing.open())
    assert path.read_text() == "mse\n"


def test_a_run_that_ended_before_all_was_written_is_taken_up(climbing: Project) -> None:
    climb(climbing.open())
    table = climbing.root / "calibration/tiny.given.table"
    written = table.read_text()
    at = climbing.open()
    assert decisions.has_int8_decisions(at, at.configs.models["tiny"])
    table.unlink()
    again = climbing.open()
    assert decisions.has_int8_settings(again, again.configs.models["tiny"])
    assert not decisions.has_int8_decisions(again, again.configs.models["tiny"])
    climb(again)
    assert table.read_text() == written


def test_locked_decides_nothing(climbing: Project) -> None:
    at = climbing.open()
    at.options = type(at.options)(locked=True)
    with pytest.raises(ConfigError, match=f"^{FILE}: missing, and locked=yes$"):
        climb(at)


def test_other_pictures_make_it_stale(climbing: Project) -> None:
    climb(climbing.open())
    (climbing.data / "pictures/calibration/0.png").write_bytes(
        (climbing.data / "pictures/selection/2.png").read_bytes()
    )
    at = climbing.open()
    assert not decisions.has_int8_settings(at, at.configs.models["tiny"])


def test_shortfall_is_nothing_exactly_where_nothing_is_missed(climbing: Project) -> None:
    at = climbing.open()
    limits = at.models["tiny"].thresholds(at.target("bm1688_int8_1b"))
    figures = {
        "images": 1,
        "detections": None,
        "tensors": {"y": {"cosine": 0.96, "sqnr_db": 12.0, "max_error": 1.0}},
    }
    assert not misses(figures, limits)
    assert shortfall(figures, limits) == 0
    worse = {**figures, "tensors": {"y": {"cosine": 0.90, "sqnr_db": 5.0, "max_error": 1.0}}}
    assert shortfall(worse, limits) == pytest.approx(0.05 + 0.05)


def test_settings_come_back_from_their_file() -> None:
    floats = (with_search(PLAIN_INT8, "bm1684x", search) for search in FLOAT_RUNGS)
    for rung in (PLAIN_INT8, EQUALIZED, Int8Settings("mse", equalize=True), *floats):
        assert Int8Settings.from_json(json.loads(json.dumps(rung.as_json()))) == rung


def fails_where(project: Project, when: Callable[[Command, Path], bool]) -> None:
    """A compiler that gives up on some commands."""

    def given_up(command: Command, folder: Path) -> None:
        if when(command, folder):
            raise ToolFailed(f"{command.tool}: gave up")

    project.toolchain.before = given_up


def compiles(command: Command) -> bool:
    return command.tool == "model_deploy.py" and "--not_gen_bmodel" not in command.args


def test_where_plain_int8_cannot_be_compiled_the_next_rung_is_tried(climbing: Project) -> None:
    """It lowers, and agrees; only the code generator gives up on it."""
    before: set[str] = set()

    def gives_up_on_plain(command: Command, folder: Path) -> bool:
        before.add(command.tool)
        return compiles(command) and "equalize" not in before

    fails_where(climbing, gives_up_on_plain)
    assert climb(climbing.open()) == f"{FILE}: thresholds by kl, channels equalized"
    assert tried(climbing) == [
        *[("cannot be made", str(PLAIN_INT8))] * 2,
        *[("enough", str(EQUALIZED))] * 2,
    ]
    said = "\n".join(climbing.report.said)
    assert "thresholds by kl: cannot be made: model_deploy.py: gave up" in said


def test_plain_int8_that_cannot_be_compiled_has_no_cost(climbing: Project) -> None:
    def gives_up_on_plain(command: Command, folder: Path) -> bool:
        if not compiles(command):
            return False
        own = onnx.load_from_string(next(folder.glob("*_top_f32_all_weight.npz")).read_bytes())
        source = onnx.load(str(climbing.data / "model.onnx"))
        return [one.raw_data for one in own.graph.initializer] == [one.raw_data for one in source.graph.initializer]

    fails_where(climbing, gives_up_on_plain)
    climb(climbing.open())
    costs = kept(climbing)["costs"]
    assert isinstance(costs, dict)
    assert {cost["plain"] for cost in costs.values()} == {None}
    assert "thresholds by kl: has no cost: model_deploy.py: gave up" in "\n".join(climbing.report.said)


def test_a_quantizer_that_nothing_can_be_made_for_leaves_the_others_alone(climbing: Project) -> None:
    fails_where(climbing, lambda command, _: command.tool == "model_deploy.py" and "bm1684" in command.args)
    climb(climbing.open())
    assert kept(climbing)["left"] == ["bm1684"]
    build_artifact(climbing.open(), climbing.open().target("bm1688_int8_1b"))


def test_where_nothing_can_be_made_it_says_why(climbing: Project) -> None:
    fails_where(climbing, lambda command, _: command.tool == "model_deploy.py")
    with pytest.raises(ToolFailed, match="model_deploy.py: gave up"):
        climb(climbing.open())
    assert not (climbing.root / FILE).exists()


def test_what_cannot_even_be_imported_is_not_tried_nine_times(climbing: Project) -> None:
    fails_where(climbing, lambda command, _: command.tool == "model_transform.py")
    with pytest.raises(ToolFailed, match="model_transform.py: gave up"):
        climb(climbing.open())
    assert climbing.toolchain.ran.count("model_transform.py") == 1


def test_thresholds_that_cannot_be_found_are_not_looked_for_at_every_float_rung(climbing: Project) -> None:
    fails_where(climbing, lambda command, _: command.tool == "run_calibration.py")
    with pytest.raises(ToolFailed, match="run_calibration.py: gave up"):
        climb(climbing.open())
    assert climbing.toolchain.ran.count("run_calibration.py") <= 10, "four calibrations and a check, by quantizer"


def test_a_network_without_a_channel_to_scale_is_not_calibrated_again_for_that(climbing: Project) -> None:
    path = climbing.data / "model.onnx"
    before = sha256(path)
    model = onnx.load(str(path))
    for node in model.graph.node:
        if node.op_type in ("Relu", "PRelu", "LeakyRelu"):
            node.op_type = "Sigmoid"
            del node.attribute[:], node.input[1:]
    path.write_bytes(model.SerializeToString())
    climbing.edit(before, sha256(path))
    climbing.toolchain.noise = 0.5
    climb(climbing.open())
    outcomes = [row for row in tried(climbing) if "at most" not in row[1] and "head" not in row[1]]
    assert outcomes == [
        *[("not enough", str(PLAIN_INT8))] * 2,
        *[("skipped", str(EQUALIZED))] * 2,
        *[("not enough", "thresholds by mse")] * 2,
        *[("not enough", "thresholds by percentile9999")] * 2,
    ]
    assert "no channel to scale" in "\n".join(climbing.report.said)
