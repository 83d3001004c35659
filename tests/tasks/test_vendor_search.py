"""TPU-MLIR's own searches for float layers: both generations of programs, and what is made of what they leave.

`PYTHONPATH=. python tests/test_vendor_search.py` rewrites the golden plans; read the diff before committing it.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Project

from bmzoo.commands.__main__ import run as run_step
from bmzoo.commands.vendor_start import WRAPPER
from bmzoo.config import model as config
from bmzoo.config.model import Model
from bmzoo.config.schema import Search
from bmzoo.config.search_methods import LOCKED, RUN_QTABLE, RUN_SENSITIVE_LAYER, SEARCH_QTABLE, search_of, why_not
from bmzoo.errors import BmzooError, ConfigError, SourceError, ToolFailed
from bmzoo.execute.toolchain import SYSTEM_PATH, searches_of
from bmzoo.plan.build import recipe
from bmzoo.plan.float_layers import cut_step, ranking_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.step import Command, Output
from bmzoo.plan.vendor_search import search_step
from bmzoo.plan.verify import family, lower_step
from bmzoo.quantization import vendor_output
from bmzoo.quantization.vendor_select import cut, rows
from bmzoo.results import qtable
from bmzoo.target import parse
from bmzoo.tasks import doctor
from bmzoo.tasks.explain import explain
from bmzoo.tasks.guard import Task
from bmzoo.tasks.plan import render_recipe
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace

PLANS = Path(__file__).parents[1] / "data" / "plans"
OLD = frozenset({RUN_QTABLE, RUN_SENSITIVE_LAYER})
# Golden plan -> method, what is installed.
GOLDEN = {
    "vendor_qtable": ("vendor_qtable", LOCKED),
    "vendor_qtable_until_1.24": ("vendor_qtable", OLD),
    "vendor_sensitive_layer_until_1.24": ("vendor_sensitive_layer", OLD),
}
CONFIG = """\
weights: [{{name: given, file: model.onnx, sha256: {digest}}}]
input: {{height: 32, width: 64}}
decoder: {{kind: none}}
calibration: {{images: {{folder: pictures/calibration, count: 100}}, method: mse, equalize: true, tune: 7}}
quantization:
  images: {{folder: pictures/selection}}
  search: {{method: {method}, max_float_layers: 8, expected_cos: 0.9999}}
verify: {{images: {{folder: pictures/selection}}}}
targets: [{{chip: {chips}, precision: int8, batch: [1, 4]}}]
"""
LINE = "INFO:root:the layer {} is {} sensitive layer, loss is {}, type is top.Conv"
LOG = "\n".join(
    [LINE.format("b", 0, 0.5), "other", LINE.format("a", 1, 1e-05), "INFO:root:int8 outputs_cos:0.884 old"]
)
LOSSES = "# chip: bm1684  mix_mode: F32\n###\nNo.0   : Layer: b   \t\tCos: 0.75\nNo.1   : Layer: a  \t\tCos: 1.0\n"
SEARCH = """\
quantization:
  images: {folder: pictures/selection, count: 3}
  search: {method: vendor_qtable, max_float_layers: 1}
