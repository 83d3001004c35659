"""Float layers for a goal, from a config to a committed table: with a compiler that tells how long layers take."""

import json
from pathlib import Path

import pytest
from compiler_profiles import PROFILE
from conftest import Project
from fake_toolchain import FakeToolchain

from bmzoo.config.options import Options
from bmzoo.config.quantization import Search
from bmzoo.errors import ConfigError, ToolFailed
from bmzoo.execute.decisions import Standing
from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.explain.goals import of_qtable
from bmzoo.measure.fitted import COMPILER
from bmzoo.plan.decisions import FLOAT_LAYERS
from bmzoo.plan.float_layers import cut_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.step import Command
from bmzoo.quantization.tables import float_layers
from bmzoo.results import calibration, qtable
from bmzoo.results.artifact import build_artifact
from bmzoo.system.hashing import Digests
from bmzoo.workspace import Workspace

FILE = "qtables/tiny.given.bm1688.qtable"
# Layer -> ms that it takes longer in float, and how much of the noise that INT8 makes it takes away.
LAYERS = {"c": (0.5, 0.3), "r": (0.05, 0.2), "y": (0.02, 0.05)}
PLAIN, NOISE = 2.0, 0.6


class TimedToolchain(FakeToolchain):
    """Layers in float take longer and are more exact. `profiles`: whether the compiler tells times."""

    profiles = True

    def run(self, command: Command, folder: Path, log: Path, timeout: float) -> None:
        if command.tool not in ("rank", "choose"):
            super().run(command, folder, log, timeout)
            return
        self.ran.append(command.tool)
        rows = [{"layer": n, "loss": less, "group": [n]} for n, (_, less) in LAYERS.items()]
        if command.tool == "rank":
            (folder / "ranking.json").write_text(json.dumps({"pictures": 3, "layers": rows}))
            return
        left, choices = NOISE, []
        for layer, (_, less) in LAYERS.items():
            left -= less
            choices.append({"layers": [layer], "loss": left, "cosine": 0.9})
        found = {"plain": {"loss": NOISE, "cosine": 0.8}, "choices": choices, "alone": {}, "pictures": 3}
        (folder / "path.json").write_text(json.dumps(found))

    def _model_deploy(self, folder: Path, command: Command) -> None:
        super()._model_deploy(folder, command)
        table = folder / "mixed.qtable"
        names = [name for name, _ in float_layers(table.read_text())] if table.exists() else []
        if "--not_gen_bmodel" in command.args:
            noise = NOISE - sum(LAYERS[name][1] for name in names)
            (folder / "net_tpu.mlir").write_text(f"// {noise:.2f}\n" + (folder / "net_tpu.mlir").read_text())
        elif self.profiles:
            ms = PLAIN + sum(LAYERS[name][0] for name in names)
            text = PROFILE.replace("runtime: 0.5ms", f"runtime: {ms}ms")
            (folder / "compiler_profile_0.txt").write_text(text)

    def _infer(self, folder: Path, command: Command) -> None:
        first = (folder / "lowered.mlir").read_text().partition("\n")[0]
        self.gap = float(first.removeprefix("// ")) if first.startswith("// ") else 0.0
        super()._infer(folder, command)


@pytest.fixture
def timed(project: Project) -> Project:
    project.toolchain = TimedToolchain()
    (project.data / "pictures" / "choosing").mkdir()
    for path in (project.data / "pictures" / "selection").iterdir():
        (project.data / "pictures" / "choosing" / path.name).write_bytes(path.read_bytes())
    project.edit("chip: [bm1684, bm1688], precision: [fp32, int8]", "chip: bm1688, precision: [fp32, int8]")
    return project


def ask(project: Project, goal: str) -> Workspace:
    project.edit(
        "verify:", f"quantization: {{images: {{folder: pictures/choosing, count: 3}}, goal: {goal}}}\nverify:"
    )
    return project.open()


def search_of(at: Workspace, chip: str = "bm1688") -> Search:
    model = at.models["tiny"]
    search = model.search(int8_target(model, chip))
    assert search is not None
    return search


def find(at: Workspace) -> qtable.Confirmed:
    return qtable.search_layers(at, at.models["tiny"], "bm1688", search_of(at))


def chosen(project: Project) -> list[str]:
    return [name for name, _ in float_layers((project.root / FILE).read_text())]


def test_what_fits_into_the_time_is_in_float_the_most_gain_for_its_time_first(timed: Project) -> None:
    at = ask(timed, "{latency: +5%}")
    found = str(find(at))
    assert chosen(timed) == ["r", "y"], "c would take a quarter more"
    text = (timed.root / FILE).read_text()
    assert "# goal: latency +5%: met" in text
    assert "2.57 ms" in text or "ms (+" in text
    assert "goal: latency +5%: met" in found
    assert text.count("# goal: ") >= 4, "and the frontier, with what c would cost"
    assert "draws: and c" in text or "draws: r, y, c" in text


def test_constants_of_another_compiler_are_said(timed: Project) -> None:
    at = ask(timed, "{latency: +5%}")
    find(at)
    assert f"# goal: ms are by constants fitted on profiles of {COMPILER}\n" in (timed.root / FILE).read_text()
    release = timed.toolchain.release
    said = f"qtable:bm1688: ms are by constants fitted on profiles of {COMPILER}, and {release} makes these"
    assert release != COMPILER and [w for w in timed.report.warnings if "constants" in w] == [said]


