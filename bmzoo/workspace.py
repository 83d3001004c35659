"""A checkout at work: its models, toolchain, store and sources, and what all targets of a model share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from bmzoo import config, publish
from bmzoo.builder import Builder, Report
from bmzoo.cluster import Cluster
from bmzoo.config import Model
from bmzoo.digests import Digests
from bmzoo.errors import BmzooError, ConfigError, ToolFailed, nearest
from bmzoo.last import Last
from bmzoo.paths import Layout
from bmzoo.preparation import calibrate_step, import_step, pictures
from bmzoo.recipe import Recipe, recipe
from bmzoo.remote import Remote
from bmzoo.schema import Weights, ZooConfig
from bmzoo.shared_store import SharedStore
from bmzoo.sources import Sources
from bmzoo.step import Step, Tree
from bmzoo.store import Entry, Store, cannot_write
from bmzoo.tables import float_layers
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
    scheduler: str | None = None  # `scheduler=ADDRESS` there: where steps run
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
    def settings(self) -> ZooConfig:
        """Settings of the whole project. Raises ConfigError."""
        return config.zoo_settings(self.layout.configs / config.RESERVED, self.root)

    @cached_property
    def default_model(self) -> str:
        """The model that needs no name in front of its targets: `default_model` in zoo.yaml, or the first."""
        named = self.settings.default_model
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
    def remote(self) -> Remote | None:
        """Where results are shared with other checkouts. Raises ConfigError."""
        url = config.store_url(self.settings, self.environ)
        return Remote(url, self.report.warn) if url is not None else None

    @cached_property
    def store(self) -> Store:
        remote = self.remote
        store = Store(self.layout.build) if remote is None else SharedStore(self.layout.build, remote)
        store.sweep()
        return store

    @cached_property
    def cluster(self) -> Cluster | None:
        """Other machines that run the steps; None for this one. Raises ConfigError."""
        address = self.scheduler or self.environ.get("BMZOO_SCHEDULER")
        return Cluster(address, self.store, self.remote, self.report) if address else None

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
            builder.executor = self.cluster
            builder.noted = self.last.note
            builders[model.name] = builder
        return builders[model.name]

    @cached_property
    def last(self) -> Last:
        return Last(self.layout)

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
        self.check_image_sets(model)
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
        """A table in the checkout that was made from these very inputs saves making it again."""
        if step.kind not in ("calibrate", "cut"):
            return False
        model, _, rest = step.subject.rpartition(".")
        weights, _, chip = rest.partition(" ")
        path = self.layout.qtable(model, weights, chip) if chip else self.layout.table(model, weights)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        content = publish.table_content(text, fingerprint)
        if content is None:
            return False
        (folder / step.outputs[0]).write_text(content, encoding="utf-8")
        if step.kind == "cut":
            rows = float_layers(content)
            choice = {"layers": [layer for layer, _ in rows], "mode": rows[0][1] if rows else "", "rows": []}
            (folder / "choice.json").write_text(json.dumps(choice), encoding="utf-8")
        return True

    def check_image_sets(self, model: Model) -> None:
        """Pictures to calibrate, to choose by and to report on must not overlap. Raises ConfigError.

        A network would be judged on what tuned it. Pictures of the first verdict may be among those to choose by.
        """
        config, sources = model.config, self.sources(model)
        chosen = [("verify.images", config.verify.images)]
        if config.quantization.images is not None:
            chosen.append(("quantization.images", config.quantization.images))
        sets = [(name, sources.pictures(pictures(images)).files) for name, images in chosen]
        if config.calibration is not None and config.calibration.images is not None:
            own = sources.pictures(pictures(config.calibration.images)).files
            for name, files in sets:
                self._check_apart(model, "calibration.images", own, name, files)
            sets.append(("calibration.images", own))
        if config.evaluate is not None and sources.find(config.evaluate.truth) is not None:
            truth = PurePosixPath(config.evaluate.truth)
            folder = str(truth.parent if truth.suffix == ".json" else truth)
            shown = tuple(sources.tree(Tree(folder)).values())
            for name, files in sets:
                self._check_apart(model, name, files, "evaluate.truth", shown)

    def _check_apart(
        self, model: Model, one: str, files: Sequence[Path], other: str, others: Sequence[Path]
    ) -> None:
        taken = {self.digests.of(path): path for path in files if path.is_file()}
        for path in others:
            if (digest := self.digests.of(path)) in taken:
                raise ConfigError(
                    f"configs/{model.path.name}: {one} and {other} overlap: "
                    f"{taken[digest].name} and {path.name} are the same picture",
                    "keep calibration, selection and evaluation pictures apart",
                )


def read_json(entry: Entry, name: str) -> Any:  # noqa: ANN401  # documents of our own steps
    """A JSON file of a step's result."""
    return json.loads(entry.path(name).read_text(encoding="utf-8"))