"""


def loaded(folder: Path, method: str, searches: frozenset[str], chips: str = "[bm1684, bm1684x, bm1688]") -> Model:
    path = folder / "net.yaml"
    path.write_text(CONFIG.format(digest="a" * 64, method=method, chips=chips), encoding="utf-8")
    return config.load(path, "configs/net.yaml", searches)


def rendered(plan: str, folder: Path) -> str:
    method, searches = GOLDEN[plan]
    model = loaded(folder, method, searches, "bm1684")
    name = "bm1684_int8_4b"
    return render_recipe(recipe(model, parse(name, model.name), model.config.weights[0]), name)


# --- which program -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", GOLDEN)
def test_the_plan_is_the_golden_one(plan: str, tmp_path: Path) -> None:
    assert rendered(plan, tmp_path) == (PLANS / f"{plan}.txt").read_text(encoding="utf-8")


def test_a_method_runs_the_first_of_its_programs_that_is_installed() -> None:
    assert search_of("vendor_qtable", LOCKED) == SEARCH_QTABLE
    assert search_of("vendor_qtable", OLD | LOCKED) == RUN_QTABLE
    assert search_of("vendor_sensitive_layer", LOCKED) is None
    assert search_of("bmzoo", OLD) is search_of(None, OLD) is None
    assert why_not("bmzoo", "bm1684", frozenset()) is None


def test_programs_are_found_where_an_installation_has_them(tmp_path: Path) -> None:
    assert searches_of(tmp_path) == frozenset()
    tools = tmp_path / "python" / "tools"
    tools.mkdir(parents=True)
    (tools / "run_calibration.py").write_text("parser.add_argument('--dataset')")
    (tools / "run_qtable.py").touch()
    assert searches_of(tmp_path) == {RUN_QTABLE}
    (tools / "run_calibration.py").write_text("choices=['search_threshold', 'search_qtable']")
    assert searches_of(tmp_path) == {RUN_QTABLE, SEARCH_QTABLE}


@pytest.mark.parametrize(
    ("method", "searches", "chips", "message", "hint"),
    [
        (
            "vendor_sensitive_layer",
            LOCKED,
            "bm1684",
            "installed TPU-MLIR has no run_sensitive_layer.py",
            "1.6 to 1.24",
        ),
        ("vendor_qtable", frozenset(), "bm1684", "has no run_qtable.py or search_qtable", "here: bmzoo"),
        (
            "vendor_sensitive_layer",
            OLD,
            "[bm1684, bm1688]",
            "does not know bm1688",
            "allowed: bmzoo, vendor_qtable",
        ),
        ("vendor_qtable, gain: 0.1", LOCKED, "bm1684", "search.gain: means nothing to vendor_qtable: 0.1", "leave"),
        ("vendor_qtable, metric: faces", LOCKED, "bm1684", "search.metric: means nothing", "leave it out"),
        ("vendor_table", LOCKED, "bm1684", "not supported: vendor_table", "did you mean vendor_qtable?"),
    ],
)
def test_what_cannot_be_is_refused_while_the_config_is_read(
    tmp_path: Path, method: str, searches: frozenset[str], chips: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, method, searches, chips)
    assert caught.value.message.startswith("configs/net.yaml: quantization.search.")
    assert message in caught.value.message and hint in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "max_float_layers: 8",
            "max_float_layers: -1",
            "max_float_layers: input should be greater than or equal to 0: -1",
        ),
        (
            "max_float_layers: 8",
            "max_float_layers: 5000",
            "max_float_layers: input should be less than or equal to 4096",
        ),
        (
            "expected_cos: 0.9999",
            "expected_cos: 1.01",
            "expected_cos: input should be less than or equal to 1: 1.01",
        ),
        ("expected_cos: 0.9999", "expected_cos: -0.5", "expected_cos: input should be greater than or equal to 0"),
        ("calibration:", "#calibration:", "calibration: missing key: int8 and int4 targets need one"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "net.yaml"
    text = CONFIG.format(digest="a" * 64, method="vendor_qtable", chips="bm1684")
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        config.load(path, "configs/net.yaml")
    assert message in caught.value.message


def test_a_search_is_for_one_chip_and_does_not_depend_on_how_many_layers_are_asked_for(tmp_path: Path) -> None:
    model = loaded(tmp_path, "vendor_qtable", LOCKED)
    for chip in ("bm1684x", "bm1688"):
        assert family(model, parse(f"{chip}_int8_4b", "net")).chip == chip
    weights, search = model.config.weights[0], model.search(parse("bm1684_int8_1b", "net"))
    assert search is not None
    ranking = search_step(model, "bm1684", weights, search)
    more = search.model_copy(update={"max_float_layers": 12})
    assert cut_step(model, "bm1684", weights, more) != cut_step(model, "bm1684", weights, search)
    assert search_step(model, "bm1684", weights, more) == ranking
    # With `keep` every layer is wanted ranked, however good plain INT8 is.
    kept = search_step(model, "bm1684", weights, search.model_copy(update={"keep": 3}))
    assert [args[args.index("--expected_cos") + 1] for args in (s.commands[3].args for s in (ranking, kept))] == [
        "0.9999",
        "1.0",
    ]


def test_thresholds_that_a_search_changed_reach_the_compiler_with_its_layers(tmp_path: Path) -> None:
    model = loaded(tmp_path, "vendor_sensitive_layer", OLD, "bm1684")
    target, weights = parse("bm1684_int8_1b", "net"), model.config.weights[0]
    for step in (recipe(model, target, weights).deploy, lower_step(model, target, weights)):
        inputs = dict(step.inputs)
        table, layers = inputs["calibration.table"], inputs["mixed.qtable"]
        assert isinstance(table, Output) and isinstance(layers, Output)
        assert table.step == layers.step and table.step.kind == "cut"
    plain = loaded(tmp_path, "vendor_qtable", OLD, "bm1684")
    table = dict(recipe(plain, target, weights).deploy.inputs)["calibration.table"]
    assert isinstance(table, Output) and table.step.kind == "calibrate"


# --- what it leaves ----------------------------------------------------------------------------------------


def test_a_log_is_a_ranking_and_the_cosine_of_plain_int8() -> None:
    assert vendor_output.ranking(LOG) == (("b", 0.5), ("a", 1e-05))
    assert vendor_output.plain_cosine(LOG) == 0.884 and vendor_output.enough(LOG) is None
    assert vendor_output.ranking("") == ()
    done = "job success, current int8 cos:0.9995 is higher than expected_cos:0.99,no need for mix precsion"
    assert vendor_output.enough(f"INFO:root:{done}\n") == 0.9995


@pytest.mark.parametrize(
    "log",
    [
        LINE.format("b", 1, 0.5),  # the first is missing
        f"{LINE.format('b', 0, 0.5)}\n{LINE.format('a', 1, 0.6)}",  # not sorted
        f"{LINE.format('b', 0, 0.5)}\n{LINE.format('b', 1, 0.4)}",  # twice
        LINE.format("b", 0, "nan"),
        LINE.format("b", 0, "0.5 of all"),  # another form
        LINE.format("a b", 0, 0.5),
    ],
)
def test_a_ranking_of_another_form_is_an_error_with_its_line(log: str) -> None:
    with pytest.raises(ValueError, match=r"^line [12] "):
        vendor_output.ranking(log)


def test_a_table_of_losses_is_read_strictly() -> None:
    assert vendor_output.losses(LOSSES) == {"b": 0.25, "a": 0.0}
    for broken in ("No.2", "No.0"):
        with pytest.raises(ValueError, match="^line 4 "):
            vendor_output.losses(LOSSES.replace("No.1", broken))


Ready = Callable[..., Path]


@pytest.fixture
def left(tmp_path: Path) -> Ready:
    """A step's folder as a program leaves it: its name, and files."""

    def ready(search: str, **files: str) -> Path:
        (tmp_path / "request.json").write_text(json.dumps({"search": search}))
        (tmp_path / "samples.txt").write_text("samples/00000.npz\nsamples/00001.npz\n")
        (tmp_path / "calibration.table").write_text("x 1.0 -1.0 1.0\na 2.0 0.0 2.0\nb 3.0 0.0 3.0\n")
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        return tmp_path

    return ready


