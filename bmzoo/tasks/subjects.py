"""What tasks have subtasks for: the loops over models, targets, batches and chips, and the names of subtasks."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from bmzoo import target as targets
from bmzoo.chips import CHIPS
from bmzoo.config.model import Model
from bmzoo.plan.combine import combinations
from bmzoo.plan.ladder import climbs
from bmzoo.plan.shared import tables
from bmzoo.target import Target
from bmzoo.tasks.row import By, Kind, TaskSubject
from bmzoo.workspace import Workspace


def named(at: Workspace, model: Model, rest: str) -> str:
    """A subtask's name: the model stands in front unless it is the default one."""
    return rest if model.name == at.default_model else f"{model.name}.{rest}"


def transform_name(at: Workspace, model: Model, batch: int) -> str:
    """Name of the task that makes the MLIR of a batch."""
    return f"transform:{named(at, model, f'{batch}b')}"


def longest_first(subjects: Iterable[TaskSubject[Target]]) -> Iterator[TaskSubject[Target]]:
    """Targets of each model in the order to start them."""
    for _, group in groupby(subjects, key=lambda subject: subject.model.name):
        own = {subject.of: subject for subject in group}
        yield from (own[target] for target in targets.longest_first(own))


def _targets(at: Workspace) -> Iterator[TaskSubject[Target]]:
    for model in at.models.values():
        for target in model.targets:
            yield TaskSubject(target.qualified(at.default_model), model, target)


def _verifiable(at: Workspace) -> Iterator[TaskSubject[Target]]:
    return (subject for subject in _targets(at) if not subject.of.unverified)


def _exportable(at: Workspace) -> Iterator[TaskSubject[Target]]:
    return (subject for subject in _verifiable(at) if CHIPS[subject.of.chip].suffix == ".bmodel")


def _with_onnx(at: Workspace, models: Iterable[Model]) -> Iterator[TaskSubject[Target | None]]:
    """The ONNX model, as None, before those targets of each whose artifacts something runs here."""
    for model in models:
        yield TaskSubject(named(at, model, "onnx"), model, None)
        for target in (one for one in model.targets if not one.unverified):
            yield TaskSubject(target.qualified(at.default_model), model, target)


def _evaluated(at: Workspace) -> Iterator[TaskSubject[Target | None]]:
    return _with_onnx(at, (model for model in at.models.values() if model.config.evaluate is not None))


def _timed(at: Workspace) -> Iterator[TaskSubject[Target | None]]:
    return _with_onnx(at, (model for model in at.models.values() if model.config.decoder.kind != "none"))


def _models(at: Workspace) -> Iterator[TaskSubject[None]]:
    return (TaskSubject(model.name, model, None) for model in at.models.values())


def _climbing(at: Workspace) -> Iterator[TaskSubject[None]]:
    """As their configs have them: what was decided before is what this decides anew."""
    return (TaskSubject(model.name, model, None) for model in at.configs.models.values() if climbs(model))


def calibration_name(model: Model, quantizer: str) -> str:
    """Name of the subtask that calibrates for a quantizer; empty where one calibration serves all."""
    return f"{model.name}.{quantizer}" if quantizer else model.name


def _calibrated(at: Workspace) -> Iterator[TaskSubject[str]]:
    for model in at.models.values():
        if model.calibrates:
            for quantizer in tables(model):
                yield TaskSubject(calibration_name(model, quantizer), model, quantizer)


def _batches(at: Workspace) -> Iterator[TaskSubject[int]]:
    for model in at.models.values():
        for batch in sorted({target.batch for target in model.targets} | {1}):
            yield TaskSubject(named(at, model, f"{batch}b"), model, batch)


def _chips(at: Workspace) -> Iterator[TaskSubject[str]]:
    for model in at.models.values():
        for chip in dict.fromkeys(target.chip for target in model.targets if target.precision == "int8"):
            yield TaskSubject(named(at, model, chip), model, chip)


def _searchable(at: Workspace) -> Iterator[TaskSubject[str]]:
    return (subject for subject in _chips(at) if subject.model.config.quantization.images is not None)


def _combined(at: Workspace) -> Iterator[TaskSubject[tuple[Target, ...]]]:
    for model in at.models.values():
        for name, together in combinations(model).items():
            yield TaskSubject(named(at, model, name), model, together)


TARGETS = By(Kind.TARGET, _targets)
EXPORTABLE = By(Kind.TARGET, _exportable)  # those of them that sophon.sail, by which an archive is checked, runs
VERIFIABLE = By(Kind.TARGET, _verifiable)  # those whose artifacts something runs here
EVALUATED = By(Kind.TARGET, _evaluated)  # and the ONNX models, of models with ground truth
TIMED = By(Kind.TARGET, _timed)  # and the ONNX models, of models with a decoder
COMBINED = By(Kind.FAMILY, _combined)  # targets that differ in batch only, where there are several
MODELS = By(Kind.MODEL, _models)
CALIBRATIONS = By(Kind.MODEL, _calibrated)  # and quantizer, with calibration tables of bmzoo's own
CLIMBING = By(Kind.MODEL, _climbing)  # models whose config says nothing of INT8
BATCHES = By(Kind.MODEL, _batches)  # 1 is always one of them
INT8_CHIPS = By(Kind.CHIP, _chips)  # with INT8 targets
SEARCHABLE_CHIPS = By(Kind.CHIP, _searchable)  # those of them whose model has selection pictures
