"""Which weights are used, and what a run says of it: sources in order, damage, absence, two worlds apart."""

import hashlib
from pathlib import Path

import pytest
from conftest import Project, Silent

from bmzoo.config import model as config
from bmzoo.config.model import using
from bmzoo.config.options import Options
from bmzoo.config.weights import Prototxt, Weights
from bmzoo.errors import ConfigError, SourceError
from bmzoo.plan.build import recipe
from bmzoo.plan.shared import derived_from, import_step
from bmzoo.plan.step import File, Step
from bmzoo.results import model as imported
from bmzoo.sources.lookup import Sources
from bmzoo.sources.weights import choose
from bmzoo.system.hashing import sha256
from bmzoo.target import parse
from bmzoo.workspace import Workspace

ROOT = Path(__file__).parents[2]
NAME = "retinaface_mobilenet0.25"
SHIPPED = ROOT / "configs" / f"{NAME}.yaml"
GOOD = b"the right file"
DIGEST = hashlib.sha256(GOOD).hexdigest()
FIRST = Weights(name="first", file="first.onnx", sha256=DIGEST, obtain="ask the author")
FETCHED = Weights(name="first", file="first.onnx", sha256=DIGEST, url="https://example.org/first.onnx")
SECOND = Weights(name="second", file="second.onnx", sha256=DIGEST)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("beside", "data", "downloads")]
    for folder in made:
        folder.mkdir()
    return made


@pytest.fixture
def sources(folders: list[Path]) -> Sources:
    return Sources(folders[:2], downloads=folders[2])


def refuse(url: str, digest: str) -> None:
    raise SourceError(f"{url}: cannot be fetched: no network")


def test_the_first_that_is_here_is_used(sources: Sources, folders: list[Path]) -> None:
    (folders[1] / "second.onnx").write_bytes(GOOD)
    assert choose(sources, (FIRST, SECOND), None, sha256).weights == SECOND
    (folders[1] / "first.onnx").write_bytes(GOOD)
    choice = choose(sources, (FIRST, SECOND), None, sha256)
    assert (choice.weights, choice.problems) == (FIRST, ())
    assert choose(sources, (FIRST, SECOND), "second", sha256).weights == SECOND


def test_a_wrong_file_is_said_and_the_next_place_looked_at(sources: Sources, folders: list[Path]) -> None:
    (folders[0] / "first.onnx").write_bytes(b"another file of that name")
    (folders[1] / "second.onnx").write_bytes(GOOD)
    choice = choose(sources, (FIRST, SECOND), None, sha256)
    assert choice.weights == SECOND
    assert (
        len(choice.problems) == 1 and "beside/first.onnx: not the file that the config pins" in choice.problems[0]
    )
    (folders[1] / "first.onnx").write_bytes(GOOD)
    assert choose(sources, (FIRST, SECOND), None, sha256).weights == FIRST


def test_a_download_kept_is_found_without_the_network(sources: Sources, folders: list[Path]) -> None:
    (folders[2] / DIGEST).write_bytes(GOOD)
    assert choose(sources, (FETCHED, SECOND), None, sha256, refuse).weights == FETCHED


def test_a_file_that_is_here_is_not_fetched_and_one_that_is_not_is(sources: Sources, folders: list[Path]) -> None:
    asked = []
    (folders[0] / "second.onnx").write_bytes(GOOD)
    fetch = lambda url, digest: asked.append((url, digest))  # noqa: E731
    assert choose(sources, (SECOND, FETCHED), None, sha256, fetch).weights == SECOND
    assert asked == []
    assert choose(sources, (FETCHED, SECOND), None, sha256, fetch).weights == FETCHED
    assert asked == [("https://example.org/first.onnx", DIGEST)]


def test_a_failed_download_is_a_line_and_the_next_source(sources: Sources, folders: list[Path]) -> None:
    (folders[0] / "second.onnx").write_bytes(GOOD)
    choice = choose(sources, (FETCHED, SECOND), None, sha256, refuse)
    assert choice.weights == SECOND
    assert choice.problems == ("https://example.org/first.onnx: cannot be fetched: no network",)


