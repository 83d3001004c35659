"""`tune`: coordinate search over the settings of a chip's INT8 network; measurements are cached in the store.

Layers are ranked once, with the configured calibration. Each further point costs one lowering and one inference run
over the selection pictures, and a calibration where that differs. Average precision is measured only after the
recommendation is made, so that it cannot influence it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, ConfigError
from bmzoo.measure.latency import shown
from bmzoo.measure.metrics.registry import FACES_AP
from bmzoo.plan.float_layers import CONFIRMED
from bmzoo.results import reference
from bmzoo.sources import overlap
from bmzoo.system import files
from bmzoo.system.parallel import each
from bmzoo.tuning import plot, settings
from bmzoo.tuning.choice import Point, front, recommend
from bmzoo.tuning.pace import Pace
from bmzoo.tuning.points import CandidateTable, Points
from bmzoo.tuning.published_pairs import pairs
from bmzoo.tuning.report import Accuracy, TuningReport, markdown, number, recommendation, report_data
from bmzoo.tuning.settings import Setting
from bmzoo.workspace import Workspace

# Expected durations, relative to one lowering with inference over the selection pictures: the same with another
# calibration before it, and an evaluation.
CALIBRATION_WEIGHT, EVALUATION_WEIGHT = 3.0, 2.0
Axis = Callable[[Setting], tuple[Setting, ...]]


@dataclass(frozen=True)
class TuningOptions:
    """Points to evaluate (`none`, the Pareto `front`, `all`), minutes until no new one starts, points at a time."""

    evaluated: str = "front"
    minutes: float = 20.0
    workers: int = 2


@dataclass
class Tuner:
    """One run for one model and chip. `name` is the task's."""

    at: Workspace
    model: Model
    chip: str
    name: str
    options: TuningOptions = TuningOptions()
    clock: Callable[[], float] = time.monotonic
    points: dict[Setting, Point] = field(default_factory=dict)
    left_out: dict[Setting, str] = field(default_factory=dict)

    def run(self) -> TuningReport:
        """Search every axis, recommend, and only then evaluate. Raises BmzooError."""
        images = self.model.config.quantization.images
        if images is None:
            raise ConfigError(
                f"configs/{self.model.path.name}: quantization.images: missing key: no pictures to choose by",
                "for example quantization: {images: {folder: pictures/choose}}",
            )
        self.at.weights.announce(self.model)
        overlap.check_overlap(self.at.weights.using(self.model), self.at.sources(self.model), self.at.digests.of)
        model = self.at.weights.using(self.model)
        bench = Points(self.at, model, self.chip)
        now = settings.current(model, self.chip, bench.available)
        pace = Pace(self.options.minutes * 60, self.options.workers, self.clock)
        rival = bench.rival()
        cuts, same = bench.cuts(now)
        self._walk(bench, cuts, now, pace)
        points = tuple(self.points.values())
        chosen = recommend(points, now)
        accuracy, metric, onnx = self._accuracy(bench, cuts, now, pace)
        return TuningReport(
            name=f"{self.model.name}.{self.at.weights.chosen(self.model).name}.{self.chip}",
            measure=self._measure,
            pictures=images.count or CONFIRMED,
            now=now,
            points=points,
            chosen=chosen,
            rival=rival,
            pairs=pairs(self.model, self.chip, reference.reference(self.at).milliseconds),
            accuracy=accuracy,
            onnx=onnx,
            metric=metric,
            same=same,
            left_out=tuple(f"{setting}: {why}" for setting, why in sorted(self.left_out.items())),
            paste=settings.paste(self.model, self.chip, now, chosen.setting),
        )

    @property
    def _measure(self) -> str:
        """The criterion: `agreement`, or `cosine` for models without a decoder."""
        return "cosine" if self.model.config.decoder.kind == "none" else "agreement"

    def _walk(self, bench: Points, cuts: Mapping[int, CandidateTable], now: Setting, pace: Pace) -> None:
        """Coordinate search: each axis starts from the best point of the one before."""
        calibration = self.model.config.calibration
        minimum = calibration.minimum if calibration is not None else 1
        scenes = self.at.weights.chosen(self.model).scenes
        # The number of calibration scenes belongs to the config's weights section, which `paste` does not write.
        available = 0 if scenes is not None and scenes.calibration is not None else bench.available
        axes: tuple[Axis, ...] = (
            lambda base: tuple(replace(base, max_float_layers=number) for number in cuts),
            settings.method_axis,
            lambda base: settings.picture_axis(base, available, minimum),
        )
        pace.expect(len(axes[0](now)))
        pace.expect(sum(max(len(axis(now)) - 1, 0) for axis in axes[1:]), CALIBRATION_WEIGHT)
        base, order = now, dict[Setting, None]()
        for axis in axes:
            line = axis(base)
            each(partial(self._try, bench, cuts, now, pace), line, self.options.workers)
            tried = [self.points[setting] for setting in line if setting in self.points]
            # Measurements end in any order; the report lists them in the order of the axes.
            order.update(dict.fromkeys(line))
            self.points = {setting: self.points[setting] for setting in order if setting in self.points}
            base = recommend(tried, base).setting if tried else base

    def _try(
        self, bench: Points, cuts: Mapping[int, CandidateTable], now: Setting, pace: Pace, setting: Setting
    ) -> None:
        """Measure a setting, once. One that fails is left out, except the current one, whose error is raised."""
        if setting in self.points:
            return
        own = (setting.method, setting.pictures) != (now.method, now.pictures)
        weight = CALIBRATION_WEIGHT if own else 1.0
        if setting != now and pace.over(weight):
            self.left_out[setting] = f"no time left of {self.options.minutes:g} minutes; run it again to go on"
            return
        start = self.clock()
        try:
            bench.check(setting)
            point = bench.measure(setting, cuts[setting.max_float_layers])
        except BmzooError as error:
            if setting == now:
                raise
            self.left_out[setting] = error.message
            self.at.report.warn(f"tune:{self.name}: {setting}: left out: {error.message}")
            return
        self.points[setting] = point
        cost = f", cost {number(point.cost)}" if point.cost is not None else ""
        cost += f", about {shown(point.ms)} ms" if point.ms is not None else ""
        figures = f"{self._measure} {point.agreement:.4f}{cost}"
        self.at.report.say(f"tune:{self.name}: {pace.finish(self.clock() - start, weight)}: {setting}: {figures}")

    def _accuracy(
        self, bench: Points, cuts: Mapping[int, CandidateTable], now: Setting, pace: Pace
    ) -> tuple[dict[Setting, Accuracy], str, Accuracy]:
        """Figures of the selected points, the metric, and those of the ONNX model; empty without ground truth."""
        truth = self.at.weights.using(self.model).config.evaluate
        if truth is None or self.options.evaluated == "none":
            return {}, FACES_AP, {}
        if not self.at.sources(self.model).has(truth.truth):
            self.at.report.warn(f"tune:{self.name}: not evaluated: the ground truth is not here: {truth.truth}")
            return {}, FACES_AP, {}
        points = list(self.points.values())
        wanted = [recommend(points, now).setting, now, *(point.setting for point in front(points))]
        if self.options.evaluated == "all":
            wanted += self.points
        found: dict[Setting, Accuracy] = {}

        def evaluate(setting: Setting) -> None:
            if pace.over(EVALUATION_WEIGHT):
                self.at.report.warn(f"tune:{self.name}: no time left to evaluate all; run it again")
                return
            start = self.clock()
            found[setting] = bench.accuracy(setting, cuts[setting.max_float_layers])
            figures = ", ".join(f"{key} {value:.3f}" for key, value in found[setting].items())
            left = pace.finish(self.clock() - start, EVALUATION_WEIGHT)
            self.at.report.say(f"tune:{self.name}: {left}: {setting}: {metric} {figures}")

        order = tuple(dict.fromkeys(wanted))
        pace.expect(len(order), EVALUATION_WEIGHT)
        metric, onnx = bench.onnx()
        each(evaluate, order, self.options.workers)
        return found, metric, onnx


def publish_found(at: Workspace, model: Model, found: TuningReport) -> str:
    """Write table, JSON and plots to `build/tune/<model>.<weights>.<chip>/`. Returns the text for the terminal."""
    folder = at.layout.tuning(found.name)
    table = markdown(found)
    told = recommendation(found, at.layout.shown(model.path))
    files.write(files.json_text(report_data(found)), folder / "tune.json")
    files.write(f"{table}\n```\n{told}```\n", folder / "table.md")
    drawn, missing = _draw(folder, found)
    names = ", ".join(["table.md", "tune.json", *drawn])
    return "\n".join([table, told, *missing, f"{at.layout.shown(folder)}/: {names}"])


def _draw(folder: Path, found: TuningReport) -> tuple[list[str], list[str]]:
    """Names of the plots that were drawn, and for the others how to install what they need."""
    page = folder / "pareto.html"
    try:
        files.place(page, partial(plot.write_html, plot.figure(found)))
    except ImportError:
        page.unlink(missing_ok=True)  # one of an earlier run would be outdated
        return [], [f"no {page.name}: {plot.MISSING}"]
    return [page.name], []
