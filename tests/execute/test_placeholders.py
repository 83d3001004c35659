"""Packages that TPU-MLIR imports and bmzoo does not install."""

import subprocess

import pytest
from bootstrap_module import PYTHON, ROOT


@pytest.mark.parametrize("package", ["torch", "onnxruntime_extensions"])
def test_a_placeholder_imports_and_any_use_says_what_to_install(package: str) -> None:
    use = {"torch": "torch.tensor([1])", "onnxruntime_extensions": "PyOrtFunction.from_model(b'')"}[package]
    code = f"import {package}; from {package} import *\n{use}"
    env = {"PYTHONPATH": str(ROOT / "bmzoo/execute/placeholders" / package)}
    done = subprocess.run([PYTHON, "-c", code], env=env, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: bmzoo: ")
    assert f".venv/bin/pip install {package}==" in last