def test_without_any_weights_the_error_says_where_it_looked_and_how_to_get_them(sources: Sources) -> None:
    with pytest.raises(SourceError, match="none of them is here: first .first.onnx., second") as caught:
        choose(sources, (FIRST, SECOND), None, sha256)
    assert "beside/first.onnx" in caught.value.hint and "to get first: ask the author" in caught.value.hint


def test_weights_that_are_insisted_on_have_no_substitute(sources: Sources, folders: list[Path]) -> None:
    (folders[0] / "second.onnx").write_bytes(GOOD)
    with pytest.raises(SourceError, match="none of them is here: first") as caught:
        choose(sources, (FIRST, SECOND), "first", sha256)
    assert "ask the author" in caught.value.hint
    with pytest.raises(SourceError, match="weights: not in the config: third"):
        choose(sources, (FIRST, SECOND), "third", sha256)


def test_the_last_ones_damaged_are_an_error(sources: Sources, folders: list[Path]) -> None:
    (folders[0] / "second.onnx").write_bytes(GOOD[:-1])
    with pytest.raises(SourceError, match="second.onnx: not the file that the config pins"):
        choose(sources, (FIRST, SECOND), None, sha256)


# --- a checkout ----------------------------------------------------------------------------------------------

TWO = """\
weights:
  - {{name: given, file: model.onnx, sha256: {digest}}}
  - name: own
    file: own.onnx
    sha256: {digest}
    scenes: {{calibration: {{seed: 10, count: 3}}, verify: {{seed: 20, count: 2}}}}
"""


@pytest.fixture
def two(project: Project) -> Project:
    """A model with weights `given`, and `own` that are judged on drawn scenes."""
    (project.data / "own.onnx").write_bytes((project.data / "model.onnx").read_bytes())
    lines = project.config.read_text().splitlines(keepends=True)
    project.config.write_text(TWO.format(digest=sha256(project.data / "own.onnx")) + "".join(lines[2:]))
    rule = "thresholds: [{weights: own, cosine: 0.25}]"
    project.edit(
        "verify: {images: {folder: pictures/selection}}",
        f"verify: {{{rule}, images: {{folder: pictures/selection}}}}",
    )
    return project


def test_the_weights_are_said_once_where_there_is_a_choice(two: Project) -> None:
    two.build("bm1688_fp32_1b")
    two.build("bm1688_fp32_2b")
    assert [line for line in two.report.said if line.startswith("weights")] == ["weights: tiny: given"] * 2
    (two.data / "model.onnx").unlink()
    two.report.said.clear()
    at = two.open()
    at.weights.announce(at.models["tiny"])
    at.weights.announce(at.models["tiny"])
    assert two.report.said == ["weights: tiny: own, judged on drawn scenes; not here: given"]


def test_one_entry_is_no_choice_to_tell_of(project: Project) -> None:
    project.build("bm1688_fp32_1b")
    assert project.report.said == []


def test_damaged_weights_are_warned_of_once_and_the_next_ones_used(two: Project) -> None:
    (two.data / "model.onnx").write_bytes(b"damaged")
    at = two.open()
    for _ in range(2):
        assert at.weights.chosen(at.models["tiny"]).name == "own"
    (warning,) = two.report.warnings
    assert warning.startswith("tiny: ") and "model.onnx: not the file that the config pins" in warning


def test_scenes_and_thresholds_are_those_of_the_weights_in_use(two: Project) -> None:
    model = config.load(two.config, "tiny.yaml")
    given, own = (using(model, weights) for weights in model.config.weights)
    target = parse("bm1688_int8_1b", "tiny")
    assert given.config == model.config and given.thresholds(target).cosine == 0.95
    assert own.thresholds(target).cosine == 0.25
    assert own.config.verify.images is not None
    assert own.config.verify.images.folder == "scenes/32x32-20-2/images"
    assert own.config.calibration is not None and own.config.calibration.images is not None
    assert own.config.calibration.images.folder == "scenes/32x32-10-3/images"
    assert using(own, model.config.weights[1]) is own and using(model, model.config.weights[1]) is own


