"""What README.md says is so: its commands, its table of chips, its example config."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bmzoo.chips import CHIPS
from bmzoo.config.model import load

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_every_command_names_a_task_that_exists() -> None:
    listing = subprocess.run(  # noqa: PLW1510  # asserted below
        [sys.executable, "-m", "doit", "list", "--all", "--quiet"], cwd=ROOT, capture_output=True, text=True
    )
    names = set(listing.stdout.split())
    commands = re.findall(r"\./doit ([^`\n]*)", TEXT)
    words = {w.strip("'\",") for c in commands for w in c.split() if not w.startswith("-") and "=" not in w}
    tasks = {w for w in words if w not in ("list", "clean", "2") and "*" not in w and not any(map(str.isupper, w))}
    assert listing.returncode == 0 and len(tasks) > 8
    assert tasks - names == set()
    assert {"build:bm1688_int8_4b_2core", "build:bm1684_fp32_1b"} <= tasks


def test_the_table_of_chips_is_the_one_in_the_code() -> None:
    rows = re.findall(r"^\| ((?:bm|cv)\w+) \| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)
    told = {name: (tuple(p.split(", ")), tuple(map(int, c.split(", ")))) for name, p, c in rows}
    assert told == {chip.name: (chip.precisions, chip.cores) for chip in CHIPS.values()}


def test_the_example_config_is_valid(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0].replace("<sha256sum of the file>", "a" * 64)
    path = tmp_path / "example.yaml"
    path.write_text(example)
    assert len(load(path, "example.yaml").targets) == 9
    assert len(yaml.safe_load(example)["targets"]) == 2


def test_paths_in_the_table_exist() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ", TEXT.partition("## Where things are")[2], re.MULTILINE)
    for path in (p for row in rows for p in re.findall(r"`([^`]+)`", row)):
        inside = path if (ROOT / path).exists() else f"bmzoo/{path}"
        assert (ROOT / inside).exists() or path in ("build/", "models/onnx/", "calibration/"), path


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_nothing_large_and_no_model_from_outside_is_committed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in listed:
        path = ROOT / name
        assert not path.is_file() or path.stat().st_size < 3_000_000, name
        assert path.suffix not in (".pth", ".jpg", ".jpeg", ".caffemodel"), name
