"""check.py as a board runs it: by itself, with a sail that says what it is told to say."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Project
from exports import changed, export_of, unpack

from bmzoo.export import check
from bmzoo.export.board import LEAST, asked
from bmzoo.export.statement import ATTESTATION, FORMAT
from bmzoo.runtime.engines.session import OnnxSession

ROOT = Path(__file__).parents[2]
ASKS = {"chip": "BM1688", "cores": 1, "driver": "0.4.9", "sail": "3.7.0"}


class OnnxEngine:
    """An Engine for the fake toolchain's artifacts, which carry an ONNX model; `off`: added to all outputs."""

    off = 0.0

    def __init__(self, path: str, device: int, mode: str) -> None:
        assert mode == "SYSIO"
        data = Path(path).read_bytes().partition(b"\0ONNX")[2]
        model = Path(path).with_suffix(".onnx")
        model.write_bytes(data)
        self.onnx = OnnxSession(model, threads=1)

    def get_graph_names(self) -> list[str]:
        return ["net"]

    def get_input_shape(self, graph: str, name: str) -> list[int]:
        return [2, 3, 32, 32]

    def process(self, graph: str, feeds: dict[str, Any]) -> dict[str, Any]:
        assert [array.shape for array in feeds.values()] == [(2, 3, 32, 32)]
        return {f"{name}_f32": value + np.float32(self.off) for name, value in self.onnx.run(feeds).items()}


def sail(engine: type = OnnxEngine, version: str = "3.10.7", chip: str = "BM1688", cards: int = 1) -> ModuleType:
    """The vendor's module as far as check.py uses it."""
    module = ModuleType("board_sail")
    module.__dict__.update(
        Engine=engine,
        IOMode=SimpleNamespace(SYSIO="SYSIO"),
        Handle=lambda device: SimpleNamespace(get_target=lambda: chip),
        get_available_tpu_num=lambda: cards,
        __version__=version,
    )
    return module


Run = Callable[..., int]