def test_the_worlds_share_no_step_and_no_table(two: Project) -> None:
    model = config.load(two.config, "tiny.yaml")
    given, own = ({step for t in model.targets for step in recipe(model, t, w).steps} for w in model.config.weights)
    assert not given & own
    at = two.open()
    tables = {at.layout.table("tiny", w.name) for w in model.config.weights}
    assert len(tables) == 2


def test_a_build_from_drawn_scenes_needs_no_pictures(two: Project) -> None:
    for folder in ("calibration", "selection"):
        for path in (two.data / "pictures" / folder).iterdir():
            path.unlink()
    (two.data / "model.onnx").unlink()
    assert "run_calibration.py" in two.build("bm1688_int8_1b")
    at = two.open()
    told = at.layout.provenance(at.target("bm1688_int8_1b")).read_text()
    assert '"weights": "own"' in told
    assert len(list((two.root / "build/cache/scenes").glob("*/32x32-10-3/images/*.png"))) == 3


def test_zoo_yaml_names_weights_and_the_line_wins(two: Project) -> None:
    (two.root / "configs/zoo.yaml").write_text("weights: own\n")
    at = two.open()
    assert at.weights.chosen(at.models["tiny"]).name == "own" == at.weights.likely(at.models["tiny"]).name
    at = Workspace(two.root, {"BMZOO_DATA": str(two.data)}, two.report, Options(weights="given"))
    assert at.weights.chosen(at.models["tiny"]).name == "given"
    (two.root / "configs/zoo.yaml").write_text("weights: official\n")
    at = two.open()
    assert at.weights.chosen(at.models["tiny"]).name == "given", "this model has none of that name"


