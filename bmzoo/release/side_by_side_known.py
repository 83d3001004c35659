"""What the tables of `side_by_side.py` show of ours: from published documents and the store, or measured now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bmzoo.chips import CHIPS
from bmzoo.config.model import Model
from bmzoo.errors import BmzooError
from bmzoo.measure.latency import NoLatency, estimated
from bmzoo.measure.metrics.registry import FACES_AP, told_metric
from bmzoo.plan.verify import engine
from bmzoo.release.side_by_side import PIPELINES, Known
from bmzoo.results import latency
from bmzoo.results.eval import figures_by
from bmzoo.results.sized import Sized, sized
from bmzoo.results.truth import has_truth
from bmzoo.target import Target
from bmzoo.workspace import Workspace

EASY = "easy"


@dataclass(frozen=True)
class ToMeasure:
    """What is measured where it is not there, and of what. Nothing is where `accuracy` and `scaling` are false."""

    targets: tuple[Target, ...]
    sizes: tuple[tuple[int, int], ...]
    batches: tuple[int, ...]
    accuracy: bool = False
    scaling: bool = False
    failed: list[BmzooError] = field(default_factory=list)  # what could not be measured; the rest goes on


def known(at: Workspace, model: Model, asked: ToMeasure) -> Known:
    """All that is known of a model's targets. Failures to measure are added to `asked.failed`."""
    told = {target: at.documents.by(at.layout.provenance(target)) for target in model.targets}
    return Known(
        tuple(target.artifact for target in model.targets),
        dict(_accuracy(at, model, asked)),
        {target.artifact: latency.of_artifact(target, one) for target, one in told.items() if one},
        *_timed(at, model),
        tuple(_sized(at, model, asked)),
    )


def _accuracy(
    at: Workspace, model: Model, asked: ToMeasure
) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """By artifact and flavour, of all targets whose lowering is the same as one that was evaluated."""
    if not has_truth(at, model):
        return
    for flavour in PIPELINES:
        found: dict[str, float | None] = {}
        onnx = _easy(at, model, None, flavour, asked)
        for target in model.targets:
            name = engine(model, target)
            if name not in found:
                found[name] = _easy(at, model, target, flavour, asked)
            value = found[name]
            if value is not None and onnx is not None:
                yield (target.artifact, flavour), (value, onnx)


def _easy(at: Workspace, model: Model, target: Target | None, flavour: str, asked: ToMeasure) -> float | None:
    make = asked.accuracy and (target is None or target in asked.targets)
    try:
        told = figures_by(at, model, target, flavour, make)
    except BmzooError as error:
        if make:  # what is not asked for, and cannot be looked up, is not there
            asked.failed.append(error)
        return None
    metric, figures = told_metric(told) if told else ("", {})
    return figures.get(EASY) if metric == FACES_AP else None


def _timed(at: Workspace, model: Model) -> tuple[Mapping[str, float], Mapping[str, Mapping[str, float]]]:
    """What `bench` left: inference on a card by artifact, and all stages by artifact, those of ONNX under ""."""
    places = {target.artifact: at.layout.artifact(target) for target in model.targets}
    places[""] = at.layout.onnx(model.name, at.weights.chosen(model).name)
    documents = {file: told for file, path in places.items() if (told := _bench(at, path))}
    stages = {file: told["milliseconds_per_image"] for file, told in documents.items()}
    on_card = [file for file, told in documents.items() if told.get("engine") == "card"]
    return {file: stages[file]["inference"] for file in on_card}, stages


def _bench(at: Workspace, network: Path) -> Mapping[str, Any]:
    return at.documents.by(at.layout.bench(network))


def _sized(at: Workspace, model: Model, asked: ToMeasure) -> Iterator[Sized]:
    for target, size in _variants(model, asked):
        make = asked.scaling and any(_alike(one) == _alike(target) for one in asked.targets)
        try:
            one = _estimate(at, model, target, size, make)
        except BmzooError as error:
            if not make:
                continue
            asked.failed.append(error)
            one = Sized(target, size, NoLatency(error.message.splitlines()[0]))
        if one is not None:
            yield one


def _estimate(at: Workspace, model: Model, target: Target, size: tuple[int, int], make: bool) -> Sized | None:
    if not CHIPS[target.chip].timed:  # nothing that would compile could say how long it takes
        return Sized(target, size, estimated(target, {}, {}, ""))
    return sized(at, model, target, size, make)


def _variants(model: Model, asked: ToMeasure) -> Iterator[tuple[Target, tuple[int, int]]]:
    """Every size and batch that is asked for, of each chip, precision and number of cores."""
    if model.config.input is None:
        return
    for alike in dict.fromkeys(_alike(target) for target in model.targets):
        for size in asked.sizes:
            yield from ((replace(alike, batch=batch), size) for batch in asked.batches)


def _alike(target: Target) -> Target:
    return replace(target, batch=1)
