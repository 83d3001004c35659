"""Decisions are recognised on every machine, and only what they rest on makes them stale. No compiler."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Project, draw
from fake_toolchain import FakeToolchain
from numpy.typing import NDArray

from bmzoo.commands import ranges
from bmzoo.config.options import Options
from bmzoo.errors import ConfigError
from bmzoo.execute.decisions import Standing
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.step import Command
from bmzoo.results import calibration, qtable
from bmzoo.results.artifact import build_artifact
from bmzoo.results.decisions import listing
from bmzoo.system.hashing import sha256
from bmzoo.workspace import Workspace

TARGET = "bm1688_int8_1b"
SCALES, TABLE, QTABLE = (
    "calibration/tiny.given.scales",
    "calibration/tiny.given.table",
    "qtables/tiny.given.bm1688.qtable",
)
DERIVED = {"scales": SCALES, "calibrate": TABLE, "cut": QTABLE}


@pytest.fixture
def deciding(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Its INT8 is equalized, calibrated, and has a layer in float."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "dot").write_text("#!/bin/sh\n")  # Graphviz's, which the vendor's searches ask for
    (programs / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    project.edit("minimum: 2}", "minimum: 2, equalize: true}")
    project.edit(
        "verify:", "quantization: {images: {folder: pictures/choosing, count: 3}, search: " + SEARCH + "}\nverify:"
    )
    project.edit("chip: [bm1684, bm1688], precision: [fp32, int8]", "chip: bm1688, precision: [fp32, int8]")
    choosing = project.data / "pictures" / "choosing"
    choosing.mkdir()
    for index in range(3):
        draw(choosing / f"{index}.png", f"choosing{index}")
    project.toolchain.ranked = [("y", 0.08), ("r", 0.03)]
    return project


SEARCH = "{method: vendor_qtable, max_float_layers: 1}"


def decide(at: Workspace) -> None:
    """What `calibrate` and `qtable` do before a build."""
    model = at.models["tiny"]
    calibration.calibrate(at, model, "bm1684x")
    search = model.search(int8_target(model, "bm1688"))
    assert search is not None
    qtable.search_layers(at, model, "bm1688", search)


def build(project: Project, at: Workspace | None = None) -> list[str]:
    """Kinds of the steps that ran."""
    project.report.steps.clear()
    at = at or project.open()
    build_artifact(at, at.target(TARGET))
    return project.report.steps


def standings(project: Project) -> dict[str, str]:
    at = project.open()
    return {at.layout.shown(one.path): one.worth for one in listing(at)}


def committed(project: Project) -> dict[str, str]:
    return {name: (project.root / name).read_text() for name in DERIVED.values()}


def forget(project: Project) -> None:
    """Another machine: nothing but what is committed."""
    shutil.rmtree(project.root / "build")


def test_a_clone_with_current_decisions_derives_nothing_and_stays_clean(deciding: Project) -> None:
    decide(deciding.open())
    before = committed(deciding)
    forget(deciding)
    assert set(standings(deciding).values()) == {"current"}
    ran = build(deciding)
    assert ran == ["import", "transform", "deploy", "simulate", "measure"]
    assert committed(deciding) == before


class Noisy(FakeToolchain):
    """Another processor: the thresholds that it finds differ in the last digits."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)
        self.ranked = [("y", 0.08), ("r", 0.03)]

    def identity(self, tool: str) -> str:
        return f"built elsewhere: {super().identity(tool)}"

    def _run_calibration(self, folder: Path, command: Command) -> None:
        super()._run_calibration(folder, command)
        table = folder / "tool.table"
        if table.is_file():
            noisy = re.sub(r"(?<= )-?\d+\.\d+", self._noise, table.read_text(encoding="utf-8"))
            table.write_text(noisy, encoding="utf-8")

    def _noise(self, match: re.Match[str]) -> str:
        return repr(float(match[0]) * (1 + 1e-6 * float(self.random.standard_normal())))


def test_other_last_digits_give_the_same_decisions_fingerprints_and_artifacts(
    deciding: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(deciding.open())
    build(deciding)
    artifact = deciding.root / "build/BM1688/tiny_int8_1b.bmodel"
    before, digest = committed(deciding), sha256(artifact)
    exact: Callable[..., dict[str, NDArray[np.float64]]] = ranges.channel_ranges
    for seed in range(20):
        random = np.random.default_rng(seed)

        def noisy(*args: object, random: np.random.Generator = random) -> dict[str, NDArray[np.float64]]:
            return {n: r * (1 + 1e-6 * random.standard_normal(r.shape)) for n, r in exact(*args).items()}

        monkeypatch.setattr(ranges, "channel_ranges", noisy)
        deciding.toolchain = Noisy(seed)
        forget(deciding)
        for name in DERIVED.values():
            (deciding.root / name).unlink()
        decide(deciding.open())
        build(deciding)
        assert (committed(deciding), sha256(artifact)) == (before, digest), seed


class Reworded(FakeToolchain):
    """The same commands after an edit of their sources that changes nothing: a docstring, a name."""

    def identity(self, tool: str) -> str:
        return f"{super().identity(tool)}, reworded"


def test_decisions_outlive_an_edit_of_our_sources(deciding: Project) -> None:
    decide(deciding.open())
    deciding.toolchain = Reworded()
    assert set(standings(deciding).values()) == {"current"}
    assert not {"scales", "calibrate", "search", "cut"} & set(build(deciding))


def test_names_of_pictures_and_their_order_do_not_matter(deciding: Project) -> None:
    decide(deciding.open())
    folder = deciding.data / "pictures" / "calibration"
    for index, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"{9 - index} renamed.png")
    assert set(standings(deciding).values()) == {"current"}