def read(folder: Path) -> dict[str, Any]:
    """`ranking.json` of `vendor-read`, or the error that it reported."""
    if run_step("vendor-read", folder, ("request.json",)):
        return dict(json.loads((folder / "error.json").read_text()))
    return dict(json.loads((folder / "ranking.json").read_text()))


def test_a_search_that_returns_every_layer_is_read_by_its_ranking(left: Ready) -> None:
    """The installed search does so when its first pick is good enough, and a fifth of the layers otherwise."""
    found = read(left(SEARCH_QTABLE, Search_Qtable=LOG, tool__qtable="a F32\nb F32\nx F32\n"))
    assert found == {
        "pictures": 2,
        "total": 3,
        "enough": None,
        "plain": 0.884,
        "picks": ["b", "a"],
        "layers": [
            {"layer": "b", "loss": 0.5, "cosine_loss": 0.5},
            {"layer": "a", "loss": 1e-05, "cosine_loss": 1e-05},
        ],
    }


def test_a_search_that_finds_plain_int8_good_enough_writes_no_table_and_names_no_layer(left: Ready) -> None:
    done = "INFO:root:job success, current int8 cos:0.9995 is higher than expected_cos:0.99,no need\n"
    folder = left(RUN_SENSITIVE_LAYER, SensitiveLayerSearcher=done)
    found = read(folder)
    assert (found["enough"], found["plain"], found["picks"], found["layers"]) == (0.9995, 0.9995, [], [])
    assert (folder / "tuned.table").read_text() == (folder / "calibration.table").read_text()