@pytest.fixture
def board(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Unpack an archive and run the check.py of this checkout in it, with a sail; its exit code."""
    archive = export_of(project, "bm1688_int8_2b")

    def run(*words: str, by: ModuleType | None = None, of: Path = archive) -> int:
        folder = unpack(of, tmp_path / "board")
        monkeypatch.setattr(check, "__file__", str(folder / "check.py"))
        monkeypatch.setitem(sys.modules, "board_sail", by or sail())
        monkeypatch.setattr(sys, "path", list(sys.path))
        return check.main(["--sail", "board_sail", *words])

    run.archive = archive  # type: ignore[attr-defined]
    return run


def test_the_same_outputs(board: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert board() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "artifact: tiny bm1688_int8_2b, fake 1"
    assert lines[1].startswith("board:    BM1688, driver ") and "sophon.sail 3.10.7 (asked: 3.7.0)" in lines[1]
    assert lines[2].startswith("same outputs as simulated: 1 outputs of 2 pictures, equal to the last bit, ")


def test_the_first_output_that_differs_is_named_with_how_much(
    board: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    class Off(OnnxEngine):
        off = 0.5

    assert board(by=sail(Off)) == 1
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("other outputs than simulated: y_f32: 8192 of 8192 values differ; by ")
    assert " allowed: 0; " in told and ", simulated: " in told


def test_layers_in_float_may_differ_where_that_is_asked_for(board: Run, capsys: pytest.CaptureFixture[str]) -> None:
    class Near(OnnxEngine):
        off = 1e-3

    def mixed(members: dict[str, bytes]) -> None:
        told = {**json.loads(members["check.json"]), "loose": {"relative": 0.01, "sqnr_db": 20.0}}
        members["check.json"] = json.dumps(told).encode()

    archive = changed(board.archive, mixed, again=True)  # type: ignore[attr-defined]
    assert board(by=sail(Near), of=archive) == 1
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.startswith("other outputs than simulated: y_f32: ") and second.endswith("--loose accepts it")
    assert board("--loose", by=sail(Near), of=archive) == 0
    assert "same outputs as simulated: 1 outputs of 2 pictures, within 6.1e-06 of" in capsys.readouterr().out
    assert board("--loose", by=sail(Near)) == 1, "no layer is in float"
    assert "--loose" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (sail(version="3.5.2"), "sophon.sail: the artifact asks for 3.7.0 or newer, and this is: 3.5.2"),
        (sail(chip="BM1684X"), "the artifact is for BM1688, and this is: BM1684X"),
        (sail(cards=0), "device 0: there are 0"),
    ],
)
def test_a_board_without_the_right_sdk_is_told_before_anything_runs(
    board: Run, capsys: pytest.CaptureFixture[str], by: ModuleType, said: str
) -> None:
    class Never(OnnxEngine):
        def __init__(self, *_: object) -> None:
            raise AssertionError("it was run")

    engine = vars(by).pop("Engine")
    vars(by)["Engine"] = Never
    assert board(by=by) == 2
    assert said in capsys.readouterr().err
    vars(by)["Engine"] = engine
    assert board("--anyway", by=by) == 0


@pytest.mark.parametrize(
    ("text", "link", "version"),
    [
        ("release version:0.4.8   release date: 20230811-175610\n", "", "0.4.8"),
        ("release version:0.5.1   release date: 20240717-103602\n", "libsophon-0.4.2", "0.5.1"),
        ("", "libsophon-0.4.10", "0.4.10"),
        ("", "", "not told"),
    ],
)
def test_the_driver_says_its_version_in_one_of_two_places(
    tmp_path: Path, text: str, link: str, version: str
) -> None:
    if text:
        (tmp_path / check.DRIVER).parent.mkdir(parents=True)
        (tmp_path / check.DRIVER).write_text(text)
    if link:
        folder = tmp_path / "opt/sophon" / link
        folder.mkdir(parents=True)
        (tmp_path / check.LIBSOPHON).symlink_to(folder)
    assert check.driver_version(tmp_path) == version
    _, wrong = check.compare_board(ASKS, sail(), 0, tmp_path)
    older = ["driver: the artifact asks for 0.4.9 or newer, and this is: 0.4.8"]
    assert wrong == (older if version == "0.4.8" else [])


@pytest.mark.parametrize(
    ("here", "least", "older"),
    [
        ("0.4.10", "0.4.9", False),
        ("0.4.9", "0.4.10", True),
        ("3.7", "3.7.0", True),
        ("3.8.0+bm1688", "3.7.0", False),
    ]
    + [("not told", "3.7.0", False), ("0.5.0-rc1", "0.4.9", False)],
)
def test_versions_are_compared_number_by_number(here: str, least: str, older: bool) -> None:
    assert check.is_older(here, least) is older


def test_an_artifact_whose_needs_are_not_known_asks_for_no_version() -> None:
    told = {"target": {"chip": "other"}, "facts": {"cores": 1, "memory_bytes": {"total": 1}}}
    asks = asked(told)
    assert (asks["chip"], asks["driver"], asks["sail"]) == ("OTHER", None, None)
    found, wrong = check.compare_board(asks, sail(chip="OTHER"), 0, Path("/nowhere"))
    assert wrong == [] and "sophon.sail 3.10.7 (asked: any)" in found
    assert asked({**told, "target": {"chip": "cv186x"}})["chip"] == "CV186AH"
    assert all(check.is_older("0.0", one.driver) and check.is_older("0.0", one.sail) for one in LEAST.values())


def test_a_device_that_sail_cannot_count(board: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> int:
        raise RuntimeError("bm_dev_getcount failed")

    by = sail()
    by.get_available_tpu_num = broken  # type: ignore[attr-defined]
    assert board(by=by) == 2
    assert capsys.readouterr().err == "sail finds no device: bm_dev_getcount failed\nhint: is the driver loaded?\n"


def test_an_output_that_the_board_does_not_give(board: Run, capsys: pytest.CaptureFixture[str]) -> None:
    class Other(OnnxEngine):
        def process(self, graph: str, feeds: dict[str, Any]) -> dict[str, Any]:
            return dict(zip("z", super().process(graph, feeds).values(), strict=True))

    assert board(by=sail(Other)) == 1
    assert capsys.readouterr().out.endswith("other outputs than simulated: y_f32: not given, but: z\n")


def test_a_board_that_cannot_run_it(board: Run, capsys: pytest.CaptureFixture[str]) -> None:
    class Fails(OnnxEngine):
        def process(self, graph: str, feeds: dict[str, Any]) -> dict[str, Any]:
            raise RuntimeError("bmrt_launch failed")

    assert board(by=sail(Fails)) == 2
    said = "tiny_int8_2b.bmodel: cannot be run: bmrt_launch failed\nhint: see what the {} says\n"
    assert capsys.readouterr().err == said.format("driver").replace("says\n", "says: dmesg\n")
    simulated = sail(Fails)
    simulated.__bmzoo__ = True  # type: ignore[attr-defined]
    assert board(by=simulated) == 2
    assert capsys.readouterr().err == said.format("simulator's log")


@pytest.mark.parametrize("name", ["outputs.npz", "tiny_int8_2b.bmodel", "check.json"])
def test_a_file_that_was_changed_on_the_way_is_found_before_anything_runs(
    board: Run, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def change(members: dict[str, bytes]) -> None:
        members[name] = members[name][:-1] + b"?"

    assert board(of=changed(board.archive, change)) == 2  # type: ignore[attr-defined]
    assert capsys.readouterr().err == f"{name}: changed since it was exported\nhint: unpack the archive again\n"


@pytest.mark.parametrize("name", ["inputs.npz", ATTESTATION])
def test_a_file_that_is_not_there(board: Run, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert board(of=changed(board.archive, lambda members: members.pop(name))) == 2  # type: ignore[attr-defined]
    assert capsys.readouterr().err.startswith(f"{name}: not here")


def test_a_newer_format_is_named(board: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def newer(members: dict[str, bytes]) -> None:
        told = {**json.loads(members["check.json"]), "format": FORMAT + 1}
        members["check.json"] = json.dumps(told).encode()

    assert board(of=changed(board.archive, newer, again=True)) == 2  # type: ignore[attr-defined]
    assert f"check.json: of format {FORMAT + 1}, known: {FORMAT}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "relative", "sqnr_db", "said"),
    [
        ([1.0, -4.0], 0.0, None, ""),
        ([1.0, -4.0 + 1e-6], 0.0, None, "1 of 2 values differ"),
        ([1.0, -3.96], 0.011, None, ""),
        ([1.0, -3.96], 0.009, None, "by 0.01 of the range, 40.3 dB, allowed: 0.009; -3.96"),
        ([1.0, -3.96], 0.5, 40.0, ""),
        ([1.0, -3.96], 0.5, 41.0, "allowed: 0.5 and 41 dB"),
        ([1.0, float("nan")], 0.5, None, "by inf of the range"),
        ([1.0], 0.5, None, "has shape [1], simulated: [2]"),
    ],
)
def test_outputs_are_compared_with_their_range(
    given: list[float], relative: float, sqnr_db: float | None, said: str
) -> None:
    """By hand: 0.04 of 4 is 0.01; 10 log10(17 / 0.0016) = 40.3."""
    wanted, other = np.array([1.0, -4.0], np.float32), np.array(given, np.float32)
    told = check.difference(wanted, other, relative, sqnr_db)
    assert said in told and bool(said) == bool(told)


def test_nothing_and_no_number_are_what_they_are() -> None:
    nan, zero = np.array([np.nan, 1.0], np.float32), np.zeros(2, np.float32)
    assert check.difference(nan, nan.copy(), 0.0, None) == ""
    assert check.difference(zero, zero + np.float32(0.25), 0.25, None) == ""
    assert "by 0.25 of the range, -inf dB" in check.difference(zero, zero + np.float32(0.25), 0.2, None)


def test_check_py_runs_alone_and_says_what_is_missing(project: Project, tmp_path: Path) -> None:
    folder = unpack(export_of(project, "bm1688_int8_2b"), tmp_path / "board")
    assert (folder / "check.py").read_bytes() == (ROOT / "bmzoo/export/check.py").read_bytes()
    argv = [sys.executable, "-I", str(folder / "check.py"), "--sail"]
    done = subprocess.run([*argv, "no_sail"], cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("no_sail: cannot be imported: No module named 'no_sail'\nhint: install the SDK's")


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module, wanted, hint in (
        ("numpy", "board_sail", "pip install numpy"),
        ("bmzoo.nothing", "bmzoo.nothing", "pip install opencv-python-headless"),
    ):
        with monkeypatch.context() as patch, pytest.raises(check.Unusable) as caught:
            patch.setitem(sys.modules, module, None)
            check.load_sail(wanted, tmp_path)
        assert str(caught.value).startswith(f"{module}: cannot be imported: ") and caught.value.hint == hint


def test_check_py_and_the_statement_call_things_the_same() -> None:
    assert (check._ATTESTATION, check._FORMAT) == (ATTESTATION, FORMAT)


def test_the_mapping_of_needs_is_complete(project: Project) -> None:
    at = project.open()
    kept: Mapping[str, Any] = {"facts": {"cores": 1, "memory_bytes": {"total": 1}}}
    for target in at.models["tiny"].targets:
        assert asked({**kept, "target": {"chip": target.chip}})["driver"]
