"""The same bytes twice, and what is said and kept when they differ."""

import json
from pathlib import Path

import pytest
from conftest import Project
from fake_toolchain import FakeToolchain

from bmzoo.errors import VerifyFailed
from bmzoo.plan.step import Command
from bmzoo.results import reproduce
from bmzoo.results.artifact import build_artifact
from bmzoo.system.hashing import sha256
from bmzoo.workspace import Workspace

NAME = "bm1684_fp32_1b"


class Restless(FakeToolchain):
    """A compiler that writes how often it was run into what it compiles."""

    runs = 0

    def _model_deploy(self, folder: Path, command: Command) -> None:
        super()._model_deploy(folder, command)
        self.runs += 1
        bmodel = folder / "model.bmodel"
        start, network = bmodel.read_bytes().split(b"\0ONNX", 1)
        bmodel.write_bytes(start + bytes([self.runs]) + b"\0ONNX" + network)


def built(project: Project) -> Workspace:
    at = project.open()
    build_artifact(at, at.target(NAME))
    project.toolchain.ran.clear()
    return at


def test_two_more_builds_give_the_published_bytes(project: Project) -> None:
    at = built(project)
    text = reproduce.build_twice(at, at.target(NAME))
    assert (
        text
        == f"made twice more, the same bytes as published, sha256 {sha256(at.layout.artifact(at.target(NAME)))}"
    )
    assert project.toolchain.ran.count("model_deploy.py") == 2
    assert not list((project.root / "build" / "scratch").glob("*/*.bmodel"))


def test_bytes_that_differ_are_counted_located_and_kept(project: Project) -> None:
    project.toolchain = Restless()
    at = built(project)
    with pytest.raises(VerifyFailed, match=r"not reproducible: 1 bytes differ, .* their outputs agree;") as raised:
        reproduce.build_twice(at, at.target(NAME))
    assert "the first file that differs is model.bmodel of deploy" in str(raised.value.hint)
    folder = project.root / "build/failed/BM1684/tiny_fp32_1b.reproduce"
    kept = [folder / f"{name}.bmodel" for name in ("first", "second")]
    told = json.loads((folder / "difference.json").read_text())
    assert told["sha256"] == [sha256(path) for path in kept] and told["sha256"][0] != told["sha256"][1]
    assert (told["bytes"], told["outputs_agree"]) == (1, True)
    assert str(reproduce.compare(*kept)) == f"1 bytes differ, the first at offset {told['first']}"


def test_what_was_published_from_other_memory_is_told_from_what_is_made_now(project: Project) -> None:
    at = built(project)
    artifact = at.layout.artifact(at.target(NAME))
    artifact.chmod(0o644)
    artifact.write_bytes(artifact.read_bytes() + b"\0")
    with pytest.raises(VerifyFailed, match=r"the same bytes twice, .*, but not the published ones: 1 bytes differ"):
        reproduce.build_twice(at, at.target(NAME))
