"""The table of tasks: every row is in `doit list`, the usage and the documentation; a new task takes one row."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.tasks.inspection import usage_text
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context, Group, Kind, Row

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
TABLE = "Context(WORKSPACE, TASKS,"
# What somebody who adds a task writes: a function, and a row.
TOY = """\
import sys
from bmzoo.explain import goals
from bmzoo.tasks import subjects
from bmzoo.tasks.row import Group


def toy(context, subject):
    return {"doc": f"greets {subject.name}", "actions": [lambda: sys.stdout.write(f"hello {subject.of}")],
            "verbosity": 2}


ROW = Group("toy", "Greet a target.", subjects.TARGETS, toy, goal=goals.of_build)
"""


@pytest.fixture
def checkout(project: Project) -> Path:
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(REPOSITORY / name, project.root / name)
    return project.root


def doit(checkout: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `doit WORDS...`."""
    paths = os.pathsep.join([str(REPOSITORY), str(checkout)])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "BMZOO_DATA": str(checkout / "data")}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    argv = [sys.executable, "-m", "doit", *words]
    done = subprocess.run(argv, cwd=checkout, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_names_are_different_and_docs_are_one_line() -> None:
    names = [row.name for row in TASKS]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [row.name for row in TASKS if not row.doc or "\n" in row.doc or len(row.doc) > 116] == []


def test_doit_lists_the_rows_and_nothing_else(checkout: Path) -> None:
    status, out, _ = doit(checkout, "list")
    listed = dict(line.split(maxsplit=1) for line in out.splitlines() if line)
    assert status == 0
    assert {name: doc.strip() for name, doc in listed.items()} == {row.name: row.doc for row in TASKS}


def test_bare_doit_shows_the_rows_in_the_order_of_the_table(checkout: Path) -> None:
    status, out, _ = doit(checkout)
    assert status == 0 and out == usage_text(TASKS)
    shown = [line.split()[0] for line in out.partition("\nTasks:\n")[2].splitlines()]
    assert shown == [row.name for row in TASKS if row.name != "usage"]


@pytest.mark.parametrize("row", [row for row in TASKS if row.shown], ids=lambda row: row.name)
def test_the_documentation_shows_how_a_task_is_called(row: Row) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert re.search(rf"\./doit (-n \d+ )?'?{row.name}\b|`{row.name}`", text), row.name


@pytest.mark.parametrize("row", [row for row in TASKS if isinstance(row, Group)], ids=lambda row: row.name)
def test_subtasks_are_named_as_their_kind_says(row: Row, project: Project) -> None:
    pictures = "quantization: {images: {folder: pictures/selection, count: 3}}"
    project.edit("targets:", f"evaluate: {{truth: truth/gt.json}}\n{pictures}\ntargets:")
    second = (project.root / "configs/tiny.yaml").read_text()
    (project.root / "configs/other.yaml").write_text(second)
    (project.root / "configs/zoo.yaml").write_text("default_model: tiny\n")
    group, *tasks = row.dictionaries(Context(project.open(), TASKS))
    assert group["name"] is None and group["doc"] == row.doc
    form = {
        Kind.TARGET: r"(other\.)?(bm1684|bm1688)_(fp32|int8)_[12]b|(other\.)?onnx",
        Kind.MODEL: r"tiny|other|(other\.)?[12]b",
        Kind.FAMILY: r"(other\.)?(bm1684|bm1688)_(fp32|int8)",
        Kind.CHIP: r"(other\.)?(bm1684|bm1688)",
    }
    names = [task["name"] for task in tasks]
    assert [name for name in names if not re.fullmatch(form[row.kind], name)] == []
    # Nothing is decoded here, and the configs say how INT8 is set.
    assert len(set(names)) == len(names) and (len(names) > 1 or row.name in ("bench", "quantize"))


def test_a_new_task_takes_one_row(checkout: Path) -> None:
    (checkout / "toys.py").write_text(TOY)
    text = (checkout / "dodo.py").read_text()
    assert TABLE in text
    text = text.replace(TABLE, "Context(WORKSPACE, (*TASKS, __import__('toys').ROW),")
    (checkout / "dodo.py").write_text(text)
    assert re.search(r"^toy +Greet a target\.$", doit(checkout, "list")[1].replace(" \n", "\n"), re.MULTILINE)
    assert re.search(r"^  toy +Greet a target\.$", doit(checkout)[1], re.MULTILINE)
    assert doit(checkout, "toy:bm1684_fp32_1b") == (0, "hello bm1684_fp32_1b", "")
    status, _, err = doit(checkout, "toy:bm1684_int7_1b")
    assert status == 3 and "unknown precision: int7" in err
    status, out, _ = doit(checkout, "explain", "toy:bm1684_fp32_1b")
    assert status == 0 and out.startswith("toy:bm1684_fp32_1b: ") and "would run for 1 target" in out
    assert "explained are build, " in doit(checkout, "explain", "xyzzy:*")[2]
    assert doit(checkout, "explain", "xyzzy:*")[2].count(", toy;") == 1
