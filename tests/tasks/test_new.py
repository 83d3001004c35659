"""`./doit new SOURCE`: what is written, what is said, and what is refused in a line."""

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import pytest
from conftest import Project, draw
from onnx import TensorProto, helper

from bmzoo.config.model import load
from bmzoo.config.yamlfile import parse_yaml
from bmzoo.errors import BmzooError
from bmzoo.runtime.normalisation import why_not_integers
from bmzoo.system.hashing import sha256
from bmzoo.tasks.inspection import new
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace

SCRIPT = """\
#!/bin/bash
model_dir=$(dirname $0)
rm -rf $model_dir/build
for name in one two; do
    model_transform.py --model_name $name --model_def $name.onnx --input_shapes [[1,3,32,48]] \\
        --scale 0.5,0.5,0.5 --pixel_format rgb --tolerance 0.99,0.99 --mlir $name.mlir
    model_deploy.py --mlir $name.mlir --quantize F16 --chip ${1:-bm1684x} --model $name.bmodel
    model_deploy.py --mlir $name.mlir --quantize F16 --chip bm1684 --model $name.bmodel
done
"""


@pytest.fixture
def run(project: Project, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What `./doit new` with these words prints; raises what it refuses with."""

    def called(*words: str) -> str:
        context = Context(project.open(), TASKS, start=project.data)
        (action,) = new(context)["actions"]
        failed = action(words=list(words))
        if failed is not None:
            raise BmzooError(failed.message)
        return capsys.readouterr().out

    return called


@pytest.fixture
def pictures(project: Project) -> Path:
    folder = project.root / "mine"
    folder.mkdir()
    for index in range(15):
        draw(folder / f"{index:02}.png", f"p{index}")
    return folder


def refused(run: Callable[..., str], *words: str) -> str:
    with pytest.raises(BmzooError) as caught:
        run(*words)
    return caught.value.message


def model_of(path: Path, shape: Sequence[int | str], *outputs: Sequence[int | str], domain: str = "") -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape) if shape else None
    ports = [helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, each) for i, each in enumerate(outputs)]
    nodes = [helper.make_node("Relu", ["x"], [port.name], domain=domain) for port in ports]
    graph = helper.make_graph(nodes, "g", [x] if x else [], ports)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))
    return path


def test_a_model_gets_a_config_that_plans(run: Callable[..., str], project: Project, pictures: Path) -> None:
    model_of(project.data / "box.onnx", [1, 3, 64, 64], [1, 10, 84])
    said = run("box.onnx", "--pictures", str(pictures), "--no-try")
    path = project.root / "configs" / "box.yaml"
    model = load(path, "box.yaml")
    assert model.config.weights[0].file == "box.onnx" and model.config.weights[0].sha256 == sha256(
        project.data / "box.onnx"
    )
    assert model.config.input is not None
    assert (model.config.input.height, model.config.input.width, model.config.input.pixel_format) == (64, 64, "rgb")
    assert {(t.chip, t.precision, t.batch) for t in model.targets} == {
        (chip, precision, 1) for chip in ("bm1684x", "bm1688") for precision in ("fp32", "fp16", "int8")
    }
    assert "batch: 1, baked into the file" in said and "next: ./doit build:box.bm1684x_int8_1b" in said


def test_sets_of_pictures_never_overlap(run: Callable[..., str], project: Project, pictures: Path) -> None:
    model_of(project.data / "box.onnx", [1, 3, 64, 64], [1, 10, 84])
    run("box.onnx", "--pictures", str(pictures), "--no-try")
    config = load(project.root / "configs" / "box.yaml", "box.yaml").config
    assert config.calibration is not None and config.calibration.images is not None
    assert config.verify.images is not None
    assert config.calibration.images.folder == config.verify.images.folder == "../mine"
    names = sorted(path.name for path in pictures.iterdir())
    assert not set(names[: config.calibration.images.count]) & set(config.verify.images.first)
    assert (
        config.calibration.images.count == 12 and len(config.verify.images.first) == config.verify.images.count == 3
    )


def test_what_nobody_knows_is_marked_and_named(run: Callable[..., str], project: Project) -> None:
    model_of(project.data / "odd.onnx", ["b", 3, "h", "w"], ["b", 9, 7])
    said = run("odd.onnx")
    text = (project.root / "configs" / "odd.yaml").read_text()
    marked = {line.strip().partition(":")[0] for line in text.splitlines() if "TODO" in line}
    assert {"height", "width", "mean", "scale"} <= marked
    assert ": input.height: still to be said" in said
    assert "odd" in project.open().configs.broken


def test_nothing_is_overwritten(run: Callable[..., str], project: Project) -> None:
    before = project.config.read_text()
    model_of(project.data / "tiny.onnx", [1, 3, 64, 64], [1, 10, 84])
    assert "configs/tiny.yaml: there already" in refused(run, "tiny.onnx", "--no-try")
    assert project.config.read_text() == before
    assert "written" in run("tiny.onnx", "--no-try", "--name", "other")
    assert (project.root / "configs" / "other.yaml").is_file()


def test_a_file_outside_the_folders_of_data_is_found_by_its_path(
    run: Callable[..., str], project: Project, tmp_path: Path
) -> None:
    far = model_of(tmp_path / "far away.onnx", [1, 3, 64, 64], [1, 10, 84])
    run(str(far), "--no-try")
    path = project.root / "configs" / "far_away.yaml"
    (weights,) = parse_yaml(path.read_text(), "").value["weights"]
    assert path.parent / weights["file"] == far and weights["sha256"] == sha256(far)


def test_a_script_of_several_networks_is_several_configs(
    run: Callable[..., str], project: Project, pictures: Path
) -> None:
    (project.data / "gen.sh").write_text(SCRIPT)
    for name in ("one", "two"):
        model_of(project.data / f"{name}.onnx", [1, 3, 32, 48], [1, 10])
    said = run("gen.sh", "bm1688", "--pictures", str(pictures))
    for name in ("one", "two"):
        model = load(project.root / "configs" / f"{name}.yaml", name)
        assert [str(target) for target in model.targets] == ["bm1688_fp16_1b"]
        assert model.config.input is not None
        assert model.config.input.scale == (0.5,) * 3 and model.config.weights[0].file == f"{name}.onnx"
    assert "line 3: rm -rf $(dirname $0)/build: not run" in said
    assert "bm1684 has no half-precision units" in said
    assert "--tolerance 0.99,0.99: verify.thresholds" in said
    assert (project.data / "gen.sh").is_file()
    assert "several models" in refused(run, "gen.sh", "--name", "x", "--out", "elsewhere")


def test_a_folder_goes_on_after_what_it_refuses(run: Callable[..., str], project: Project) -> None:
    folder = project.data / "many"
    folder.mkdir()
    model_of(folder / "good.onnx", [1, 3, 64, 64], [1, 10, 84])
    (folder / "page.onnx").write_text("<!DOCTYPE html><html>")
    (folder / "bad.sh").write_text("model_transform.py 'a\n")
    (folder / "net.sh").write_text(SCRIPT.replace("one two", "good"))
    (folder / "notes.sh").write_text("echo nothing of this kind\n")
    problem = refused(run, "many", "--no-try")
    assert (
        "many/page.onnx: not an ONNX model, but a web page" in problem
        and "many/bad.sh:1: not understood" in problem
    )
    assert sorted(path.name for path in (project.root / "configs").iterdir()) == ["good.yaml", "tiny.yaml"]
    assert "bm1684x" in (project.root / "configs" / "good.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.onnx", b"<html><body>log in</body></html>", "not an ONNX model, but a web page"),
        ("a.onnx", b"version https://git-lfs.github.com/spec/v1\noid x", "but a Git LFS pointer"),
        ("a.onnx", b"\x00\x01\x02 nothing", "not an ONNX model"),
        ("a.onnx", b"", "not an ONNX model"),
        ("a.sh", b"#!/bin/bash\necho model_deploy\n", "no conversion in it"),
        ("a.sh", b"model_deploy.py --mlir x.mlir --chip bm1684x\n", "no conversion in it"),
        ("a.sh", b"if true; then\n", "a.sh:1: not understood"),
        ("a.sh", b"\x7fELF\x00\x00", "binary, and not named .onnx"),
        ("a.bin", b"\x00\x00", "binary, and not named .onnx"),
        ("a.txt", b"hello", "not understood: 'hello'"),
        ("a.yaml", b"name: x\n", "no mlir_transform in it"),
        ("a.yaml", b"fp32_compile_options: python3 -m bmneto\n", "older toolchain: fp32_compile_options"),
        ("a.yaml", b"- 1\n", "a mapping is expected at the top"),
        ("a.yaml", b"mlir_transform: echo\n", "no conversion in it"),
    ],
)
def test_a_source_that_is_none_is_refused_in_a_line(
    run: Callable[..., str], project: Project, name: str, content: bytes, expected: str
) -> None:
    (project.data / name).write_bytes(content)
    assert expected in refused(run, name)
    assert [path.name for path in (project.root / "configs").iterdir()] == ["tiny.yaml"]


def test_a_model_without_inputs_is_refused(run: Callable[..., str], project: Project) -> None:
    model_of(project.data / "a.onnx", [], [1, 2])
    assert "a.onnx: has no inputs" in refused(run, "a.onnx")


def test_the_cut_that_int8_needs_is_offered(run: Callable[..., str], project: Project) -> None:
    path = model_of(project.data / "a.onnx", [1, 3, 64, 64], [1, 3, 64, 64])
    model = onnx.load(str(path))
    model.graph.node.insert(0, helper.make_node("Relu", ["x"], ["scores"]))
    model.graph.node[1].CopyFrom(helper.make_node("Softmax", ["scores"], ["y0"], axis=1))
    onnx.save(model, str(path))
    assert "`outputs: [scores]`" in run("a.onnx", "--no-try")
    assert "# INT8 may find nothing: `y0` ends with a Softmax" in (project.root / "configs" / "a.yaml").read_text()


def test_operators_from_outside_onnx_are_said(run: Callable[..., str], project: Project) -> None:
    model_of(project.data / "a.onnx", [1, 3, 64, 64], [1, 10, 84], domain="my.ops")
    assert "operators outside ONNX, which the import refuses: of my.ops" in run("a.onnx", "--no-try")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere.onnx"], "nowhere.onnx: no such file"),
        (["https://example.com/a.onnx"], "and the file's sha256 are needed"),
        (["http://example.com/a.onnx", f"sha256={'0' * 64}"], "an https URL and"),
        (["https://example.com/a.onnx", f"sha256={'0' * 64}", "more"], "and nothing else"),
        (["model.onnx", "bm1688"], "takes no words"),
        (["model.onnx", "--name", "../x"], "no name for a model"),
        (["model.onnx", "--name", "zoo"], "no name for a config"),
        (["model.onnx", "--pictures", "nowhere", "--name", "x"], "not a folder of pictures"),
        (["pictures"], "nothing in this folder"),
        ([], "nothing was written"),
        (["model.onnx", "--colour"], "nothing was written"),
    ],
)
def test_words_that_mean_nothing_are_refused(run: Callable[..., str], words: list[str], expected: str) -> None:
    assert expected in refused(run, *words)


def test_a_url_is_fetched_pinned_and_named(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_of(tmp_path / "m.onnx", [1, 3, 64, 64], [1, 10, 84])
    digest = sha256(model)
    cache = tmp_path / "cache" / "bmzoo" / "weights"
    cache.mkdir(parents=True)
    model.rename(cache / digest)  # as fetched before: nothing is asked of the net
    environ = {"BMZOO_DATA": str(project.data), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ["https://example.com/some/net.onnx?x=1", f"sha256={digest}", "--no-try"]
    for offline in ({"BMZOO_OFFLINE": "1"}, {}):
        at = Workspace(project.root, {**environ, **offline}, project.report, toolchain_override=project.toolchain)
        (action,) = new(Context(at, TASKS, start=project.data))["actions"]
        failed = action(words=words)
        assert (failed is not None and "not fetched: $BMZOO_OFFLINE" in failed.message) == bool(offline)
    (weights,) = parse_yaml((project.root / "configs" / "net.yaml").read_text(), "").value["weights"]
    assert weights == {"name": "given", "file": "net.onnx", "sha256": digest, "url": words[0]}


def test_tpu_perf_gives_every_shape_and_chip(run: Callable[..., str], project: Project, pictures: Path) -> None:
    zoo = project.data / "zoo"
    (zoo / "net").mkdir(parents=True)
    model_of(zoo / "net" / "net.onnx", ["b", 3, 64, 96], ["b", 10])
    (zoo / "config.yaml").write_text("---\ncali: $(root)/pictures\n")
    (zoo / "net" / "config.yaml").write_text(
        """\
name: net
gops: [1, 4]
shapes:
  - [[1, 3, 64, 96]]
  - [[4, 3, 64, 96]]
model: $(home)/$(name).onnx
mlir_transform: model_transform.py --model_name $(name) --model_def $(model)
  --input_shapes [$(shape_param)] --mean 1,2,3 --keep_aspect_ratio --pad_type normal
  --mlir $(workdir)/$(name).mlir
mlir_calibration: run_calibration.py $(workdir)/$(name).mlir --dataset $(cali) --input_num 5 -o t
deploy:
  - model_deploy.py --mlir $(workdir)/$(name).mlir --quantize F32 --chip bm1684x
BM1688:
  deploy:
    - model_deploy.py --mlir $(workdir)/$(name).mlir --quantize INT8 --chip $(target) --num_core 2 --quant_input
harness: {type: topk}
"""
    )
    said = run("zoo/net/config.yaml", "--pictures", str(pictures))
    model = load(project.root / "configs" / "net.yaml", "net")
    assert {str(target) for target in model.targets} == {
        *("bm1684x_fp32_1b", "bm1684x_fp32_4b", "bm1688_int8_1b_2core", "bm1688_int8_4b_2core")
    }
    assert model.config.input is not None
    assert model.config.input.mean == (1, 2, 3) and model.config.input.resize == "letterbox"
    assert model.config.targets[-1].deploy == ("--quant_input",)
    assert f"--dataset {zoo}/pictures: in its place: --pictures" in said and "harness: nothing of it" in said


@pytest.mark.parametrize(("kind", "mean"), [(TensorProto.UINT8, 0), (TensorProto.INT8, 128)])
def test_a_network_of_integers_gets_pixel_values(
    run: Callable[..., str], project: Project, pictures: Path, kind: int, mean: int
) -> None:
    path = model_of(project.data / "bytes.onnx", [1, 64, 64, 3], [1, 10])
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.elem_type = kind
    onnx.save(model, str(path))
    run("bytes.onnx", "--pictures", str(pictures))
    found = load(project.root / "configs" / "bytes.yaml", "bytes.yaml").config.input
    assert found is not None and (found.mean, found.scale) == ((mean,) * 3, (1.0,) * 3)
    assert why_not_integers(found.mean, found.scale, "uint8" if kind == TensorProto.UINT8 else "int8") == ""


def test_what_is_not_sure_is_a_value_and_says_so(run: Callable[..., str], project: Project, pictures: Path) -> None:
    model_of(project.data / "rank.onnx", [1, 3, 64, 64], [1, 10])
    said = run("rank.onnx", "--pictures", str(pictures))
    text = (project.root / "configs" / "rank.yaml").read_text()
    assert "  pixel_format: rgb  # not sure: " in text and "  resize: center_crop  # not sure: " in text
    assert "kind: classification  # not sure: one output of 10 scores; it could be an embedding" in text
    assert "next: ./doit build:rank.bm1684x_int8_1b" in said
