"""The words of a command line: variables, options, words that belong to a task, and output that goes nowhere."""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.config.options import Options
from bmzoo.errors import ConfigError
from bmzoo.runtime.__main__ import _absolute
from bmzoo.tasks.command_line import TAKERS
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.tasks.variables import VARIABLES, belongs_in_front, read, split

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def checkout(project: Project) -> Path:
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(REPOSITORY / name, project.root / name)
    return project.root


def doit(
    checkout: Path, *words: str, module: str = "bmzoo.tasks", start: Path | None = None, out: str = ""
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `./doit WORDS...`; `start`: where it is called from."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "BMZOO_DATA": str(checkout / "data")}
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "BMZOO_CALLED_FROM": str(start or checkout)}
    argv = ["/bin/sh", "-c", f'"$@" {out}', "sh", sys.executable, "-m", module, *words]
    done = subprocess.run(argv, cwd=checkout, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr and "Exception ignored" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_the_table_says_which_tasks_have_words_of_their_own(project: Project) -> None:
    context = Context(project.open(), TASKS)
    takers = [row.name for row in TASKS if any("pos_arg" in task for task in row.dictionaries(context))]
    assert sorted(takers) == sorted(TAKERS)


def test_every_variable_is_in_the_documentation() -> None:
    text = (REPOSITORY / "docs/tasks.md").read_text(encoding="utf-8")
    assert [name for name in VARIABLES if f"| `{name}=" not in text] == []


@pytest.mark.parametrize("task", TAKERS)
def test_words_of_a_task_are_never_variables(task: str) -> None:
    words = ["weights=a", "-n", "2", task, "M", "id=7.jpg", "yes=1", "--out", "x=y"]
    assert split(words, TAKERS) == (["-n", "2", task, "M", "id=7.jpg", "yes=1", "--out", "x=y"], {"weights": "a"})


def test_variables_stand_anywhere_among_other_tasks() -> None:
    assert split(["zoo", "locked=yes", "--x=1", "prune", "yes=1"], TAKERS) == (
        ["zoo", "--x=1", "prune"],
        {"locked": "yes", "yes": "1"},
    )
    with pytest.raises(ConfigError, match="weights=b: given before as weights=a"):
        split(["weights=a", "weights=b"], ())


def test_variables_are_read_with_their_kinds() -> None:
    given = read({"weights": "a", "echo": "yes", "scheduler": "tcp://x", "locked": "0", "yes": "1", "key": "k.pem"})
    assert given.options == Options("a", True, "tcp://x", False) and given.confirmed and given.key == "k.pem"
    assert read({}) == read({"locked": "no", "yes": "no"})


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("weigths=embedded", "no such variable: weigths", "did you mean weights=embedded?"),
        ("Locked=yes", "no such variable: Locked", "did you mean locked=yes?"),
        ("id=7.jpg", "no such variable: id", "variables: echo, weights, scheduler, key, locked, yes"),
        ("=x", "no such variable: nothing before =", ""),
        ("locked=ture", "neither yes nor no: ture", "locked=yes"),
        ("echo=", "neither yes nor no: nothing", ""),
        ("yes=true", "neither yes nor no: true", ""),
        ("weights=", "says nothing", ""),
        ("weights=offical", "no config has weights of this name", "there are: given"),
    ],
)
def test_what_is_no_variable_is_refused_with_the_nearest(word: str, said: str, hint: str, checkout: Path) -> None:
    for module, words in (("bmzoo.tasks", ("plan",)), ("doit", ("list",))):
        status, out, err = doit(checkout, word, *words, module=module)
        assert (status, out) == (3, "")
        assert err.startswith(f"ERROR: {word}") and said in err and hint in err.partition("\nhint: ")[2]


@pytest.mark.parametrize("task", ["plan", "explain"])
def test_a_variable_behind_a_task_with_words_is_said_to_stand_in_front(task: str, checkout: Path) -> None:
    status, _, err = doit(checkout, task, "weights=given")
    assert status == 1 and "./doit weights=given TASK" in err
    assert doit(checkout, "weights=given", task, "bm1684_fp32_1b")[0] == 0
    assert belongs_in_front("id=7.jpg") == belongs_in_front("weights") == ""


OPTIONS = {
    "zoo --nonsense": ("zoo: no such option: --nonsense", "options of doit stand in front"),
    "--nonsense zoo": ("run: no such option: --nonsense", ""),
    "list --nonsense": ("list: no such option: --nonsense", "it has: "),
    "clean --nonsense": ("clean: no such option: --nonsense", ""),
    "gc --dry-rum": ("gc: no such option: --dry-rum", "did you mean --dry-run?"),
    "zoo -n 2": ("zoo: no such option: -n", "./doit -n 2 TASK"),
    "build:* --always": ("--always: no such option", "in front of all tasks"),
    "tune:bm1684 --ap": ("tune:bm1684: option --ap requires argument", ""),
    "-n x zoo": ("run: num_process: invalid literal for int() with base 10: 'x'", ""),
}


