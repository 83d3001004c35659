"""What users may add is a row of a table: each test adds one from outside and goes all the way with it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import Project, draw
from square_finder import square_finder

from bmzoo.chips import CHIPS, Chip
from bmzoo.commands.__main__ import run as run_command
from bmzoo.commands.registry import COMMANDS, OwnCommand
from bmzoo.config.schema import json_schema
from bmzoo.config.search_methods import METHODS, Method
from bmzoo.measure import groundtruth
from bmzoo.measure.groundtruth import DATA_SETS, DataSet
from bmzoo.measure.picture import Picture
from bmzoo.plan.evaluate import evaluate_onnx
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.shared import import_step
from bmzoo.plan.step import Command, Output, Step, Subject, Tree
from bmzoo.quantization.select import LayerCut
from bmzoo.results import qtable
from bmzoo.runtime.__main__ import main
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow
from bmzoo.runtime.decoders.registry import DECODERS, DecoderKind
from bmzoo.runtime.engines.registry import ENGINES, Engine, open_session
from bmzoo.runtime.engines.session import OnnxSession

AddModule = Callable[..., str]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> AddModule:
    """Makes a module that can be imported under the name given."""

    def add(name: str, **content: Any) -> str:
        made = ModuleType(name)
        made.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, made)
        return name

    return add


def one_box(heads: Any, spec: Any, input_hw: Any, confidence: float) -> list[Candidates]:
    """One box for each picture, around nothing in particular."""
    count = len(next(iter(heads.values())))
    box, landmarks = np.array([[4, 4, 20, 24]], np.float32), np.zeros((1, 0, 2), np.float32)
    return [Candidates(box, np.array([0.9], np.float32), lambda at: landmarks[at]) for _ in range(count)]


def test_a_decoder(project: Project, module: AddModule, monkeypatch: pytest.MonkeyPatch) -> None:
    row = DecoderKind(module("toy", DECODER=DecoderRow(one_box)), "one box a picture")
    monkeypatch.setitem(DECODERS, "toy", row)
    project.edit("kind: none", "kind: toy")
    assert project.build("bm1688_fp32_2b")
    told = json.loads((project.root / "build/BM1688/tiny_fp32_2b.json").read_text())
    assert told["verdict"]["detections"]["expected"] == 2
    assert '"toy"' in json_schema()


def test_a_chip(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHIPS, "toy9", Chip("toy9", ("fp32", "int8"), (1, 4), "toy9", "channel", {}))
    project.edit("bm1688]", "toy9], cores: [1, 4]")
    project.edit("[bm1684, ", "[")
    assert "model_deploy.py" in project.build("toy9_int8_2b_4core")
    assert (project.root / "build/TOY9/tiny_int8_2b_4core.bmodel").is_file()
    assert '"toy9"' in json_schema()


def test_a_data_set(project: Project, module: AddModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load(path: Path) -> tuple[Picture, ...]:
        names = path.read_text().split()
        faces, kept = np.array([[1.0, 1, 9, 9]]), {"all": np.array([0])}
        return tuple(Picture(name, path.parent / name, 40, 30, faces, kept) for name in names)

    monkeypatch.setitem(DATA_SETS, "toy", DataSet(module("toy", load=load), suffix=".lst"))
    project.edit("selection}}", "selection}}\nevaluate: {truth: faces/all.lst}")
    project.edit("kind: none", "kind: retinaface")
    at = project.open()
    step = evaluate_onnx(at.models["tiny"], at.models["tiny"].config.weights[0])
    assert dict(step.inputs)["truth"] == Tree("faces")
    folder = tmp_path / "step"
    (folder / "truth").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(square_finder().SerializeToString())
    (folder / "truth/all.lst").write_text("a.png b.png")
    for name in ("a.png", "b.png"):
        draw(folder / "truth" / name, name)
    (folder / "request.json").write_text(dict(step.documents)["request.json"])
    (folder / "model.json").write_text(json.dumps({"input": "input"}))
    assert run_command("evaluate", folder, ("request.json",)) == 0
    told = json.loads((folder / "ap.json").read_text())
    assert (told["pictures"], told["faces"], told["ap"]) == (2, {"all": 2}, {"all": 0.0})
    assert len(groundtruth.load(folder / "truth/all.lst")) == 2


def first_layers(folder: Path, args: tuple[str, ...]) -> None:
    """A command: the layers that `ranking.json` has first stay in float."""
    ranking = json.loads((folder / "ranking.json").read_text())
    layers = [row["layer"] for row in ranking["layers"]][: int(args[0])]
    (folder / "mixed.qtable").write_text("".join(f"{layer} F16\n" for layer in layers))
    choice = {"layers": layers, "mode": "F16", "why": "told so", "rows": qtable_rows(ranking)}
    (folder / "choice.json").write_text(json.dumps(choice))


def rank_by_name(folder: Path, args: tuple[str, ...]) -> None:
    """A command: a ranking of two layers."""
    layers = [{"layer": layer, "loss": 0.5} for layer in ("c", "r")]
    (folder / "ranking.json").write_text(json.dumps({"layers": layers, "pictures": 1}))


def qtable_rows(ranking: Any) -> list[dict[str, Any]]:
    return [{**row, "why": "told so"} for row in ranking["layers"]]


def test_a_search_method_with_commands_of_its_own(
    project: Project, module: AddModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ranking_step(model: Any, chip: str, weights: Any, search: Any) -> Step:
        source = (("model.onnx", Output(import_step(model, weights), "model.onnx")),)
        name = Subject(model.name, weights.name, chip)
        return Step("rank", name, (Command("toy-rank"),), source, ("ranking.json",))

    def cut_step(model: Any, chip: str, weights: Any, search: Any) -> Step:
        found = (("ranking.json", Output(ranking_step(model, chip, weights, search), "ranking.json")),)
        name, number = Subject(model.name, weights.name, chip), str(search.max_float_layers)
        return Step("cut", name, (Command("toy-cut", (number,)),), found, ("mixed.qtable", "choice.json"))

    def explained(ranking: Any, path: Any, settings: Any) -> tuple[LayerCut, list[dict[str, Any]]]:
        return LayerCut(("c",), None, None, "told so"), qtable_rows(ranking)

    for name, run in (("toy_rank", rank_by_name), ("toy_cut", first_layers)):
        module(f"bmzoo.commands.{name}", run=run)
        monkeypatch.setitem(COMMANDS, name.replace("_", "-"), OwnCommand(name, (f"commands/{name}.py",)))
    plan = module("toy.plan", ranking_step=ranking_step, cut_step=cut_step)
    row = Method(plan, module("toy.selection", explained=explained), lacks=("gain",))
    monkeypatch.setitem(METHODS, "toy", row)
    search = "{method: toy, max_float_layers: 1}"
    images = "{folder: pictures/selection, count: 2}"
    project.edit("targets:", f"quantization: {{images: {images}, search: {search}}}\ntargets:")
    at = project.open()
    model = at.models["tiny"]
    wanted = model.search(int8_target(model, "bm1688"))
    assert wanted is not None
    assert qtable.search_layers(at, model, "bm1688", wanted).choice["layers"] == ["c"]
    ran = project.toolchain.ran
    assert ran.index("toy-rank") < ran.index("toy-cut") < ran.index("agree")
    text = (project.root / "qtables/tiny.given.bm1688.qtable").read_text()
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["c F16"]
    assert '"toy"' in json_schema()
    project.edit("method: toy,", "method: toy, gain: 0.1,")
    assert "gain: means nothing to toy: 0.1" in str(project.open().configs.broken["tiny"])


def test_a_command(project: Project, module: AddModule, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(folder: Path, args: tuple[str, ...]) -> None:
        (folder / "said.txt").write_text(" ".join(args))

    module("bmzoo.commands.toy", run=run)
    monkeypatch.setitem(COMMANDS, "toy", OwnCommand("toy", ("commands/toy.py",)))
    at = project.open()
    entry = at.builder(None).run(Step("toy", Subject("toy"), (Command("toy", ("a", "b")),), (), ("said.txt",)))
    assert entry.path("said.txt").read_text() == "a b"


def test_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_onnx: Path) -> None:
    row = Engine((".toy",), lambda path, given: OnnxSession(path.read_bytes()[::-1], given.threads))
    monkeypatch.setitem(ENGINES, "toy", row)
    model, picture = tmp_path / "model.toy", tmp_path / "a.png"
    model.write_bytes(tiny_onnx.read_bytes()[::-1])
    draw(picture, "a")
    assert open_session(model).inputs == open_session(tiny_onnx).inputs
    given = [str(model), str(picture), "--engine", "toy", "--decoder", "none", "--out", str(tmp_path / "out")]
    assert main(["detect", *given]) == 0
    told = json.loads((tmp_path / "out/results.json").read_text())
    assert [entry["name"] for entry in told["pictures"]] == ["a.png"]
