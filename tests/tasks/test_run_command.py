"""Real `doit` in a small checkout: what a user sees, and that a mistake is never answered by a traceback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Project

from bmzoo.tasks.run_command import explain_unknown, with_colons

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def checkout(project: Project) -> Path:
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(REPOSITORY / name, project.root / name)
    return project.root


def doit(checkout: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `doit WORDS...`."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "BMZOO_DATA": str(checkout / "data")}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    argv = [sys.executable, "-m", "doit", *words]
    done = subprocess.run(argv, cwd=checkout, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_bare_doit_explains_itself_and_builds_nothing(checkout: Path) -> None:
    status, out, err = doit(checkout)
    assert (status, err) == (0, "")
    assert "./doit build:" in out and "./doit list --all" in out
    assert not (checkout / "build" / "store").exists()


def test_list_shows_every_target_of_every_sound_config(checkout: Path) -> None:
    (checkout / "configs/broken.yaml").write_text("weights: [")
    (checkout / "configs/other_320.yaml").write_text((checkout / "configs/tiny.yaml").read_text())
    (checkout / "configs/zoo.yaml").write_text("default_model: tiny\n")
    status, out, _ = doit(checkout, "list", "--all", "--quiet")
    names = out.split()
    assert status == 0
    assert len([n for n in names if n.startswith("build:bm")]) == 8
    assert "build:other_320.bm1688_int8_2b" in names and "build:tiny.bm1688_int8_2b" not in names
    assert {"model:tiny", "transform:2b", "transform:other_320.2b", "calibrate:other_320", "doctor"} <= set(names)


def test_plan_prints_every_command_on_stdout_and_runs_none(checkout: Path) -> None:
    shutil.rmtree(checkout / "data")
    status, out, err = doit(checkout, "plan", "bm1684_fp32_*", "build:bm1688_int8_2b")
    assert (status, err) == (0, "")
    heads = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads == [
        "bm1684_fp32_1b -> build/BM1684/tiny_fp32_1b.bmodel",
        "bm1684_fp32_2b -> build/BM1684/tiny_fp32_2b.bmodel",
        "bm1688_int8_2b -> build/BM1688/tiny_int8_2b.bmodel",
    ]
    assert "$ model_deploy.py --mlir model.mlir --chip bm1688 --quantize INT8" in out


# What is typed -> what is said, and a part of the hint.
MISTAKES = {
    "build:bm1684_fp16_1b": ("bm1684 has no half-precision units", "nearest valid choice: bm1684_fp32_1b"),
    "build:bm1688_int8_3b": ("not a target in configs/tiny.yaml", "nearest there: bm1688_int8_"),
    "verify:bm1684_fp16_1b": ("bm1684 has no half-precision units", "nearest valid choice: bm1684_fp32_1b"),
    "build:*_int4_*": ("matches no task", "./doit list --all"),
    "bulid": ("bulid: no such task", "did you mean build?"),
}


@pytest.mark.parametrize("word", MISTAKES)
def test_a_mistyped_task_is_explained_with_the_nearest(word: str, checkout: Path) -> None:
    status, out, err = doit(checkout, word)
    said, hint = MISTAKES[word]
    assert status != 0 and out == ""
    assert word.removeprefix("build:").removeprefix("verify:") in err and said in err
    assert hint in err.partition("\nhint: ")[2]


def test_what_nothing_runs_is_built_and_never_verified(checkout: Path) -> None:
    config = checkout / "configs/tiny.yaml"
    text = config.read_text().replace("[bm1684, bm1688]", "[bm1688, sg2262]")
    more = "\n  - {chip: cv181x, precision: bf16}"
    config.write_text(text.replace("batch: [1, 2]}", "batch: 1, unverified: true}" + more))
    status, out, _ = doit(checkout, "list", "--all", "--quiet")
    assert status == 0
    assert {"build:sg2262_fp32_1b", "verify:bm1688_fp32_1b"} <= set(out.split())
    assert not {"verify:sg2262_fp32_1b", "export:cv181x_bf16_1b"} & set(out.split())
    status, _, err = doit(checkout, "verify:sg2262_fp32_1b")
    assert status != 0 and "verify:sg2262_fp32_1b: nothing here runs its artifact: TPU-MLIR 1.30.2 crashes" in err
    assert err.endswith("\nhint: ./doit build:sg2262_fp32_1b compiles it\n")
    status, _, err = doit(checkout, "export:cv181x_bf16_1b")
    assert status != 0 and "export:cv181x_bf16_1b: an archive is checked with sophon.sail, which runs no" in err
    assert "hint: ./doit verify:cv181x_bf16_1b, and take build/CV181X/tiny_bf16_1b.cvimodel" in err


def test_plan_explains_a_wrong_name_too(checkout: Path) -> None:
    status, out, err = doit(checkout, "plan", "bm1684_int8_1")
    assert status != 0 and out == ""
    assert "not of the form <chip>_<precision>_<batch>b" in err and "\nhint: for example" in err


def test_a_broken_zoo_yaml_is_one_clear_error(checkout: Path) -> None:
    (checkout / "configs/zoo.yaml").write_text("defualt_model: tiny\n")
    status, out, err = doit(checkout, "list")
    assert status != 0 and out == ""
    assert "configs/zoo.yaml:1:1: unknown key: defualt_model\nhint: did you mean default_model?" in err


def test_missing_weights_stop_what_needs_them_and_are_said_once(checkout: Path) -> None:
    (checkout / "data/model.onnx").unlink()
    status, _, err = doit(checkout, "build:bm1688_int8_2b", "build:bm1684_fp32_1b")
    assert status != 0
    assert err.count("none of them is here: given (model.onnx)") == 1
    assert "not run, because what they need failed: " in err and "build:bm1684_fp32_1b" in err


def task(name: str, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"name": name, "targets": [], "meta": None, "pos_arg": None, "params": [], **more})


TASKS = [
    task("build"),
    task("build:bm1684_fp32_1b", targets=["build/BM1684/m.bmodel"]),
    task("plan", pos_arg="names"),
    task("transform:2b"),
]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["build"],
        ["build:*", "transform:*b"],
        ["build/BM1684/m.bmodel"],
        ["plan", "anything", "goes:here*"],
    ],
)
def test_words_that_doit_understands_pass(words: list[str]) -> None:
    assert explain_unknown(TASKS, words) == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["build", "bm1684_fp32_1b"], ["build:bm1684_fp32_1b"]),
        (["build", "bm1684_fp32_1b", "bm1684_*"], ["build:bm1684_fp32_1b", "build:bm1684_*"]),
        (["build", "transform:2b"], ["build", "transform:2b"]),
        (["build", "nothing"], ["build", "nothing"]),
        (["build", "plan", "bm1684_fp32_1b"], ["build", "plan", "bm1684_fp32_1b"]),
        (["bm1684_fp32_1b"], ["bm1684_fp32_1b"]),
        (["build"], ["build"]),
    ],
)
def test_a_target_behind_a_task_is_its_subtask(words: list[str], expected: list[str]) -> None:
    assert with_colons(TASKS, words) == expected


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["pan"], "pan: no such task", "did you mean plan?"),
        (["build", "transfrom:2b"], "transfrom:2b: no such task", "did you mean transform:2b?"),
        (["xyzzy"], "xyzzy: no such task", "tasks: build, plan, transform"),
        (["calibrate:*"], "calibrate:*: matches no task", "list --all"),
        (["build", "--always"], "build: no such option: --always", "in front of all tasks"),
        (["build:*", "-n", "2"], "-n: no such option", "./doit -n TASK"),
        (["nope", "plan", "words"], "nope: no such task", ""),
    ],
)
def test_the_first_word_that_names_nothing_is_explained(words: list[str], said: str, hint: str) -> None:
    text = explain_unknown(TASKS, words)
    assert text.startswith(f"{said}\nhint: ") and hint in text


def test_a_chip_without_int8_targets_is_said(checkout: Path) -> None:
    status, _, err = doit(checkout, "tune:cv186x")
    assert status == 3
    assert "tune:cv186x: no INT8 targets for this chip in the config\nhint: there are for: bm1684, bm1688" in err
