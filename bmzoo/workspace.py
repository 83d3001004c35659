"""A checkout at work: its models, toolchain, store and sources, and what all targets of a model share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bmzoo import config, publish
from bmzoo.builder import Builder, Report
from bmzoo.config import Model
from bmzoo.digests import Digests
from bmzoo.errors import BmzooError, ConfigError, ToolFailed, nearest
from bmzoo.paths import Layout
from bmzoo.recipe import Recipe, calibrate_step, import_step, pictures, recipe
from bmzoo.schema import Weights
from bmzoo.sources import Sources
from bmzoo.step import Step
from bmzoo.store import Entry, Store, cannot_write
from bmzoo.target import Target, parse
from bmzoo.toolchain import LocalToolchain, Toolchain, find_installation

DEFAULT_MODEL = "retinaface_mobilenet0.25"


@dataclass
class Workspace:
    """Everything that varies is a field: tests hand in another root, toolchain or report."""

    root: Path
    environ: Mapping[str, str]
    report: Report
    weights: str | None = None  # `weights=NAME` on the command line
    echo: bool = False  # `echo=yes` there: show what the tools print
    toolchain_override: Toolchain | None = None
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.layout = Layout(self.root)

    @cached_property
    def _loaded(self) -> tuple[dict[str, Model], dict[str, BmzooError]]:
        return config.load_all(self.layout.configs, self.root)

    @property
    def models(self) -> Mapping[str, Model]:
        return self._loaded[0]

    @property
    def broken(self) -> Mapping[str, BmzooError]:
        """Model name -> what is wrong with its config."""
        return self._loaded[1]

    @cached_property
    def default_model(self) -> str:
        """The model that needs no name in front of its targets: `default_model` in zoo.yaml, or the first."""
        named = config.zoo_settings(self.layout.configs / config.RESERVED, self.root).default_model
        names = [*self.models, *self.broken]
        if named is not None and named not in names:
            shown = self.layout.shown(self.layout.configs / config.RESERVED)
            raise ConfigError(f"{shown}: default_model: no such model: {named}", f"models: {', '.join(names)}")
        if named is not None:
            return named
        return DEFAULT_MODEL if DEFAULT_MODEL in names or not names else names[0]

    @cached_property
    def digests(self) -> Digests:
        return Digests(self.layout.memory)

    @cached_property
    def toolchain(self) -> Toolchain:
        """The toolchain that runs steps. Raises ToolFailed when there is none."""
        if self.toolchain_override is not None:
            return self.toolchain_override
        installation = find_installation(self.environ)
        if installation is None:
            raise ToolFailed("TPU-MLIR is not installed here", "start bmzoo with ./doit, which installs it")
        return LocalToolchain(installation, self.digests, echo=self.echo)

    @cached_property
    def store(self) -> Store:
        store = Store(self.layout.build)
        store.sweep()
        return store

    def sources(self, model: Model) -> Sources:
        """Where files named in a model's config are looked up, in order."""
        data = self.environ.get("BMZOO_DATA")
        folders = [model.path.parent, *([Path(data)] if data else []), self.layout.shared_data]
        return Sources(folders)

    def builder(self, model: Model) -> Builder:
        builders = self._builders
        if model.name not in builders:
            builder = Builder(
                self.toolchain, self.store, self.sources(model), self.digests, self.layout, self.report
            )
            builder.elsewhere = self._committed_table
            builders[model.name] = builder
        return builders[model.name]

    def plain_builder(self) -> Builder:
        """A builder for steps that read no files from outside."""
        return Builder(self.toolchain, self.store, Sources(()), self.digests, self.layout, self.report)

    @cached_property
    def _builders(self) -> dict[str, Builder]:
        return {}

    def target(self, text: str) -> Target:
        """The configured target of a name. ConfigError says why not, and the nearest there is."""
        target = parse(text, self.default_model)
        if target.model in self.broken:
            raise self.broken[target.model]
        if target.model not in self.models:
            guess = nearest(target.model, self.models)
            raise ConfigError(
                f"{text}: no such model: {target.model}",
                f"did you mean {guess}?" if guess else f"models: {', '.join(self.models)}",
            )
        targets = self.models[target.model].targets
        if target not in targets:
            guess = nearest(str(target), map(str, targets))
            raise ConfigError(
                f"{text}: not a target in configs/{target.model}.yaml",
                f"nearest there: {guess}" if guess else "./doit list --all shows every target",
            )
        return target

    def chosen(self, model: Model) -> Weights:
        """The weights in use. Raises SourceError when none are here."""
        return self.sources(model).choose(model.config.weights, self.weights)

    def likely(self, model: Model) -> Weights:
        """The weights in use, or the first of the list where none are here: for plans and listings."""
        try:
            return self.chosen(model)
        except BmzooError:
            return model.config.weights[0]

    def recipe(self, target: Target) -> Recipe:
        model = self.models[target.model]
        return recipe(model, target, self.chosen(model))

    def open(self) -> None:
        """Make `build/`, where everything made goes. Raises StoreError."""
        try:
            self.layout.build.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(self.layout.build, error) from None

    def close(self) -> None:
        """Keep what was learned about files for the next run."""
        self.digests.save()

    # --- making things -----------------------------------------------------------------------------------

    def make_model(self, model: Model) -> None:
        """`models/onnx/<model>.<weights>.onnx`."""
        weights = self.chosen(model)
        entry = self.builder(model).run(import_step(model, weights))
        publish.copy(entry.path("model.onnx"), self.layout.onnx(model.name, weights.name))

    def make_table(self, model: Model) -> None:
        """`calibration/<model>.<weights>.table`, tied to its inputs by two lines on top."""
        weights = self.chosen(model)
        path = self.layout.table(model.name, weights.name)
        if path.exists() and not publish.is_our_table(path.read_text(encoding="utf-8", errors="replace")):
            raise ConfigError(
                f"{self.layout.shown(path)}: written or edited by hand, so it is not overwritten",
                f"name it below `calibration` as `table` in {self.layout.shown(model.path)}, or remove it",
            )
        self._check_image_sets(model)
        entry = self.builder(model).run(calibrate_step(model, weights))
        publish.write(publish.table_text(entry), path)

    def make_step(self, model: Model, step: Step) -> None:
        self.builder(model).run(step)

    # --- is it there already? ----------------------------------------------------------------------------

    def has_step(self, model: Model, step: Step) -> bool:
        return self.builder(model).find(step) is not None

    def has_model(self, model: Model) -> bool:
        weights = self.chosen(model)
        entry = self.builder(model).find(import_step(model, weights))
        return entry is not None and self.holds(
            self.layout.onnx(model.name, weights.name), entry.files["model.onnx"]
        )

    def has_table(self, model: Model) -> bool:
        weights = self.chosen(model)
        entry = self.builder(model).find(calibrate_step(model, weights))
        path = self.layout.table(model.name, weights.name)
        return (
            entry is not None and path.is_file() and path.read_text(encoding="utf-8") == publish.table_text(entry)
        )

    def holds(self, path: Path, digest: str) -> bool:
        """Whether a file is there with this content."""
        try:
            return self.digests.of(path) == digest
        except OSError:
            return False

    # --- details -----------------------------------------------------------------------------------------

    def _committed_table(self, step: Step, fingerprint: str, folder: Path) -> bool:
        """A calibration table in the checkout that was made from these very inputs saves making it again."""
        if step.kind != "calibrate":
            return False
        name, _, weights = step.subject.rpartition(".")
        try:
            text = self.layout.table(name, weights).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        content = publish.table_content(text, fingerprint)
        if content is None:
            return False
        (folder / "calibration.table").write_text(content, encoding="utf-8")
        return True

    def _check_image_sets(self, model: Model) -> None:
        """Calibration and verdict pictures must not overlap: a network would be judged on what tuned it."""
        settings = model.config.calibration
        assert settings is not None and settings.images is not None, "only models that calibrate get here"
        sources = self.sources(model)
        taken = {self.digests.of(p): p for p in sources.pictures(pictures(settings.images)).files if p.is_file()}
        for path in sources.pictures(pictures(model.config.verify.images)).files:
            if (digest := self.digests.of(path)) in taken:
                raise ConfigError(
                    f"configs/{model.path.name}: calibration.images and verify.images overlap: "
                    f"{taken[digest].name} and {path.name} are the same picture",
                    "keep calibration, selection and evaluation pictures apart",
                )


def read_json(entry: Entry, name: str) -> Any:  # noqa: ANN401  # documents of our own steps
    """A JSON file of a step's result."""
    return json.loads(entry.path(name).read_text(encoding="utf-8"))
