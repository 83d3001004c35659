"""Decisions as they lie in the checkout: made, and listed with what each is worth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bmzoo.chips import CALIBRATED
from bmzoo.config.model import Model
from bmzoo.config.schema import Weights
from bmzoo.errors import BmzooError, ConfigError
from bmzoo.execute import decisions
from bmzoo.execute.builder import Builder
from bmzoo.execute.decisions import Standing
from bmzoo.plan.build import recipe
from bmzoo.plan.decisions import command_for
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry
from bmzoo.system import files
from bmzoo.workspace import Workspace


def make(at: Workspace, model: Model, step: Step) -> Entry:
    """The decision, derived and written to the checkout where what lies there is not current.

    Raises ConfigError where a file written by hand is in the way, or where decisions are locked.
    """
    builder = at.builder(model)
    committed = builder.committed(step)
    if committed.standing is not Standing.CURRENT:
        refuse_by_hand(at, model, step)
        entry = builder.run(step)
        write(at, builder, step, entry)
        shown = at.layout.shown(at.layout.decision(step))
        if committed.standing is not Standing.MISSING:
            at.report.say(f"{shown}: derived again: {committed.why or committed}")
    return builder.run(step)


def write(at: Workspace, builder: Builder, step: Step, entry: Entry) -> None:
    """Put a decision that was derived into the checkout."""
    content = entry.path(step.outputs[0]).read_text(encoding="utf-8")
    files.write(decisions.text_of(builder.facts(step), content), at.layout.decision(step))


def refuse_by_hand(at: Workspace, model: Model, step: Step) -> None:
    """Raises ConfigError where what lies in a decision's place is not as bmzoo wrote it."""
    committed, path = at.builder(model).committed(step), at.layout.decision(step)
    if committed.standing is Standing.BY_HAND:
        section = "`quantization.tables`" if step.kind == "cut" else "`calibration` as `table`"
        named = f"name it below {section} in {at.layout.shown(model.path)}, or remove it"
        hint = "remove it, and it is derived again" if step.kind == "scales" else named
        detail = f": {committed.why}" if committed.why else ""
        raise ConfigError(
            f"{at.layout.shown(path)}: written or edited by hand, so it is not overwritten{detail}", hint
        )


@dataclass(frozen=True)
class Listed:
    """A decision of some weights, where it lies, what it is worth, and the task that derives it."""

    path: Path
    model: Model
    weights: str
    worth: str
    sound: bool
    task: str


def listing(at: Workspace) -> Iterator[Listed]:
    """Every decision of every model and weights. Derives nothing, and needs no weights to be here."""
    for model in at.models.values():
        for weights in model.config.weights:
            yield from _of(at, model, weights)


def _of(at: Workspace, model: Model, weights: Weights) -> Iterator[Listed]:
    # Locked, so that a decision that is not current stops what rests on it, and nothing is derived.
    builder = replace(at.builder(model), locked=True)
    found = (step for t in model.targets if t.precision in CALIBRATED for step in recipe(model, t, weights).grounds)
    for step in dict.fromkeys(step for step in found if step.decision is not None):
        assert step.decision is not None, "filtered above"
        path = at.layout.decision(step)
        task = f"{command_for(step.decision.kind)}:{model.name}"
        try:
            committed = builder.committed(step)
            sound = committed.standing is Standing.CURRENT
            yield Listed(path, model, weights.name, str(committed), sound, task)
        except BmzooError as error:
            yield Listed(path, model, weights.name, f"not known: {error.message}", False, task)
