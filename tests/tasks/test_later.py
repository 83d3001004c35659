"""What listing and planning load, and that every function named for later is there and takes what it is given."""

import ast
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.tasks.later import Later, later
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context

REPOSITORY = Path(__file__).parents[2]
MODULES = sorted((REPOSITORY / "bmzoo" / "tasks").glob("*.py"))
# What tasks need to run, and nobody needs to know which tasks there are.
FOR_RUNS = (
    *("bmzoo.explain", "bmzoo.tuning", "bmzoo.measure", "bmzoo.quantization", "bmzoo.onnx_import", "bmzoo.scenes"),
    *("bmzoo.sail", "bmzoo.cluster.client", "bmzoo.execute.builder", "bmzoo.execute.run", "bmzoo.results.artifact"),
    *("bmzoo.release.manifest", "bmzoo.store.remote", "bmzoo.store.gc", "bmzoo.sources.download", "urllib.request"),
    *("numpy", "cv2", "onnx", "plotly", "rich", "fsspec", "psutil", "distributed"),
)
SAY_WHAT_IS_LOADED = """
import atexit, json, sys
from bmzoo.tasks.command_line import Main
status = Main().run(sys.argv[2:])
open(sys.argv[1], "w").write(json.dumps(sorted(sys.modules)))
sys.exit(status)
"""


def named_for_later() -> Iterator[tuple[str, int | None]]:
    """Each place with the number of its first arguments; None for a goal, which the rows call."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "later":
                place, *first = node.args
                assert isinstance(place, ast.Constant), "read by this test, so written out"
                yield str(place.value), len(first) or None


@pytest.fixture
def checkout(project: Project) -> Path:
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(REPOSITORY / name, project.root / name)
    return project.root


def loaded_by(checkout: Path, *words: str) -> set[str]:
    paths, told = os.pathsep.join([str(REPOSITORY), str(checkout)]), checkout / "loaded.json"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "BMZOO_DATA": str(checkout / "data")}
    argv = [sys.executable, "-c", SAY_WHAT_IS_LOADED, str(told), *words]
    subprocess.run(argv, cwd=checkout, env=env, stdout=subprocess.DEVNULL, timeout=60, check=True)
    return set(json.loads(told.read_text()))


@pytest.mark.parametrize(
    ("words", "actions"), [(("list", "--all"), []), (("plan", "bm1684_fp32_1b"), ["bmzoo.tasks.actions.plan"])]
)
def test_listing_and_planning_load_nothing_that_only_runs_need(
    words: tuple[str, ...], actions: list[str], checkout: Path
) -> None:
    loaded = loaded_by(checkout, *words)
    assert sorted(name for name in loaded if name.startswith("bmzoo.tasks.actions.")) == actions
    assert sorted(loaded & set(FOR_RUNS)) == []
    assert "bmzoo.workspace" in loaded


def test_what_only_runs_need_is_there() -> None:
    own = [name for name in FOR_RUNS if name.startswith("bmzoo.")]
    places = [REPOSITORY / name.replace(".", "/") for name in own]
    assert [place for place in places if not place.is_dir() and not place.with_suffix(".py").is_file()] == []


def options_of(project: Project) -> set[str]:
    """What doit hands to actions by name: options and further words of all tasks."""
    pictures = "quantization: {images: {folder: pictures/selection, count: 3}}"
    project.edit("targets:", f"{pictures}\ntargets:")
    tasks = [task for row in TASKS for task in row.dictionaries(Context(project.open(), TASKS))]
    words = {task["pos_arg"] for task in tasks if "pos_arg" in task}
    return words | {option["name"] for task in tasks for option in task.get("params", ())}


def test_a_function_named_for_later_takes_what_it_is_given(project: Project) -> None:
    options, places = options_of(project), set(named_for_later())
    assert len(places) > 30
    for place, first in places:
        signature = inspect.signature(Later(place).function)
        assert signature.return_annotation is not signature.empty, "not a function of bmzoo"
        if first is not None:  # goals are called by the rows
            signature.bind_partial(*[None] * first)
            left = list(signature.parameters.values())[first:]
            needed = {p.name for p in left if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
            assert needed <= options, place


def test_a_function_is_imported_when_it_is_called() -> None:
    called = later("nowhere:nothing", 1)
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        called()
    assert later("target:parse", "bm1684_fp32_1b")(default_model="m").chip == "bm1684"
