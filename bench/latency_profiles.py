"""Compiles architectures for chips, by the steps of a build, and keeps of each what an estimate needs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from architectures.registry import ARCHITECTURES

from bmzoo.chips import CALIBRATED, QUANTIZE
from bmzoo.execute.toolchain import LocalToolchain
from bmzoo.measure.latency import essentials
from bmzoo.plan.step import Command
from bmzoo.target import Target

LIMIT = 3600.0
LOCATION = re.compile(r'^#loc\d* = loc\("([^"]+)"', re.MULTILINE)
# What `facts.json` says that an estimate reads, or that is tried instead of a profile.
FACTS = ("networks", "dynamic", "cores", "cost")


def kept_profile(target: Target, cache: Path) -> Path:
    """Where the cache has what a target's compilation told."""
    return cache / "profiles" / f"{target.model}.{target}.json"


def profile_of(target: Target, tools: LocalToolchain, cache: Path) -> dict[str, Any]:
    """Compile a target, unless the cache has it. Takes minutes for large networks. Raises ToolFailed."""
    kept = kept_profile(target, cache)
    if not kept.is_file():
        folder = cache / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            told = _made(target, tools, folder, _transformed(target, tools, cache))
        finally:
            shutil.rmtree(folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(told, indent=1), encoding="utf-8")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _transformed(target: Target, tools: LocalToolchain, cache: Path) -> Path:
    """The folder with the network's MLIR for a batch, and thresholds for INT8, which time does not depend on."""
    folder = cache / "mlir" / f"{target.model}_{target.batch}b"
    if not (folder / "calibration.table").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        onnx.save(ARCHITECTURES[target.model](target.batch), str(folder / "model.onnx"))
        args = ("--model_name", target.model, "--model_def", "model.onnx", "--mlir", "model.mlir")
        tools.run(Command("model_transform.py", args), folder, cache / "log.txt", LIMIT)
        for left in folder.glob("*.onnx"):
            left.unlink()
        names = dict.fromkeys(LOCATION.findall((folder / "model.mlir").read_text(encoding="utf-8")))
        (folder / "calibration.table").write_text("".join(f"{name} 1.0 -1.0 1.0\n" for name in names))
    return folder


def _made(target: Target, tools: LocalToolchain, folder: Path, mlir: Path) -> dict[str, Any]:
    for path in mlir.iterdir():
        (folder / path.name).symlink_to(path)
    for command in _commands(target):
        tools.run(command, folder, folder.parent / "log.txt", LIMIT)
    profile, facts = (json.loads((folder / name).read_text()) for name in ("profile.json", "facts.json"))
    return {"profile": essentials(profile), "facts": {key: facts[key] for key in FACTS}}


def _commands(target: Target) -> Iterator[Command]:
    table = ("--calibration_table", "calibration.table") if target.precision in CALIBRATED else ()
    args = ("--mlir", "model.mlir", "--chip", target.chip, "--quantize", QUANTIZE[target.precision], *table)
    args += ("--skip_validation", "--num_core", str(target.cores), "--model", "model.bmodel")
    yield Command("model_deploy.py", args)
    yield Command("profile", (target.chip,))
    yield Command("model_tool", ("--info", "model.bmodel"), stdout="info.txt")
    yield Command("finish", ("model.bmodel", "info.txt", str(target.cores)))