def test_run_qtable_gives_its_table_in_order_and_losses_of_all(left: Ready) -> None:
    table = "# op_name   quantize_mode\na F32\nx INT8\nlate F32\n"
    found = read(left(RUN_QTABLE, MixPrecSearcher="", full_loss_table__txt=LOSSES, tool__qtable=table))
    assert found["picks"] == ["a", "late"] and found["plain"] is None
    assert [row["loss"] for row in found["layers"]] == [0.25, 0.0]


def test_new_thresholds_are_handed_on_without_the_time(left: Ready) -> None:
    new = "# generated time: 2026-11-21\n# op_name    threshold\nx 1.0 -1.0 1.0\na 1.5 0.0 2.0\nb 3.0 0.0 3.0\n"
    folder = left(RUN_SENSITIVE_LAYER, SensitiveLayerSearch=LOG, new_cali_table__txt=new)
    read(folder)
    text = (folder / "tuned.table").read_text()
    assert "a 1.5 0.0 2.0" in text and "time" not in text and RUN_SENSITIVE_LAYER in text


@pytest.mark.parametrize(
    ("search", "files", "message"),
    [
        (SEARCH_QTABLE, {}, "wrote no log"),
        (SEARCH_QTABLE, {"Search_Qtable": "INFO:root:run int8 mode\n"}, "neither a ranking nor a reason"),
        (SEARCH_QTABLE, {"Search_Qtable": LINE.format("b", 3, 0.5)}, "Search_Qtable: line 1 is out of order"),
        (RUN_QTABLE, {"MixPrecSearcher": ""}, "wrote no table, and no reason"),
        (
            RUN_QTABLE,
            {"MixPrecSearcher": "", "full_loss_table__txt": LOSSES, "tool__qtable": "a\n"},
            "is not `layer mode`",
        ),
        (RUN_SENSITIVE_LAYER, {"SensitiveLayerSearch": LOG}, "did not write new_cali_table.txt"),
        (
            RUN_SENSITIVE_LAYER,
            {"SensitiveLayerSearch": LOG, "new_cali_table__txt": "x 1.0 -1.0 1.0\n"},
            "lacks 2 tensors: a",
        ),
        (
            RUN_SENSITIVE_LAYER,
            {"SensitiveLayerSearch": LOG, "new_cali_table__txt": "x one\n"},
            "is not `name threshold",
        ),
    ],
)
def test_a_program_that_left_something_else_failed(
    left: Ready, search: str, files: dict[str, str], message: str
) -> None:
    found = read(left(search, **files))
    assert found["type"] == "ToolFailed" and message in str(found["message"])


# --- how many layers ---------------------------------------------------------------------------------------

RANKING = {
    "pictures": 2,
    "total": 3,
    "enough": None,
    "plain": 0.9,
    "picks": ["b", "a"],
    "layers": [{"layer": "b", "loss": 0.5}, {"layer": "a", "loss": 0.1}],
}
SETTINGS = {"method": "vendor_qtable", "max_float_layers": 1, "expected_cos": None, "keep": None}


