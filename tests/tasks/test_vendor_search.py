"""TPU-MLIR's own searches for float layers on the fake toolchain: from the task to the table, and `explain`."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import Project
from vendor_searches import OLD, SEARCH, layers, made, searched, subtask

from bmzoo.commands.vendor_start import WRAPPER
from bmzoo.errors import BmzooError, SourceError, ToolFailed
from bmzoo.execute.toolchain import SYSTEM_PATH
from bmzoo.plan.float_layers import cut_step, ranking_step
from bmzoo.plan.step import Command
from bmzoo.results import model as imported
from bmzoo.results import qtable
from bmzoo.tasks.actions import doctor
from bmzoo.tasks.actions.explain import explain
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context


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
    with pytest.raises(SourceError, match=r"^other\.table:2: conv_0: no such tensor in this model$") as caught:
        made(searching.open())
    assert "for one model" in caught.value.hint
    assert "run_calibration.py" not in searching.toolchain.ran


def test_a_qtable_with_names_that_the_model_does_not_have_is_refused_with_the_nearest(searching: Project) -> None:
    (searching.data / "my.qtable").write_text("# by hand\nyy F32\n")
    searching.edit("  search:", "  tables: {bm1684: my.qtable}\n  search:")
    at = searching.open()
    with pytest.raises(SourceError, match=r"^my\.qtable:2: yy: no such tensor in this model$") as caught:
        at.builder(at.models["tiny"]).run(at.recipe(at.target("bm1684_int8_1b")).deploy)
    assert "did you mean y?" in caught.value.hint


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
    imported.import_model(at, at.models["tiny"])
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
    at.layout.make_build()
    model, search = searched(at)
    at.builder(model).run(cut_step(model, "bm1684", at.weights.chosen(model), search))
    assert "vendor-cut" not in searching.toolchain.ran  # taken from the checkout
    text = explain(Context(searching.open(), TASKS), ["qtable:bm1684"])
    assert "1 layers F32, taken from qtables/tiny.given.bm1684.qtable, which was made elsewhere" in text
    assert "./doit rank:bm1684 finds the losses of all layers" in text
    assert "y         ?  in: number 1 of the table" in text
    at.builder(model).run(ranking_step(model, "bm1684", at.weights.chosen(model), search))
    text = explain(Context(searching.open(), TASKS), ["qtable:bm1684"])
    assert "made elsewhere; the choosing ended as max_float_layers is 1" in text
    assert "out: max_float_layers is 1; it is number 2 of the search" in text and "./doit rank" not in text


def test_explain_of_an_unknown_table_names_the_nearest(searching: Project) -> None:
    with pytest.raises(BmzooError) as caught:
        explain(Context(searching.open(), TASKS), ["qtable:bm1685"])
    assert "did you mean qtable:bm168" in caught.value.hint
