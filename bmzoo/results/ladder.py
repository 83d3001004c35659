"""Climbs the ladder of INT8 settings, until a real lowering agrees with ONNX as the verdict asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, ConfigError, SessionError, ToolFailed, VerifyFailed
from bmzoo.execute.decisions import Standing, text_of
from bmzoo.execute.int8_settings import read_settings
from bmzoo.measure import verdict
from bmzoo.plan import ladder
from bmzoo.plan.build import deploy_step
from bmzoo.plan.float_layers import cut_step, qtable_input
from bmzoo.plan.ladder import COST_SHARE, Int8Settings, applied, judged, settings_step, trial_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.shared import tables
from bmzoo.results import calibration, decisions
from bmzoo.sources import overlap
from bmzoo.system import files
from bmzoo.workspace import Workspace


@dataclass(frozen=True)
class Trial:
    """What one lowering came to: what it misses (nothing for one that passes), and the figures in a line."""

    misses: tuple[str, ...]
    said: str
    shortfall: float  # 0 for one that passes

    @property
    def passed(self) -> bool:
        return not self.misses


def climb(at: Workspace, model: Model) -> str:
    """Find the settings, write them as a decision, and those that they lead to. Returns what was taken, in a line.

    model: as its config has it. Raises ConfigError where decisions are locked or one by hand is in the way.
    """
    at.weights.announce(model)
    step = settings_step(model, at.weights.chosen(model))
    builder, path = at.builder(model), at.layout.decision(step)
    committed = builder.committed(step)
    if committed.standing is not Standing.CURRENT:
        decisions.refuse_by_hand(at, model, step)
        if at.options.locked:
            raise builder.locked_out(step)
        content = files.json_text(_Climb(at, model).run())
        files.write(text_of(builder.facts(step), content), path)
        committed = builder.committed(step)
    taken = read_settings(committed.content)
    assert taken is not None, "written by this version, or its digest would be another"
    at.models = {**at.models, model.name: applied(model, taken)}
    _settle_rest(at, at.models[model.name])
    return f"{at.layout.shown(path)}: {taken}"


def is_current(at: Workspace, model: Model) -> bool:
    """Whether the settings are decided, by what is here now."""
    step = settings_step(model, at.weights.chosen(model))
    return at.builder(model).committed(step).standing is Standing.CURRENT


def _settle_rest(at: Workspace, model: Model) -> None:
    """Write the decisions that the settings lead to: scales, thresholds, float layers."""
    for quantizer in tables(model):
        calibration.calibrate(at, model, quantizer)
    for chip, search in ladder.searches(model):
        decisions.settle(at, model, cut_step(model, chip, at.weights.chosen(model), search))


@dataclass(frozen=True)
class _Rung:
    """A calibration, and what it came to for each quantizer."""

    settings: Int8Settings
    trials: Mapping[str, Trial]

    @property
    def passed(self) -> bool:
        return all(trial.passed for trial in self.trials.values())

    def shortfall(self) -> float:
        return sum(trial.shortfall for trial in self.trials.values())


def _calibrations(tried: Sequence[_Rung]) -> Iterator[Int8Settings]:
    """What to try, in order. `tried`: what came of those before."""
    yield ladder.PLAIN_INT8
    yield ladder.EQUALIZED
    better = min(tried, key=_Rung.shortfall).settings if tried else ladder.PLAIN_INT8
    yield replace(better, method=ladder.OTHER_METHOD)


class _Climb:
    """One way up.

    `tried`: what came of each, in order. Without figures, whose last digits are those of one processor.
    """

    def __init__(self, at: Workspace, model: Model) -> None:
        self._at, self._model = at, model
        self._weights = at.weights.chosen(model)
        self._builder = at.builder(model)
        self._judged = judged(model)
        self._tried: list[dict[str, str]] = []
        self._failure: BmzooError | None = None

    def run(self) -> dict[str, Any]:
        """The decision's content. Raises BmzooError where nothing could even be tried."""
        self._check_overlap()
        taken, trials = self._calibration()
        for quantizer in [name for name, trial in trials.items() if not trial.passed]:
            taken, trials[quantizer] = self._float_layers(taken, quantizer, trials[quantizer])
        left = [name for name, trial in trials.items() if not trial.passed]
        self._say(f"taken: {taken}" + (f"; not enough for {', '.join(left)}" if left else ""))
        costs = {name: self._costs(taken, name) for name in self._judged}
        for name, cost in costs.items():
            if cost["plain"] and cost["taken"]:
                self._say(f"{name}: costs {cost['taken'] / cost['plain'] - 1:+.1%} beside plain INT8")
        return {"taken": taken.as_json(), "tried": self._tried, "costs": costs, "left": left}

    def _calibration(self) -> tuple[Int8Settings, dict[str, Trial]]:
        """The first calibration that suits every quantizer, or the one that falls short least."""
        rungs: list[_Rung] = []
        for settings in _calibrations(rungs):
            rung = self._rung(settings)
            if rung is not None:
                rungs.append(rung)
            if rung is not None and rung.passed:
                break
        if not rungs:
            assert self._failure is not None, "nothing was tried"
            raise self._failure
        best = min(rungs, key=_Rung.shortfall)
        return best.settings, dict(best.trials)

    def _rung(self, settings: Int8Settings) -> "_Rung | None":
        """A calibration tried for every quantizer; None where the tools fail with it for any."""
        trials = {name: trial for name in self._judged if (trial := self._try(settings, name)) is not None}
        return _Rung(settings, trials) if len(trials) == len(self._judged) else None

    def _float_layers(self, taken: Int8Settings, quantizer: str, plain: Trial) -> tuple[Int8Settings, Trial]:
        """The first search that is enough for a quantizer within COST_SHARE, or the nearest miss."""
        found = [(plain.shortfall, 0, taken, plain)]
        for search in ladder.FLOAT_RUNGS:
            settings = ladder.with_search(taken, quantizer, search)
            trial = self._try(settings, quantizer)
            if trial is None or (trial.passed and self._costly(settings, quantizer)):
                continue
            if trial.passed:
                return settings, trial
            found.append((trial.shortfall, len(found), settings, trial))
        _, _, settings, trial = min(found, key=lambda one: one[:2])
        return settings, trial

    def _try(self, settings: Int8Settings, quantizer: str) -> Trial | None:
        """None where the tools fail with these settings."""
        model, target = applied(self._model, settings), self._judged[quantizer]
        try:
            step = trial_step(model, target, self._weights)
            figures = self._builder.run(step).read_json("figures.json")
        except VerifyFailed as error:  # outputs that compare with nothing
            trial = Trial((error.message,), error.message, 1.0)
        except (ToolFailed, ConfigError, SessionError) as error:
            self._failure = self._failure or error
            self._note(quantizer, settings, "cannot be made", error.message)
            return None
        else:
            limits = self._at.weights.using(model).thresholds(target)
            if said := verdict.nothing_compared(figures, limits):
                raise VerifyFailed(f"{self._model.name}: {said}", verdict.nothing_hint(figures))
            missed = tuple(verdict.misses(figures, limits))
            trial = Trial(missed, verdict.summary(figures), verdict.shortfall(figures, limits))
        told = "; ".join([trial.said, *trial.misses])
        self._note(quantizer, settings, "enough" if trial.passed else "not enough", told)
        return trial

    def _costs(self, taken: Int8Settings, quantizer: str) -> dict[str, int | None]:
        """What the compiler says of plain INT8 and of what was taken, in cycles for one picture."""
        return {"plain": self._cost(ladder.PLAIN_INT8, quantizer), "taken": self._cost(taken, quantizer)}

    def _costly(self, settings: Int8Settings, quantizer: str) -> bool:
        plain, mixed = self._cost(replace(settings, searches={}), quantizer), self._cost(settings, quantizer)
        if plain is None or mixed is None or mixed <= plain * (1 + COST_SHARE):
            return False
        told = f"costs {mixed / plain - 1:+.0%}, allowed: {COST_SHARE:+.0%}"
        self._note(quantizer, settings, "too slow", told)
        return True

    def _cost(self, settings: Int8Settings, quantizer: str) -> int | None:
        model = applied(self._model, settings)
        target = int8_target(model, quantizer)
        table = qtable_input(model, target, self._weights)
        facts = self._builder.run(deploy_step(model, target, self._weights, table)).read_json("facts.json")
        cost: int | None = facts["cost"]
        return cost

    def _note(self, quantizer: str, settings: Int8Settings, outcome: str, figures: str) -> None:
        self._tried.append({"quantizer": quantizer, "settings": str(settings), "outcome": outcome})
        self._say(f"{quantizer}: {settings}: {outcome}: {figures}")

    def _say(self, text: str) -> None:
        self._at.report.say(f"quantize:{self._model.name}: {text}")

    def _check_overlap(self) -> None:
        overlap.check_overlap(
            self._at.weights.using(self._model), self._at.sources(self._model), self._at.digests.of
        )
