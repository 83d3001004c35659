"""Estimates of artifacts: in the line of a build and in the manifest, or why there are none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from compiler_profiles import PROFILE
from conftest import Project
from fake_toolchain import FakeToolchain

from bmzoo.measure import latency
from bmzoo.measure.chip_constants import Constants
from bmzoo.measure.fitted import COMPILER
from bmzoo.plan.step import Command
from bmzoo.release.inventory import take
from bmzoo.release.manifest import Artifact, Estimate
from bmzoo.release.outcomes import Outcomes
from bmzoo.results.artifact import build_artifact

NAME = "bm1688_fp32_1b"
CONSTANTS = {"bm1688": Constants(arithmetic=1.0, fp32=1.0, memory=1.0, run=0.1, join=0.0, low=0.5, high=2.0)}


class Profiling(FakeToolchain):
    """A compiler that writes a profile, and an MLIR whose only part runs in this mode."""

    def __init__(self, version: str = COMPILER, profile: str = PROFILE, mode: str = "TPU_STATIC") -> None:
        super().__init__(version)
        self._profile, self._mode = profile, mode

    def _model_deploy(self, folder: Path, command: Command) -> None:
        super()._model_deploy(folder, command)
        (folder / "compiler_profile_0.txt").write_text(self._profile)
        (folder / "tiny_final.mlir").write_text(f"attributes {{mode = #tpu<run_mode {self._mode}>}}\n")


@pytest.fixture
def build(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeToolchain], tuple[str, Artifact]]:
    monkeypatch.setattr(latency, "CONSTANTS", CONSTANTS)

    def built(tools: FakeToolchain) -> tuple[str, Artifact]:
        """The line of a build, and what the manifest has of it."""
        project.toolchain = tools
        at = project.open()
        line = build_artifact(at, at.target(NAME))
        return line, next(a for a in take(at, Outcomes()).artifacts if str(a.target) == NAME)

    return built


def test_a_build_says_how_long_it_takes(build: Callable[[FakeToolchain], tuple[str, Artifact]]) -> None:
    line, artifact = build(Profiling())
    assert line.endswith(", about 0.6 ms (0.3 to 1.2)")
    assert (artifact.estimate, artifact.no_estimate) == (Estimate(ms=0.6, low=0.3, high=1.2), None)


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        (Profiling(version="tpu_mlir 1.24"), "made by tpu_mlir 1.24: what is known is of profiles by"),
        (
            Profiling(profile=PROFILE.partition("flops")[0]),
            "no profile: not of the known form: cut short: no runtime",
        ),
        (Profiling(profile=PROFILE + PROFILE), "no profile: not of the known form: line 30: a second network"),
        (Profiling(mode="CPU"), "parts of it do not run on the chip's engines alone: CPU"),
        (Profiling(mode="TPU_DYNAMIC"), "it is dynamic"),
        (FakeToolchain(COMPILER), "no profile: the compiler writes no profile for bm1688"),
    ],
    ids=["version", "cut", "two networks", "processor", "dynamic", "none"],
)
def test_what_cannot_be_known_is_said_and_not_guessed(
    build: Callable[[FakeToolchain], tuple[str, Artifact]], tools: FakeToolchain, why: str
) -> None:
    line, artifact = build(tools)
    assert "about" not in line
    assert artifact.estimate is None and artifact.status == "built"
    assert artifact.no_estimate is not None and artifact.no_estimate.startswith(why)


def test_a_provenance_of_before_has_none(
    build: Callable[[FakeToolchain], tuple[str, Artifact]], project: Project
) -> None:
    build(Profiling())
    at = project.open()
    path = at.layout.provenance(at.target(NAME))
    told = json.loads(path.read_text())
    del told["profile"]
    path.write_text(json.dumps(told))
    artifact = next(a for a in take(at, Outcomes()).artifacts if str(a.target) == NAME)
    assert (artifact.estimate, artifact.no_estimate) == (None, "no profile: none is kept")
