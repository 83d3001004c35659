"""The wheel: what it holds, and that it works where there is nothing else of bmzoo."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import pytest
import tomli

from bmzoo import scenes
from bmzoo.export.wheel import runtime_wheel

ROOT = Path(__file__).parents[1]
PYTHON = f"{sys.base_prefix}/bin/python3.10"  # not the one of .venv
MODEL = ROOT / "models/onnx/retinaface_mobilenet0.25.embedded.onnx"
PROJECT: Mapping[str, Any] = tomli.loads((ROOT / "pyproject.toml").read_text())
HELD = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]


def call(argv: list[str | Path], cwd: Path) -> str:
    """What a command prints; the test fails with all of it when the command does."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_is_what_stands_alone() -> None:
    assert [name for name in HELD if not (ROOT / name).exists()] == []
    assert set(HELD) == {"bmzoo/__init__.py", "bmzoo/errors.py", "bmzoo/py.typed", "bmzoo/runtime", "bmzoo/sail"}
    assert PROJECT["project"]["requires-python"] == ">=3.8"
    assert PROJECT["project"]["dependencies"] == ["numpy", "opencv-python-headless"]


@pytest.mark.bootstrap
def test_the_wheel_works_in_an_empty_environment(tmp_path: Path) -> None:
    checkout, away = tmp_path / "checkout", tmp_path / "elsewhere"
    away.mkdir()
    shutil.copytree(ROOT / "bmzoo", checkout / "bmzoo", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, checkout / name)
    call([PYTHON, "-m", "venv", tmp_path / "venv"], away)
    python = tmp_path / "venv/bin/python"
    call([python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, checkout], away)

    (wheel,) = tmp_path.glob("bmzoo-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert {"bmzoo/py.typed", "bmzoo/sail/__init__.py", "bmzoo/runtime/__main__.py"} <= set(names)
    assert [name for name in names if not name.startswith(tuple(HELD))] == []
    with zipfile.ZipFile(io.BytesIO(runtime_wheel()[1])) as packed:
        assert sorted(names) == sorted(name for name in packed.namelist() if ".dist-info/" not in name)

    call([python, "-m", "pip", "install", "--quiet", f"{wheel}[onnx]"], away)
    assert "detect" in call([python, "-m", "bmzoo.runtime", "--help"], away)
    where = call([python, "-c", "import bmzoo.sail; print(bmzoo.sail.__file__)"], away)
    assert where.startswith(str(tmp_path / "venv"))
    cv2.imwrite(str(away / "scene.png"), scenes.draw(1, 640, 640).image)
    assert "1 images" in call([python, "-m", "bmzoo.runtime", "detect", MODEL, "scene.png"], away)
    assert (away / "results/results.txt").read_text().count("\n") > 2