def test_the_layers_are_as_many_as_asked_for_and_each_has_a_reason() -> None:
    found = cut(RANKING, SETTINGS)
    assert (found.layers, found.why) == (("b",), "max_float_layers is 1")
    assert rows(RANKING, found) == [
        {"layer": "b", "loss": 0.5, "why": "in: number 1 of the search"},
        {"layer": "a", "loss": 0.1, "why": "out: max_float_layers is 1; it is number 2 of the search"},
    ]
    assert cut(RANKING, {**SETTINGS, "keep": 2}).layers == ("b", "a")
    assert cut(RANKING, {**SETTINGS, "max_float_layers": 3}).why == "the search names no further layers"
    named = {**RANKING, "picks": ["a", "late"]}
    told = rows(named, cut(named, {**SETTINGS, "max_float_layers": 2}))
    assert [(row["layer"], row["loss"]) for row in told] == [("b", 0.5), ("a", 0.1), ("late", None)]
    assert told[0]["why"] == "out: the search leaves it in INT8"


def test_no_layer_is_cut_where_plain_int8_is_good_enough() -> None:
    good = {**RANKING, "enough": 0.9995, "picks": [], "layers": []}
    found = cut(good, {**SETTINGS, "expected_cos": 0.99})
    assert found.layers == () and found.why == "plain INT8 has cosine 0.9995, and 0.99 is enough"


def test_more_layers_than_the_model_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ranking.json").write_text(json.dumps(RANKING))
    request = {"settings": {**SETTINGS, "max_float_layers": 4}, "mode": "F32"}
    (tmp_path / "request.json").write_text(json.dumps(request))
    assert run_step("vendor-cut", tmp_path, ("request.json",)) == 1
    said = json.loads((tmp_path / "error.json").read_text())
    assert said["type"] == "ConfigError"
    assert said["message"] == "max_float_layers: more than the 3 layers of the model: 4"


# --- the whole way, on the fake toolchain ------------------------------------------------------------------


