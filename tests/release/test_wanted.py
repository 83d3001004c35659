"""What the layout names for a current config is no leftover, whatever kind of file it is; without it, it is one."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from bmzoo.chips import CALIBRATED
from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.execute.decisions import text_of
from bmzoo.execute.layout import Layout
from bmzoo.plan.build import recipe
from bmzoo.plan.combine import combinations
from bmzoo.plan.evaluate import evaluate_lowering, evaluate_onnx
from bmzoo.plan.float_layers import agree_step, ranking_step
from bmzoo.plan.ladder import climbs
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.resources import BY_KIND
from bmzoo.plan.shared import tables
from bmzoo.plan.step import Step
from bmzoo.plan.verify import drift_step, engine, proof
from bmzoo.release.prune import find_orphans, remove
from bmzoo.results import calibration
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.workspace import Workspace

# Names that only configs tell apart: `m.v1.2.table` is of `m` with weights `v1.2`, or of `m.v1` with `2`.
NAMES = {"tiny": ("given", "v1.2", "bm1684"), "tiny.v1": ("2", "2.bm1684_int8_1b"), "tiny_int8_1b": ("given",)}
# Of the layout: what is not the result of any target, model or weights.
NO_RESULTS = {"make_build", "partial", "shown", "log", "last", "toolchain", "capabilities"}
SEARCHED = """\
decoder: {kind: none}
quantization:
  images: {folder: pictures/selection}
  search: {max_float_layers: 2}
  targets: {bm1684_int8_2b: {keep: 1}}
evaluate: {truth: wider_val/gt.json}
"""


@pytest.fixture
def dotted(project: Project) -> Project:
    """Models and weights with dots in their names, equalized, searched and evaluated."""
    project.edit("minimum: 2", "minimum: 2, equalize: true")
    project.edit("decoder: {kind: none}\n", SEARCHED)
    lines = project.config.read_text().splitlines(keepends=True)
    weights = lines[1]
    for model, names in NAMES.items():
        own = "".join(weights.replace("given", f"'{name}'") for name in names)
        project.config.with_name(f"{model}.yaml").write_text("".join([lines[0], own, *lines[2:]]))
    return project


def steps_of(model: Model, weights: Weights) -> Iterator[Step]:
    """Every step that a task may run, each with all before it."""
    found = [evaluate_onnx(model, weights)]
    for target in model.targets:
        found += [recipe(model, target, weights).measure, proof(model, target, weights).compare]
        found += [evaluate_lowering(model, target, weights), drift_step(model, target, weights)]
    for chip in ("bm1684", "bm1688"):
        search = model.search(int8_target(model, chip))
        found += [ranking_step(model, chip, weights, search), agree_step(model, chip, weights, None)]
    seen: dict[Step, None] = {}
    while found:
        step = found.pop()
        if step not in seen:
            assert step.kind in BY_KIND
            seen[step] = None
            found += [*step.needs, *step.grounds]
    return iter(seen)


def arguments(model: Model) -> dict[str, Iterable[Callable[[Any], Path]]]:
    """Of every method of the layout that names results: its calls for a model's weights and targets."""

    def by_weights(name: str, *rest: str) -> Iterator[Callable[[Layout], Path]]:
        for weights in model.config.weights:
            for last in rest or (None,):
                given = (model.name, weights.name, *([last] if last is not None else []))
                yield lambda layout, given=given: getattr(layout, name)(*given)  # type: ignore[misc]

    def by_target(name: str) -> Iterator[Callable[[Layout], Path]]:
        return (partial(lambda layout, of: getattr(layout, name)(of), of=target) for target in model.targets)

    chips = list(dict.fromkeys(t.chip for t in model.targets if t.precision in CALIBRATED))
    engines = {"onnx", *(engine(model, target) for target in model.targets)}
    steps = [step for weights in model.config.weights for step in steps_of(model, weights)]
    networks: list[Callable[[Layout], Path]] = [*by_weights("onnx"), *by_target("artifact")]
    tuned = [f"{model.name}.{weights.name}.{chip}" for weights in model.config.weights for chip in chips]
    return {
        "onnx": by_weights("onnx"),
        "table": by_weights("table", *tables(model)),
        "scales": by_weights("scales", *tables(model)),
        "int8_settings": by_weights("int8_settings") if climbs(model) else (),
        "qtable": by_weights("qtable", *chips),
        "audit": by_weights("audit"),
        "evaluation": by_weights("evaluation", *sorted(engines)),
        "artifact": by_target("artifact"),
        "provenance": by_target("provenance"),
        "verification": by_target("verification"),
        "profile": by_target("profile"),
        "export": by_target("export"),
        "combined": (
            partial(lambda at, of: at.combined(of), of=together) for together in combinations(model).values()
        ),
        "refused": by_target("refused"),
        "irreproducible": by_target("irreproducible"),
        "bench": (partial(lambda at, of: at.bench(of(at)), of=network) for network in networks),
        "tuning": (partial(lambda at, of: at.tuning(of), of=name) for name in tuned),
        "decision": (partial(lambda at, of: at.decision(of), of=step) for step in steps if step.decision),
        "evidence": (partial(lambda at, of: at.evidence(of), of=step) for step in steps),
    }


