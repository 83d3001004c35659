"""Decisions as they lie in the checkout: made, and listed with what each is worth."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bmzoo.chips import CALIBRATED
from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.errors import BmzooError, ConfigError
from bmzoo.execute.builder import Builder
from bmzoo.execute.decisions import Standing
from bmzoo.plan.build import recipe
from bmzoo.plan.decisions import command_for
from bmzoo.plan.ladder import climbs, led_to, settings_step
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry
from bmzoo.workspace import Workspace


def settle(at: Workspace, model: Model, step: Step) -> Entry:
    """The decision, derived and written to the checkout where what lies there is not current.

    Raises ConfigError where a file written by hand is in the way, or where decisions are locked.
    """
    builder = at.builder(model)
    committed = builder.committed(step)
    if committed.standing is not Standing.CURRENT:
        refuse_by_hand(at, model, step)
        builder.commit(step, builder.run(step))
        shown = at.layout.shown(at.layout.decision(step))
        if committed.standing is not Standing.MISSING:
            at.report.say(f"{shown}: derived again: {committed.why or committed}")
    return builder.run(step)


def refuse_by_hand(at: Workspace, model: Model, step: Step) -> None:
    """Raises ConfigError where what lies in a decision's place is not as bmzoo wrote it."""
    committed, path = at.builder(model).committed(step), at.layout.decision(step)
    if committed.standing is Standing.BY_HAND:
        section = "`quantization.tables`" if step.kind == "cut" else "`calibration` as `table`"
        named = f"name it below {section} in {at.layout.shown(model.path)}, or remove it"
        if step.kind == "settings":
            named = "what it says belongs below `calibration` and `quantization` in the config; or remove it"
        hint = "remove it, and it is derived again" if step.kind == "scales" else named
        detail = f": {committed.why}" if committed.why else ""
        raise ConfigError(
            f"{at.layout.shown(path)}: written or edited by hand, so it is not overwritten{detail}", hint
        )


@dataclass(frozen=True)
class Listed:
    """A decision of a model's weights, where it lies, what it is worth, and the task that derives it.

    `sound`: None where that cannot be told, as its pictures are not here; or where there is neither the decision
    nor what it would be of.
    """

    path: Path
    model: str
    weights: str
    worth: str
    sound: bool | None
    task: str


def listing(at: Workspace) -> Iterator[Listed]:
    """Every decision of every model and weights. Derives nothing, and needs no weights to be here."""
    for model in at.models.values():
        for weights in model.config.weights:
            yield from _of(at, model, weights)


def _of(at: Workspace, model: Model, weights: Weights) -> Iterator[Listed]:
    builder = at.builder(model)
    found = _steps(at, model, weights)
    doubtful: dict[Step, tuple[Path, bool | None]] = {}
    for step in dict.fromkeys(found):
        if step.decision is not None:
            path = at.layout.decision(step)
            resting = next((doubtful[ground] for ground in step.grounds if ground in doubtful), None)
            if resting is not None:
                worth, sound = f"rests on {at.layout.shown(resting[0])}", resting[1]
            else:
                worth, sound = _worth(builder, step)
            if sound is False and not path.is_file() and at.weights.absent(model):
                worth, sound = "missing, and so are the weights", None
            if not sound:
                doubtful[step] = path, sound
            task = f"{command_for(step.decision.kind)}:{_subtask(at, model, step)}"
            yield Listed(path, model.name, weights.name, worth, sound, task)


def _steps(at: Workspace, model: Model, weights: Weights) -> Iterator[Step]:
    configured = at.configs.models[model.name]
    if climbs(configured):
        yield settings_step(configured, weights)
    yield from (s for t in model.targets if t.precision in CALIBRATED for s in recipe(model, t, weights).grounds)


def _worth(builder: Builder, step: Step) -> tuple[str, bool | None]:
    try:
        committed = builder.committed(step)
    except BmzooError as error:
        return f"not known: {error.message}", None
    return str(committed), committed.standing is Standing.CURRENT


def _subtask(at: Workspace, model: Model, step: Step) -> str:
    """What follows the task's name, as bmzoo/tasks/subjects.py has it."""
    if step.kind != "cut":
        return ".".join(filter(None, (model.name, step.subject.chip)))
    return step.subject.chip if model.name == at.default_model else f"{model.name}.{step.subject.chip}"


def are_current(at: Workspace, model: Model, steps: Iterable[Step]) -> bool:
    """Whether what is committed of these decisions is what would be derived now."""
    builder = at.builder(model)
    return all(builder.committed(step).standing is Standing.CURRENT for step in steps)


def has_int8_settings(at: Workspace, model: Model) -> bool:
    """Whether the settings of INT8 are decided, by what is here now; results/ladder.py finds them."""
    return are_current(at, model, [settings_step(model, at.weights.chosen(model))])


def has_int8_decisions(at: Workspace, model: Model) -> bool:
    """The same, with all that the settings lead to: a run may have ended between them.

    model: as its config has it.
    """
    if not has_int8_settings(at, model):
        return False
    decided = at.models[model.name]
    return are_current(at, decided, led_to(decided, at.weights.chosen(decided)))
