"""The doit tasks: names, dependencies, and what to call. The only module that speaks doit's language."""

import inspect
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from doit.exceptions import InvalidDodoFile

from bmzoo.chips import CALIBRATED
from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, ConfigError
from bmzoo.plan.shared import transform_step
from bmzoo.plan.verify import siblings
from bmzoo.results import artifact
from bmzoo.results import eval as evaluation
from bmzoo.results import verify as verification
from bmzoo.target import Target, longest_first
from bmzoo.tasks.guard import Task, group, guarded, quietly
from bmzoo.tasks.plan import render_plan
from bmzoo.workspace import Workspace

HELP = """bmzoo builds BModels from the YAML files in configs/, each one verified on a chip simulator.

  ./doit build:bm1688_int8_4b_2core     one target
  ./doit -n 2 'build:*_int8_*'          all that match, two steps at a time
  ./doit list --all                     every task and target
  ./doit clean build:bm1688_int8_4b     remove a result

Tasks:
{tasks}
"""


class Tasks:
    """Yields doit's task dictionaries for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        try:
            workspace.open()
            self._default_model = workspace.default_model
        except BmzooError as error:  # no build folder, or a broken zoo.yaml: nothing can be done at all
            raise InvalidDodoFile(error.render()) from None

    def build(self) -> Iterator[Task]:
        """Make a bmodel, run it on the chip simulator, publish it if it agrees with ONNX."""
        yield {**group("build", self.build.__doc__), "meta": {"workspace": self._at}}
        for model, target in self._targets():
            needs = [self._transform_name(model, target.batch), f"model:{model.name}"]
            if target.precision in CALIBRATED and model.calibrates:
                needs.append(f"calibrate:{model.name}")
            if model.search(target) is not None:
                needs.append(f"qtable:{self._named(model, target.chip)}")
            yield {
                "basename": "build",
                "name": target.qualified(self._default_model),
                "doc": f"build/{target.artifact}",
                "actions": [guarded(partial(self._build, target))],
                "uptodate": [quietly(partial(artifact.is_current, self._at, target))],
                "task_dep": needs,
                "targets": [str(self._at.layout.artifact(target)), str(self._at.layout.provenance(target))],
                "clean": True,
            }

    def verify(self) -> Iterator[Task]:
        """Compare an artifact with ONNX on more pictures, with its MLIR, and with its siblings."""
        yield group("verify", self.verify.__doc__)
        for model, target in self._targets():
            name = target.qualified(self._default_model)
            related = [other.qualified(self._default_model) for other in siblings(model, target)]
            yield {
                "basename": "verify",
                "name": name,
                "doc": f"build/{target.artifact.removesuffix('.bmodel')}.verify.json",
                "actions": [guarded(partial(self._verify, target))],
                "uptodate": [quietly(partial(verification.is_current, self._at, target))],
                "task_dep": [f"build:{name}" for name in (name, *related)] + [self._transform_name(model, 1)],
                "targets": [str(self._at.layout.verification(target))],
                "clean": True,
            }

    def eval(self) -> Iterator[Task]:
        """Average precision where there is ground truth, and the difference to the ONNX model."""
        yield group("eval", self.eval.__doc__)
        for model in self._at.models.values():
            if model.config.evaluate is None:
                continue
            onnx = self._named(model, "onnx")
            yield {
                "basename": "eval",
                "name": onnx,
                "doc": f"the ONNX model {model.name}",
                "actions": [guarded(partial(self._eval_onnx, model, onnx))],
                "uptodate": [quietly(partial(evaluation.is_current_onnx, self._at, model))],
                "task_dep": [f"model:{model.name}"],
            }
            for target in model.targets:
                name = target.qualified(self._default_model)
                yield {
                    "basename": "eval",
                    "name": name,
                    "doc": f"{target.chip} {target.precision}, whatever the batch and cores",
                    "actions": [guarded(partial(self._eval, target))],
                    "uptodate": [quietly(partial(evaluation.is_current, self._at, target))],
                    "task_dep": [f"build:{name}", f"eval:{onnx}"],
                }

    def model(self) -> Iterator[Task]:
        """Import the checkpoint or ONNX file into models/onnx/, checked and converted if need be."""
        yield group("model", self.model.__doc__)
        for model in self._at.models.values():
            yield {
                "basename": "model",
                "name": model.name,
                "doc": f"models/onnx/{model.name}.<weights>.onnx",
                "actions": [guarded(partial(self._at.make_model, model))],
                "uptodate": [quietly(partial(self._at.has_model, model))],
                "targets": self._imported(model),
                "clean": True,
            }

    def _imported(self, model: Model) -> list[str]:
        """The file that the task writes; none where it is what is imported, which `clean` must not remove."""
        weights = self._at.likely(model)
        path = self._at.layout.onnx(model.name, weights.name)
        return [] if self._at.is_source(model, weights) else [str(path)]

    def transform(self) -> Iterator[Task]:
        """Convert the ONNX model to MLIR, once for each batch."""
        yield group("transform", self.transform.__doc__)
        for model in self._at.models.values():
            for batch in sorted({t.batch for t in model.targets} | {1}):
                _, _, name = self._transform_name(model, batch).partition(":")
                yield {
                    "basename": "transform",
                    "name": name,
                    "doc": f"{model.name} at batch {batch}",
                    "actions": [guarded(partial(self._transform, model, batch))],
                    "uptodate": [quietly(partial(self._has_transform, model, batch))],
                    "task_dep": [f"model:{model.name}"],
                }

    def calibrate(self) -> Iterator[Task]:
        """Find activation thresholds over the calibration pictures: calibration/<model>.<weights>.table"""
        yield group("calibrate", self.calibrate.__doc__)
        for model in self._at.models.values():
            if model.calibrates:
                yield {
                    "basename": "calibrate",
                    "name": model.name,
                    "doc": f"calibration/{model.name}.<weights>.table",
                    "actions": [guarded(partial(self._at.make_table, model))],
                    "uptodate": [quietly(partial(self._at.has_table, model))],
                    "task_dep": [self._transform_name(model, 1)],
                }

    def plan(self) -> Iterator[Task]:
        """Print every command of every target, or of those named: plan build:bm1684_int8_1b"""
        yield {
            "basename": "plan",
            "doc": self.plan.__doc__,
            "actions": [guarded(lambda names: sys.stdout.write(render_plan(self._at, names)))],
            "pos_arg": "names",
            "verbosity": 2,
        }

    def bench(self) -> Iterator[Task]:
        """Time preprocessing, inference and postprocessing per image, of the ONNX model or of an artifact."""
        yield group("bench", self.bench.__doc__)
        for model in self._at.models.values():
            if model.config.decoder.kind != "none":
                yield self._bench_task(model, self._named(model, "onnx"), f"model:{model.name}", None)
                for target in model.targets:
                    name = target.qualified(self._default_model)
                    yield self._bench_task(model, name, f"build:{name}", target)

    def _bench_task(self, model: Model, name: str, needs: str, target: Target | None) -> Task:
        def run() -> None:
            from bmzoo.results import bench as benchmark  # brings OpenCV, which listing tasks should not wait for

            self._at.report.say(f"bench:{name}: {benchmark.make(self._at, model, target)} per image")

        return {
            "basename": "bench",
            "name": name,
            "doc": f"stage times of {name}",
            "actions": [guarded(run)],
            "task_dep": [needs],
        }

    def detect(self) -> Iterator[Task]:
        """Find faces: detect TARGET|MODEL PICTURE|FOLDER|VIDEO... [--out DIR and more, see detect --help]"""
        yield {
            "basename": "detect",
            "doc": self.detect.__doc__,
            "actions": [guarded(self._detect)],
            "pos_arg": "words",
            "verbosity": 2,
        }

    def doctor(self) -> Iterator[Task]:
        """Check the machine, the data and the compiler; each problem with its fix."""
        yield {
            "basename": "doctor",
            "doc": self.doctor.__doc__,
            "actions": [guarded(self._doctor)],
            "verbosity": 2,
        }

    def usage(self) -> Iterator[Task]:
        """How to start."""
        yield {"basename": "usage", "doc": self.usage.__doc__, "actions": [self._usage], "verbosity": 2}

    def test(self) -> Iterator[Task]:
        """All tests: the fast ones, then those on the real compiler."""
        yield self._checks("test", self.test.__doc__, (("pytest", "-q", "-m", ""),))

    def lint(self) -> Iterator[Task]:
        """Style and types: ruff and mypy."""
        yield self._checks("lint", self.lint.__doc__, (("ruff", "check", "."), ("mypy",)))

    def _checks(self, name: str, doc: str | None, commands: tuple[tuple[str, ...], ...]) -> Task:
        """Development tools as they are, their output untouched; their packages are installed first."""
        install = [sys.executable, str(self._at.root / "tools" / "bootstrap.py"), "--dev"]
        tools = [[sys.executable, "-m", *command] for command in commands]
        return {"basename": name, "doc": doc, "actions": [install, *tools], "verbosity": 2}

    def _detect(self, words: list[str]) -> None:
        """The runtime's own command line; a target stands for its artifact."""
        from bmzoo.runtime.__main__ import main

        if words and not words[0].startswith("-") and not Path(words[0]).suffix:
            path = self._at.layout.artifact(self._at.target(words[0]))
            if not path.is_file():
                raise ConfigError(f"{words[0]}: not built yet", f"./doit build:{words[0]}")
            words = [str(path), *words[1:]]
        try:
            status = main(["detect", *words])
        except SystemExit as end:  # argparse has said what is wrong
            status = int(end.code or 0)
        if status:
            raise BmzooError("detect did not succeed", "what went wrong is said above")

    def _doctor(self) -> None:
        from bmzoo.tasks.doctor import examine

        bad = False
        for finding in examine(self._at):
            bad |= finding.bad
            sys.stdout.write(f"{finding}\n")
            sys.stdout.flush()
        if bad:
            raise BmzooError("a build could not work here", "each problem above has its fix beside it")

    def _usage(self) -> None:
        from bmzoo.tasks.explain import ExplainTasks
        from bmzoo.tasks.search import SearchTasks
        from bmzoo.tasks.store import StoreTasks
        from bmzoo.tasks.tune import TuneTasks
        from bmzoo.tasks.zoo import ZooTasks

        kinds = (
            self.build,
            self.verify,
            self.eval,
            self.bench,
            self.detect,
            self.plan,
            self.doctor,
            self.model,
            self.transform,
            self.calibrate,
            SearchTasks.rank,
            SearchTasks.qtable,
            TuneTasks.tune,
            ZooTasks.zoo,
            ZooTasks.diff,
            ZooTasks.prune,
            ExplainTasks.explain,
            ExplainTasks.reproduce,
            StoreTasks.gc,
            StoreTasks.fsck,
            self.test,
            self.lint,
        )
        lines = [f"  {kind.__name__:10}{inspect.getdoc(kind)}" for kind in kinds]
        sys.stdout.write(HELP.format(tasks="\n".join(lines)))

    def _targets(self) -> Iterator[tuple[Model, Target]]:
        for model in self._at.models.values():
            for target in longest_first(model.targets):
                yield model, target

    def _transform_name(self, model: Model, batch: int) -> str:
        return f"transform:{self._named(model, f'{batch}b')}"

    def _named(self, model: Model, rest: str) -> str:
        """A subtask's name: the model stands in front unless it is the default one."""
        return rest if model.name == self._default_model else f"{model.name}.{rest}"

    def _transform(self, model: Model, batch: int) -> None:
        self._at.make_step(model, transform_step(model, self._at.chosen(model), batch))

    def _has_transform(self, model: Model, batch: int) -> bool:
        return self._at.has_step(model, transform_step(model, self._at.chosen(model), batch))

    def _eval_onnx(self, model: Model, name: str) -> None:
        self._at.report.say(f"eval:{name}: {evaluation.make_onnx(self._at, model)}")

    def _eval(self, target: Target) -> None:
        figures = evaluation.make(self._at, target)
        self._at.report.say(f"eval:{target.qualified(self._default_model)}: {figures}")

    def _verify(self, target: Target) -> None:
        figures = verification.make(self._at, target)
        self._at.report.say(f"{target.qualified(self._default_model)}: verified on {figures}")

    def _build(self, target: Target) -> None:
        figures = artifact.make(self._at, target)
        self._at.report.say(f"build/{target.artifact}: {figures}")