def fill(layout: Layout, path: Path) -> None:
    """Something that bmzoo may have written there."""
    about = {"schema": 1}
    if path.is_relative_to(layout.failed):
        path.mkdir(parents=True, exist_ok=True)
    elif path.is_relative_to(layout.tuning("")):
        files.write("{}", path / "tune.json")
    elif path.suffix in (".table", ".scales", ".int8", ".qtable"):
        files.write(text_of({"decision": "made for a test"}, "x 1.0\n"), path)
    elif path.parent.name == "eval":
        *_, weights, engine_ = path.stem.rsplit(".", 2)
        model = path.name.removesuffix(f".{weights}.{engine_}.json")
        files.write(files.json_text({**about, "model": model, "weights": weights, "engine": engine_}), path)
    elif path.parent.name == "audit":
        model, _, weights = path.stem.rpartition(".")
        files.write(files.json_text({**about, "model": model, "weights": weights}), path)
    elif path.parent.name == "bench":
        chip, _, name = path.stem.partition(".")
        network = f"build/{chip}/{name}.bmodel" if chip.startswith("BM") else f"models/onnx/{path.stem}.onnx"
        files.write(files.json_text({"network": network}), path)
    else:
        files.write("{}", path)


def placed(at: Workspace) -> set[Path]:
    """All that the layout names for the configs, put there."""
    kinds = [arguments(model) for model in at.models.values()]
    found = {call(at.layout) for kind in kinds for calls in kind.values() for call in calls}
    for path in found:
        fill(at.layout, path)
    return found


def test_every_kind_of_file_of_the_layout_is_walked(dotted: Project) -> None:
    methods = {name for name, found in vars(Layout).items() if inspect.isfunction(found) and name[0] != "_"}
    assert methods - NO_RESULTS == set(arguments(dotted.open().models["tiny"]))


def test_what_the_layout_names_for_a_config_is_no_leftover_and_without_the_config_is_one(dotted: Project) -> None:
    at = dotted.open()
    assert set(at.models) == set(NAMES) and not at.configs.broken
    paths = placed(at)
    assert {f"{at.root}/calibration/tiny.given.bm1684.scales", f"{at.root}/calibration/tiny.v1.2.table"} <= {
        str(path) for path in paths
    }
    assert [one.path for one in find_orphans(at, frozenset())] == []
    for name in NAMES:
        (at.layout.configs / f"{name}.yaml").unlink()
    (at.layout.configs / "other.yaml").write_text("weights: [")
    assert {one.path for one in find_orphans(dotted.open(), frozenset())} == paths


def test_tables_in_use_outlive_a_prune(dotted: Project) -> None:
    """Made by the tasks themselves, of equalized models with dots in the names of their weights."""
    at = dotted.open()
    for name in ("tiny", "tiny.v1"):
        for quantizer in tables(at.models[name]):
            calibration.calibrate(at, at.models[name], quantizer)
    made = sorted(path.name for path in (at.root / "calibration").iterdir())
    assert made == [
        *("tiny.given.bm1684.scales", "tiny.given.bm1684.table", "tiny.given.scales", "tiny.given.table"),
        *("tiny.v1.2.bm1684.scales", "tiny.v1.2.bm1684.table", "tiny.v1.2.scales", "tiny.v1.2.table"),
    ]
    old = at.root / "calibration" / "tiny.gone.bm1684.table"
    old.write_text(text_of({"decision": "made for a test"}, "x 1.0\n"))
    remove(find_orphans(at, frozenset()))
    assert sorted(path.name for path in (at.root / "calibration").iterdir()) == made


def test_a_file_that_a_config_names_is_wanted_wherever_it_lies(project: Project) -> None:
    """Results of a model that is gone, named by another as a table written by hand or as its weights."""
    at = project.open()
    table, qtable = at.layout.table("old", "given"), at.layout.qtable("old", "given", "bm1684")
    for path in (table, qtable):
        fill(at.layout, path)
    network = at.layout.onnx("old", "given")
    files.copy(project.data / "model.onnx", network)
    named = [table, qtable, network]
    assert {one.path for one in find_orphans(at, frozenset())} == set(named)
    project.edit(
        "calibration: {images: {folder: pictures/calibration}, minimum: 2}", f"calibration: {{table: {table}}}"
    )
    project.edit("verify:", f"quantization: {{tables: {{bm1684: ../qtables/{qtable.name}}}}}\nverify:")
    project.edit("file: model.onnx", f"file: ../models/onnx/{network.name}")
    at = project.open()
    assert not at.configs.broken and find_orphans(at, frozenset()) == ()


def test_a_benchmark_says_what_it_is_of(project: Project) -> None:
    """As `bench` writes it, it goes with its network."""
    project.build("bm1684_fp32_1b")
    at = project.open()
    target = Target("tiny", "bm1684", "fp32", 1)
    path = at.layout.bench(at.layout.artifact(target))
    fill(at.layout, path)
    assert find_orphans(at, frozenset()) == ()
    project.edit("chip: [bm1684, bm1688]", "chip: bm1688")
    assert path in {one.path for one in find_orphans(project.open(), frozenset())}
