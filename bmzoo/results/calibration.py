"""Calibration of a model for a quantizer: equalization scales and thresholds, committed in `calibration/`."""

from bmzoo.config.model import Model
from bmzoo.plan.calibrating import CERTAINTY, REFINED
from bmzoo.plan.shared import calibration_steps
from bmzoo.plan.step import Step
from bmzoo.results import decisions
from bmzoo.sources import overlap
from bmzoo.workspace import Workspace


def calibrate(at: Workspace, model: Model, quantizer: str) -> None:
    """Derive what is not current and write it to the checkout. Raises BmzooError.

    `quantizer`: whose network; empty where one serves all.
    """
    at.weights.announce(model)
    overlap.check_overlap(at.weights.using(model), at.sources(model), at.digests.of)
    for step in calibration_steps(model, at.weights.chosen(model), quantizer):
        decisions.settle(at, model, step)
        _tell(at, model, step)


def _tell(at: Workspace, model: Model, step: Step) -> None:
    """Say how sure thresholds are that were found here by bmzoo itself, and what moving them was worth."""
    made = at.builder(model).derived(step)
    for told in (CERTAINTY, REFINED):
        if made is not None and told in step.outputs:
            at.report.say(f"{step.subject}: {made.read_json(told)['said']}")


def is_current(at: Workspace, model: Model, quantizer: str) -> bool:
    """Whether the committed files are what would be derived now."""
    return decisions.are_current(at, model, calibration_steps(model, at.weights.chosen(model), quantizer))
