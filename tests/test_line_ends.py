"""A checkout with Windows line ends: git is told not to make one, and what is read there all the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import Project

from bmzoo.execute import decisions
from bmzoo.execute.decisions import Standing, read_committed
from bmzoo.quantization.tables import calibrated
from bmzoo.release.committed_sums import parse_sums

ROOT = Path(__file__).parents[1]


def windows(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def test_git_checks_every_text_out_with_plain_line_ends() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    lines = [line.partition("\t") for line in listed.splitlines()]
    assert len(lines) > 400
    bad = [path for told, _, path in lines if "attr/-text" not in told and "eol=lf" not in told]
    assert bad == []
    assert [path for told, _, path in lines if "i/crlf" in told or "i/mixed" in told] == []


def test_configs_the_task_file_and_its_settings_can_have_windows_line_ends(project: Project) -> None:
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(ROOT / name, project.root / name)
    (project.root / "configs/zoo.yaml").write_text("default_model: tiny\n")
    for path in (*project.root.glob("configs/*.yaml"), project.root / "dodo.py", project.root / "doit.cfg"):
        windows(path)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "bmzoo.tasks", "plan", "bm1684_fp32_1b"]
    done = subprocess.run(argv, cwd=project.root, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("bm1684_fp32_1b -> ")


def test_a_model_is_the_same_with_windows_line_ends(project: Project) -> None:
    before = project.open().models["tiny"].config
    windows(project.config)
    assert project.open().models["tiny"].config == before


def test_decisions_and_digests_are_read_with_windows_line_ends(tmp_path: Path) -> None:
    facts, content = {"decision": "float layers, version 1", "weights": "0" * 64}, "y F32\nz F32\n"
    path = tmp_path / "m.qtable"
    path.write_text(decisions.text_of(facts, content))
    windows(path)
    found = read_committed(path, facts)
    assert (found.standing, found.content) == (Standing.CURRENT, content)
    sums = (ROOT / "configs/artifacts.sha256").read_text()
    (tmp_path / "sums").write_text(sums)
    windows(tmp_path / "sums")
    assert parse_sums((tmp_path / "sums").read_text(encoding="utf-8")) == parse_sums(sums)


def test_a_table_by_hand_is_the_same_with_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.table"
    path.write_text("# op_name    threshold    min    max\nx 4.13 -3.33 4.13\n")
    before = calibrated(path.read_text(encoding="utf-8"))
    windows(path)
    assert calibrated(path.read_text(encoding="utf-8")) == before
