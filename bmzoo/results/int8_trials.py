"""INT8 settings tried one by one: lowered, judged as the verdict would, compiled where that passes."""

import math
from dataclasses import dataclass, replace

from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, ConfigError, SessionError, ToolFailed, VerifyFailed
from bmzoo.measure import verdict
from bmzoo.measure.verdict_sureness import VerdictSureness, how_sure
from bmzoo.plan import ladder, shared
from bmzoo.plan.build import deploy_step
from bmzoo.plan.float_layers import qtable_input
from bmzoo.plan.ladder import COST_SHARE, Int8Settings, applied, judged, trial_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.shared import scales_step
from bmzoo.store.local import Entry
from bmzoo.workspace import Workspace

# The tools fail with some settings, and may do with others.
CANNOT_BE_MADE = (ToolFailed, ConfigError, SessionError)


@dataclass(frozen=True)
class Trial:
    """What one lowering came to: what it misses (nothing for one that passes), and the figures in a line."""

    misses: tuple[str, ...]
    said: str
    shortfall: float  # 0 for one that passes, infinite for one that cannot be made
    sure: str = "not known"  # whether other pictures would say the same, without figures
    doubt: float = 0.0  # the share of draws of the pictures with another verdict, where that is too large

    @property
    def passed(self) -> bool:
        return not self.misses

    @property
    def made(self) -> bool:
        return self.shortfall < math.inf


class Trials:
    """Those of one model. `judged`: the target that stands for all of a quantizer.

    `tried`: what came of each, in order. Without figures, whose last digits are those of one processor. `failure`:
    the first that kept one from being made.
    """

    def __init__(self, at: Workspace, model: Model) -> None:
        self._at, self._model = at, model
        self._weights = at.weights.chosen(model)
        self._builder = at.builder(model)
        self.judged = judged(model)
        self.tried: list[dict[str, str]] = []
        self.failure: BmzooError | None = None

    def attempt(self, settings: Int8Settings, quantizer: str) -> Trial:
        """These settings lowered and judged; what passes is compiled too, as that may still fail."""
        try:
            trial = self._judge(settings, quantizer)
            if trial.passed:
                self._compiled(settings, quantizer)
        except CANNOT_BE_MADE as error:
            self.failure = self.failure or error
            self.note(quantizer, settings, "cannot be made", error.message)
            return Trial((error.message,), error.message, math.inf)
        told = "; ".join([trial.said, *trial.misses])
        self.note(quantizer, settings, "enough" if trial.passed else "not enough", told)
        return trial

    def scales_nothing(self, settings: Int8Settings) -> bool:
        """Whether no quantizer has a channel to scale, so that equalized is the same as not."""
        model = applied(self._model, settings)
        try:
            steps = [scales_step(model, self._weights, name) for name in self.judged]
            told = [self._builder.run(step).path(step.outputs[0]).read_text(encoding="utf-8") for step in steps]
        except CANNOT_BE_MADE:
            return False  # the trial says so
        if not all(map(_is_of_ones, told)):
            return False
        for name in self.judged:
            self.note(name, settings, "skipped", "no channel to scale, so the same as without")
        return True

    def calibrates(self, settings: Int8Settings, quantizer: str) -> bool:
        """Whether there are thresholds, and what failed came after them."""
        model = applied(self._model, settings)
        step = shared.calibration(model, int8_target(model, quantizer), self._weights)
        try:
            return step is not None and self._builder.run(step) is not None
        except CANNOT_BE_MADE:
            return False

    def costs(self, taken: Int8Settings, quantizer: str) -> dict[str, int | None]:
        """What the compiler says of plain INT8 and of what was taken, in cycles for one picture; None for what it
        cannot make, or has no estimate of.
        """
        return {"plain": self._cost(ladder.PLAIN_INT8, quantizer), "taken": self._cost(taken, quantizer)}

    def costly(self, settings: Int8Settings, quantizer: str) -> bool:
        """Whether float layers cost more than COST_SHARE on top of the same without; what has no cost, does not."""
        plain, mixed = self._cost(replace(settings, searches={}), quantizer), self._cost(settings, quantizer)
        if plain is None or mixed is None or mixed <= plain * (1 + COST_SHARE):
            return False
        told = f"costs {mixed / plain - 1:+.0%}, allowed: {COST_SHARE:+.0%}"
        self.note(quantizer, settings, "too slow", told)
        return True

    def note(self, quantizer: str, settings: Int8Settings, outcome: str, figures: str) -> None:
        """Keep what came of settings, and say it with its figures."""
        self.tried.append({"quantizer": quantizer, "settings": str(settings), "outcome": outcome})
        self.say(f"{quantizer}: {settings}: {outcome}: {figures}")

    def say(self, text: str) -> None:
        """A line for people, of this model."""
        self._at.report.say(f"quantize:{self._model.name}: {text}")

    def _judge(self, settings: Int8Settings, quantizer: str) -> Trial:
        model, target = applied(self._model, settings), self.judged[quantizer]
        try:
            step = trial_step(model, target, self._weights)
            figures = self._builder.run(step).read_json("figures.json")
        except VerifyFailed as error:  # outputs that compare with nothing
            return Trial((error.message,), error.message, 1.0)
        limits = self._at.weights.using(model).thresholds(target)
        if said := verdict.nothing_compared(figures, limits):
            raise VerifyFailed(f"{self._model.name}: {said}", verdict.nothing_hint(figures))
        missed, drawn = tuple(verdict.misses(figures, limits)), how_sure(figures, limits)
        said = ", ".join(filter(None, (verdict.summary(figures), str(drawn or ""))))
        doubt = 0.0 if drawn is None or drawn.sure else 1 - drawn.same
        return Trial(missed, said, verdict.shortfall(figures, limits), _in_words(drawn), doubt)

    def _cost(self, settings: Int8Settings, quantizer: str) -> int | None:
        try:
            cost: int | None = self._compiled(settings, quantizer).read_json("facts.json")["cost"]
        except CANNOT_BE_MADE as error:
            self.say(f"{quantizer}: {settings}: has no cost: {error.message}")
            return None
        return cost

    def _compiled(self, settings: Int8Settings, quantizer: str) -> Entry:
        model = applied(self._model, settings)
        target = int8_target(model, quantizer)
        table = qtable_input(model, target, self._weights)
        return self._builder.run(deploy_step(model, target, self._weights, table))


def _in_words(drawn: VerdictSureness | None) -> str:
    if drawn is None:
        return "not known, as it is by whole outputs"
    return "yes" if drawn.sure else f"no, {drawn.advice}"


def _is_of_ones(scales: str) -> bool:
    """Whether scales leave every channel as it is: a name and numbers a line."""
    rows = (line.split() for line in scales.splitlines() if line.strip() and not line.startswith("#"))
    return all(float(number) == 1 for _, *row in rows for number in row)