def paint(folder: str) -> Callable[[Project], None]:
    return lambda project: draw(project.data / "pictures" / folder / "1.png", "another picture")


def setting(old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.edit(old, new)


def other_weights(project: Project) -> None:
    """A byte that no reader of ONNX looks at."""
    model = project.data / "model.onnx"
    before = sha256(model)
    model.write_bytes(model.read_bytes() + b"\x32\x01x")  # field 6, doc_string
    project.edit(before, sha256(model))


ALL = ("scales", "calibrate", "cut")


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (paint("calibration"), ALL),
        (paint("choosing"), ("cut",)),
        (paint("selection"), ()),
        (setting("minimum: 2", "method: max, minimum: 2"), ("calibrate", "cut")),
        (setting("minimum: 2", "minimum: 3"), ()),
        (setting("max_float_layers: 1", "max_float_layers: 2"), ("cut",)),
        (setting("height: 32, width: 32", "height: 32, width: 32, mean: [1, 1, 1]"), ALL),
        (setting("verify: {images", "verify: {confidence: 0.6, images"), ()),
        (other_weights, ALL),
    ],
    ids=[
        *("calibration picture", "selection picture", "verified picture", "method", "fewest pictures"),
        *("float layers", "mean", "confidence", "weights"),
    ],
)
def test_a_change_makes_exactly_its_decisions_stale(
    change: Callable[[Project], None], stale: tuple[str, ...], deciding: Project
) -> None:
    decide(deciding.open())
    change(deciding)
    wanted = {DERIVED[kind] for kind in stale}
    assert {name for name, worth in standings(deciding).items() if worth != "current"} == wanted
    deciding.report.said.clear()
    decide(deciding.open())
    again = [text.partition(": ") for text in deciding.report.said if ": derived again: " in text]
    # What rests on a decision is derived again only where that comes out otherwise, or its own sources changed.
    assert {name for name, _, _ in again} <= wanted
    assert set(standings(deciding).values()) == {"current"}


def locked(project: Project) -> Workspace:
    environ = {"BMZOO_DATA": str(project.data)}
    return Workspace(project.root, environ, project.report, Options(locked=True), project.toolchain)


def test_locked_a_stale_decision_is_an_error_that_names_file_source_and_command(deciding: Project) -> None:
    decide(deciding.open())
    build(deciding, locked(deciding))
    paint("choosing")(deciding)
    before = committed(deciding)
    with pytest.raises(ConfigError) as caught:
        build(deciding, locked(deciding))
    assert caught.value.message == f"{QTABLE}: stale: pictures changed, and locked=yes"
    assert "./doit 'qtable:*' weights=given" in caught.value.hint
    assert committed(deciding) == before and not {"search", "cut"} & set(deciding.report.steps)


def test_locked_a_missing_decision_is_an_error_even_where_the_store_has_it(deciding: Project) -> None:
    decide(deciding.open())
    (deciding.root / TABLE).unlink()
    with pytest.raises(ConfigError, match=f"{TABLE}: missing, and locked=yes"):
        build(deciding, locked(deciding))


def test_a_merge_conflict_is_derived_again_and_said(deciding: Project) -> None:
    decide(deciding.open())
    path = deciding.root / TABLE
    good = path.read_text()
    path.write_text(f"<<<<<<< ours\n{good}=======\n{good}>>>>>>> theirs\n")
    assert standings(deciding)[TABLE] == "a merge conflict: two branches derived it"
    decide(deciding.open())
    assert path.read_text() == good
    assert f"{TABLE}: derived again: two branches derived it" in deciding.report.said


@pytest.mark.parametrize("name", DERIVED.values())
@pytest.mark.parametrize("damage", ["cut short", "edited"])
def test_what_is_not_as_it_was_written_is_refused(name: str, damage: str, deciding: Project) -> None:
    decide(deciding.open())
    path = deciding.root / name
    text = path.read_text()
    path.write_text(text[:-3] if damage == "cut short" else text + "# a note\n")
    assert standings(deciding)[name].startswith(Standing.BY_HAND.value)
    with pytest.raises(ConfigError, match=f"{name}: written or edited by hand, so it is not overwritten"):
        decide(deciding.open())
    assert path.read_text() != text


def test_one_of_another_model_is_stale(deciding: Project) -> None:
    decide(deciding.open())
    path = deciding.root / TABLE
    path.write_text(re.sub(r"# weights: \w+", "# weights: " + "0" * 64, path.read_text()))
    assert standings(deciding)[TABLE] == "stale: weights changed"


def test_without_its_pictures_a_decision_is_not_known_and_no_error(deciding: Project) -> None:
    decide(deciding.open())
    shutil.rmtree(deciding.data / "pictures" / "choosing")
    listed = {one.path.name: one for one in listing(locked(deciding))}
    assert [one.sound for one in listed.values()] == [True, True, None]
    assert listed["tiny.given.bm1688.qtable"].worth.startswith("not known: pictures/choosing: no such folder")
    shutil.rmtree(deciding.data / "pictures" / "calibration")
    assert [one.sound for one in listing(locked(deciding))] == [None, None, None]