@pytest.fixture
def searching(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The small project with a search; the programs rank its two layers."""
    project.edit("targets:\n", f"{SEARCH}targets:\n")
    project.toolchain.ranked = (("y", 0.08), ("r", 0.03))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "dot").write_text("#!/bin/sh\n")
    (programs / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return project


def searched(at: Workspace, chip: str = "bm1684") -> tuple[Model, Search]:
    model = at.models["tiny"]
    search = model.search(int8_target(model, chip))
    assert search is not None
    return model, search


def made(at: Workspace, chip: str = "bm1684") -> str:
    model, search = searched(at, chip)
    qtable.make(at, model, chip, search)
    return at.layout.qtable("tiny", "given", chip).read_text()


def subtask(at: Workspace, name: str, chip: str = "bm1684") -> Task:
    """What doit gets for the subtask of a chip."""
    [row] = [row for row in TASKS if row.name == name]
    [task] = [task for task in row.dictionaries(Context(at, TASKS)) if task["name"] == chip]
    return task


def layers(table: str) -> list[str]:
    return [line for line in table.splitlines() if not line.startswith("#")]


def test_the_search_is_published_and_another_number_of_layers_does_not_repeat_it(searching: Project) -> None:
    at = searching.open()
    table = made(at)
    assert layers(table) == ["y F32"]
    assert "# settings: max_float_layers 1, method vendor_qtable" in table
    assert searching.toolchain.ran.count("run_calibration.py") == 2  # thresholds, and the search
    assert qtable.is_current(at, *searched(at)[:1], "bm1684", searched(at)[1])
    searching.edit("max_float_layers: 1", "max_float_layers: 2")
    assert layers(made(searching.open())) == ["y F32", "r F32"]
    assert "run_calibration.py" not in searching.toolchain.ran and "vendor-cut" in searching.toolchain.ran


@pytest.mark.parametrize("method", ["vendor_qtable", "vendor_sensitive_layer"])
def test_the_programs_of_earlier_versions_are_run_where_they_are_installed(searching: Project, method: str) -> None:
    searching.toolchain.searches = OLD
    searching.edit("chip: [bm1684, bm1688]", "chip: bm1684")
    searching.edit("method: vendor_qtable", f"method: {method}")
    at = searching.open()
    # run_qtable.py names layers in the order of the network, the other by sensitivity.
    assert layers(made(at)) == ["r F32" if method == "vendor_qtable" else "y F32"]
    ran = searching.toolchain.ran
    assert ("run_qtable.py" in ran, "run_sensitive_layer.py" in ran) == (
        method == "vendor_qtable",
        method != "vendor_qtable",
    )
    at = searching.open()
    deploy = at.recipe(at.target("bm1684_int8_1b")).deploy
    entry = at.builder(at.models["tiny"]).run(deploy)
    head = entry.path("model.bmodel").read_bytes().split(b"\0ONNX")[0].decode()
    assert ("its thresholds changed by run_sensitive_layer.py" in head) == (method == "vendor_sensitive_layer")


def test_plain_int8_that_is_good_enough_gives_an_empty_table_with_a_note(searching: Project) -> None:
    searching.toolchain.ranked = ()
    searching.edit("max_float_layers: 1", "max_float_layers: 1, expected_cos: 0.99")
    table = made(searching.open())
    assert layers(table) == [] and "plain INT8 has cosine 0.9995, and 0.99 is enough" in table


def test_a_missing_dot_is_said_before_the_search_starts(
    searching: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ToolFailed, match="dot: no such program") as caught:
        made(searching.open())
    assert caught.value.hint.startswith("apt-get install graphviz")
    assert searching.toolchain.ran.count("run_calibration.py") == 1  # thresholds only


def test_dot_is_wrapped_so_that_the_tools_libraries_do_not_reach_it_and_its_failure_costs_nothing() -> None:
    text = WRAPPER.format(dot="/usr/bin/dot")
    assert "unset LD_LIBRARY_PATH" in text and '/usr/bin/dot "$@" || echo' in text


def test_the_doctor_asks_for_graphviz_where_a_search_needs_it(searching: Project) -> None:
    found = list(doctor._drawing(searching.open()))
    assert [finding.what for finding in found] == ["graphviz"]
    assert found[0].bad == (shutil.which("dot", path=SYSTEM_PATH) is None)
    searching.edit("method: vendor_qtable", "method: bmzoo")
    assert list(doctor._drawing(searching.open())) == []


def test_a_search_that_was_killed_starts_again_with_the_settings_of_then(searching: Project) -> None:
    def kill(command: Command, folder: Path) -> None:
        if "--search" in command.args:
            raise KeyboardInterrupt

    searching.toolchain.before = kill
    with pytest.raises(KeyboardInterrupt):
        made(searching.open())
    searching.toolchain.before = lambda command, folder: None
    searching.edit("max_float_layers: 1", "max_float_layers: 2, expected_cos: 0.95")
    table = made(searching.open())
    assert layers(table) == ["y F32", "r F32"] and "expected_cos 0.95" in table
    assert not list((searching.root / "build" / "scratch").glob("*-*"))


def test_a_calibration_table_of_another_model_is_refused_before_the_search(searching: Project) -> None:
    (searching.data / "other.table").write_text("x 1.0 -1.0 1.0\nconv_0 1.0 -1.0 1.0\n")
    searching.edit("{images: {folder: pictures/calibration}, minimum: 2}", "{table: other.table}")
    with pytest.raises(SourceError, match="calibration table: 1 names are not in this model: conv_0") as caught:
        made(searching.open())
    assert "made for another model" in caught.value.hint
    assert "run_calibration.py" not in searching.toolchain.ran


def test_a_qtable_with_names_that_the_model_does_not_have_is_refused_with_the_nearest(searching: Project) -> None:
    (searching.data / "my.qtable").write_text("# by hand\nyy F32\n")
    searching.edit("  search:", "  tables: {bm1684: my.qtable}\n  search:")
    at = searching.open()
    with pytest.raises(SourceError, match="qtable: 1 names are not in this model: yy") as caught:
        at.builder(at.models["tiny"]).run(at.recipe(at.target("bm1684_int8_1b")).deploy)
    assert "nearest to yy: y" in caught.value.hint


def test_the_rank_task_shows_the_ranking_of_the_method(searching: Project) -> None:
    at = searching.open()
    task = subtask(at, "rank")
    assert task["actions"][0]() in (None, True)
    assert "2 layers on 3 pictures" in searching.report.said[-1]
    assert "y " in searching.report.said[-1] and "0.08000" in searching.report.said[-1]


def test_settings_on_the_line_are_tried_though_the_table_is_up_to_date(searching: Project) -> None:
    at = searching.open()
    made(at)
    task = subtask(at, "qtable")
    [check] = task["uptodate"]
    for options in (None, {}, {"keep": "", "method": ""}):
        assert check(task=SimpleNamespace(options=options))
    assert not check(task=SimpleNamespace(options={"keep": "1", "method": ""}))


def test_a_method_on_the_line_is_checked_like_one_in_the_config(searching: Project) -> None:
    task = subtask(searching.open(), "qtable")
    failed = task["actions"][0](method="vendor_sensitive_layer")
    assert "--method: the installed TPU-MLIR has no run_sensitive_layer.py" in str(failed)


# --- explaining --------------------------------------------------------------------------------------------


def test_explain_says_of_each_layer_why_it_is_in_or_out(searching: Project) -> None:
    at = searching.open()
    assert "not searched yet" in explain(Context(at, TASKS), ["qtable:bm1684"])
    made(at)
    at.make_model(at.models["tiny"])
    text = explain(Context(searching.open(), TASKS), ["qtable:bm1684"])
    assert "qtable:bm1684: nothing would run" in text
    assert "1 layers F32; the choosing ended as max_float_layers is 1" in text
    told = {line.split()[0]: line.split(maxsplit=2)[1:] for line in text.splitlines() if line.startswith("  ")}
    assert told["y"] == ["0.08000", "in: number 1 of the search"]
    assert told["r"] == ["0.03000", "out: max_float_layers is 1; it is number 2 of the search"]


def test_explain_of_a_committed_table_says_how_to_get_the_losses_and_uses_those_there_are(
    searching: Project, tmp_path: Path
) -> None:
    made(searching.open())
    (searching.root / "build").rename(tmp_path / "build")
    at = searching.open()
    at.open()
    model, search = searched(at)
    at.builder(model).run(cut_step(model, "bm1684", at.chosen(model), search))
    assert "vendor-cut" not in searching.toolchain.ran  # taken from the checkout
    text = explain(Context(searching.open(), TASKS), ["qtable:bm1684"])
    assert "1 layers F32, taken from qtables/tiny.given.bm1684.qtable, which was made elsewhere" in text
    assert "./doit rank:bm1684 finds the losses of all layers" in text
    assert "y              ?  in: number 1 of the table" in text
    at.builder(model).run(ranking_step(model, "bm1684", at.chosen(model), search))
    text = explain(Context(searching.open(), TASKS), ["qtable:bm1684"])
    assert "made elsewhere; the choosing ended as max_float_layers is 1" in text
    assert "out: max_float_layers is 1; it is number 2 of the search" in text and "./doit rank" not in text


def test_explain_of_an_unknown_table_names_the_nearest(searching: Project) -> None:
    with pytest.raises(BmzooError) as caught:
        explain(Context(searching.open(), TASKS), ["qtable:bm1685"])
    assert "did you mean qtable:bm168" in caught.value.hint


if __name__ == "__main__":
    for plan in GOLDEN:
        with tempfile.TemporaryDirectory() as folder:
            (PLANS / f"{plan}.txt").write_text(rendered(plan, Path(folder)), encoding="utf-8")