@pytest.mark.parametrize("line", OPTIONS)
def test_an_option_that_nobody_knows_is_explained(line: str, checkout: Path) -> None:
    status, out, err = doit(checkout, *line.split())
    said, hint = OPTIONS[line]
    assert (status, out) == (3, "")
    assert err.startswith(f"ERROR: {said}") and hint in err and "CmdOption" not in err


@pytest.mark.parametrize("module", ["bmzoo.tasks", "doit"])
def test_detect_has_options_of_its_own(module: str, checkout: Path) -> None:
    status, out, _ = doit(checkout, "detect", "--help", module=module)
    assert status == 0 and "--no-draw" in out


def test_an_empty_word_is_refused(checkout: Path) -> None:
    for words in ([""], ["plan", ""], ["zoo", ""]):
        status, _, err = doit(checkout, *words)
        assert status == 3 and "an empty word stands on the line\nhint: " in err


@pytest.mark.parametrize("line", ["list --all", "plan", "", "info zoo", "help", "explain", "-n 2 plan"])
def test_output_that_nobody_reads_ends_quietly(line: str, checkout: Path) -> None:
    _, out, err = doit(checkout, *line.split(), out="| head -n 1")
    assert out.count("\n") == 1 and "rror" not in err
    status, out, err = doit(checkout, *line.split(), out="> /dev/full")
    assert status == 1 and "error: stdout: cannot be written: No space left on device\n" in err
    assert doit(checkout, *line.split(), out=">&-")[0] == doit(checkout, *line.split())[0]


def test_errors_that_cannot_be_shown_change_no_status(checkout: Path) -> None:
    assert doit(checkout, "bogus", out="2> /dev/full")[0] == 3
    assert doit(checkout, "plan", "bm1684_fp32_1b", out="2> /dev/full")[0] == 0


# --- paths begin where ./doit was called ---------------------------------------------------------------------


def test_paths_on_the_line_begin_where_doit_was_called(checkout: Path, tmp_path: Path) -> None:
    away = tmp_path / "a folder"
    away.mkdir()
    (away / "old.json").write_text("[]")
    assert "old.json: not a manifest" in doit(checkout, "diff", "old.json", "old.json", start=away)[2]
    status, _, err = doit(checkout, "detect", "bm1684_fp32_1b.bmodel", "x.jpg", start=away)
    assert status == 1 and f"{away}/x.jpg: no such file" in err


def test_a_folder_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    start = tmp_path / "a [b] folder"
    start.mkdir()
    (start / "x[1].jpg").touch()
    assert _absolute(start, "x[1].jpg") == str(start / "x[1].jpg")
    assert glob.glob(_absolute(start, "*.jpg")) == [str(start / "x[1].jpg")]  # noqa: PTH207
    assert _absolute(start, "/else/*.jpg") == "/else/*.jpg"


def test_detect_takes_the_targets_of_every_model(checkout: Path) -> None:
    (checkout / "configs/slim_0.25.yaml").write_text((checkout / "configs/tiny.yaml").read_text())
    (checkout / "configs/zoo.yaml").write_text("default_model: tiny\n")
    for name in ("slim_0.25.bm1684_fp32_1b", "tiny.bm1684_fp32_1b", "bm1684_fp32_1b"):
        status, _, err = doit(checkout, "detect", name, "x.jpg")
        assert status == 1 and f"{name}: not built yet\nhint: ./doit build:" in err
    assert "slim_0.25.bm1684_fp32_3b: not a target" in doit(checkout, "detect", "slim_0.25.bm1684_fp32_3b", "x")[2]


def test_a_model_without_a_decoder_is_said(checkout: Path) -> None:
    built = checkout / "build/BM1684/tiny_fp32_1b"
    built.parent.mkdir(parents=True)
    built.with_suffix(".bmodel").write_bytes(b"")
    built.with_suffix(".json").write_text('{"decoder": {"kind": "none"}}')
    shutil.copy(next((checkout / "data").rglob("*.png")), checkout / "x.png")
    status, _, err = doit(checkout, "detect", "bm1684_fp32_1b", "x.png")
    assert status == 1 and "nothing to find: decoder: none" in err


# --- configs that cannot be read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        *(
            "model:bad",
            "transform:bad.1b",
            "calibrate:bad",
            "rank:bad.bm1684",
            "qtable:bad.bm1684",
            "tune:bad.bm1684",
        ),
        *(
            "build:bad.bm1684_fp32_1b",
            "verify:bad.*",
            "eval:bad.onnx",
            "bench:bad.onnx",
            "reproduce:bad.bm1684_int7_1b",
        ),
        *("explain build:bad.bm1684_fp32_1b", "explain calibrate:bad", "plan bad.bm1684_fp32_1b"),
        "detect bad.bm1684_fp32_1b x.jpg",
    ],
)
def test_of_a_broken_config_the_cause_is_said_and_nothing_else(line: str, checkout: Path) -> None:
    (checkout / "configs/bad.yaml").write_text("weights: [")
    (checkout / "configs/zoo.yaml").write_text("default_model: tiny\n")
    status, out, err = doit(checkout, *line.split())
    assert status != 0 and out == ""
    assert err.count("configs/bad.yaml:2:1: not valid YAML") == 1 or err.count("configs/bad.yaml:1:") == 1
    assert "did you mean" not in err and "no such" not in err
