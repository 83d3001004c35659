"""External data of ONNX files: found beside them, pinned, and part of what is derived from them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx
import pytest
from conftest import Project

from bmzoo.errors import ConfigError, SourceError
from bmzoo.execute.history import record
from bmzoo.onnx_import import external as external_module
from bmzoo.plan.shared import calibrate_step, import_step
from bmzoo.plan.step import ExternalData, File
from bmzoo.sources.external_data import external_data
from bmzoo.sources.lookup import Sources
from bmzoo.system.hashing import sha256
from bmzoo.tasks.actions.plan import render_plan

INT8 = "bm1688_int8_2b"


@pytest.fixture
def split(project: Project) -> Project:
    """The project with the weights of its model in `w/model.onnx.data`, and a folder for that."""
    project.split_weights("w/model.onnx.data")
    return project


def pin(project: Project, name: str = "w/model.onnx.data", digest: str = "") -> None:
    row = f"{{file: {name}, sha256: {digest or sha256(project.data / 'w/model.onnx.data')}}}"
    project.config.write_text(project.config.read_text().replace("}\ninput", f", external_data: [{row}]}}\ninput"))


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5] ^= 1  # a low bit of a weight
    path.write_bytes(content)


def test_a_model_with_external_data_is_built(split: Project) -> None:
    split.build(INT8)
    assert (split.root / "build/BM1688/tiny_int8_2b.bmodel").exists()
    [warning] = {text for text in split.report.warnings if "pinned" in text}
    digest = sha256(split.data / "w/model.onnx.data")
    assert f'add `external_data: [{{file: "w/model.onnx.data", sha256: {digest}}}]`' in warning
    assert split.build(INT8) == []


def test_where_it_comes_from_is_said(split: Project) -> None:
    at = split.open()
    model = at.models["tiny"]
    step = import_step(model, model.config.weights[0])
    now = record(step, at.builder(model).resolver.resolve(step, {}))
    assert now.origins == {"source.onnx": "model.onnx", "external/w/model.onnx.data": "w/model.onnx.data"}
    assert "external from what model.onnx keeps beside it" in render_plan(at, ["bm1688_fp32_1b"])


def test_pinned_data_says_nothing(split: Project) -> None:
    pin(split)
    split.build("bm1688_fp32_1b")
    assert split.report.warnings == []


def facts_of(project: Project) -> Mapping[str, str]:
    """What the thresholds are derived from."""
    at = project.open()
    model = at.models["tiny"]
    return at.builder(model).facts(calibrate_step(model, model.config.weights[0]))


def test_other_data_is_another_model(split: Project) -> None:
    split.build(INT8)
    facts = facts_of(split)
    assert list(facts)[:3] == ["decision", "weights", "external"]
    assert facts["external"].startswith("1, sha256 of their digests: ")
    change(split.data / "w/model.onnx.data")
    ran = split.build(INT8)
    assert "import" in ran and "run_calibration.py" in ran
    assert {key for key, text in facts_of(split).items() if text != facts[key]} == {"external"}
    facts = facts_of(split)
    pin(split)
    assert "import" not in split.build(INT8) and facts_of(split) == facts, (
        "pinned or not, the same data is the same"
    )
    for path in (split.data / "w/model.onnx.data", split.data / "model.onnx"):
        path.unlink()
    assert facts_of(split) == facts, "of what is pinned nothing need be here"


def test_a_model_that_keeps_all_in_one_file_has_no_such_fact(project: Project) -> None:
    assert list(facts_of(project)) == ["decision", "weights", "pictures", "settings", "toolchain"]
    at = project.open()
    model = at.models["tiny"]
    resolved = at.builder(model).resolver.resolve(import_step(model, model.config.weights[0]), {})
    assert resolved.files.keys() == {"source.onnx"}


def refusal(project: Project) -> str:
    with pytest.raises((SourceError, ConfigError)) as caught:
        project.build("bm1688_fp32_1b")
    assert caught.value.hint
    return caught.value.message


def test_what_is_wrong_is_named(split: Project) -> None:
    data = split.data / "w/model.onnx.data"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    assert "external data `w/model.onnx.data` is too short" in refusal(split)
    data.unlink()
    assert "external data `w/model.onnx.data` is missing" in refusal(split)
    data.mkdir()
    assert "is missing" in refusal(split)
    data.rmdir()
    data.symlink_to("/etc/passwd")
    assert "lies outside the model's folder, behind a link" in refusal(split)
    data.unlink()
    data.symlink_to("model.onnx.data")
    assert "is missing" in refusal(split)
    data.unlink()
    (data.parent / "real").write_bytes(whole)
    data.symlink_to("real")  # a link that stays inside
    split.build("bm1688_fp32_1b")


def test_pins_are_held_against_what_is_there(split: Project) -> None:
    text = split.config.read_text()
    pin(split, digest="a" * 64)
    assert "not the file that the config pins: sha256 " in refusal(split)
    split.config.write_text(text)
    pin(split, name="w/model.onnx.dat")
    assert "does not read w/model.onnx.dat" in refusal(split)
    for name in ("../model.onnx.data", "/etc/passwd", "a//b", "./a"):
        split.config.write_text(text)
        pin(split, name=name)
        assert "not a path below the model's folder" in split.open().configs.broken["tiny"].message


def test_every_file_of_several_is_pinned_or_none(project: Project) -> None:
    project.split_weights("ignored", all_tensors_to_one_file=False)
    project.build("bm1688_fp32_1b")
    assert any(text.count("sha256: ") == 3 for text in project.report.warnings)
    row = f"{{file: w, sha256: {sha256(project.data / 'w')}}}"
    project.config.write_text(project.config.read_text().replace("}\ninput", f", external_data: [{row}]}}\ninput"))
    assert "external data that the config does not pin" in refusal(project)


def test_too_much_is_not_read(split: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with (split.data / "w/model.onnx.data").open("r+b") as file:
        file.truncate(3 << 30)
    assert "external data is too large" in refusal(split)
    with (split.data / "w/model.onnx.data").open("r+b") as file:
        file.truncate(1 << 20)
    monkeypatch.setattr(external_module, "PROTOBUF_LIMIT", 500)
    assert "too large" in refusal(split)


def test_the_data_may_lie_beside_another_copy(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    weight = onnx.helper.make_tensor("w", 1, [1], b"1234", raw=True)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [], [], [weight])
    graph.output.append(onnx.helper.make_tensor_value_info("y", 1, [1]))
    model = onnx.helper.make_model(graph)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "m.data")
    for folder in folders:
        folder.mkdir()
        (folder / "m.onnx").write_bytes(model.SerializeToString())
    (folders[1] / "m.data").write_bytes(b"1234")
    ref = ExternalData(File("m.onnx", sha256(folders[0] / "m.onnx")))
    found = external_data(Sources(folders), ref, sha256)
    assert found == {"m.data": (folders[1] / "m.data", hashlib.sha256(b"1234").hexdigest())}
