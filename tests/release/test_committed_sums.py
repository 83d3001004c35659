"""Digests of artifacts as committed: kept by weights, and compared."""

from pathlib import Path
from typing import Any

import pytest
from manifests import artifact

from bmzoo.config.options import Options
from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.plan.step import Command
from bmzoo.release.committed_sums import differing, merged, of, parse_sums, text_of_sums
from bmzoo.release.manifest import ZooManifest
from bmzoo.system.hashing import Digests
from bmzoo.tasks.progress import Progress
from bmzoo.workspace import Workspace

ROOT = Path(__file__).parents[2]
KNOWN = ROOT / "configs" / "artifacts.sha256"
NAME = "official/BM1688/m_int8_1b.bmodel"


def manifest(*artifacts: Any, **more: Any) -> ZooManifest:
    return ZooManifest(artifacts=artifacts, **more)


def test_what_is_written_is_read_again() -> None:
    sums = {NAME: "a" * 64, "given/BM1684/x_fp32_1b.bmodel": "b" * 64}
    assert parse_sums(text_of_sums("tpu_mlir 1", sums)) == ("tpu_mlir 1", sums)
    assert parse_sums("") == ("", {})
    assert parse_sums("garbage\nand more") == ("garbage", {})


def test_a_failed_artifact_has_no_digest_and_keeps_the_known_one() -> None:
    failed = artifact(
        status="failed", sha256=None, size=None, stage="build", cause="x", agreement=None, accuracy=None
    )
    assert of(manifest(failed)) == {}
    assert merged({NAME: "b" * 64}, manifest(failed)) == {NAME: "b" * 64}
    assert differing({NAME: "b" * 64}, manifest(failed)) == []


def test_other_bytes_and_unknown_artifacts_differ() -> None:
    assert differing({NAME: "a" * 64}, manifest(artifact())) == []
    assert differing({NAME: "b" * 64}, manifest(artifact())) == [NAME]
    assert differing({}, manifest(artifact())) == [NAME]


def test_weights_that_are_not_in_use_are_kept_and_targets_that_are_gone_are_not() -> None:
    known = {"embedded/BM1688/m_int8_1b.bmodel": "c" * 64, "official/BM1688/m_int8_4b.bmodel": "d" * 64}
    assert merged(known, manifest(artifact())) == {"embedded/BM1688/m_int8_1b.bmodel": "c" * 64, NAME: "a" * 64}
    assert merged(known, manifest(artifact(), broken={"other": "why"})).keys() == {*known, NAME}


class OtherProcessor(LocalToolchain):
    """The tools as they run on a processor with neither AVX2 nor AVX-512, in a longer environment."""

    def _environment(self, command: Command, folder: Path) -> dict[str, str]:
        vectors = "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
        return {
            **super()._environment(command, folder),
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX2,-FMA,-ERMS",
            "NPY_DISABLE_CPU_FEATURES": vectors,
            "OPENBLAS_CORETYPE": "Nehalem",
            "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FMA3",
            "PADDING": "x" * 3001,
        }


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("weights", "name", "tools"),
    [
        ("official", "bm1684_fp32_1b", LocalToolchain),
        ("official", "bm1688_int8_4b_2core", LocalToolchain),
        ("embedded", "bm1684_int8_1b", LocalToolchain),
        ("embedded", "bm1684x_int8_4b", OtherProcessor),
        ("embedded", "bm1688_fp16_1b", OtherProcessor),
    ],
)
def test_this_machine_makes_the_committed_bytes(
    weights: str, name: str, tools: type[LocalToolchain], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """From the committed decisions, so that nothing is calibrated or searched; a few of the artifacts."""
    environ = {"BMZOO_DATA": str(request.getfixturevalue("data"))} if weights == "official" else {}
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    for folder in ("configs", "models", "calibration", "qtables"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    toolchain = tools(installation, Digests(ROOT / "build" / "cache" / "digests.json"))
    release, known = parse_sums(KNOWN.read_text(encoding="utf-8"))
    assert release == toolchain.release, "./doit zoo with this toolchain writes the file anew"
    at = Workspace(tmp_path, environ, Progress(), Options(weights=weights, locked=True), toolchain)
    target = at.target(name)
    made = at.builder(at.model(target)).run(at.recipe(target).deploy).files["model.bmodel"]
    assert made == known[f"{weights}/{target.artifact}"]
