"""Measures settings of a chip's INT8 network; every measurement is a step, and cached in the store."""

from dataclasses import dataclass, replace
from pathlib import Path

from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.execute.builder import Builder
from bmzoo.execute.run import RunReport
from bmzoo.measure.latency import Latency
from bmzoo.measure.metrics.registry import told_metric
from bmzoo.plan.build import deploy_step
from bmzoo.plan.evaluate import evaluate_lowered, evaluate_onnx
from bmzoo.plan.fed import pictures
from bmzoo.plan.float_layers import agree_step, candidate, cut_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.own_search import rank_step
from bmzoo.plan.step import Output, Step
from bmzoo.results import latency
from bmzoo.results.qtable import choice_of
from bmzoo.sources import overlap
from bmzoo.store.local import Entry
from bmzoo.target import Target
from bmzoo.tuning import settings
from bmzoo.tuning.choice import Point, Rival
from bmzoo.tuning.published_pairs import float_precision
from bmzoo.tuning.report import Accuracy
from bmzoo.tuning.settings import Setting
from bmzoo.workspace import Workspace

Table = Output | None  # None: no layer in float


@dataclass(frozen=True)
class CandidateTable:
    """A candidate mixed-precision table, and its number of float layers."""

    table: Table
    layers: int


class Points:
    """Measures settings for one model and chip. Safe for threads. All methods raise BmzooError."""

    def __init__(self, at: Workspace, model: Model, chip: str) -> None:
        self._at = at
        self._model = model
        self._chip = chip
        self._weights: Weights = at.weights.chosen(model)
        self.available = self._available()

    def cuts(self, base: Setting) -> tuple[dict[int, CandidateTable], dict[int, int]]:
        """max_float_layers -> table, for each value to try; and value -> another value with the same table.

        The ranking always uses the configured calibration, whatever the setting.
        """
        builder = self._at.builder(self._model)
        ranking = builder.run(rank_step(self._model, self._chip, self._weights)).read_json("ranking.json")
        found: dict[int, CandidateTable] = {}
        same: dict[int, int] = {}
        known: dict[frozenset[str], int] = {}
        axis = settings.float_axis(base, len(ranking["layers"]))
        # The current value first: of values with the same table the first one is measured, the others are aliases.
        for setting in sorted(axis, key=lambda s: (s != base, s)):
            number = setting.max_float_layers
            layers, table = self._cut(builder, number)
            if layers in known:
                same[number] = known[layers]
            else:
                known[layers] = number
                found[number] = CandidateTable(table, len(layers))
        return dict(sorted(found.items())), same

    def measure(self, setting: Setting, cut: CandidateTable) -> Point:
        """Measure agreement on the selection pictures, cost and size of a setting with that table."""
        model, builder = self._varied(setting)
        agreed = builder.run(agree_step(model, self._chip, self._weights, cut.table)).read_json("agreement.json")
        target = int8_target(self._model, self._chip)
        made = builder.run(deploy_step(model, target, self._weights, cut.table))
        facts = made.read_json("facts.json")
        measure = agreed["agreement"] if agreed["agreement"] is not None else agreed["cosine"]
        return Point(setting, cut.layers, measure, facts["cost"], facts["bytes"], self._milliseconds(target, made))

    def accuracy(self, setting: Setting, cut: CandidateTable) -> Accuracy:
        """Figures of a setting on the ground truth."""
        model, builder = self._varied(setting)
        lower = candidate(model, self._chip, self._weights, cut.table)
        return told_metric(builder.run(evaluate_lowered(model, lower)).read_json("ap.json"))[1]

    def onnx(self) -> tuple[str, Accuracy]:
        """The metric, and the figures of the ONNX model."""
        step = evaluate_onnx(self._model, self._weights)
        return told_metric(self._at.builder(self._model).run(step).read_json("ap.json"))

    def rival(self) -> Rival:
        """The float baseline, compiled for batch 1 on one core."""
        precision = float_precision(self._chip)
        target = Target(self._model.name, self._chip, precision, 1, 1)
        step = deploy_step(self._model, target, self._weights, None)
        made = self._at.builder(self._model).run(step)
        return Rival(precision, made.read_json("facts.json")["cost"], self._milliseconds(target, made))

    def _milliseconds(self, target: Target, made: Entry) -> float | None:
        """The estimate for the chip, None where there is none."""
        found = latency.of_step(target, made, self._at.toolchain.release)
        return found.ms if isinstance(found, Latency) else None

    def check(self, setting: Setting) -> None:
        """Raises ConfigError for a setting whose calibration pictures overlap those for selection or evaluation."""
        model = settings.calibrated(self._model, setting, self.available)
        overlap.check_overlap(self._at.weights.using(model), self._at.sources(model), self._at.digests.of)

    def _cut(self, builder: Builder, number: int) -> tuple[frozenset[str], Table]:
        if not number:
            return frozenset(), None
        step = cut_step(
            self._model, self._chip, self._weights, settings.search_with(self._model, self._chip, number)
        )
        layers = frozenset(choice_of(builder, step, builder.run(step))["layers"])
        return layers, Output(step, "mixed.qtable") if layers else None

    def _varied(self, setting: Setting) -> tuple[Model, Builder]:
        """The model with a setting's calibration, and a builder whose report labels each line with the setting.

        Its results are not recorded as the last of their kind: `explain` compares with those of the config.
        """
        own = self._at.builder(self._model)
        builder = replace(
            own, report=Labelled(own.report, str(setting)), on_result=lambda step, resolved: None, locked=False
        )
        return settings.calibrated(self._model, setting, self.available), builder

    def _available(self) -> int:
        """Number of available calibration pictures; 0 for a hand-written calibration table."""
        calibration = self._model.config.calibration
        if calibration is None or calibration.images is None:
            return 0
        return len(self._at.sources(self._model).pictures(replace(pictures(calibration.images), count=0)).files)


class Labelled:
    """A report that labels each step with the setting that it belongs to."""

    def __init__(self, report: RunReport, label: str) -> None:
        self._report = report
        self._label = label

    def started(self, step: Step, progress: Path | None = None) -> None:
        self._report.started(self._named(step), progress)

    def finished(self, step: Step, seconds: float, where: str = "") -> None:
        self._report.finished(self._named(step), seconds, where)

    def failed(self, step: Step) -> None:
        self._report.failed(self._named(step))

    def warn(self, text: str) -> None:
        self._report.warn(text)

    def say(self, text: str) -> None:
        self._report.say(text)

    def _named(self, step: Step) -> Step:
        detail = f"{step.subject.detail} ({self._label})".lstrip()
        return replace(step, subject=replace(step.subject, detail=detail))
