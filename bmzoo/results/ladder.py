"""Climbs the ladder of INT8 settings, until a real lowering agrees with ONNX as the verdict asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bmzoo.config.model import Model
from bmzoo.execute.decisions import Standing, text_of
from bmzoo.execute.int8_settings import read_settings
from bmzoo.plan import ladder
from bmzoo.plan.float_layers import cut_step
from bmzoo.plan.ladder import Int8Settings, applied, settings_step
from bmzoo.plan.shared import tables, transform_step
from bmzoo.results import calibration, decisions
from bmzoo.results.int8_trials import Trial, Trials
from bmzoo.sources import overlap
from bmzoo.system import files
from bmzoo.workspace import Workspace


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
    def surely_enough(self) -> bool:
        """Whether nothing else needs to be tried."""
        return all(trial.passed and not trial.doubt for trial in self.trials.values())

    def rank(self) -> tuple[int, float, float]:
        """For how many it cannot be made, how far the others fall short, and how much chance is in those that do
        not: the least is the best.
        """
        made = [trial for trial in self.trials.values() if trial.made]
        doubt = sum(trial.doubt for trial in made if trial.passed)
        return len(self.trials) - len(made), sum(trial.shortfall for trial in made), doubt


def _calibrations(tried: Sequence[_Rung]) -> Iterator[Int8Settings]:
    """What to try, in order. `tried`: what came of those before."""
    yield ladder.PLAIN_INT8
    yield ladder.EQUALIZED
    better = min(tried, key=_Rung.rank).settings if tried else ladder.PLAIN_INT8
    yield from (replace(better, method=method) for method in ladder.OTHER_METHODS)


class _Climb:
    """One way up."""

    def __init__(self, at: Workspace, model: Model) -> None:
        self._at, self._model = at, model
        self._trials = Trials(at, model)

    def run(self) -> dict[str, Any]:
        """The decision's content. Raises BmzooError where nothing can be made of the network in INT8."""
        self._check_overlap()
        # What fails here has nothing to do with INT8.
        self._at.builder(self._model).run(transform_step(self._model, self._at.weights.chosen(self._model), 1))
        taken, trials = self._calibration()
        for quantizer in [name for name, trial in trials.items() if not trial.passed]:
            taken, trials[quantizer] = self._float_layers(taken, quantizer, trials[quantizer])
        if self._trials.failure is not None and not any(trial.made for trial in trials.values()):
            raise self._trials.failure
        left = [name for name, trial in trials.items() if not trial.passed]
        self._trials.say(f"taken: {taken}" + (f"; not enough for {', '.join(left)}" if left else ""))
        costs = {name: self._trials.costs(taken, name) for name in self._trials.judged}
        for name, cost in costs.items():
            if cost["plain"] and cost["taken"]:
                self._trials.say(f"{name}: costs {cost['taken'] / cost['plain'] - 1:+.1%} beside plain INT8")
        sure = {name: trial.sure for name, trial in trials.items()}
        for name, word in sure.items():
            self._trials.say(f"{name}: is this verdict sure: {word}")
        tried = self._trials.tried
        return {"taken": taken.as_json(), "tried": tried, "costs": costs, "left": left, "sure": sure}

    def _calibration(self) -> tuple[Int8Settings, dict[str, Trial]]:
        """The first that surely suits every quantizer, or the surest, or the one that falls short least."""
        rungs: list[_Rung] = []
        for settings in _calibrations(rungs):
            if settings.equalize and self._trials.scales_nothing(settings):
                continue
            rungs.append(
                _Rung(settings, {name: self._trials.attempt(settings, name) for name in self._trials.judged})
            )
            if rungs[-1].surely_enough:
                break
        best = min(rungs, key=_Rung.rank)
        return best.settings, dict(best.trials)

    def _float_layers(self, taken: Int8Settings, quantizer: str, plain: Trial) -> tuple[Int8Settings, Trial]:
        """The first search that is enough for a quantizer within COST_SHARE, or the nearest miss."""
        if not plain.made and not self._trials.calibrates(taken, quantizer):
            return taken, plain
        found = [(plain.shortfall, 0, taken, plain)]
        for search in ladder.FLOAT_RUNGS:
            settings = ladder.with_search(taken, quantizer, search)
            trial = self._trials.attempt(settings, quantizer)
            if trial.passed and self._trials.costly(settings, quantizer):
                continue
            if trial.passed:
                return settings, trial
            found.append((trial.shortfall, len(found), settings, trial))
        _, _, settings, trial = min(found, key=lambda one: one[:2])
        return settings, trial

    def _check_overlap(self) -> None:
        overlap.check_overlap(
            self._at.weights.using(self._model), self._at.sources(self._model), self._at.digests.of
        )