def test_constants_of_this_compiler_need_no_warning(timed: Project) -> None:
    timed.toolchain = TimedToolchain(COMPILER)
    find(ask(timed, "{latency: +5%}"))
    assert not [warning for warning in timed.report.warnings if "constants" in warning]


def test_a_time_that_allows_all_takes_what_is_nearest_to_onnx(timed: Project) -> None:
    find(ask(timed, "{latency: 10 ms}"))
    assert sorted(chosen(timed)) == ["c", "r", "y"]


def test_a_time_that_plain_int8_misses_is_said(timed: Project) -> None:
    found = str(find(ask(timed, "{latency: 0.5 ms}")))
    assert chosen(timed) == []
    assert "latency 0.5 ms: missed" in found and "the fastest takes" in found


def test_the_table_is_a_decision_and_the_build_takes_it(timed: Project) -> None:
    at = ask(timed, "{latency: +5%}")
    calibration.calibrate(at, at.models["tiny"], "")
    find(at)
    before = (timed.root / FILE).read_text()
    assert before.startswith(f"# bmzoo: {FLOAT_LAYERS}, version 1\n")
    at = timed.open()
    at.options = Options(locked=True)
    build_artifact(at, at.target("bm1688_int8_1b"))
    assert "pick" not in timed.toolchain.ran
    assert (timed.root / FILE).read_text() == before
    assert qtable.is_current(at, at.models["tiny"], "bm1688", search_of(at))


def test_locked_derives_nothing(timed: Project) -> None:
    at = ask(timed, "{latency: +5%}")
    calibration.calibrate(at, at.models["tiny"], "")
    at = timed.open()
    at.options = Options(locked=True)
    with pytest.raises(ConfigError, match=f"^{FILE}: missing, and locked=yes$"):
        find(at)
    assert "pick" not in timed.toolchain.ran


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("latency: +5%", "latency: +6%", 'goal: {"latency": "+5%"} -> {"latency": "+6%"}'),
        ("folder: pictures/choosing, count: 3", "folder: pictures/choosing, count: 2", "pictures changed"),
    ],
)
def test_another_goal_or_other_pictures_make_it_stale(timed: Project, old: str, new: str, why: str) -> None:
    find(ask(timed, "{latency: +5%}"))
    timed.edit(old, new)
    at = timed.open()
    model = at.models["tiny"]
    step = cut_step(model, "bm1688", at.weights.chosen(model), search_of(at))
    found = at.builder(model).committed(step)
    assert (found.standing, found.why) == (Standing.STALE, why)


def test_a_set_that_repeats_another_is_made_once(timed: Project) -> None:
    find(ask(timed, "{latency: +5%}"))
    # Plain, all in float, and: c, c r, c r y; then r, r y, r y c, of which the last is known. Run: plain and the
    # three to choose from; the table with its comments gives one of these again.
    assert timed.toolchain.ran.count("profile") == 2 + 3 + 2
    assert timed.toolchain.ran.count("infer") == 1 + 3


def test_where_the_compiler_tells_no_times_a_goal_for_them_is_an_error(timed: Project) -> None:
    assert isinstance(timed.toolchain, TimedToolchain)
    timed.toolchain.profiles = False
    with pytest.raises(ToolFailed, match="no profile to take milliseconds from: the compiler writes no profile"):
        find(ask(timed, "{latency: +5%}"))


def test_why_a_layer_is_in_or_out_is_explained_here_and_where_the_table_was_taken_from(timed: Project) -> None:
    at = ask(timed, "{latency: +5%}")
    find(at)
    model = at.models["tiny"]
    step = cut_step(model, "bm1688", at.weights.chosen(model), search_of(at))
    lines = "\n".join(
        qtable.explain_choice(at, model, "bm1688", search_of(at), {step: at.builder(model).run(step)})
    )
    assert "goal: latency +5%: met" in lines
    assert "out: 0.5" in lines and "in: 0.0" in lines
    assert step in of_qtable(at, model, "bm1688").ends


@pytest.mark.toolchain
def test_the_real_compilers_times_are_what_a_table_is_chosen_by(project: Project, tmp_path: Path) -> None:
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    (project.data / "pictures" / "selection").rename(project.data / "pictures" / "choosing")
    project.edit("pictures/selection", "pictures/choosing")
    ask(project, "{latency: +100%}")
    tools = LocalToolchain(installation, Digests(tmp_path / "digests.json"))
    at = Workspace(project.root, {"BMZOO_DATA": str(project.data)}, project.report, toolchain_override=tools)
    found = find(at)
    options = found.choice["options"]
    assert options[0]["layers"] == [] and len(options) > 1
    assert all(0.2 < option["time"] < 2 for option in options), "ms: what every run costs, and little more"
    assert len({option["time"] for option in options}) > 1, "float takes another time"
    assert max(option["kept"] for option in options) > options[0]["kept"], "and is nearer to ONNX"
    assert found.choice["outcome"] == "met"