def test_listing_fetches_nothing(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    two.edit("{name: given,", "{name: given, url: 'https://example.org/model.onnx',")
    (two.data / "model.onnx").unlink()

    def fetched(url: str, digest: str, into: Path) -> Path:
        raise SourceError(f"{url}: asked for")

    monkeypatch.setattr("bmzoo.sources.download.fetch", fetched)
    at = two.open()
    assert at.weights.likely(at.models["tiny"]).name == "own" and two.report.warnings == []
    at.weights.chosen(at.models["tiny"])
    assert two.report.warnings == ["tiny: https://example.org/model.onnx: asked for"]
    two.report.warnings.clear()
    at = Workspace(two.root, {"BMZOO_DATA": str(two.data), "BMZOO_OFFLINE": "1"}, two.report)
    assert at.weights.chosen(at.models["tiny"]).name == "own" and two.report.warnings == []


def test_a_published_model_that_is_the_source_is_neither_written_nor_cleaned(project: Project) -> None:
    published = project.root / "models/onnx/tiny.given.onnx"
    published.parent.mkdir(parents=True)
    (project.data / "model.onnx").rename(published)
    project.edit("file: model.onnx", "file: ../models/onnx/tiny.given.onnx")
    before = published.stat().st_mtime_ns
    at = project.open()
    model = at.models["tiny"]
    assert imported.is_source(at, model, at.weights.chosen(model)) and not imported.is_current(at, model)
    imported.import_model(at, model)
    assert imported.is_current(at, model) and published.stat().st_mtime_ns == before


WRONG = [
    ("sha256: {digest}}}", "url: 'http://example.org/a', sha256: {digest}}}", "not an https URL"),
    ("sha256: {digest}}}", "url: 'https://me:pw@example.org/a', sha256: {digest}}}", "credentials do not belong"),
    ("verify: {{seed: 20", "verify: {{seed: 12", "calibration and verify overlap in the scenes 12 to 12"),
    ("verify: {{seed: 20", "verify: {{seed: 999999", "that weights are trained on"),
    (
        "verify: {{seed: 20",
        "evaluate: {{seed: 20",
        "weights[1].scenes.evaluate: there are no pictures below evaluate",
    ),
    ("name: own", "name: given", "weights[1].name: there twice: given"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_a_wrong_entry_is_refused(project: Project, old: str, new: str, said: str) -> None:
    lines = project.config.read_text().splitlines(keepends=True)
    assert TWO.count(old) == 1
    project.config.write_text(TWO.replace(old, new).format(digest=DIGEST) + "".join(lines[2:]))
    with pytest.raises(ConfigError) as caught:
        config.load(project.config, "tiny.yaml")
    assert said in caught.value.message


def test_thresholds_for_weights_that_are_not_there_are_refused(project: Project) -> None:
    project.edit("verify: {", "verify: {thresholds: [{weights: owm, cosine: 0.5}], ")
    with pytest.raises(ConfigError, match=r"thresholds\[0\].weights: not weights of this model: owm"):
        config.load(project.config, "tiny.yaml")


# --- the config that ships -----------------------------------------------------------------------------------


def embedded() -> tuple[config.Model, Weights]:
    model = config.load(SHIPPED, SHIPPED.name)
    return model, next(w for w in model.config.weights if w.name == "embedded")


def folders_of(step: Step) -> set[str]:
    return {ref.folder for _, ref in step.inputs if hasattr(ref, "folder")}


def test_the_embedded_model_ships_and_is_the_one_pinned() -> None:
    model, weights = embedded()
    assert sha256(SHIPPED.parent / weights.file) == weights.sha256
    assert [w.name for w in model.config.weights] == ["official", "embedded"]


def test_a_clone_alone_chooses_the_embedded_model_and_reads_no_picture_from_outside(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "models").symlink_to(ROOT / "models")
    at = Workspace(tmp_path, {"HOME": str(tmp_path)}, Silent())
    model = at.models[NAME]
    assert at.weights.chosen(model).name == "embedded"
    for target in model.targets:
        for step in at.recipe(target).steps:
            assert all(folder.startswith("scenes/") for folder in folders_of(step)), step


def test_insisting_on_official_weights_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    at = Workspace(tmp_path, {"HOME": str(tmp_path)}, Silent(), Options(weights="official"))
    with pytest.raises(SourceError) as caught:
        at.weights.chosen(at.models[NAME])
    assert "official (weights/retinaface_mobilenet0.25_Final.pth)" in caught.value.message
    assert "biubug6/Pytorch_Retinaface" in caught.value.hint and "$BMZOO_DATA" in caught.value.hint


# --- a Caffe network, in two files ---------------------------------------------------------------------------

NETWORK = Prototxt(file="net.prototxt", sha256=DIGEST, url="https://example.org/net.prototxt")
CAFFE = Weights(name="caffe", file="net.caffemodel", sha256=DIGEST, prototxt=NETWORK, url="https://example.org/net")


def test_both_files_of_a_caffe_network_have_to_be_here(sources: Sources, folders: list[Path]) -> None:
    (folders[1] / "second.onnx").write_bytes(GOOD)
    (folders[1] / "net.caffemodel").write_bytes(GOOD)
    assert choose(sources, (CAFFE, SECOND), None, sha256).weights == SECOND
    with pytest.raises(SourceError, match=r"none of them is here: caffe \(net\.prototxt\)"):
        choose(sources, (CAFFE,), None, sha256)
    (folders[1] / "net.prototxt").write_bytes(b"another network")
    choice = choose(sources, (CAFFE, SECOND), None, sha256)
    assert choice.weights == SECOND and "net.prototxt" in choice.problems[0]
    (folders[1] / "net.prototxt").write_bytes(GOOD)
    assert choose(sources, (CAFFE, SECOND), None, sha256).weights == CAFFE


def test_of_a_caffe_network_only_what_is_missing_is_fetched(sources: Sources, folders: list[Path]) -> None:
    asked: list[str] = []
    (folders[1] / "net.caffemodel").write_bytes(GOOD)
    fetch = lambda url, digest: asked.append(url)  # noqa: E731
    assert choose(sources, (CAFFE,), None, sha256, fetch).weights == CAFFE
    assert asked == [NETWORK.url]


def test_both_files_of_a_caffe_network_are_what_decisions_and_steps_come_from() -> None:
    model = config.load(ROOT / "configs" / "retinaface_mnet25_caffe.yaml", "shipped")
    (weights,) = model.config.weights
    assert weights.prototxt is not None
    network = File(weights.prototxt.file, weights.prototxt.sha256)
    assert network in derived_from(weights).values()
    assert dict(import_step(model, weights).inputs) == {
        "source.caffemodel": File(weights.file, weights.sha256),
        "source.prototxt": network,
    }
